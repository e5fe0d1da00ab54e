//! What the donor says of itself over SQL.

use crate::donor::instance::session::Session;
use crate::donor::server::{Variables, features, version_number};
use crate::set::{BinlogPosition, ServerRecord};
use crate::{Error, Result};
use innodb::geometry::PageSize;

/// What the donor says of itself.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub page_size: PageSize,
    pub record: ServerRecord,
    /// The variable by which logs are encrypted.
    pub encrypts: Option<&'static str>,
}

impl Facts {
    /// Asks the donor; refuses one whose clone could not be stored.
    pub(super) fn ask(session: &mut Session) -> Result<Self> {
        let further = ["innodb_redo_log_encrypt", "innodb_undo_log_encrypt"];
        let variables = Variables::ask(session, "donor", &further)?;
        let get = |name| variables.get(name);
        if get("version_comment").contains("GreatSQL") {
            return Err(Error::refused(
                1105,
                "the donor is GreatSQL, whose clone protocol is not that of MySQL",
                "Back up on the database host.",
            ));
        }
        let encrypts = further
            .into_iter()
            .find(|name| get(name).eq_ignore_ascii_case("ON"));
        Ok(Self {
            page_size: variables.page_size,
            encrypts,
            record: ServerRecord {
                uuid: get("server_uuid"),
                version: get("version"),
                // Nothing on this host says which process it is; increments do not need it.
                process: None,
                datadir: get("datadir"),
                owner: (0, 0),
                variables: variables.recorded(),
                features: Some(features(session)?),
            },
        })
    }

    /// The version as a number, as tablespaces have it: 90704 for 9.7.4.
    pub(super) fn version_number(&self) -> u32 {
        version_number(&self.record.version)
    }
}

/// The transactions executed and, where the account may know it, where that is in the binary log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Executed {
    pub gtids: String,
    /// Whether the donor writes a binary log.
    pub has_binlog: bool,
    pub binlog: Option<BinlogPosition>,
}

impl Executed {
    /// Asks for them. What the account may not know is left out.
    pub(super) fn ask(session: &mut Session) -> Option<Self> {
        let rows = session.query(
            "read the executed transactions",
            "SELECT @@GLOBAL.gtid_executed, @@GLOBAL.log_bin",
        );
        let rows = rows.ok()?;
        let row = rows.first()?;
        let gtids = row.text(0)?.replace('\n', "");
        let has_binlog = row.text(1) == Some("1");
        let binlog = session.log_status().ok().map(|status| status.binlog);
        Some(Self {
            gtids,
            has_binlog,
            binlog,
        })
    }
}
