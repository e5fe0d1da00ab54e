//! The embedded history of backups: one SQLite file with the system tables of CLONE.
//!
//! `catalogue.db` holds a table `clone_history` and the views `clone_status` and `clone_progress`,
//! with the columns, order and declared types of `mysql.clone_history`,
//! `performance_schema.clone_status` and `performance_schema.clone_progress`. A SQL face can
//! therefore attach the file under those schema names and run a client's `SELECT` on it unchanged
//! (each view refers only to tables of its own file, so it works under any schema name).
//!
//! A row exists from the moment a clone starts (`In Progress`), not only from its end, and a row
//! whose process was killed becomes `Failed` the next time anybody opens the catalogue
//! ([`Catalogue::reap`]). What the documented columns cannot say (the identity of the backup set,
//! the process that owns a row, instants in UTC) is kept in the separate table `bookkeeping`.
//!
//! ```
//! use innoclone_catalogue::{Catalogue, CloneType, NewClone, Outcome, StageUpdate, State};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let catalogue = Catalogue::open(dir.path())?;
//! let id = catalogue.begin(&NewClone {
//!     pid: 8,
//!     clone_type: CloneType::Full,
//!     source: "LOCAL INSTANCE".to_owned(),
//!     destination: "/data/backup/full".to_owned(),
//!     start_lsn: 0,
//! })?;
//! catalogue.stage(id, "FILE COPY", &StageUpdate::new(State::InProgress))?;
//! catalogue.complete(id, &Outcome { end_lsn: 21_083_759, ..Outcome::default() })?;
//! assert_eq!(catalogue.row(id)?.state, State::Completed);
//! # Ok(())
//! # }
//! ```
//!
//! # Time
//!
//! MySQL keeps a `timestamp` in UTC and shows it in the time zone of the session. The catalogue
//! does the same with the means it has: the visible columns hold the text a MySQL client would
//! print in the local time zone (`2024-06-10 15:05:41.288`), so that a plain `SELECT` needs no
//! conversion and compares with what users typed; `bookkeeping` holds the same instants as
//! microseconds since the Unix epoch, and everything that orders or compares rows uses those.
//! A change of the time zone or of daylight saving time therefore never reorders the history.
//!
//! # Several processes
//!
//! Any number of processes may use a catalogue at once (SQLite in WAL mode, which requires that
//! they run on one host; every writing transaction is short and taken immediately, so that a
//! waiting writer is served rather than refused).

mod catalogue;
mod cells;
mod clone;
mod ending;
mod error;
mod import;
mod open;
mod owner;
mod progress;
mod row;
mod sql;
mod text;
mod times;

pub use catalogue::Catalogue;
pub use clone::{CloneId, NewClone, Outcome, RunningClone};
pub use error::{Error, Result};
pub use progress::{STAGES, StageUpdate};
pub use row::{CloneType, HistoryRow, ProgressRow, State, StatusRow, UnknownName};
pub use times::mysql_timestamp;

/// Name of the database file inside the catalogue's directory.
pub const FILE_NAME: &str = "catalogue.db";

/// How many clones `clone_status` and `clone_progress` show.
pub const STATUS_CLONES: u32 = 5;

/// What `SHOW CREATE TABLE mysql.clone_history` prints.
pub const CLONE_HISTORY_DDL: &str = sql::CLONE_HISTORY_DDL;
