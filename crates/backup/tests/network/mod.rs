//! What the tests of backups over the network share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

pub mod messages;
pub mod proxy;
pub mod slow;

use crate::common::{self, Place};
use backup::Error;
use backup::command::{BackupReport, RemoteBackupRequest, VerifyRequest, backup_remote, verify};
use backup::donor::instance::IncrementFrom;
use backup::donor::remote::RemoteOptions;
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::{Server, ServerOptions};
use wire::{ConnectOptions, Endpoint, SslMode};

/// A server that can be cloned over the network, by an account that may do that and no more.
pub fn donor(options: ServerOptions) -> Server {
    let server = Server::start(options).unwrap();
    server
        .sql(
            "CREATE USER cloner@'%' IDENTIFIED BY 'secret'; \
             GRANT BACKUP_ADMIN ON *.* TO cloner@'%'; \
             GRANT SELECT ON performance_schema.log_status TO cloner@'%'",
        )
        .unwrap();
    server
}

/// A donor whose counters the account may read.
pub fn counted_donor(options: ServerOptions) -> Server {
    let server = donor(options);
    server
        .sql(
            "GRANT SELECT ON performance_schema.* TO cloner@'%'; \
             GRANT SYSTEM_VARIABLES_ADMIN ON *.* TO cloner@'%'",
        )
        .unwrap();
    server
}

pub fn remote_options(server: &Server) -> RemoteOptions {
    RemoteOptions::new(account(server.port()))
}

fn account(port: u16) -> ConnectOptions {
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

pub fn remote_full(
    place: &Place,
    server: &Server,
    name: &str,
    change: impl FnOnce(&mut RemoteOptions),
) -> Result<BackupReport, Error> {
    backup_from(place, server.port(), name, change)
}

/// As [`remote_full`], of whatever listens on the port.
pub fn backup_from(
    place: &Place,
    port: u16,
    name: &str,
    change: impl FnOnce(&mut RemoteOptions),
) -> Result<BackupReport, Error> {
    let mut remote = RemoteOptions::new(account(port));
    change(&mut remote);
    let request = RemoteBackupRequest {
        compression: None,
        remote,
        to: place.path(name),
    };
    backup_remote(&request, &place.catalogue(), &common::job())
}

/// Connects through a relay, which takes no TLS if it reads along.
pub fn through(port: u16, tls: SslMode, options: &mut RemoteOptions) {
    options.connect = ConnectOptions {
        ssl_mode: tls,
        get_server_public_key: true,
        ..account(port)
    };
}

pub fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(600);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a directory has what an unfinished set has, so that nobody takes it for one.
pub fn is_marked_incomplete(path: &Path) -> bool {
    path.join("#clone/#status_in_progress").exists() && !path.join("#clone/manifest.json").exists()
}

pub fn increment(place: &Place, server: &Server, name: &str, base: &str) -> BackupReport {
    let base = place.path(base);
    remote_full(place, server, name, |options| {
        options.from = Some(IncrementFrom::Set(base));
    })
    .unwrap()
}

/// Verifies a set with its ancestors.
pub fn check_set(place: &Place, set: &str) {
    let request = VerifyRequest::new(place.path(set));
    let report = verify(&request, &common::job()).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

/// As for local backups, but that the transactions may not be known without a start.
///
/// DDL is not blocked: the snapshot may be of the middle of a TRUNCATE or the like, as after a crash.
/// Then the server finds the table's file only at its second start (seen on 9.7.4, after crashes
/// too).
pub fn check_restored(server: &mut Server, report: &BackupReport) {
    let found_late = testkit::check_tables(server).is_err();
    if found_late {
        server.restart(&[]).unwrap();
        testkit::check_tables(server).unwrap();
    }
    // Tables of other engines do not travel; the server says so.
    let mut complaints = testkit::scan_error_log(&server.error_log());
    complaints.retain(|line| !line.contains("is not cloned and is empty"));
    complaints.retain(|line| !(found_late && line.contains("the .ibd file is missing")));
    // A rename from one schema to another was under way: the file is looked at before it is renamed
    // by the log. The tables have been checked.
    complaints.retain(|line| !line.contains("in a sub-directory named for the schema"));
    assert_eq!(complaints, Vec::<String>::new());
    let gtids = server
        .query_value("SELECT REPLACE(@@gtid_executed, '\\n', '')")
        .unwrap();
    if !report.binlog.gtid_executed.is_empty() {
        let log = server.error_log();
        let position = log
            .lines()
            .filter(|line| line.contains("binlog file position"));
        let position: Vec<&str> = position.collect();
        assert_eq!(
            gtids, report.binlog.gtid_executed,
            "{:?} and not {position:?}",
            report.binlog
        );
    }
}

/// An increment into `dying`, of a donor that another process has started.
pub fn run_increment(port: u16, place: &Path, base: &str, change: impl FnOnce(&mut RemoteOptions)) {
    let mut remote = RemoteOptions::new(account(port));
    remote.from = Some(IncrementFrom::Set(place.join(base)));
    change(&mut remote);
    let request = RemoteBackupRequest {
        compression: None,
        remote,
        to: place.join("dying"),
    };
    let catalogue = catalogue::Catalogue::open(&place.join("state")).unwrap();
    backup_remote(&request, &catalogue, &common::job()).unwrap();
}
