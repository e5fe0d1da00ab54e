//! A server, a service for it, and what statements answer.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::sync::Arc;

use sql::{Answer, Identity, Service, ServiceOptions, Session, SqlError};
use testkit::{Scratch, Server, ServerOptions};
use wire::{ConnectOptions, Endpoint};

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) dir: Scratch,
    pub(crate) service: Arc<Service>,
}

impl World {
    pub(crate) fn new() -> Self {
        let server = Server::start(ServerOptions::default()).unwrap();
        let dir = Scratch::new().unwrap();
        let local = ConnectOptions {
            endpoint: Endpoint::Socket(server.socket().to_owned()),
            ..ConnectOptions::default()
        };
        let service = Service::open(ServiceOptions {
            local,
            datadir: None,
            state_dir: dir.join("state"),
        });
        Self {
            server,
            service: service.unwrap(),
            dir,
        }
    }

    pub(crate) fn session(&self) -> Session {
        Session::alone(&self.service, Identity::local("root"), Arc::default())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }
}

pub(crate) fn refused(session: &mut Session, sql: &str) -> SqlError {
    match session.execute(sql) {
        Err(error) => error,
        Ok(answer) => panic!("{sql}: {answer:?}"),
    }
}

/// All values of an answer, by tab and line.
pub(crate) fn rows(session: &mut Session, sql: &str) -> String {
    let answer = session.execute(sql);
    shown(answer.unwrap_or_else(|error| panic!("{sql}: {error}")))
}

/// All values of an answer, by tab and line.
pub(crate) fn shown(answer: Answer) -> String {
    let Answer::Rows(set) = answer else {
        return String::new();
    };
    let row = |row: Vec<Option<String>>| {
        let cells = row
            .into_iter()
            .map(|cell| cell.unwrap_or_else(|| "NULL".to_owned()));
        cells.collect::<Vec<_>>().join("\t")
    };
    set.rows.into_iter().map(row).collect::<Vec<_>>().join("\n")
}

/// What the server's client shows of the same statements: rows, or the error.
pub(crate) fn by_the_server(server: &Server, sql: &str) -> String {
    server.sql(sql).unwrap_or_else(|error| {
        let text = format!("{error:#}");
        let start = text.find("ERROR ").unwrap_or_else(|| panic!("{text}"));
        let line = text[start..].lines().next().unwrap_or_default();
        line.replace(" at line 1:", ":")
    })
}
