//! What the tests against a real server share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};

use innoclone_wire::{ConnectOptions, Connection, Endpoint, Error};
use testkit::{Server, ServerOptions};

/// Starts the server of a test binary. It ends with the process: statics are never dropped, but
/// the testkit's guard outlives nobody.
pub(crate) fn start(args: &[&str]) -> Server {
    let args = args
        .iter()
        .copied()
        .chain(["--bind-address=127.0.0.1,127.0.0.2,::1"]);
    Server::start(ServerOptions::with_args(args)).expect("start a server")
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
