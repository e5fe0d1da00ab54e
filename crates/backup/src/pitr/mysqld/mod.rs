//! A mysqld of the user's, started on a restored directory for a while.

mod arguments;
mod guard;
mod program;

pub(crate) use arguments::{Layout, RELAY};
pub(crate) use program::Program;

use crate::io::{create_new, remove_file};
use crate::{Error, Job, Result};
use arguments::arguments;
use guard::Guarded;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wire::{ConnectOptions, Connection, Endpoint};

/// The running server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Mysqld {
    process: Guarded,
    private: Private,
    account: Account,
}

impl Mysqld {
    /// Starts `program` on a directory and waits until it has recovered.
    pub(crate) fn start(program: &Program, layout: &Layout<'_>, job: &Job) -> Result<Self> {
        let private = Private::make(layout.owner)?;
        let account = Account::random()?;
        let init = private.path.join("init.sql");
        let mut file = create_new(&init)?;
        file.write_all(account.statements().as_bytes())
            .map_err(|e| Error::io("write file", &init, e))?;
        private.give(&init)?;
        let mut command = program.command();
        command.args(arguments(layout, &private.path, &init));
        tracing::info!(mysqld = %program.path().display(), datadir = %layout.datadir.display(), "start mysqld");
        let process = Guarded::start(&command, &private.path, layout.datadir)?;
        let mut server = Self {
            process,
            private,
            account,
        };
        server.wait_until_ready(job)?;
        remove_file(&init)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, job: &Job) -> Result<()> {
        let begin = Instant::now();
        let mut told = 0;
        loop {
            job.check()?;
            if self.process.has_ended()? {
                return Err(self.failed("mysqld ended while it started"));
            }
            match self.connect() {
                Ok(connection) => {
                    connection.close();
                    return Ok(());
                }
                // It opens the socket when it has recovered, and then greets.
                Err(wire::Error::Connect { .. }) => {}
                Err(error) if error.is_connection_lost() => {}
                Err(error) => {
                    return Err(self.failed(&format!("mysqld does not let us in: {error}")));
                }
            }
            let minutes = begin.elapsed().as_secs() / 60;
            if minutes > told {
                told = minutes;
                tracing::info!(minutes, "mysqld is still starting");
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// A session for the statements of a binary log. What it does is in the server's own log, which
    /// brings its GTIDs into `gtid_executed`; the log itself is thrown away.
    pub(crate) fn statements(&self) -> Result<Connection> {
        let mut connection = self
            .connect()
            .map_err(|e| self.lost("connect to mysqld", e))?;
        connection.set_max_allowed_packet(1 << 30);
        Ok(connection)
    }

    /// A new session. What it does is not in the binary log.
    pub(crate) fn session(&self) -> Result<Connection> {
        let mut connection = self
            .connect()
            .map_err(|e| self.lost("connect to mysqld", e))?;
        connection
            .execute("SET SESSION sql_log_bin = 0")
            .map_err(|e| self.lost("begin a session", e))?;
        Ok(connection)
    }

    fn connect(&self) -> wire::Result<Connection> {
        Connection::connect(&ConnectOptions {
            endpoint: Endpoint::Socket(self.private.path.join(SOCKET)),
            user: self.account.user.clone(),
            password: Some(self.account.password.as_str().into()),
            connect_timeout: Duration::from_secs(60),
            ..ConnectOptions::default()
        })
    }

    /// An error of a session, or the end of the server if that is what it is.
    pub(crate) fn lost(&self, action: &'static str, source: wire::Error) -> Error {
        if source.is_connection_lost() {
            let log = self.last_lines();
            if !log.is_empty() {
                return Error::refused(
                    2013,
                    format!("{action}: {source}; the error log of mysqld ends with: {log}"),
                    "",
                );
            }
        }
        Error::server(action, source)
    }

    /// Drops our account and shuts down cleanly.
    pub(crate) fn stop(mut self, job: &Job) -> Result<()> {
        let drop = self.account.drop_statement();
        let mut session = self.session()?;
        session
            .execute(&drop)
            .map_err(|e| self.lost("drop our account", e))?;
        session.close();
        tracing::info!("shut down mysqld");
        self.process.terminate()?;
        let begin = Instant::now();
        let mut told = 0;
        while !self.process.has_ended()? {
            job.check()?;
            let minutes = begin.elapsed().as_secs() / 60;
            if minutes > told {
                told = minutes;
                tracing::info!(minutes, "mysqld is still writing its pages");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if !self.process.ended_well() {
            return Err(self.failed("mysqld did not shut down cleanly"));
        }
        Ok(())
    }

    fn failed(&self, what: &str) -> Error {
        let log = self.last_lines();
        let message = if log.is_empty() {
            what.to_owned()
        } else {
            format!("{what}; its error log says: {log}")
        };
        Error::refused(
            1105,
            message,
            "Does this mysqld start with the options given? More can be given in a file by --mysqld-defaults.",
        )
    }

    /// The errors that mysqld has logged last, in one line.
    fn last_lines(&self) -> String {
        let mut text = String::new();
        for name in [LOG, guard::OUTPUT] {
            let bytes = std::fs::read(self.private.path.join(name)).unwrap_or_default();
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("[ERROR]"))
            .collect();
        let last = lines
            .get(lines.len().saturating_sub(5)..)
            .unwrap_or_default();
        if last.is_empty() {
            let rest: Vec<&str> = text.lines().rev().take(3).collect();
            return rest.into_iter().rev().collect::<Vec<_>>().join(" / ");
        }
        last.join(" / ")
    }
}

/// A directory that only the server and we can look into, with a short name: a socket's path has at
/// most 107 bytes.
#[derive(Debug)]
struct Private {
    path: PathBuf,
    owner: Option<(u32, u32)>,
}

impl Private {
    fn make(owner: Option<(u32, u32)>) -> Result<Self> {
        let name = format!("innoclone-{}", random_digits(8)?);
        let mut bases = vec![std::env::temp_dir(), "/tmp".into()];
        bases
            .retain(|base| base.join(&name).join(SOCKET).as_os_str().len() <= 107 && base.is_dir());
        let base = bases.into_iter().next().unwrap_or_else(|| "/tmp".into());
        let path = base.join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|e| Error::io("create directory", &path, e))?;
        let private = Self { path, owner };
        private.give(&private.path)?;
        Ok(private)
    }

    fn give(&self, path: &Path) -> Result<()> {
        match self.owner {
            Some((user, group)) => chown(path, Some(user), Some(group))
                .map_err(|e| Error::io("change owner of", path, e)),
            None => Ok(()),
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // What stays is a log that nobody misses.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Our account in the restored server: it has a random name and password, and is gone at the end.
struct Account {
    user: String,
    password: String,
}

impl Account {
    fn random() -> Result<Self> {
        Ok(Self {
            user: format!("innoclone-{}", random_digits(16)?),
            // What any policy for passwords wants is in it.
            password: format!("aB3-{}", random_digits(40)?),
        })
    }

    /// What mysqld executes when it is ready, one statement in a line.
    fn statements(&self) -> String {
        let Self { user, password } = self;
        format!(
            "SET SESSION sql_log_bin = 0;\n\
             CREATE USER '{user}'@'localhost' IDENTIFIED WITH caching_sha2_password BY '{password}';\n\
             GRANT ALL ON *.* TO '{user}'@'localhost' WITH GRANT OPTION;\n"
        )
    }

    fn drop_statement(&self) -> String {
        format!("DROP USER '{}'@'localhost'", self.user)
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.user)
    }
}

fn random_digits(count: usize) -> Result<String> {
    let mut bytes = vec![0; count.div_ceil(2)];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::refused(1105, format!("no random numbers: {e}"), ""))?;
    let mut digits = String::with_capacity(count + 1);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits.truncate(count);
    Ok(digits)
}

/// Name of the socket in the private directory.
const SOCKET: &str = "s";
/// Name of the error log there.
const LOG: &str = "error.log";
