//! One running mysqld.

use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::install::option;
use crate::limiter::{self, Place};
use crate::options::{START_ARGS, ServerOptions};
use crate::ports::Port;
use crate::process::Guarded;
use crate::{Client, Install, Result, Scratch, keyring, template};

/// A real mysqld with its own directory, stopped and removed when dropped; it also dies with the
/// test process.
///
/// Root has no password, over the socket and over TCP on 127.0.0.1.
#[derive(Debug)]
pub struct Server {
    // Declared, hence dropped, in this order: the process ends before its directory goes.
    process: Option<Guarded>,
    client: Client,
    install: Install,
    datadir: PathBuf,
    port: Option<Port>,
    args: Vec<String>,
    start_timeout: Duration,
    root: Scratch,
    _place: Arc<Place>,
}

impl Server {
    /// Initialises a new data directory and starts a server on it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers write the options in place"
    )]
    pub fn start(options: ServerOptions) -> Result<Self> {
        let install = Install::find()?;
        let place = limiter::place()?;
        let root = match &options.base {
            Some(base) => Scratch::new_in(base)?,
            None => Scratch::new()?,
        };
        let datadir = root.join("data");
        let expand = |args: &[String]| expand_root(args, root.path());
        let layout = expand(&options.layout_args())?;
        template::initialise(&install, &options, &layout, &datadir)?;
        if options.keyring {
            keyring::configure(&datadir, &root.join("keyring"))?;
        }
        let mut args: Vec<String> = START_ARGS.iter().map(ToString::to_string).collect();
        args.extend(layout);
        args.extend(expand(&options.args)?);
        Self::boot(install, place, root, datadir, args, options.start_timeout)
    }

    /// Starts a server on an existing data directory, for example a restored one. The directory is
    /// used where it is and stays when the server is dropped.
    ///
    /// `innodb_page_size` is taken from the system tablespace unless `args` say otherwise; a data
    /// directory with a component manifest (`mysqld.my`) gets its components.
    pub fn start_on(datadir: &Path, args: &[&str]) -> Result<Self> {
        let install = Install::find()?;
        let place = limiter::place()?;
        let root = Scratch::new()?;
        let datadir = fs_err::canonicalize(datadir)?;
        let mut all: Vec<String> = START_ARGS.iter().map(ToString::to_string).collect();
        if let Some(size) = page_size_of(&datadir) {
            all.push(format!("--innodb-page-size={size}"));
        }
        let given: Vec<String> = args.iter().map(ToString::to_string).collect();
        all.extend(expand_root(&given, root.path())?);
        let patience = ServerOptions::default().start_timeout;
        Self::boot(install, place, root, datadir, all, patience)
    }

    fn boot(
        install: Install,
        place: Arc<Place>,
        root: Scratch,
        datadir: PathBuf,
        args: Vec<String>,
        start_timeout: Duration,
    ) -> Result<Self> {
        fs_err::create_dir_all(root.join("tmp"))?;
        let client = Client::new(install.clone(), root.join("s"));
        let mut server = Self {
            process: None,
            client,
            install,
            datadir,
            port: None,
            args,
            start_timeout,
            root,
            _place: place,
        };
        server.launch(&[])?;
        Ok(server)
    }

    /// Starts the process; another program may take the chosen port first, so that is tried again.
    fn launch(&mut self, extra: &[&str]) -> Result<()> {
        for attempt in 1.. {
            // A restarted server keeps its port when it can.
            if self.port.is_none() || attempt > 1 {
                self.port = Some(Port::free()?);
            }
            let seen = self.error_log().len();
            let Err(error) = self.launch_once(extra) else {
                return Ok(());
            };
            let log = self.error_log();
            let new = log.get(seen..).unwrap_or_default();
            if attempt < 4 && new.contains("Address already in use") {
                continue;
            }
            return Err(error.context(format!("start mysqld; its error log:\n{}", tail(new))));
        }
        unreachable!("the loop returns")
    }

    fn launch_once(&mut self, extra: &[&str]) -> Result<()> {
        let mut command = if self.datadir.join(keyring::MANIFEST).exists() {
            keyring::mysqld_with_components(&self.install, self.root.path())?
        } else {
            self.install.command("mysqld")
        };
        command
            .arg(option("--datadir=", &self.datadir))
            .arg(option("--socket=", self.client.socket()))
            .arg(option("--pid-file=", &self.root.join("pid")))
            .arg(option("--tmpdir=", &self.root.join("tmp")))
            .arg(option("--log-error=", &self.log_path()))
            .arg(format!("--port={}", self.port()))
            .args(&self.args)
            .args(extra);
        let _ = fs_err::remove_file(self.client.socket());
        let remove = (!Scratch::keep_all()).then(|| self.root.path());
        let mut process = Guarded::start(&command, &self.log_path(), remove)?;
        wait_until_ready(&mut process, self.client.socket(), self.start_timeout)?;
        self.process = Some(process);
        Ok(())
    }

    /// The data directory.
    pub fn datadir(&self) -> &Path {
        &self.datadir
    }

    /// The socket file.
    pub fn socket(&self) -> &Path {
        self.client.socket()
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.as_ref().map_or(0, |port| port.number)
    }

    /// The process id of mysqld; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Guarded::pid)
    }

    /// The server's own directory: data directory, socket, error log, temporary files.
    pub fn root_dir(&self) -> &Path {
        self.root.path()
    }

    /// Where the keys of a server started with [`ServerOptions::keyring`] are.
    pub fn keyring_file(&self) -> PathBuf {
        self.root.join("keyring").join(keyring::DATA_FILE)
    }

    /// The installation it runs from.
    pub fn install(&self) -> &Install {
        &self.install
    }

    /// The error log of all its starts.
    pub fn error_log(&self) -> String {
        let bytes = fs_err::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.root.join("mysqld.err")
    }

    /// The client of this server; it can be cloned into threads.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// See [`Client::sql`].
    pub fn sql(&self, statements: &str) -> Result<String> {
        self.client.sql(statements)
    }

    /// See [`Client::sql_rows`].
    pub fn sql_rows(&self, query: &str) -> Result<Vec<Vec<String>>> {
        self.client.sql_rows(query)
    }

    /// See [`Client::query_value`].
    pub fn query_value(&self, query: &str) -> Result<String> {
        self.client.query_value(query)
    }

    /// Shuts down cleanly and removes the server's own directory.
    pub fn shutdown(mut self) -> Result<()> {
        self.stop()
    }

    /// Shuts down cleanly (SIGTERM) and keeps everything for [`Server::start_again`].
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else {
            bail!("the server is not running")
        };
        let result = process.terminate(STOP_TIMEOUT);
        result.with_context(|| format!("its error log:\n{}", tail(&self.error_log())))
    }

    /// Kills the process with SIGKILL: a crash. [`Server::start_again`] then recovers.
    pub fn kill9(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else {
            bail!("the server is not running")
        };
        process.kill()
    }

    /// Starts a stopped or killed server with the same arguments.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the server is running");
        self.launch(&[])
    }

    /// Shuts down cleanly if it runs, then starts with further arguments, for this start only.
    pub fn restart(&mut self, extra: &[&str]) -> Result<()> {
        if self.process.is_some() {
            self.stop()?;
        }
        self.launch(extra)
    }

    /// Whether the process still runs (it may have crashed by itself).
    pub fn is_running(&mut self) -> bool {
        match &mut self.process {
            Some(process) => matches!(process.ended(), Ok(None)),
            None => false,
        }
    }
}

