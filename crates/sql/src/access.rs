//! Who a session belongs to, and what it may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::error::{Result, SqlError};

/// A privilege of MySQL that has a meaning here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    /// `CLONE` and the functions of page tracking.
    BackupAdmin,
    /// `KILL` and see the sessions of others.
    ConnectionAdmin,
    /// `INSTALL COMPONENT`: in MySQL the right to insert into `mysql.component`.
    Insert,
    /// See the sessions of others.
    Process,
    /// `SHOW MASTER STATUS`, `SHOW BINARY LOGS`.
    ReplicationClient,
    /// Read the tables.
    Select,
    /// `SET GLOBAL`, `SET PERSIST`.
    SystemVariablesAdmin,
}

impl Privilege {
    /// Every privilege.
    pub const ALL: [Self; 7] = [
        Self::BackupAdmin,
        Self::ConnectionAdmin,
        Self::Insert,
        Self::Process,
        Self::ReplicationClient,
        Self::Select,
        Self::SystemVariablesAdmin,
    ];

    /// Its name in `GRANT`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BackupAdmin => "BACKUP_ADMIN",
            Self::ConnectionAdmin => "CONNECTION_ADMIN",
            Self::Insert => "INSERT",
            Self::Process => "PROCESS",
            Self::ReplicationClient => "REPLICATION CLIENT",
            Self::Select => "SELECT",
            Self::SystemVariablesAdmin => "SYSTEM_VARIABLES_ADMIN",
        }
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Privilege {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("unknown privilege: {text}"))
    }
}

/// Who a session belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account's name.
    pub user: String,
    /// Where the client is: a name or address, with the port where it has one.
    pub host: String,
    /// What it may do.
    pub privileges: BTreeSet<Privilege>,
}

impl Identity {
    /// The user of this program: what it may do is for the instance to decide.
    pub fn local(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            host: "localhost".to_owned(),
            privileges: Privilege::ALL.into(),
        }
    }

    pub(crate) fn has(&self, privilege: Privilege) -> bool {
        self.privileges.contains(&privilege)
    }

    /// 1227 without the privilege.
    pub(crate) fn require(&self, privilege: Privilege) -> Result<()> {
        if self.has(privilege) {
            return Ok(());
        }
        Err(SqlError::access_denied(match privilege {
            Privilege::SystemVariablesAdmin => "SUPER or SYSTEM_VARIABLES_ADMIN",
            Privilege::ReplicationClient => "SUPER, REPLICATION CLIENT",
            other => other.name(),
        }))
    }

    /// 1142 without the privilege on a table.
    pub(crate) fn require_on(&self, privilege: Privilege, table: &str) -> Result<()> {
        if self.has(privilege) {
            return Ok(());
        }
        // The port is no part of an account.
        let host = self
            .host
            .rsplit_once(':')
            .map_or(self.host.as_str(), |(host, _)| host);
        let user = &self.user;
        Err(SqlError::new(
            1142,
            format!("{privilege} command denied to user '{user}'@'{host}' for table '{table}'"),
        ))
    }

    /// What `SHOW GRANTS` shows.
    pub(crate) fn grants(&self) -> String {
        let names: Vec<&str> = self
            .privileges
            .iter()
            .map(|privilege| privilege.name())
            .collect();
        let names = if names.is_empty() {
            "USAGE".to_owned()
        } else {
            names.join(", ")
        };
        format!(
            "GRANT {names} ON *.* TO `{}`@`%`",
            self.user.replace('`', "``")
        )
    }
}
