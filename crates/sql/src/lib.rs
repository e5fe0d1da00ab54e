//! The SQL face: the statements of CLONE, its variables and its system tables.
//!
//! A [`Service`] stands for one local instance and the history on this host; each client has a
//! [`Session`] on it, which takes statements as text and answers as MySQL's server would. There is
//! no backup logic here: `CLONE` becomes the same request that the command line makes.
//!
//! Statements are read by a lexer and a recursive descent of our own (CLONE is in no SQL
//! library, and a library's tokens cannot hold `user@host:port`). Queries are answered by
//! SQLite on copies of the tables they name; few other statements are handed on to the local
//! instance, each put together here from its parts.

mod access;
mod answer;
mod donors;
pub mod endpoint;
mod engine;
mod error;
mod grammar;
mod lexer;
mod parser;
mod processes;
mod run;
mod secrets;
mod service;
mod session;
mod statement;
mod system;
mod tables;
mod variables;

pub use access::{Identity, Privilege};
pub use answer::{Answer, Column, ColumnType, ResultSet};
pub use error::{Result, SqlError};
pub use service::{Service, ServiceOptions};
pub use session::{Session, Stopper};
pub use system::SERVER_VERSION;
/// How to reach the instance: part of [`ServiceOptions`].
pub use wire::{ConnectOptions, Endpoint};
