//! The sessions there are, what they do, and how they are stopped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use backup::{Progress, StageState};

use crate::error::{Result, SqlError};
use crate::statement::Killed;

/// What wakes up a session that waits for its client.
type WakeUp = Box<dyn Fn() + Send + Sync>;

/// All sessions of a process.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    list: Mutex<BTreeMap<u64, Arc<Process>>>,
    last_id: AtomicU64,
}

/// One session.
pub(crate) struct Process {
    pub(crate) id: u64,
    pub(crate) user: String,
    pub(crate) host: String,
    now: Mutex<Now>,
    killed: AtomicBool,
    /// Cancels every statement of the session, where its process has one for all.
    cancelled: Option<Arc<AtomicBool>>,
    wake_up: Mutex<Option<WakeUp>>,
}

/// What a session does at the moment.
#[derive(Debug)]
struct Now {
    schema: Option<String>,
    since: Instant,
    /// The statement without secrets, while one runs.
    statement: Option<String>,
    cancelled: Arc<AtomicBool>,
    progress: Option<Arc<Progress>>,
}

/// A session as the process list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) schema: Option<String>,
    pub(crate) command: &'static str,
    pub(crate) seconds: u64,
    pub(crate) state: String,
    pub(crate) info: Option<String>,
}

impl Processes {
    /// A new session; `id` is a number that the caller has given out, else the next one.
    pub(crate) fn add(
        &self,
        id: Option<u64>,
        user: &str,
        host: &str,
        cancelled: Option<Arc<AtomicBool>>,
    ) -> Arc<Process> {
        let id = id.unwrap_or_else(|| self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        let process = Arc::new(Process {
            id,
            user: user.to_owned(),
            host: host.to_owned(),
            now: Mutex::new(Now {
                schema: None,
                since: Instant::now(),
                statement: None,
                cancelled: Arc::default(),
                progress: None,
            }),
            killed: AtomicBool::new(false),
            cancelled,
            wake_up: Mutex::new(None),
        });
        lock(&self.list).insert(id, Arc::clone(&process));
        process
    }

    pub(crate) fn remove(&self, id: u64) {
        lock(&self.list).remove(&id);
    }

    /// All sessions, or those of one user.
    pub(crate) fn entries(&self, of: Option<&str>) -> Vec<Entry> {
        let list = lock(&self.list);
        let wanted = list
            .values()
            .filter(|process| of.is_none_or(|user| process.user == user));
        wanted.map(|process| process.entry()).collect()
    }

    /// Stops a statement, or a session. `of` restricts it to the sessions of a user.
    pub(crate) fn kill(&self, id: u64, what: Killed, of: Option<&str>) -> Result<()> {
        let found = lock(&self.list).get(&id).cloned();
        let unknown = || SqlError::new(1094, format!("Unknown thread id: {id}"));
        let process = found.ok_or_else(unknown)?;
        if of.is_some_and(|user| process.user != user) {
            return Err(SqlError::new(
                1095,
                format!("You are not owner of thread {id}"),
            ));
        }
        process.kill(what);
        Ok(())
    }

    /// Stops everything.
    pub(crate) fn kill_all(&self) {
        let all: Vec<_> = lock(&self.list).values().cloned().collect();
        for process in all {
            process.kill(Killed::Connection);
        }
    }
}

impl Process {
    /// A statement begins; the flag that cancels it.
    pub(crate) fn begin(&self, statement: String) -> Arc<AtomicBool> {
        let mut now = lock(&self.now);
        now.since = Instant::now();
        now.statement = Some(statement);
        now.cancelled = self.cancelled.clone().unwrap_or_default();
        // Killed in between: the statement ends at once.
        if self.is_killed() {
            now.cancelled.store(true, Ordering::Relaxed);
        }
        Arc::clone(&now.cancelled)
    }

    pub(crate) fn end(&self) {
        let mut now = lock(&self.now);
        now.since = Instant::now();
        now.statement = None;
        now.progress = None;
    }

    /// The clone that the statement runs.
    pub(crate) fn show_progress(&self, progress: Arc<Progress>) {
        lock(&self.now).progress = Some(progress);
    }

    pub(crate) fn set_schema(&self, schema: Option<String>) {
        lock(&self.now).schema = schema;
    }

    /// Whether the session is to end.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    /// What is done to a session that is killed while it waits.
    pub(crate) fn on_kill(&self, wake_up: WakeUp) {
        *lock(&self.wake_up) = Some(wake_up);
    }

    pub(crate) fn kill(&self, what: Killed) {
        let now = lock(&self.now);
        if what == Killed::Connection {
            self.killed.store(true, Ordering::Relaxed);
        }
        if now.statement.is_some() {
            now.cancelled.store(true, Ordering::Relaxed);
        }
        drop(now);
        if what == Killed::Connection
            && let Some(wake_up) = &*lock(&self.wake_up)
        {
            wake_up();
        }
    }

    fn entry(&self) -> Entry {
        let now = lock(&self.now);
        let stage = now
            .progress
            .as_ref()
            .and_then(|progress| stage_of(progress));
        let state = match (&now.statement, stage) {
            (_, Some(stage)) => stage,
            (Some(_), None) => "executing".to_owned(),
            (None, None) => String::new(),
        };
        Entry {
            id: self.id,
            user: self.user.clone(),
            host: self.host.clone(),
            schema: now.schema.clone(),
            command: if now.statement.is_some() {
                "Query"
            } else {
                "Sleep"
            },
            seconds: now.since.elapsed().as_secs(),
            state,
            info: now.statement.clone(),
        }
    }
}

/// `FILE COPY 45%`: the stage that runs.
fn stage_of(progress: &Progress) -> Option<String> {
    let samples = progress.sample();
    let running = samples
        .iter()
        .find(|sample| sample.state == StageState::InProgress)?;
    let label = running.stage.label();
    let percent = (running.data.saturating_mul(100)).checked_div(running.estimate);
    Some(match percent {
        Some(percent) => format!("{label} {}%", percent.min(100)),
        None => label.to_owned(),
    })
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process")
            .field("id", &self.id)
            .field("user", &self.user)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_reaches_the_statement_that_runs_and_no_later_one() {
        let all = Processes::default();
        let process = all.add(None, "a", "localhost", None);
        all.kill(process.id, Killed::Query, None).unwrap();
        let first = process.begin("SELECT 1".to_owned());
        assert!(!first.load(Ordering::Relaxed), "the session was idle");
        all.kill(process.id, Killed::Query, Some("a")).unwrap();
        assert!(first.load(Ordering::Relaxed));
        process.end();
        assert!(!process.begin(String::new()).load(Ordering::Relaxed));
        assert!(!process.is_killed());
    }

    #[test]
    fn a_killed_session_wakes_up_and_runs_nothing_more() {
        let all = Processes::default();
        let process = all.add(Some(7), "a", "localhost", None);
        let woken = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&woken);
        process.on_kill(Box::new(move || seen.store(true, Ordering::Relaxed)));
        assert_eq!(
            all.kill(7, Killed::Connection, Some("b")).unwrap_err().code,
            1095
        );
        assert_eq!(
            all.kill(8, Killed::Connection, None).unwrap_err().code,
            1094
        );
        all.kill(7, Killed::Connection, None).unwrap();
        assert!(process.is_killed() && woken.load(Ordering::Relaxed));
        assert!(process.begin(String::new()).load(Ordering::Relaxed));
        all.remove(7);
        assert!(all.entries(None).is_empty());
    }
}
