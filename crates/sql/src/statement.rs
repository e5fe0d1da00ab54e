//! Statements, as the grammar understands them.

use std::path::PathBuf;

use wire::Secret;

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Statement {
    Clone(CloneStatement),
    /// `SET`, in the order of its assignments.
    Set(Vec<Assignment>),
    /// `RESET PERSIST [IF EXISTS] [name]`.
    ResetPersist {
        name: Option<String>,
        if_exists: bool,
    },
    Show(Show),
    Kill {
        id: u64,
        what: Killed,
    },
    /// `INSTALL COMPONENT` or `UNINSTALL COMPONENT`.
    Component {
        install: bool,
        urns: Vec<String>,
    },
    PageTrack(PageTrackCall),
    /// `SELECT`, `WITH` or `TABLE`: for the engine.
    Query,
    Use(String),
    /// A statement about transactions, which mean nothing here.
    Nothing,
}

/// `CLONE …`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CloneStatement {
    /// `None` for the local instance.
    pub(crate) donor: Option<Donor>,
    /// `None` to replace the instance's own data.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) page_track: bool,
    pub(crate) from: From,
}

/// What a clone copies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum From {
    /// Everything.
    Nothing,
    /// What changed since this LSN; 0 means everything.
    StartLsn(u64),
    /// What changed since this set.
    BasedOn(PathBuf),
}

/// `user@host:port IDENTIFIED BY 'password' [REQUIRE [NO] SSL]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Donor {
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) password: Secret,
    /// `None` where the statement does not say.
    pub(crate) ssl: Option<bool>,
}

/// One assignment of `SET`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Assignment {
    /// A system variable.
    Variable {
        scope: Scope,
        name: String,
        value: Expression,
    },
    /// `@name := …`.
    User { name: String, value: Expression },
    /// `NAMES`, `CHARACTER SET`, `TRANSACTION`: taken, and without a meaning here.
    Session,
}

/// Which value of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Session,
    Global,
    Persist,
    PersistOnly,
}

/// The right side of an assignment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Default,
    /// A name without quotes: `ON`, or one of an enumeration's values.
    Name(String),
    Text(String),
    Number(String),
    /// Anything else, as written.
    Other(String),
}

/// What a `KILL` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Killed {
    Connection,
    Query,
}

/// `SHOW …`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Show {
    Variables {
        scope: Scope,
        filter: Filter,
    },
    Status {
        filter: Filter,
    },
    ProcessList {
        full: bool,
    },
    /// `SHOW MASTER STATUS` and `SHOW BINARY LOG STATUS`.
    BinaryLogStatus,
    BinaryLogs,
    Warnings {
        errors_only: bool,
        count: bool,
    },
    Databases {
        filter: Filter,
    },
    Tables {
        schema: Option<String>,
        full: bool,
        filter: Filter,
    },
    CreateTable(TableName),
    Columns {
        table: TableName,
        full: bool,
        filter: Filter,
    },
    Grants,
    /// Rows of a table of `information_schema`, under the names that `SHOW` gives its columns.
    Listed {
        list: List,
        /// Only what belongs to this table.
        table: Option<TableName>,
        filter: Filter,
    },
}

/// What is listed from `information_schema`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    CharacterSets,
    Collations,
    Engines,
    Indexes,
    Plugins,
    TableStatus,
}

/// `LIKE …` or `WHERE …`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    None,
    Like(String),
    /// The condition, from this token of the statement on.
    Where {
        from: usize,
    },
}

/// A table as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

/// `SELECT mysqlbackup_page_track_…(…) [AS alias]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageTrackCall {
    /// Name of the function, one of the component's.
    pub(crate) function: &'static str,
    /// Literals, as the server reads them.
    pub(crate) arguments: Vec<String>,
    /// Name of the column: the alias, or the call as it was written.
    pub(crate) column: String,
}
