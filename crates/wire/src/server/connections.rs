//! The connections of an endpoint: listed, counted, killed, and ended when they are too slow.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::accounts::Peer;
use super::watch::Watch;
use super::{ServerOptions, lock};

/// A connection, as `SHOW PROCESSLIST` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Its number, for `KILL`.
    pub id: u32,
    /// Who is logged in; `None` before the login is done.
    pub user: Option<String>,
    /// From where.
    pub peer: Peer,
    /// The schema in use.
    pub database: Option<String>,
    /// `Connect`, `Sleep`, `Query`, or the name of another command.
    pub command: &'static str,
    /// How long in this state.
    pub time: Duration,
    /// The statement that runs.
    pub statement: Option<String>,
}

/// All connections of a [`Server`](super::Server), whatever socket they came through.
#[derive(Debug, Default)]
pub struct Connections {
    last_id: AtomicU32,
    open: Mutex<BTreeMap<u32, Entry>>,
    closed: Condvar,
}

#[derive(Debug)]
struct Entry {
    watch: Watch,
    peer: Peer,
    user: Option<String>,
    database: Option<String>,
    activity: Activity,
    since: Instant,
    /// The server does something for the client, which waits.
    at_work: bool,
}

/// What a connection is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Activity {
    /// Logging in.
    Login,
    /// Waiting for a command.
    Idle,
    /// Executing a statement.
    Statement(String),
    /// Executing another command.
    Command(&'static str),
}

impl Connections {
    /// The open connections, in the order of their numbers.
    pub fn list(&self) -> Vec<ConnectionInfo> {
        let open = lock(&self.open);
        let info = |(id, entry): (&u32, &Entry)| ConnectionInfo {
            id: *id,
            user: entry.user.clone(),
            peer: entry.peer,
            database: entry.database.clone(),
            command: match &entry.activity {
                Activity::Login => "Connect",
                Activity::Idle => "Sleep",
                Activity::Statement(_) => "Query",
                Activity::Command(name) => name,
            },
            time: entry.since.elapsed(),
            statement: match &entry.activity {
                Activity::Statement(text) => Some(text.clone()),
                _ => None,
            },
        };
        open.iter().map(info).collect()
    }

    /// `KILL id`: interrupts the statement that runs, and ends the connection. False: there is no
    /// such connection (error 1094).
    pub fn kill(&self, id: u32) -> bool {
        let open = lock(&self.open);
        let found = open.get(&id);
        if let Some(entry) = found {
            entry.watch.kill(entry.waits());
        }
        found.is_some()
    }

    /// `KILL QUERY id`: interrupts the statement that runs, if one does. False: there is no such
    /// connection (error 1094).
    pub fn kill_query(&self, id: u32) -> bool {
        let open = lock(&self.open);
        let found = open.get(&id);
        if let Some(entry) = found
            && !entry.waits()
        {
            entry.watch.kill_query();
        }
        found.is_some()
    }

    /// Who is logged in as `id`; `None` before the login is done or when there is no such
    /// connection. To see whether somebody may kill it.
    pub fn user_of(&self, id: u32) -> Option<String> {
        lock(&self.open).get(&id)?.user.clone()
    }

    /// Number of open connections.
    pub fn count(&self) -> usize {
        lock(&self.open).len()
    }

    /// Registers a connection; `None` when there are `limit` already. It ends with the entry.
    pub(super) fn enter(
        self: &Arc<Self>,
        watch: Watch,
        peer: Peer,
        limit: usize,
    ) -> Option<Registered> {
        let mut open = lock(&self.open);
        if open.len() >= limit {
            return None;
        }
        let id = loop {
            // Numbers begin again after four billion connections; 0 is none.
            let id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            if id != 0 && !open.contains_key(&id) {
                break id;
            }
        };
        let entry = Entry {
            watch,
            peer,
            user: None,
            database: None,
            activity: Activity::Login,
            since: Instant::now(),
            at_work: false,
        };
        open.insert(id, entry);
        drop(open);
        Some(Registered {
            id,
            all: Arc::clone(self),
        })
    }

    /// Ends the connections that are slower than allowed.
    pub(super) fn reap(&self, options: &ServerOptions) {
        for (id, entry) in &*lock(&self.open) {
            let limit = match entry.activity {
                Activity::Login => options.login_timeout,
                Activity::Idle => options.idle_timeout,
                Activity::Statement(_) | Activity::Command(_) => continue,
            };
            if entry.at_work || entry.watch.is_killed() {
                continue;
            }
            if entry.since.elapsed() > limit {
                tracing::debug!(id, peer = %entry.peer, "connection ended: its client is too slow");
                entry.watch.kill(true);
            }
        }
    }

    /// Ends all connections, and waits until they have, at most `patience`.
    pub(super) fn end_all(&self, patience: Duration) -> bool {
        let open = lock(&self.open);
        for entry in open.values() {
            entry.watch.kill(entry.waits());
        }
        let waited = self
            .closed
            .wait_timeout_while(open, patience, |open| !open.is_empty());
        !waited
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .1
            .timed_out()
    }
}

impl Entry {
    fn waits(&self) -> bool {
        matches!(self.activity, Activity::Login | Activity::Idle)
    }
}

/// The place of one connection among all.
#[derive(Debug)]
pub(super) struct Registered {
    id: u32,
    all: Arc<Connections>,
}

impl Registered {
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn logged_in(&self, user: &str) {
        self.change(|entry| entry.user = Some(user.to_owned()));
    }

    pub(super) fn use_database(&self, name: Option<&str>) {
        self.change(|entry| entry.database = name.map(str::to_owned));
    }

    /// Notes what the connection does from now on. A connection that was killed while it was busy
    /// must not begin to wait: then the answer is false.
    pub(super) fn now(&self, activity: Activity) -> bool {
        let mut alive = true;
        self.change(|entry| {
            if entry.waits() {
                entry.watch.begin_statement();
            }
            entry.activity = activity;
            entry.since = Instant::now();
            alive = !entry.watch.is_killed();
        });
        alive
    }

    /// Does something for a client that waits for it: a login is not the slower for it, however long
    /// a server is asked for an account, or a key is made.
    pub(super) fn at_work<T>(&self, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        self.change(|entry| entry.at_work = true);
        let result = work();
        self.change(|entry| {
            entry.at_work = false;
            entry.since += begin.elapsed();
        });
        result
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = lock(&self.all.open).get_mut(&self.id) {
            change(entry);
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.all.open).remove(&self.id);
        self.all.closed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Socket;

    #[test]
    fn a_client_is_not_slow_while_it_waits_for_the_server() {
        let (_client, here) = std::os::unix::net::UnixStream::pair().unwrap();
        let watch = Watch::new(Socket::Unix(here));
        let all = Arc::new(Connections::default());
        let place = all.enter(watch.clone(), Peer::Socket, 1).unwrap();
        let options = ServerOptions {
            login_timeout: Duration::ZERO,
            ..ServerOptions::default()
        };
        place.at_work(|| all.reap(&options));
        assert!(!watch.is_killed());
        all.reap(&options);
        assert!(watch.is_killed());
    }
}
