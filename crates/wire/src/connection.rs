//! One session with a server.

mod exchange;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::frame::Frames;
use crate::handshake::Capabilities;
use crate::login::{Session, login};
use crate::options::ConnectOptions;
use crate::reply::{self, Finished};
use crate::rows::{Row, Rows, column_name};
use crate::stream::{ShutdownHandle, Stream};
use crate::{Error, Result};

/// The outcome of a statement without a result set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Rows changed.
    pub affected: u64,
    /// Warnings to be had from `SHOW WARNINGS`.
    pub warnings: u16,
}

/// A session with a server.
///
/// After an error that leaves the two sides in different places of the protocol (a lost
/// connection, a timeout inside a statement, a result beyond the limit) the session is over, and
/// every further call fails with [`Error::Closed`]. An error of the server alone does not end it.
///
/// Dropping a connection ends the session; [`close`](Connection::close) does it in good order.
pub struct Connection {
    frames: Frames<Stream>,
    packet: Vec<u8>,
    server_version: String,
    id: u32,
    capabilities: Capabilities,
    max_result: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between statements.
    Idle,
    /// In an exchange that the caller conducts, packet by packet.
    Raw,
    /// Unusable.
    Over,
}

impl Connection {
    /// Connects and logs in. The session has no time limits afterwards, see
    /// [`set_read_timeout`](Connection::set_read_timeout).
    pub fn connect(options: &ConnectOptions) -> Result<Self> {
        let Session {
            frames,
            server_version,
            connection_id,
            capabilities,
            status,
        } = login(options)?;
        let max_result = options.max_result;
        let (packet, state) = (Vec::new(), State::Idle);
        let mut connection = Self {
            frames,
            packet,
            server_version,
            id: connection_id,
            capabilities,
            max_result,
            state,
        };
        if status & reply::NO_BACKSLASH_ESCAPES != 0 {
            // `quote_string` must mean the same in every session.
            connection.execute(
                "SET SESSION sql_mode = REPLACE(@@SESSION.sql_mode, 'NO_BACKSLASH_ESCAPES', '')",
            )?;
        }
        connection.set_read_timeout(None)?;
        connection.set_write_timeout(None)?;
        let (server, id) = (&connection.server_version, connection.id);
        tracing::debug!(endpoint = %options.endpoint, server, id, "connected");
        Ok(connection)
    }

    /// The session's id on the server: the number for `KILL`.
    pub fn connection_id(&self) -> u32 {
        self.id
    }

    /// The server's version, as in its greeting: for example `8.4.3` or `8.0.32-26`.
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// Whether the session runs over TLS.
    pub fn is_tls(&self) -> bool {
        self.frames.stream().is_tls()
    }

    /// Process id of the server at the other end of a unix socket. `None` over TCP, and for a
    /// server in another container.
    pub fn peer_pid(&self) -> Option<u32> {
        self.frames.stream().socket().peer_pid()
    }

    /// Runs a query and keeps its result; of several results the first, the others are dropped.
    pub fn query(&mut self, sql: &str) -> Result<Rows> {
        let mut rows = Rows::default();
        self.statement(sql, Some(&mut rows))?;
        Ok(rows)
    }

    /// Runs a statement; a result set, if it has one, is dropped.
    pub fn execute(&mut self, sql: &str) -> Result<Done> {
        let Finished {
            affected, warnings, ..
        } = self.statement(sql, None)?;
        Ok(Done { affected, warnings })
    }

    /// The first row of a query's result.
    pub fn query_one(&mut self, sql: &str) -> Result<Option<Row>> {
        Ok(self.query(sql)?.into_iter().next())
    }

    /// The first column of the first row of a query's result; `None` for NULL or no row.
    pub fn query_value<T: FromStr>(&mut self, sql: &str) -> Result<Option<T>> {
        match self.query_one(sql)? {
            Some(row) => row.parse_nullable(0),
            None => Ok(None),
        }
    }

    /// Asks the server for a sign of life.
    pub fn ping(&mut self) -> Result<()> {
        self.guarded(|connection| {
            connection.begin(COM_PING, &[])?;
            connection.receive()?;
            connection.expect_ok().map(drop)
        })
    }

