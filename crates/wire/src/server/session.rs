//! A client's session: its commands, one after the other.

use std::fmt;
use std::sync::Arc;

use super::ServerOptions;
use super::accounts::{Accounts, Login};
use super::answer::{Answer, Refusal};
use super::command::Commands;
use super::connections::{Connections, Registered};
use super::grants::Grants;
use super::login::let_in;
use super::raw::Raw;
use super::watch::Watch;
use crate::Error;
use crate::stream::Stream;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Session {
    /// The connection's number.
    pub id: u32,
    /// Who logged in, and from where.
    pub login: Login,
    /// Version and cipher of TLS, by the names that MySQL shows; `None` without.
    pub tls: Option<(&'static str, String)>,
    /// What the user may do.
    pub grants: Grants,
    /// The schema given at the login.
    pub database: Option<String>,
    /// All connections of the server.
    pub connections: Arc<Connections>,
    /// Whether the statement that runs should stop.
    pub watch: Watch,
}

/// Answers the statements of one connection.
pub trait Handler: Send {
    /// Executes a statement. A long one looks at [`Session::watch`] now and then; one that stops
    /// because of that answers [`Refusal::interrupted`].
    fn query(&mut self, sql: &str) -> Answer;

    /// `USE name`, as clients say it in a command of its own.
    fn init_db(&mut self, name: &str) -> Result<(), Refusal> {
        Err(Refusal::new(1049, format!("Unknown database '{name}'")))
    }

    /// The line that `status` of the `mysql` client shows.
    fn statistics(&mut self) -> String {
        String::new()
    }

    /// The client resets the session: what it has set is forgotten.
    fn reset(&mut self) {}

    /// A command that speaks a protocol of its own afterwards. `None`: there is no such command
    /// here, and nothing was read or written. An error ends the connection.
    fn take_over(
        &mut self,
        _command: u8,
        _payload: &[u8],
        _raw: &mut Raw<'_>,
    ) -> Option<Result<(), Error>> {
        None
    }
}

/// Makes the handler of each connection.
pub trait Handlers: Send + Sync {
    /// A handler for a client that has logged in. What it answers to
    /// [`init_db`](Handler::init_db) is the answer to a login with a schema.
    fn handler(&self, session: &Session) -> Box<dyn Handler>;
}

impl<F: Fn(&Session) -> Box<dyn Handler> + Send + Sync> Handlers for F {
    fn handler(&self, session: &Session) -> Box<dyn Handler> {
        self(session)
    }
}

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) options: ServerOptions,
    pub(super) accounts: Arc<dyn Accounts>,
    pub(super) handlers: Arc<dyn Handlers>,
    pub(super) connections: Arc<Connections>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .field("accounts", &self.accounts)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Conducts a connection from the greeting to its end.
pub(super) fn conduct(
    stream: Stream,
    shared: &Shared,
    place: &Registered,
    watch: &Watch,
    peer: super::Peer,
) -> Result<(), Error> {
    let (options, accounts) = (&shared.options, &*shared.accounts);
    let timeout = options
        .write_timeout
        .max(std::time::Duration::from_millis(1));
    let limited = stream.socket().set_write_timeout(Some(timeout));
    limited.map_err(|source| Error::io("set time limit", source))?;
    let Some(client) = let_in(stream, options, accounts, peer, place)? else {
        return Ok(());
    };
    place.logged_in(&client.login.user);
    let session = Session {
        id: place.id(),
        login: client.login,
        tls: client.frames.stream().tls_names(),
        grants: client.grants,
        database: client.database,
        connections: Arc::clone(&shared.connections),
        watch: watch.clone(),
    };
    let mut handler = shared.handlers.handler(&session);
    let mut commands = Commands::new(
        client.frames,
        client.capabilities,
        &mut *handler,
        place,
        watch,
    );
    if commands.begin(session.database.as_deref())? {
        commands.run()?;
    }
    Ok(())
}
