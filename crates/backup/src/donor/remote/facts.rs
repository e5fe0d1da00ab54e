//! What the donor says of itself over SQL.

use crate::donor::instance::facts::{VARIABLES, features, is_supported};
use crate::donor::instance::session::Session;
use crate::set::ServerRecord;
use crate::{Error, Result};
use innodb::geometry::PageSize;
use std::collections::BTreeMap;

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
            },
        })
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
