//! A server with some data and some load, and an account for backups.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use testkit::{Server, Snapshot, Workload, WorkloadOptions, assert_same, snapshot};

use crate::common::world::World;
use crate::common::{Ended, run};
use crate::running::Running;

/// The account that backs up, with nothing but what it needs: its connections are ours.
pub(crate) const ACCOUNT: &str = "keeper";

/// What is needed to kill a backup.
pub(crate) struct Scene {
    pub(crate) world: World,
    load: Option<Workload>,
}

impl Scene {
    /// A server under load.
    pub(crate) fn new() -> Self {
        let world = World::new();
        make_account(&world.server);
        world.server.load_sysbench_like(2, 20_000).unwrap();
        let mut scene = Self { world, load: None };
        scene.begin_load();
        scene
    }

    pub(crate) fn server(&self) -> &Server {
        &self.world.server
    }

    pub(crate) fn begin_load(&mut self) {
        let options = WorkloadOptions {
            threads: 1,
            pause: Duration::from_millis(5),
            ..WorkloadOptions::default()
        };
        self.load = Some(Workload::start(self.server(), options).unwrap());
    }

    pub(crate) fn end_load(&mut self) {
        drop(self.load.take());
    }

    /// `backup --to NAME` with further words, by the account.
    pub(crate) fn backup(&self, to: &str, words: &[&str]) -> Command {
        let to = self.world.path(to);
        let mut command = self
            .world
            .to_server(&["backup", "--parallel=2", "--to", &to]);
        command.arg(format!("--user={ACCOUNT}")).args(words);
        command
    }

    /// `backup --from` the same server `--to NAME`, by the same account.
    pub(crate) fn remote(&self, to: &str, words: &[&str]) -> Command {
        let from = format!("{ACCOUNT}@127.0.0.1:{}", self.server().port());
        let mut command = crate::common::innoclone(&self.world.state_dir());
        let to = self.world.path(to);
        command
            .args(["backup", "--parallel=2", "--from", &from, "--to", &to])
            .args(words);
        command
    }

    pub(crate) fn start_backup(&self, to: &str, words: &[&str]) -> Running {
        Running::start(&mut self.backup(to, words))
    }

    /// Makes a complete set.
    pub(crate) fn full(&self, to: &str) {
        run(&mut self.backup(to, &["--page-track"])).expect(0);
    }

    /// Makes a complete increment.
    pub(crate) fn increment(&self, to: &str, base: &str) -> Ended {
        let base = self.world.path(base);
        run(&mut self.backup(to, &["--page-track", "--based-on", &base])).expect(0)
    }

    pub(crate) fn restore(&self, set: &str, to: &str, words: &[&str]) -> Command {
        let (set, to) = (self.world.path(set), self.world.path(to));
        let mut command = crate::common::innoclone(&self.world.state_dir());
        command
            .args(["restore", "--parallel=2", &set, "--to", &to])
            .args(words);
        command
    }

    pub(crate) fn verify(&self, dir: &str) -> Ended {
        self.world.run_alone(&["verify", &self.world.path(dir)])
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.world.dir.join(name)
    }

    /// The last row of the history about `to`; `None` when there is none.
    pub(crate) fn row(&self, to: &str) -> Option<Value> {
        let to = self.world.path(to);
        let rows = self.world.history();
        rows.into_iter()
            .rfind(|row| row["DESTINATION"] == to.as_str())
    }

    /// Changes some megabytes of pages, all of which are in their files afterwards: they are pages
    /// of the next increment, however little the load has done.
    pub(crate) fn change_pages(&self) {
        let change = "UPDATE sbtest.sbtest1 SET c = REVERSE(c)";
        self.server().sql(change).unwrap();
        self.server().flush_pages().unwrap();
    }

    /// Ends the load and returns what the server contains.
    pub(crate) fn quiet(&mut self) -> Snapshot {
        self.end_load();
        snapshot(self.server()).unwrap().ignoring_auto_increment()
    }

    /// Restores `set`, boots the result and compares it.
    pub(crate) fn check_restores(&self, set: &str, expected: &Snapshot) {
        let to = format!("{set}-data");
        run(&mut self.restore(set, &to, &[])).expect(0);
        check_boots(&self.dir(&to), expected);
    }
}

/// Boots a data directory and compares it.
pub(crate) fn check_boots(dir: &Path, expected: &Snapshot) {
    let restored = Server::start_on(dir, &[]).unwrap();
    let found = snapshot(&restored).unwrap().ignoring_auto_increment();
    assert_same(expected, &found);
    Workload::check(&restored).unwrap();
    testkit::check_tables(&restored).unwrap();
}

/// The error number of a run that failed, with its exit status checked.
#[track_caller]
pub(crate) fn error_number(ended: &Ended) -> u64 {
    let shown = format!("stdout: {}\nstderr: {}", ended.stdout, ended.stderr);
    assert_eq!(ended.status, Some(1), "{shown}");
    let number = ended
        .stderr
        .split_once("innoclone: ERROR ")
        .map(|(_, rest)| rest);
    let number = number.and_then(|rest| rest.split(' ').next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no error number: {shown}"))
}

fn make_account(server: &Server) {
    server
        .sql(&format!(
            "CREATE USER {ACCOUNT}@localhost; \
             GRANT BACKUP_ADMIN, PROCESS, RELOAD ON *.* TO {ACCOUNT}@localhost; \
             GRANT SELECT ON performance_schema.log_status TO {ACCOUNT}@localhost"
        ))
        .unwrap();
}
