//! A server, its backups, and restores of them to points in time.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses a part of it"
)]

use crate::common::{Place, job};
use backup::Error;
use backup::command::{PointInTimeReport, RestoreRequest, restore_until};
use backup::pitr::{PointInTime, ReplayReport, Until};
use std::path::{Path, PathBuf};
use testkit::{Server, ServerOptions};

pub struct Scene {
    pub server: Server,
    pub place: Place,
}

impl Scene {
    pub fn new(options: ServerOptions) -> Self {
        let (server, place) = (Server::start(options).unwrap(), Place::new());
        server
            .install()
            .script("mysqld", &place.path("mysqld"))
            .unwrap();
        Self { server, place }
    }

    pub fn point(&self, until: Until) -> PointInTime {
        PointInTime {
            until,
            binlogs: vec![self.server.datadir().to_owned()],
            mysqld: Some(self.place.path("mysqld")),
            mysqld_defaults: None,
        }
    }

    pub fn request(&self, set: &str, to: &str) -> RestoreRequest {
        RestoreRequest {
            set: self.place.path(set),
            chain: Vec::new(),
            to: self.place.path(to),
            force: false,
            owner: None,
            encryption_key: None,
        }
    }

    pub fn restore(&self, set: &str, to: &str, until: Until) -> PointInTimeReport {
        self.try_restore(set, to, &self.point(until)).unwrap()
    }

    pub fn try_restore(
        &self,
        set: &str,
        to: &str,
        point: &PointInTime,
    ) -> Result<PointInTimeReport, Error> {
        restore_until(&self.request(set, to), point, &job())
    }

    /// Nothing was made at `to`, and the error says all of `words`.
    pub fn refused(&self, set: &str, point: &PointInTime, words: &[&str]) {
        let to = "refused";
        let error = self.try_restore(set, to, point).unwrap_err();
        let text = format!("{error} / {}", error.hint().unwrap_or_default());
        for word in words {
            assert!(text.contains(word), "no {word:?} in: {text}");
        }
        assert!(!self.place.path(to).exists(), "{text}");
    }

    /// The restored server has what the donor has now.
    pub fn assert_same(&self, restored: &Server) {
        let take = |server| {
            let snapshot = testkit::snapshot(server).unwrap().ignoring_auto_increment();
            snapshot.ignoring_objects("undo tablespace")
        };
        testkit::assert_same(&take(&self.server), &take(restored));
    }
}

pub fn gtids(server: &Server) -> String {
    server
        .query_value("SELECT REPLACE(@@gtid_executed, '\\n', '')")
        .unwrap()
}

/// Copies the binary logs of a data directory.
pub fn copy_logs(from: &Path, to: &Path) -> Vec<PathBuf> {
    std::fs::create_dir_all(to).unwrap();
    let mut copies = Vec::new();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("binlog.0") {
            std::fs::copy(entry.path(), to.join(&name)).unwrap();
            copies.push(to.join(&name));
        }
    }
    copies.sort();
    copies
}

/// The restored server, once it is started, is where the report says, and nothing of the replay
/// is left.
pub fn check_state(restored: &Server, replay: &ReplayReport) {
    testkit::check_tables(restored).unwrap();
    let complaints = testkit::scan_error_log(&restored.error_log());
    assert_eq!(complaints, Vec::<String>::new());
    assert_eq!(gtids(restored), replay.binlog.gtid_executed);
    let count = |sql: &str| {
        restored
            .query_value(&format!("SELECT COUNT(*) FROM {sql}"))
            .unwrap()
    };
    for table in [
        "slave_master_info",
        "slave_relay_log_info",
        "slave_worker_info",
    ] {
        assert_eq!(count(&format!("mysql.{table}")), "0", "{table}");
    }
    assert_eq!(count("mysql.user WHERE user LIKE 'innoclone%'"), "0");
    let status = restored
        .sql_rows(
            "SELECT STATE, BINLOG_FILE, BINLOG_POSITION, REPLACE(GTID_EXECUTED, '\\n', '') \
             FROM performance_schema.clone_status",
        )
        .unwrap();
    let binlog = &replay.binlog;
    let expected = [
        "Completed",
        &binlog.file,
        &binlog.position.to_string(),
        &binlog.gtid_executed,
    ];
    assert_eq!(status, [expected.map(str::to_owned).to_vec()]);
    assert!(!restored.datadir().join("#clone/#replay").exists());
}
