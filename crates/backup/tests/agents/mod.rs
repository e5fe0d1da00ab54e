//! An agent, and those who take backups from it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use crate::common::{self, Place};
use backup::command::{BackupReport, RemoteBackupRequest, backup_remote};
use backup::donor::instance::IncrementFrom;
use backup::donor::remote::RemoteOptions;
use backup::serve::{AgentDonor, AgentFace, AgentOptions};
use backup::set::BackupSet;
use backup::{Error, Job, JobOptions};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{Server, ServerOptions};
use wire::server::{Handler, LocalAccounts, Session};
use wire::{ConnectOptions, Endpoint};

/// An instance with an account that may take backups of it and nothing else, and one that may not.
pub fn instance(options: ServerOptions) -> Server {
    let server = Server::start(options).unwrap();
    server
        .sql(
            "CREATE USER cloner@'%' IDENTIFIED BY 'secret';
             GRANT BACKUP_ADMIN ON *.* TO cloner@'%';
             CREATE USER nobody@'%' IDENTIFIED BY 'secret'",
        )
        .unwrap();
    server
}

/// An agent on a port of its own.
pub struct Agent {
    pub donor: Arc<AgentDonor>,
    pub server: wire::server::Server,
    pub port: u16,
}

impl Agent {
    pub fn of(server: &Server, place: &Place) -> Self {
        let options = AgentOptions {
            connect: common::instance_options(server).connect,
            datadir: None,
            spool: place.scratch.path().to_owned(),
            job: JobOptions {
                parallel: 3,
                read_rate: None,
            },
        };
        Self::start(options, 0)
    }

    pub fn start(options: AgentOptions, port: u16) -> Self {
        let local = options.connect.clone();
        let donor = AgentDonor::open(options).unwrap();
        let face = Arc::clone(&donor);
        let handlers = move |session: &Session| -> Box<dyn Handler> {
            Box::new(AgentFace::new(Arc::clone(&face), session.clone()))
        };
        let accounts = LocalAccounts::new(local, vec!["BACKUP_ADMIN"]);
        let options = wire::server::ServerOptions {
            version: donor.version(),
            tls: Some(wire::server::ServerTls::self_signed(vec!["localhost".into()]).unwrap()),
            ..wire::server::ServerOptions::default()
        };
        let server = wire::server::Server::new(options, Arc::new(accounts), Arc::new(handlers));
        let address = server.listen(&Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port,
        });
        Self {
            donor,
            server,
            port: address.unwrap().unwrap().port(),
        }
    }

    pub fn full(
        &self,
        place: &Place,
        name: &str,
        change: impl FnOnce(&mut RemoteOptions),
    ) -> Result<BackupReport, Error> {
        take(self.port, place, name, &common::job(), change)
    }

    pub fn increment(
        &self,
        place: &Place,
        name: &str,
        base: &str,
        change: impl FnOnce(&mut RemoteOptions),
    ) -> Result<BackupReport, Error> {
        let base = place.path(base);
        self.full(place, name, |options| {
            options.from = Some(IncrementFrom::Set(base));
            change(options);
        })
    }
}

pub fn account(port: u16) -> ConnectOptions {
    ConnectOptions {
        endpoint: Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port,
        },
        user: "cloner".into(),
        password: Some("secret".into()),
        ..ConnectOptions::default()
    }
}

/// Takes a backup from the agent on `port`: a full with page tracking, unless changed.
pub fn take(
    port: u16,
    place: &Place,
    name: &str,
    job: &Job,
    change: impl FnOnce(&mut RemoteOptions),
) -> Result<BackupReport, Error> {
    let mut remote = RemoteOptions::new(account(port));
    remote.page_track = true;
    remote.connect_retry = Duration::from_secs(300);
    change(&mut remote);
    let request = RemoteBackupRequest {
        compression: *place.compression.lock().unwrap(),
        remote,
        to: place.path(name),
    };
    backup_remote(&request, &place.catalogue(), job)
}

/// Bytes that a set stores of its snapshot.
pub fn delta_bytes(place: &Place, set: &str) -> u64 {
    let set = BackupSet::open(&place.path(set)).unwrap();
    let stored = set.manifest().files.iter().flat_map(|file| &file.stored);
    stored.map(|file| file.size).sum()
}

/// The tables of sysbench in the restored set.
pub fn files_of_tables(place: &Place, set: &str) -> BTreeMap<String, Vec<u8>> {
    let data = format!("data-{set}");
    place.restore(set, &data);
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(place.path(&data).join("sbtest")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        files.insert(name, std::fs::read(path).unwrap());
    }
    files
}

/// DDL is not kept out, and nothing follows the log.
pub fn assert_free(server: &Server) {
    assert_free_of(server, "sbtest");
}

/// The same, of a server with this schema.
pub fn assert_free_of(server: &Server, schema: &str) {
    let begin = Instant::now();
    let held = "SELECT COUNT(*) FROM performance_schema.metadata_locks \
                WHERE OBJECT_TYPE = 'BACKUP LOCK' AND LOCK_STATUS = 'GRANTED' \
                AND LOCK_TYPE LIKE 'SHARED%'";
    while server.query_value(held).unwrap() != "0" {
        assert!(begin.elapsed() < Duration::from_secs(600), "still locked");
        std::thread::sleep(Duration::from_millis(20));
    }
    server
        .sql(&format!(
            "SET lock_wait_timeout = 600; CREATE TABLE {schema}.ddl_goes_on (i INT); \
             DROP TABLE {schema}.ddl_goes_on"
        ))
        .unwrap();
}