    /// Limits each wait for the server's bytes. `None`, the default, waits for ever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
        let socket = self.frames.stream().socket();
        let set = socket.set_read_timeout(timeout.map(|limit| limit.max(SHORTEST)));
        set.map_err(|source| Error::io("set time limit", source))
    }

    /// Limits each wait for the server to take our bytes. `None`, the default, waits for ever.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
        let socket = self.frames.stream().socket();
        let set = socket.set_write_timeout(timeout.map(|limit| limit.max(SHORTEST)));
        set.map_err(|source| Error::io("set time limit", source))
    }

    /// Changes the largest packet to send or to accept, in bytes.
    pub fn set_max_allowed_packet(&mut self, bytes: usize) {
        self.frames.set_max_packet(bytes);
    }

    /// A handle by which another thread can end the connection, and so a read that waits.
    pub fn shutdown_handle(&self) -> Result<ShutdownHandle> {
        let socket = self.frames.stream().socket().try_clone();
        socket
            .map(ShutdownHandle::new)
            .map_err(|source| Error::io("duplicate socket", source))
    }

    /// Ends the session in good order, and waits a moment for the server to have noticed.
    pub fn close(mut self) {
        if self.state == State::Over {
            return;
        }
        self.quit();
        let waits = self.set_read_timeout(Some(GOODBYE));
        let mut packet = Vec::new();
        if waits.is_ok() {
            // Comes back with an error in every case: the server's end of the connection.
            let _ = self.frames.read(&mut packet);
        }
    }

    /// Says goodbye, if the server can still hear it.
    fn quit(&mut self) {
        if self.set_write_timeout(Some(GOODBYE)).is_ok() {
            self.frames.begin(false);
            if self.frames.write(&[COM_QUIT], &[]).is_ok() {
                self.frames.stream_mut().close_notify();
            }
        }
        self.state = State::Over;
    }

    fn statement(&mut self, sql: &str, rows: Option<&mut Rows>) -> Result<Finished> {
        self.guarded(|connection| {
            connection.begin(COM_QUERY, sql.as_bytes())?;
            let mut finished = connection.result(rows)?;
            while finished.status & reply::MORE_RESULTS != 0 {
                let next = connection.result(None)?;
                let affected = finished.affected.saturating_add(next.affected);
                finished = Finished { affected, ..next };
            }
            Ok(finished)
        })
    }

    /// Reads one result, into `rows` or nowhere.
    fn result(&mut self, mut rows: Option<&mut Rows>) -> Result<Finished> {
        self.receive()?;
        match self.packet.first() {
            Some(&reply::OK) => return self.expect_ok(),
            Some(&reply::LOCAL_INFILE) => {
                return Err(Error::protocol(
                    "request for a local file, which we never offer",
                ));
            }
            _ => {}
        }
        let columns = crate::cursor::Cursor::new(&self.packet).lenenc("number of columns")?;
        let columns = usize::try_from(columns)
            .ok()
            .filter(|count| *count <= MAX_COLUMNS);
        let columns = columns.ok_or_else(|| Error::protocol("number of columns"))?;
        for _ in 0..columns {
            self.receive()?;
            let name = column_name(&self.packet)?;
            if let Some(rows) = rows.as_deref_mut() {
                rows.columns.push(name);
            }
        }
        if !self.capabilities.has(Capabilities::DEPRECATE_EOF) {
            self.receive()?;
            reply::parse_eof(&self.packet)?;
        }
        let mut size = 0;
        loop {
            self.receive()?;
            if let Some(finished) = self.end_of_rows()? {
                return Ok(finished);
            }
            if let Some(rows) = rows.as_deref_mut() {
                let row = Row::from_packet(&self.packet, columns)?;
                size += row.size();
                if size > self.max_result {
                    let limit = self.max_result;
                    return Err(Error::TooLarge {
                        what: "result of a query",
                        limit,
                    });
                }
                rows.rows.push(row);
            }
        }
    }

    /// The end of the rows, if the packet at hand is that.
    fn end_of_rows(&self) -> Result<Option<Finished>> {
        // A row can begin with the same byte, as the mark of a length of eight bytes: but then it
        // is longer than any end.
        if self.packet.first() != Some(&reply::EOF) || self.packet.len() >= LONG_VALUE {
            return Ok(None);
        }
        let finished = if self.capabilities.has(Capabilities::DEPRECATE_EOF) {
            reply::parse_ok(&self.packet)
        } else {
            reply::parse_eof(&self.packet)
        };
        Ok(Some(finished?))
    }

    fn expect_ok(&self) -> Result<Finished> {
        match self.packet.first() {
            Some(&reply::OK) => Ok(reply::parse_ok(&self.packet)?),
            _ => Err(Error::protocol("answer to a command: expected OK")),
        }
    }

    fn begin(&mut self, command: u8, payload: &[u8]) -> Result<()> {
        self.frames.begin(true);
        self.frames.write(&[command], payload)
    }

    /// Reads a packet, and fails if it is an error of the server.
    fn receive(&mut self) -> Result<()> {
        self.frames.read(&mut self.packet)?;
        Error::from_packet(&self.packet).map_or(Ok(()), Err)
    }

    /// Runs an exchange, and ends the session if the exchange broke off.
    fn guarded<T>(&mut self, exchange: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.state == State::Over {
            return Err(Error::Closed);
        }
        self.state = State::Idle;
        exchange(self).inspect_err(|error| {
            let ended = match error {
                Error::Server { .. } => error.is_connection_lost(),
                Error::TooLarge { what, .. } => *what != crate::frame::TO_SEND,
                _ => true,
            };
            if ended {
                self.state = State::Over;
                // The server must not go on sending a result nobody reads.
                let _ = self.frames.stream().socket().shutdown();
            }
        })
    }
}

/// Without the bytes of the last packet, which are data of the server.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("frames", &self.frames)
            .field("server_version", &self.server_version)
            .field("id", &self.id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // In the middle of an exchange a goodbye would be taken for part of it.
        if self.state == State::Idle {
            self.quit();
        }
    }
}

const COM_QUIT: u8 = 1;
const COM_QUERY: u8 = 3;
const COM_PING: u8 = 14;

/// MySQL allows 4096 columns.
const MAX_COLUMNS: usize = 4096;
/// A value with a length of eight bytes is at least as long as this.
const LONG_VALUE: usize = 0x100_0000;
/// The socket takes no shorter limit: zero would mean none.
const SHORTEST: Duration = Duration::from_millis(1);
const GOODBYE: Duration = Duration::from_secs(1);
