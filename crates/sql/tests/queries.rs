//! Queries answered here beside the answers of a real server that has the same rows in tables of
//! the same columns.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::fmt::Write as _;
use std::sync::Arc;

use sql::{Answer, Identity, ResultSet, Service, ServiceOptions, Session};
use testkit::{Scratch, Server, ServerOptions};
use wire::{ConnectOptions, Endpoint};

/// Queries on the tables of clones, and expressions.
const QUERIES: &str = include_str!("queries.sql");

/// The tables, and where the server has its copies.
const TABLES: [(&str, &str); 3] = [
    ("mysql.clone_history", "copy.clone_history"),
    ("performance_schema.clone_status", "copy.clone_status"),
    ("performance_schema.clone_progress", "copy.clone_progress"),
];

struct World {
    server: Server,
    session: Session,
    _dir: Scratch,
}

impl World {
    /// A history with clones of both kinds, and one that failed; the same in the server.
    fn new() -> Self {
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
        let mut session =
            Session::alone(&service.unwrap(), Identity::local("root"), Arc::default());
        let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        for statement in [
            format!(
                "CLONE LOCAL DATA DIRECTORY '{}' ENABLE PAGE TRACK",
                path("Full_1")
            ),
            format!(
                "CLONE LOCAL DATA DIRECTORY '{}' INCREMENT BASED DIRECTORY '{}' ENABLE PAGE TRACK",
                path("incr%2"),
                path("Full_1")
            ),
        ] {
            session.execute(&statement).unwrap();
        }
        let late = format!(
            "CLONE LOCAL DATA DIRECTORY '{}' ENABLE PAGE TRACK START_LSN = 1",
            path("é3")
        );
        session.execute(&late).unwrap_err();
        let mut world = Self {
            server,
            session,
            _dir: dir,
        };
        world.copy();
        world
    }

    fn copy(&mut self) {
        let mut all = "CREATE DATABASE copy;".to_owned();
        for (table, copy) in TABLES {
            let ddl = &rows(&mut self.session, &format!("SHOW CREATE TABLE {table}")).rows[0][1];
            let ddl = ddl
                .clone()
                .unwrap()
                .replace("ENGINE=PERFORMANCE_SCHEMA", "ENGINE=InnoDB");
            let name = copy.split('.').next_back().unwrap();
            all.push_str(&ddl.replace(&format!("`{name}`"), copy));
            all.push(';');
            for row in rows(&mut self.session, &format!("SELECT * FROM {table}")).rows {
                let cells: Vec<String> = row.into_iter().map(literal).collect();
                write!(all, "INSERT INTO {copy} VALUES ({});", cells.join(", ")).unwrap();
            }
        }
        self.server.sql(&all).unwrap();
    }

    /// What the server answers, as the client writes it in batch mode.
    fn expected(&self, query: &str) -> String {
        let mut query = query.to_owned();
        for (table, copy) in TABLES {
            query = query.replace(table, copy);
        }
        match self.server.sql(&query) {
            Ok(text) => text,
            Err(error) => {
                let text = format!("{error:#}");
                let start = text
                    .find("ERROR ")
                    .unwrap_or_else(|| panic!("{query}\n{text}"));
                text[start..].chars().take("ERROR 1234".len()).collect()
            }
        }
    }

    fn found(&mut self, query: &str) -> String {
        match self.session.execute(query) {
            Ok(Answer::Rows(set)) => batch(&set),
            Ok(answer) => panic!("{query}: {answer:?}"),
            Err(error) => format!("ERROR {}", error.code),
        }
    }
}

fn literal(cell: Option<String>) -> String {
    match cell {
        None => "NULL".to_owned(),
        Some(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
    }
}

fn rows(session: &mut Session, query: &str) -> ResultSet {
    match session
        .execute(query)
        .unwrap_or_else(|error| panic!("{query}\n{error}"))
    {
        Answer::Rows(set) => set,
        answer @ Answer::Done { .. } => panic!("{query}: {answer:?}"),
    }
}

fn batch(set: &ResultSet) -> String {
    let mut text = String::new();
    for row in &set.rows {
        let cells: Vec<&str> = row
            .iter()
            .map(|cell| cell.as_deref().unwrap_or("NULL"))
            .collect();
        let line = cells.join("\t");
        text.push_str(&line.replace('\\', "\\\\").replace('\n', "\\n"));
        text.push('\n');
    }
    text
}

#[test]
fn queries_are_answered_as_by_the_server() {
    let mut world = World::new();
    let mut wrong = String::new();
    let mut count = 0;
    for query in QUERIES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("--"))
    {
        let query = query.trim_end_matches(';');
        let (expected, found) = (world.expected(query), world.found(query));
        count += 1;
        if expected != found {
            let _ = writeln!(
                wrong,
                "{query}\n  server: {expected:?}\n  here:   {found:?}"
            );
        }
    }
    assert!(wrong.is_empty(), "of {count} queries:\n{wrong}");
    assert!(count > 100, "{count}");
}
