//! What the tests against a real server share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use innoclone_wire::{ConnectOptions, Connection, Endpoint, Error};
use testkit::{Server, ServerOptions};

/// Starts the server of a test binary. It ends with the process: statics are never dropped, but
/// the testkit's guard outlives nobody.
pub(crate) fn start(args: &[&str]) -> Server {
    let all = format!("--bind-address=127.0.0.2,{}", addresses().join(","));
    let args = args.iter().copied().chain([all.as_str()]);
    Server::start(ServerOptions::with_args(args)).expect("start a server")
}

/// The addresses of this host that a server is reached at: a machine need not have IPv6.
pub(crate) fn addresses() -> Vec<&'static str> {
    let mut addresses = vec!["127.0.0.1", "::1"];
    addresses.retain(|address| std::net::TcpListener::bind((*address, 0)).is_ok());
    addresses
}

pub(crate) fn socket(server: &Server) -> ConnectOptions {
    let endpoint = Endpoint::Socket(server.socket().to_owned());
    ConnectOptions {
        endpoint,
        ..ConnectOptions::default()
    }
}

pub(crate) fn tcp(server: &Server, host: &str) -> ConnectOptions {
    let endpoint = Endpoint::Tcp {
        host: host.to_owned(),
        port: server.port(),
    };
    ConnectOptions {
        endpoint,
        ..ConnectOptions::default()
    }
}

pub(crate) fn user(options: ConnectOptions, user: &str, password: &str) -> ConnectOptions {
    ConnectOptions {
        user: user.to_owned(),
        password: Some(password.into()),
        ..options
    }
}

pub(crate) fn connect(options: &ConnectOptions) -> Connection {
    Connection::connect(options).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

pub(crate) fn refused(options: &ConnectOptions) -> Error {
    Connection::connect(options).expect_err("the login should fail")
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// Before something is taken for hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
