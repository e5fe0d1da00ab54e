//! A served chain, and stock servers that take it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

pub mod raw;

use backup::JobOptions;
use backup::serve::{CloneDonor, DonorFace, Patience, ServeOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testkit::{ServerOptions, wait_until};
use wire::server::{FixedAccounts, Handler, Server, ServerTls, Session};
use wire::{ConnectOptions, Connection};

/// A chain served on a port of its own.
pub struct Endpoint {
    pub donor: Arc<CloneDonor>,
    pub server: Server,
    pub port: u16,
}

pub fn donor_options(set: &Path) -> ServeOptions {
    ServeOptions {
        set: set.to_owned(),
        chain: Vec::new(),
        allow_empty_tables: false,
        encryption_key: None,
        job: JobOptions {
            parallel: 3,
            read_rate: None,
        },
        patience: Patience::default(),
    }
}

impl Endpoint {
    pub fn serve(options: ServeOptions) -> Self {
        Self::serve_with(options, Duration::from_secs(60))
    }

    /// Waits only so long for clients to take bytes.
    pub fn serve_with(options: ServeOptions, write_timeout: Duration) -> Self {
        let donor = Arc::new(CloneDonor::open(options).unwrap());
        let face = Arc::clone(&donor);
        let handlers = move |session: &Session| -> Box<dyn Handler> {
            Box::new(DonorFace::new(Arc::clone(&face), session.clone()))
        };
        let accounts = FixedAccounts::default().with_password(USER, &PASSWORD.into());
        let options = wire::server::ServerOptions {
            version: donor.version().to_owned(),
            tls: Some(ServerTls::self_signed(vec!["localhost".into()]).unwrap()),
            write_timeout,
            ..wire::server::ServerOptions::default()
        };
        let server = Server::new(options, Arc::new(accounts), Arc::new(handlers));
        let address = server.listen(&wire::Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port: 0,
        });
        Self {
            donor,
            server,
            port: address.unwrap().unwrap().port(),
        }
    }

    /// A client of our own that is in the clone protocol.
    pub fn raw(&self) -> Connection {
        let mut client = self.client();
        enter(&mut client);
        client
    }

    /// A client of our own.
    pub fn client(&self) -> Connection {
        let mut client = Connection::connect(&ConnectOptions {
            endpoint: wire::Endpoint::Tcp {
                host: "127.0.0.1".into(),
                port: self.port,
            },
            user: USER.into(),
            password: Some(PASSWORD.into()),
            ..ConnectOptions::default()
        })
        .unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(600)))
            .unwrap();
        client
    }

    /// The connections that are in the clone protocol.
    pub fn busy(&self) -> Vec<u32> {
        let list = self.server.connections().list();
        let busy = list.iter().filter(|info| info.command == "clone");
        busy.map(|info| info.id).collect()
    }

    pub fn statement(&self, password: &str, rest: &str) -> String {
        statement(self.port, password, rest)
    }
}

/// Enters the clone protocol.
pub fn enter(client: &mut Connection) {
    client.send_command(wire::clone::COM_CLONE, &[]).unwrap();
    assert_eq!(client.read_packet().unwrap()[0], 0);
}

pub fn statement(port: u16, password: &str, rest: &str) -> String {
    format!("CLONE INSTANCE FROM '{USER}'@'127.0.0.1':{port} IDENTIFIED BY '{password}' {rest}")
}

/// A clone into a directory, without TLS: by a line that reads along.
pub fn plain_statement(port: u16, data: &Path) -> String {
    let rest = format!("DATA DIRECTORY = '{}' REQUIRE NO SSL", data.display());
    statement(port, PASSWORD, &rest)
}

/// A stock server that takes a clone.
pub struct Recipient {
    pub server: testkit::Server,
    /// Length of the error log when it was started on the clone.
    log: usize,
}

impl Recipient {
    pub fn start(threads: u32) -> Self {
        Self::start_with(threads, ServerOptions::default())
    }

    pub fn start_with(threads: u32, options: ServerOptions) -> Self {
        let server = testkit::Server::start(options).unwrap();
        server
            .sql(&format!(
                "SET GLOBAL clone_autotune_concurrency = OFF;
                 SET GLOBAL clone_max_concurrency = {threads};"
            ))
            .unwrap();
        Self { server, log: 0 }
    }

    pub fn allow(&self, endpoint: &Endpoint) {
        self.allow_port(endpoint.port);
    }

    pub fn allow_port(&self, port: u16) {
        let list = format!("SET GLOBAL clone_valid_donor_list = '127.0.0.1:{port}'");
        self.server.sql(&list).unwrap();
    }

    pub fn clone_into(&self, endpoint: &Endpoint, data: &Path) -> testkit::Result<()> {
        self.clone_from_port(endpoint.port, data)
    }

    /// By way of another port than the endpoint's own.
    pub fn clone_from_port(&self, port: u16, data: &Path) -> testkit::Result<()> {
        self.allow_port(port);
        let rest = format!("DATA DIRECTORY = '{}'", data.display());
        self.server.sql(&statement(port, PASSWORD, &rest)).map(drop)
    }

    /// Clones, and starts again: without a supervisor the server ends after the clone.
    pub fn clone_in_place(&mut self, endpoint: &Endpoint) -> testkit::Result<()> {
        self.allow(endpoint);
        let error = self
            .server
            .sql(&endpoint.statement(PASSWORD, ""))
            .unwrap_err();
        if !error.to_string().contains("3707") {
            return Err(error);
        }
        wait_until("the recipient has ended", || !self.server.is_running());
        self.server.kill9()?;
        self.log = self.server.error_log().len();
        self.server.start_again()
    }

    /// What is wrong in the error log since the start on the clone.
    pub fn complaints(&self) -> Vec<String> {
        testkit::scan_error_log(&self.server.error_log()[self.log..])
    }
}

/// A digest of everything in a directory: names, contents, times.
pub fn digest(root: &Path) -> std::collections::BTreeMap<std::path::PathBuf, (u64, i64, i64)> {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    use std::os::unix::fs::MetadataExt as _;
    let files = crate::common::files_below(root).into_iter().map(|name| {
        let path = root.join(&name);
        let mut hasher = DefaultHasher::new();
        std::fs::read(&path).unwrap().hash(&mut hasher);
        let meta = std::fs::metadata(&path).unwrap();
        (name, (hasher.finish(), meta.mtime(), meta.mtime_nsec()))
    });
    files.collect()
}

pub const USER: &str = "backup";
pub const PASSWORD: &str = "secret word";
