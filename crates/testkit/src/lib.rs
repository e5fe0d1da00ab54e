//! A real mysqld for tests, demo and bench: found, started, loaded, killed, compared.
//!
//! Everything here talks to the server through its own stock `mysql` client, never through
//! innoclone's code, so that a check made with this crate is independent of what it checks. A
//! machine without a server is an error that names the command which fetches one; no test is ever
//! skipped.
//!
//! ```no_run
//! use innoclone_testkit::{Server, ServerOptions};
//! # fn main() -> anyhow::Result<()> {
//! let server = Server::start(ServerOptions::default())?;
//! server.sql("CREATE TABLE test.t (id INT PRIMARY KEY); INSERT INTO test.t VALUES (1)")?;
//! assert_eq!(server.query_value("SELECT COUNT(*) FROM test.t")?, "1");
//! # Ok(())
//! # }
//! ```
//!
//! Environment: `INNOCLONE_MYSQL_ROOT` or `MYSQLD` (the server to use), `INNOCLONE_CACHE` (instead
//! of `.cache` of the checkout), `INNOCLONE_KEEP=1` (keep and print the directories of every
//! server), `INNOCLONE_SERVERS` (how many tests of this machine may run servers at the same time).

#![allow(
    clippy::format_push_string,
    reason = "SQL scripts are put together to be read, not to be fast"
)]

pub mod fixtures;
pub mod show;

mod binlog;
mod check;
mod client;
mod foreign;
mod hold;
mod install;
mod keyring;
mod limiter;
mod load;
mod measure;
mod options;
mod ports;
mod process;
mod program;
mod quiet;
mod random;
mod reserved;
mod scratch;
mod server;
mod session;
mod snapshot;
mod template;
mod waiting;
mod workload;

pub use binlog::replay_binlog;
pub use check::{check_tables, scan_error_log};
pub use client::Client;
pub use foreign::ForeignClients;
pub use hold::{BackupLock, HeldDdl};
pub use install::Install;
pub use measure::{Io, Run, measure, size_on_disk};
pub use options::ServerOptions;
pub use program::Innoclone;
pub use random::Random;
pub use reserved::{ClosedPort, FreePort};
pub use scratch::Scratch;
pub use server::Server;
pub use snapshot::{Snapshot, Table, assert_same, snapshot};
pub use waiting::wait_until;
pub use workload::{Stats, Workload, WorkloadOptions};

/// The result type of this crate: errors are for a developer who reads a failed test.
pub type Result<T> = anyhow::Result<T>;
