//! What every server says of itself over SQL, on this host or another.

use super::instance::session::Session;
use crate::set::ServerFeatures;
use crate::{Error, Result};
use innodb::geometry::PageSize;
use std::collections::BTreeMap;

/// Variables that a server on the restored directory must share with the donor.
const RECORDED: &[&str] = &[
    "character_set_filesystem",
    "character_set_server",
    "collation_server",
    "innodb_checksum_algorithm",
    "innodb_data_file_path",
    "innodb_page_size",
    "innodb_undo_tablespaces",
    "lower_case_table_names",
    "version_comment",
    "version_compile_machine",
    "version_compile_os",
];

/// Variables of which every kind of donor makes something itself.
const IDENTITY: &[&str] = &["server_uuid", "version", "datadir"];

/// The variables of a server whose data can be backed up.
#[derive(Debug, Clone)]
pub(super) struct Variables {
    all: BTreeMap<String, String>,
    pub page_size: PageSize,
}

impl Variables {
    /// Asks for those of a manifest, for `server_uuid`, `version` and `datadir`, and for `further`
    /// ones. Refuses a server whose redo log is not of the known format.
    ///
    /// `server` is what errors call it.
    pub(super) fn ask(session: &mut Session, server: &str, further: &[&str]) -> Result<Self> {
        let names = [RECORDED, IDENTITY, further].concat();
        let rows = session.query(
            "read the server's variables",
            &format!(
                "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('{}')",
                names.join("', '")
            ),
        )?;
        let all: BTreeMap<_, _> = rows
            .iter()
            .map(|row| (text(row, 0), text(row, 1)))
            .collect();
        let get = |name| all.get(name).map_or("", String::as_str);
        let version = get("version");
        if !is_supported(version) {
            return Err(Error::refused(
                1105,
                format!(
                    "{server} version {version} is not supported: its redo log is not of format 6"
                ),
                "innoclone works with MySQL 8.0.30 and later, and servers made from it.",
            ));
        }
        let page_size = get("innodb_page_size");
        let parsed = page_size.parse().ok();
        let Some(page_size) = parsed.and_then(|bytes| PageSize::new(bytes).ok()) else {
            return Err(Error::refused(
                1105,
                format!("innodb_page_size of the {server} is '{page_size}'"),
                "",
            ));
        };
        Ok(Self { all, page_size })
    }

    /// A variable as the server wrote it; nothing for one it does not have.
    pub(super) fn get(&self, name: &str) -> String {
        self.all.get(name).cloned().unwrap_or_default()
    }

    /// Those for the manifest.
    pub(super) fn recorded(&self) -> BTreeMap<String, String> {
        let pair = |name: &&str| ((*name).to_owned(), self.get(name));
        RECORDED.iter().map(pair).collect()
    }
}

/// What a recipient of the data must have.
pub(super) fn features(session: &mut Session) -> Result<ServerFeatures> {
    let plugins = session.query(
        "read the server's plugins",
        "SELECT PLUGIN_NAME, IFNULL(PLUGIN_LIBRARY, '') FROM information_schema.PLUGINS \
         WHERE PLUGIN_STATUS = 'ACTIVE'",
    )?;
    let collations = session.query(
        "read the server's collations",
        "SELECT COLLATION_NAME FROM information_schema.COLLATIONS ORDER BY ID",
    )?;
    Ok(ServerFeatures {
        plugins: plugins
            .iter()
            .map(|row| (text(row, 0), text(row, 1)))
            .collect(),
        collations: collations.iter().map(|row| text(row, 0)).collect(),
    })
}

fn text(row: &wire::Row, column: usize) -> String {
    row.text(column).unwrap_or_default().to_owned()
}

/// A version as a number, as tablespaces have it: 90704 for 9.7.4.
pub(super) fn version_number(version: &str) -> u32 {
    let mut numbers = version
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().unwrap_or(0).min(99));
    let mut next = || numbers.next().unwrap_or(0);
    next() * 10_000 + next() * 100 + next()
}

/// 8.0.30 brought the redo log format that is known here.
pub(super) fn is_supported(version: &str) -> bool {
    version_number(version) >= 80_030 && !version.contains("MariaDB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_the_known_redo_format_are_refused() {
        for version in ["8.0.30", "8.0.32-26", "8.4.4", "9.7.4-2"] {
            assert!(is_supported(version), "{version}");
        }
        for version in ["8.0.29", "5.7.44", "11.4.2-MariaDB", ""] {
            assert!(!is_supported(version), "{version}");
        }
        assert_eq!(version_number("9.7.4-2"), 90_704);
    }
}
