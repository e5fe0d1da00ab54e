//! The server's side of the MySQL protocol: whoever speaks to a server can speak to us.
//!
//! A [`Server`] listens on TCP ports and unix sockets, one thread per connection. It greets, goes
//! over to TLS, checks who is there against [`Accounts`], and then hands every statement to the
//! [`Handler`] that was made for the connection. A handler that speaks another protocol after a
//! command of its own (as `COM_CLONE` does) takes the connection over, see [`Raw`].
//!
//! Nothing a client sends can make this module panic or keep more memory than a packet of the
//! allowed size and its prepared statements, which are limited too. A client that is slow in the
//! login, or says nothing, is disconnected, see [`ServerOptions`].

mod accounts;
mod answer;
mod command;
mod connections;
mod digest;
mod encode;
mod grants;
mod greeting;
mod listener;
mod local;
mod login;
mod raw;
mod rsa;
mod session;
mod statement;
mod tls;
mod watch;

pub use accounts::{Accounts, FixedAccounts, Login, Peer};
pub use answer::{Answer, Column, ColumnKind, Refusal, Table, Value};
pub use connections::{ConnectionInfo, Connections};
pub use digest::{PasswordDigest, StoredPassword};
pub use grants::Grants;
pub use listener::Server;
pub use local::LocalAccounts;
pub use raw::Raw;
pub use rsa::ServerRsa;
pub use session::{Handler, Handlers, Session};
pub use tls::ServerTls;
pub use watch::{Interruption, Watch};

use std::time::Duration;

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The version in the greeting, for example `9.7.4`.
    pub version: String,
    /// TLS, if it is offered.
    pub tls: Option<ServerTls>,
    /// The key by which passwords come over TCP without TLS.
    pub rsa: ServerRsa,
    /// Refuse logins over TCP without TLS (error 3159).
    pub require_tls: bool,
    /// Most connections at the same time; who comes later gets error 1040.
    pub max_connections: usize,
    /// How long a login may take as a whole, without what the client waits for.
    pub login_timeout: Duration,
    /// How long a client may take until its next command is complete.
    pub idle_timeout: Duration,
    /// How long a client may take until it accepts more bytes.
    pub write_timeout: Duration,
    /// Largest packet to send or to accept, in bytes.
    pub max_allowed_packet: usize,
}

impl Default for ServerOptions {
    /// As a server of MySQL: 151 connections, 10 seconds for the login, 8 hours of silence, a
    /// minute to take bytes, packets of 64 MiB; no TLS.
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tls: None,
            rsa: ServerRsa::default(),
            require_tls: false,
            max_connections: 151,
            login_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(8 * 3600),
            write_timeout: Duration::from_secs(60),
            max_allowed_packet: 64 << 20,
        }
    }
}

/// Locks, also after a thread panicked while it held the lock: what the locks of this module guard
/// is whole after every single step.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
