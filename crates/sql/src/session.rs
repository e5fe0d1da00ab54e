//! One client's statements, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::access::Identity;
use crate::answer::Answer;
use crate::engine::Surroundings;
use crate::error::{Result, SqlError};
use crate::grammar;
use crate::parser::Parser;
use crate::processes::Process;
use crate::run;
use crate::service::Service;
use crate::statement::{Killed, Show, Statement};
use crate::system::SERVER_VERSION;

/// A session. Dropping it ends it.
#[derive(Debug)]
pub struct Session {
    pub(crate) service: Arc<Service>,
    pub(crate) identity: Identity,
    pub(crate) process: Arc<Process>,
    /// Whether `KILL` of another session can reach this one: its id is the PID of its clones then.
    pub(crate) is_reachable: bool,
    pub(crate) schema: Option<String>,
    /// System variables that the session has set.
    pub(crate) variables: BTreeMap<String, String>,
    /// User variables, as literals of the engine.
    pub(crate) user_variables: BTreeMap<String, String>,
    pub(crate) messages: Vec<Message>,
    /// Version and cipher of the connection's TLS.
    pub(crate) tls: Option<(&'static str, String)>,
}

/// A row of `SHOW WARNINGS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) level: &'static str,
    pub(crate) code: u16,
    pub(crate) text: String,
}

/// Stops what a session does, from another thread.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<Process>);

impl Stopper {
    /// Cancels the statement that runs, as `KILL QUERY` does.
    pub fn stop_statement(&self) {
        self.0.kill(Killed::Query);
    }

    /// Cancels the statement that runs and lets the session run no other, as `KILL` does.
    pub fn stop_session(&self) {
        self.0.kill(Killed::Connection);
    }
}

impl Session {
    /// A session of a client that others can `KILL` by `id`. `wake_up` is called when that
    /// happens, to end a wait for the client's next statement.
    pub fn new(
        service: &Arc<Service>,
        id: u64,
        identity: Identity,
        wake_up: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let mut session = Self::with_id(service, Some(id), identity, None);
        session.process.on_kill(Box::new(wake_up));
        session.is_reachable = true;
        session
    }

    /// The only session of a process; `cancelled` cancels what it does.
    pub fn alone(service: &Arc<Service>, identity: Identity, cancelled: Arc<AtomicBool>) -> Self {
        Self::with_id(service, None, identity, Some(cancelled))
    }

    fn with_id(
        service: &Arc<Service>,
        id: Option<u64>,
        identity: Identity,
        cancelled: Option<Arc<AtomicBool>>,
    ) -> Self {
        let (user, host) = (&identity.user, &identity.host);
        let process = service.processes.add(id, user, host, cancelled);
        Self {
            service: Arc::clone(service),
            process,
            is_reachable: false,
            identity,
            schema: None,
            variables: BTreeMap::new(),
            user_variables: BTreeMap::new(),
            messages: Vec::new(),
            tls: None,
        }
    }

    /// The session of a client that came over TLS of this version, with this cipher.
    #[must_use]
    pub fn over_tls(mut self, names: Option<(&'static str, String)>) -> Self {
        self.tls = names;
        self
    }

    /// The session's number.
    pub fn id(&self) -> u64 {
        self.process.id
    }

    /// Whether it was killed: it answers nothing more.
    pub fn is_killed(&self) -> bool {
        self.process.is_killed()
    }

    /// What stops the session from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.process))
    }

    /// Makes a schema the default one, as `USE` does.
    pub fn use_schema(&mut self, name: &str) -> Result<()> {
        run::use_schema(self, name)
    }

    /// Forgets what the session has set.
    pub fn reset(&mut self) {
        self.variables.clear();
        self.user_variables.clear();
        self.messages.clear();
    }

    /// The line that `status` of the `mysql` client shows.
    pub fn statistics(&self) -> String {
        let threads = self.service.processes.entries(None).len();
        let clones = self.service.running_clones();
        let uptime = self.service.started.elapsed().as_secs();
        format!("Uptime: {uptime}  Threads: {threads}  Clones: {clones}")
    }

    /// Runs the one statement of `sql`.
    pub fn execute(&mut self, sql: &str) -> Result<Answer> {
        let parsed = Parser::statements(sql).and_then(|mut all| {
            if let Some(second) = all.get(1) {
                return Err(second.error());
            }
            match all.pop() {
                // Clients send comments that stand alone.
                None if is_empty(sql) => Err(SqlError::new(1065, "Query was empty")),
                parser => Ok(parser),
            }
        });
        match parsed {
            Ok(Some(parser)) => self.run(&parser),
            Ok(None) => Ok(Answer::Done { warnings: 0 }),
            Err(error) => {
                self.messages.clear();
                Err(self.remembered(error))
            }
        }
    }

    /// Runs the statements of `sql` in turn, up to the first that fails, and hands each answer to
    /// `show`.
    pub fn execute_all<E: From<SqlError>>(
        &mut self,
        sql: &str,
        mut show: impl FnMut(Answer) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let all = Parser::statements(sql)?;
        if is_empty(sql) {
            return Err(SqlError::new(1065, "Query was empty").into());
        }
        for parser in &all {
            show(self.run(parser)?)?;
        }
        Ok(())
    }

    /// Warnings of the last statement, for those who do not ask by `SHOW WARNINGS`.
    pub fn warnings(&self) -> impl Iterator<Item = (u16, &str)> {
        let warnings = self
            .messages
            .iter()
            .filter(|message| message.level != "Error");
        warnings.map(|message| (message.code, message.text.as_str()))
    }

    fn run(&mut self, parser: &Parser<'_>) -> Result<Answer> {
        let cancelled = self.process.begin(parser.redacted());
        let result = self.answer(parser, &cancelled);
        self.process.end();
        if let Err(error) = &result {
            tracing::debug!(
                session = self.id(),
                user = self.identity.user,
                code = error.code,
                "{}",
                error.message
            );
        }
        result.map_err(|error| self.remembered(error))
    }

    fn answer(&mut self, parser: &Parser<'_>, cancelled: &Arc<AtomicBool>) -> Result<Answer> {
        if cancelled.load(Ordering::Relaxed) {
            return Err(SqlError::interrupted());
        }
        let statement = grammar::parse(parser);
        if !matches!(statement, Ok(Statement::Show(Show::Warnings { .. }))) {
            self.messages.clear();
        }
        run::statement(self, parser, &statement?, cancelled)
    }

    /// Keeps an error, with its hint, for `SHOW WARNINGS`.
    fn remembered(&mut self, error: SqlError) -> SqlError {
        self.messages.push(Message {
            level: "Error",
            code: error.code,
            text: error.message.clone(),
        });
        if let Some(hint) = &error.hint {
            self.messages.push(Message {
                level: "Note",
                code: 1105,
                text: hint.clone(),
            });
        }
        error
    }

    /// What the engine's functions answer.
    pub(crate) fn surroundings(&self) -> Surroundings {
        let host = self.identity.host.rsplit_once(':');
        let host = host.map_or(self.identity.host.as_str(), |(host, _)| host);
        Surroundings {
            version: SERVER_VERSION.to_owned(),
            schema: self.schema.clone(),
            user: format!("{}@{host}", self.identity.user),
            connection_id: self.id(),
        }
    }
}

/// Whether there is not even a comment.
fn is_empty(sql: &str) -> bool {
    sql.chars()
        .all(|character| character.is_whitespace() || character == ';')
}

impl Drop for Session {
    fn drop(&mut self) {
        self.service.processes.remove(self.id());
    }
}
