//! What a user may do.

use std::collections::BTreeSet;

/// Privileges of a user, for the whole server (`ON *.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grants {
    /// Everything: accounts that are there for one purpose.
    All,
    /// These, in capitals, as `SHOW GRANTS` writes them.
    Only(BTreeSet<String>),
}

impl Grants {
    /// Whether `privilege` (in capitals) is among them.
    pub fn has(&self, privilege: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(privilege) || names.contains("ALL PRIVILEGES"),
        }
    }

    /// The privileges in the lines of `SHOW GRANTS`. Those for a schema, a table or a routine are
    /// left out, and so are roles: `SHOW GRANTS` counts the privileges of active roles in.
    pub(super) fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = BTreeSet::new();
        for line in lines {
            let Some(list) = line.strip_prefix("GRANT ") else {
                continue;
            };
            // Names of privileges contain neither quotes nor ` ON `.
            let Some((list, scope)) = list.split_once(" ON ") else {
                continue;
            };
            if scope.starts_with("*.* TO ") {
                names.extend(list.split(',').map(|name| name.trim().to_owned()));
            }
        }
        Self::Only(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_privileges_for_the_whole_server_count() {
        let grants = Grants::parse([
            "GRANT SELECT, LOCK TABLES ON *.* TO `u`@`%`",
            "GRANT BACKUP_ADMIN,CLONE_ADMIN ON *.* TO `u`@`%` WITH GRANT OPTION",
            "GRANT RELOAD ON `x ON *.* TO `.* TO `u`@`%`",
            "GRANT `SHUTDOWN`@`%` TO `u`@`%`",
            "REVOKE SELECT ON `mysql`.* FROM `u`@`%`",
        ]);
        for name in ["SELECT", "LOCK TABLES", "BACKUP_ADMIN", "CLONE_ADMIN"] {
            assert!(grants.has(name), "{name}");
        }
        for name in ["RELOAD", "SHUTDOWN", "backup_admin", ""] {
            assert!(!grants.has(name), "{name}");
        }
        assert!(Grants::parse(["GRANT ALL PRIVILEGES ON *.* TO `r`@`%`"]).has("BACKUP_ADMIN"));
    }
}