/// Waits until the server greets a connection. It opens the socket only when recovery is done.
pub(crate) fn wait_until_ready(
    process: &mut Guarded,
    socket: &Path,
    patience: Duration,
) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        if greets(socket) {
            return Ok(());
        }
        if let Some(status) = process.ended()? {
            bail!("mysqld ended while starting: {status}");
        }
        ensure!(
            Instant::now() < deadline,
            "mysqld did not start within {patience:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn greets(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    // Packet header and protocol version of the greeting; 0xff instead of 10 is an error packet.
    let mut start = [0; 5];
    stream.read_exact(&mut start).is_ok() && start[4] == 10
}

/// Replaces `{root}`, and creates the directories named so by options about directories, for the
/// server's user only (`innodb_redo_log_archive_dirs` wants it so).
fn expand_root(args: &[String], root: &Path) -> Result<Vec<String>> {
    let root = root.to_str().context("the scratch path is not UTF-8")?;
    let mut expanded = Vec::with_capacity(args.len());
    for arg in args {
        let new = arg.replace("{root}", root);
        if let Some((name, value)) = new.split_once('=')
            && name.contains("dir")
        {
            // Lists are separated by `;`, archive directories have a label before a `:`.
            for folder in value
                .split([';', ':'])
                .filter(|text| text.starts_with(root))
            {
                let mut builder = std::fs::DirBuilder::new();
                builder.recursive(true).mode(0o700);
                builder
                    .create(folder)
                    .with_context(|| format!("create {folder}"))?;
            }
        }
        expanded.push(new);
    }
    Ok(expanded)
}

/// `innodb_page_size` from the flags of page 0 of `ibdata1` (u32 big endian at 54, bits 6..9: shift
/// of 512, 0 = 16K; fsp0types.h). `None` when there is no such file: then mysqld says what is
/// wrong.
fn page_size_of(datadir: &Path) -> Option<u32> {
    let mut start = [0; 58];
    fs_err::File::open(datadir.join("ibdata1"))
        .ok()?
        .read_exact(&mut start)
        .ok()?;
    let flags = u32::from_be_bytes(start[54..58].try_into().ok()?);
    match (flags >> 6) & 15 {
        0 => Some(16384),
        shift => Some(512 << shift),
    }
}

/// The last lines that say something: the notes of a server that shuts down hide its error.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("[Note]"))
        .collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

const STOP_TIMEOUT: Duration = Duration::from_secs(600);
