//! The MySQL client protocol: login, TLS, queries, and raw packets.
//!
//! As a client: one connection type, [`Connection`], serves everything innoclone says to a server: SQL in the
//! text protocol, the clone protocol (`COM_CLONE`) and binary log streams. It is blocking: the data
//! path of a backup is one thread per connection, and a thread that must be woken from a read is
//! woken through a [`ShutdownHandle`].
//!
//! As a server: see [`server`].
//!
//! The byte layouts are those of the *MySQL Client/Server Protocol* chapter of the MySQL source
//! documentation. Integers are little-endian. Nothing a peer sends can make this crate panic or
//! allocate more than the limits in [`ConnectOptions`].
#![deny(clippy::big_endian_bytes)]

mod binlog;
pub mod clone;
mod connection;
mod cursor;
mod error;
mod frame;
mod handshake;
mod login;
mod options;
mod quote;
mod reply;
mod rows;
mod rsa_key;
pub mod server;
mod stream;
mod tls;

pub use binlog::BinlogDump;
pub use connection::{Connection, Done};
pub use error::Error;
pub use options::{ConnectOptions, Endpoint, Secret, SslMode, UnknownSslMode};
pub use quote::{quote_identifier, quote_string};
pub use rows::{Row, Rows};
pub use stream::ShutdownHandle;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;
