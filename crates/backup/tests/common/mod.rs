//! What the live tests share: backing up, restoring and comparing through the library's commands.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

pub mod elsewhere;

use backup::command::{
    BackupReport, BackupRequest, RestoreReport, RestoreRequest, backup, restore,
};
use backup::donor::instance::{IncrementFrom, InstanceOptions};
use backup::recipient::Compression;
use backup::{Error, Job, JobOptions};
use catalogue::Catalogue;
use frame::{Algorithm, Settings};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::{Scratch, Server};
use wire::{ConnectOptions, Endpoint};

/// A place for sets, restored directories and the catalogue of one test.
pub struct Place {
    pub scratch: Scratch,
    /// How the next sets are compressed.
    pub compression: Mutex<Option<Compression>>,
}

impl Place {
    pub fn new() -> Self {
        Self {
            scratch: Scratch::new().unwrap(),
            compression: Mutex::new(None),
        }
    }

    /// Has the next sets compressed.
    pub fn compress(&self, algorithm: Option<Algorithm>) {
        *self.compression.lock().unwrap() = algorithm.map(|algorithm| Compression {
            settings: Settings::of(algorithm),
            threads: 3,
        });
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    pub fn catalogue(&self) -> Catalogue {
        Catalogue::open(&self.path("state")).unwrap()
    }

    pub fn full(&self, server: &Server, name: &str, page_track: bool) -> BackupReport {
        self.try_backup(server, name, |options| options.page_track = page_track)
            .unwrap()
    }

    pub fn increment(&self, server: &Server, name: &str, base: &str) -> BackupReport {
        let base = self.path(base);
        let report = self.try_backup(server, name, |options| {
            options.from = Some(IncrementFrom::Set(base));
        });
        report.unwrap()
    }

    pub fn try_backup(
        &self,
        server: &Server,
        name: &str,
        change: impl FnOnce(&mut InstanceOptions),
    ) -> Result<BackupReport, Error> {
        let mut instance = instance_options(server);
        change(&mut instance);
        let request = BackupRequest {
            instance,
            to: self.path(name),
            compression: *self.compression.lock().unwrap(),
        };
        backup(&request, &self.catalogue(), &job())
    }

    pub fn restore(&self, set: &str, to: &str) -> RestoreReport {
        self.try_restore(&self.path(set), to).unwrap()
    }

    pub fn try_restore(&self, set: &Path, to: &str) -> Result<RestoreReport, Error> {
        let request = RestoreRequest {
            set: set.to_owned(),
            chain: Vec::new(),
            to: self.path(to),
            force: false,
            owner: None,
            encryption_key: None,
        };
        restore(&request, &job())
    }

    /// Boots a restored directory.
    pub fn boot(&self, name: &str, args: &[&str]) -> Server {
        Server::start_on(&self.path(name), args).unwrap()
    }
}

pub fn instance_options(server: &Server) -> InstanceOptions {
    let connect = ConnectOptions {
        endpoint: Endpoint::Socket(server.socket().to_owned()),
        user: "root".into(),
        ..ConnectOptions::default()
    };
    InstanceOptions {
        // DDL of a workload takes its time on a machine that has much else to do.
        lock_wait_timeout: Duration::from_secs(600),
        ..InstanceOptions::new(connect)
    }
}

pub fn job() -> Job {
    let options = JobOptions {
        parallel: 3,
        read_rate: None,
    };
    Job::new(&options, Arc::new(AtomicBool::new(false)))
}

/// All files below a directory, by their paths there.
pub fn files_below(root: &Path) -> Vec<PathBuf> {
    let (mut files, mut directories) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    files
}

/// Checks every table of a restored server, that it knows where it comes from, and that its error
/// log is clean.
pub fn check_restored(server: &Server, report: &BackupReport) {
    check_state(server, report);
    assert_eq!(
        testkit::scan_error_log(&server.error_log()),
        Vec::<String>::new()
    );
}

/// As [`check_restored`], without the error log.
pub fn check_state(server: &Server, report: &BackupReport) {
    testkit::check_tables(server).unwrap();
    let gtids = server
        .query_value("SELECT REPLACE(@@gtid_executed, '\\n', '')")
        .unwrap();
    assert_eq!(gtids, report.binlog.gtid_executed);
    let status = server
        .sql_rows(
            "SELECT STATE, ERROR_NO, BINLOG_FILE, BINLOG_POSITION, REPLACE(GTID_EXECUTED, '\\n', '') \
             FROM performance_schema.clone_status",
        )
        .unwrap();
    let expected = [
        "Completed",
        "0",
        &report.binlog.file,
        &report.binlog.position.to_string(),
        &report.binlog.gtid_executed,
    ];
    assert_eq!(status, [expected.map(str::to_owned).to_vec()]);
}

/// The restored server, brought up to date by the donor's binary log, equals the donor. Row events
/// do not move AUTO_INCREMENT counters as the statements did that reserved values in blocks, and
/// DDL of undo tablespaces is not in the binary log.
pub fn check_with_binlog(donor: &Server, restored: &Server, report: &BackupReport) {
    testkit::replay_binlog(donor, restored, &report.binlog.file, report.binlog.position).unwrap();
    let take = |server| {
        let snapshot = testkit::snapshot(server).unwrap().ignoring_auto_increment();
        snapshot.ignoring_objects("undo tablespace")
    };
    testkit::assert_same(&take(donor), &take(restored));
}
