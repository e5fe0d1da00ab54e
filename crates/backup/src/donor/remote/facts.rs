//! What the donor says of itself over SQL.

use crate::donor::instance::facts::{VARIABLES, features, is_supported};
use crate::donor::instance::session::Session;
use crate::set::{BinlogPosition, ServerRecord};
use crate::{Error, Result};
use innodb::geometry::PageSize;
use std::collections::BTreeMap;
use wire::clone::Setting;

/// What the donor says of itself.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub page_size: PageSize,
    pub record: ServerRecord,
}

impl Facts {
    /// Asks the donor; refuses one whose clone could not be stored.
    pub(super) fn ask(session: &mut Session) -> Result<Self> {
        let names = VARIABLES.iter().copied().chain([
            "server_uuid",
            "version",
            "datadir",
            "innodb_redo_log_encrypt",
            "innodb_undo_log_encrypt",
        ]);
        let list: Vec<String> = names.map(|name| format!("'{name}'")).collect();
        let rows = session.query(
            "read the donor's variables",
            &format!(
                "SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})",
                list.join(", ")
            ),
        )?;
        let text = |row: &wire::Row, column| row.text(column).unwrap_or_default().to_owned();
        let all: BTreeMap<String, String> = rows
            .iter()
            .map(|row| (text(row, 0), text(row, 1)))
            .collect();
        let get = |name: &str| all.get(name).cloned().unwrap_or_default();
        let version = get("version");
        if !is_supported(&version) {
            return Err(Error::refused(
                1105,
                format!(
                    "donor version {version} is not supported: its redo log is not of format 6"
                ),
                "innoclone works with MySQL 8.0.30 and later, and servers made from it.",
            ));
        }
        if get("version_comment").contains("GreatSQL") {
            return Err(Error::refused(
                1105,
                "the donor is GreatSQL, whose clone protocol is not that of MySQL",
                "Back up on the database host.",
            ));
        }
        for name in ["innodb_redo_log_encrypt", "innodb_undo_log_encrypt"] {
            if get(name).eq_ignore_ascii_case("ON") {
                return Err(super::files::encrypted(name));
            }
        }
        let page_size = get("innodb_page_size").parse().ok();
        let page_size = page_size.and_then(|bytes| PageSize::new(bytes).ok());
        let page_size = page_size.ok_or_else(|| {
            let found = get("innodb_page_size");
            Error::refused(
                1105,
                format!("innodb_page_size of the donor is {found:?}"),
                "",
            )
        })?;
        Ok(Self {
            page_size,
            record: ServerRecord {
                uuid: get("server_uuid"),
                version,
                // Nothing on this host says which process it is; increments do not need it.
                process: None,
                datadir: get("datadir"),
                owner: (0, 0),
                variables: VARIABLES
                    .iter()
                    .map(|name| ((*name).to_owned(), get(name)))
                    .collect(),
                features: Some(features(session)?),
                // It says so when the clone begins.
                maturity: None,
            },
        })
    }

    /// Takes what the donor told when the clone began.
    pub(super) fn told(&mut self, settings: &[Setting]) {
        let said = settings.iter().find_map(|setting| match setting {
            Setting::Json(_, json) => serde_json::from_str::<serde_json::Value>(json).ok(),
            _ => None,
        });
        let said = said.as_ref().and_then(|json| json["maturity"].as_str());
        self.record.maturity = match said {
            Some(said) => Some(said.to_owned()),
            None => ServerRecord::maturity_of(&self.record.version),
        };
    }

    /// The version as a number, as tablespaces have it: 90704 for 9.7.4.
    pub(super) fn version_number(&self) -> u32 {
        let mut numbers = self
            .record
            .version
            .split(['.', '-'])
            .map(|part| part.parse::<u32>().unwrap_or(0).min(99));
        let mut next = || numbers.next().unwrap_or(0);
        next() * 10_000 + next() * 100 + next()
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
