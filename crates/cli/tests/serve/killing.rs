//! KILL at any moment of a clone: it ends, is known as killed, and the server has back all it gave.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Ended, run};
use crate::daemon::{Daemon, PATIENCE};

/// A client with its input open, so that a statement is sent at once.
pub(crate) struct Prompt {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Prompt {
    pub(crate) fn open(daemon: &Daemon) -> Self {
        let mut command = daemon.client("root");
        command.args(["--skip-table", "--batch", "--skip-column-names"]);
        command.args(["--unbuffered", "--skip-reconnect"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            input,
            output,
        }
    }

    pub(crate) fn send(&mut self, statement: &str) {
        writeln!(self.input, "{statement};").unwrap();
    }

    pub(crate) fn value(&mut self, query: &str) -> String {
        self.send(query);
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Goes away without a word, as a client does that is killed.
    pub(crate) fn vanish(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end of what was sent; fails when that takes too long.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        drop(self.input);
        let begin = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            if begin.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                panic!("a client hangs");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ended::from(self.child.wait_with_output().unwrap())
    }
}

/// Repeatable random numbers (the generator of Numerical Recipes).
struct Random(u32);

impl Random {
    fn below(&mut self, limit: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        limit.mul_f64(f64::from(self.0 >> 8) / f64::from(1_u32 << 24))
    }
}

/// Fails unless within seconds DDL works, and neither a backup lock nor a consumer of the redo log
/// is left.
#[track_caller]
pub(crate) fn assert_released(daemon: &Daemon) {
    let server = &daemon.world.server;
    let ddl = "SET SESSION lock_wait_timeout = 60; CREATE DATABASE locks; DROP DATABASE locks";
    server.sql(ddl).unwrap();
    for query in [
        "SELECT COUNT(*) FROM performance_schema.metadata_locks \
         WHERE OBJECT_TYPE = 'BACKUP LOCK' AND LOCK_TYPE = 'SHARED'",
        // There is one consumer at a time, and it ends with its session.
        "SELECT innodb_redo_log_consumer_register()",
    ] {
        let begin = Instant::now();
        while server.query_value(query).unwrap() != "0" {
            assert!(begin.elapsed() < PATIENCE, "{query} is not 0");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Whether there is a file anywhere below.
fn has_files(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return false;
    };
    let has = |entry: std::fs::DirEntry| !entry.path().is_dir() || has_files(&entry.path());
    entries.map(Result::unwrap).any(has)
}

/// Where a clone is killed: at some time after a line of the log, an empty one is its beginning.
struct Stretch {
    line: &'static str,
    length: Duration,
    /// MiB a second; at one, the clone is certainly still in its first stage of copying.
    bandwidth: u32,
}

const fn stretch(line: &'static str, millis: u64, bandwidth: u32) -> Stretch {
    Stretch {
        line,
        length: Duration::from_millis(millis),
        bandwidth,
    }
}

const STRETCHES: [Stretch; 6] = [
    stretch("", 60, 1),
    stretch("stage=FILE COPY", 1000, 1),
    stretch("backup lock taken", 100, 0),
    stretch("following the redo log", 200, 0),
    stretch("stage=REDO COPY", 40, 0),
    stretch("backup lock released", 100, 0),
];

#[test]
fn a_clone_is_killed_at_any_moment() {
    let mut daemon = Daemon::new(&[]);
    daemon.world.server.load_sysbench_like(1, 10_000).unwrap();
    let mut random = Random(7);
    let mut killed = 0;
    for round in 0..12 {
        let Stretch {
            line,
            length,
            bandwidth,
        } = STRETCHES[round % STRETCHES.len()];
        let set = daemon.world.path(&format!("set{round}"));
        let mut killer = Prompt::open(&daemon);
        let mut clone = Prompt::open(&daemon);
        // At its highest level the compressor is what a clone waits for.
        let compress = if round % 3 == 1 { "ZSTD" } else { "NONE" };
        let limited = format!(
            "SET GLOBAL clone_file_compress = CLONE_FILE_COMPRESS_{compress}, \
             GLOBAL clone_file_compress_zstd_level = 19, \
             GLOBAL clone_max_data_bandwidth = {bandwidth}; \
             SELECT @@global.clone_max_data_bandwidth"
        );
        assert_eq!(killer.value(&limited), bandwidth.to_string());
        let pid = clone.value("SELECT CONNECTION_ID()");
        clone.send(&format!(
            "CLONE LOCAL DATA DIRECTORY = '{set}' ENABLE PAGE TRACK"
        ));
        daemon.wait_for(&format!("directory={set}"));
        if !line.is_empty() {
            daemon.wait_for(line);
        }
        std::thread::sleep(random.below(length));
        let kill = if round % 4 < 2 { "KILL" } else { "KILL QUERY" };
        killer.send(&format!("{kill} {pid}"));

        let ended = clone.end();
        let row = daemon.value(&format!(
            "SELECT CONCAT(STATE, ' ', ERROR_NO) FROM mysql.clone_history WHERE DESTINATION = '{set}'"
        ));
        let is_marked = Path::new(&set).join("#clone/#status_in_progress").exists();
        let shown = format!("{line}: {row}, {}{}", ended.stdout, ended.stderr);
        if row == "Completed 0" {
            // It was about to be sealed when KILL came, or had been: the client is told so.
            assert!(bandwidth == 0 && !is_marked, "{shown}");
            assert!(!ended.stderr.contains("1317"), "{shown}");
            daemon.world.run_alone(&["verify", &set]).expect(0);
        } else {
            killed += 1;
            // Also when nothing had been written.
            assert_eq!(row, "Failed 1317", "{shown}");
            let status = daemon.value(&format!(
                "SELECT STATE FROM performance_schema.clone_status WHERE DESTINATION = '{set}'"
            ));
            assert_eq!(status, "Failed", "{shown}");
            assert!(ended.stderr.contains("ERROR 1317 (70100)"), "{shown}");
            let verified = daemon.world.run_alone(&["verify", "--quick", &set]);
            assert!(verified.status != Some(0), "{shown}");
            assert!(is_marked || !has_files(Path::new(&set)), "{shown}");
        }
        killer.end();
        assert_released(&daemon);
    }
    // Those at a low rate at least.
    assert!(killed >= 4, "{killed}");
    daemon.stop();
}

#[test]
fn who_kills_himself_is_told_as_by_the_server() {
    let daemon = Daemon::new(&[]);
    let server = &daemon.world.server;
    for kill in ["KILL", "KILL QUERY"] {
        let mut command = server.install().command("mysql");
        let socket = format!("--socket={}", server.socket().display());
        command.args([&socket, "--user=root", "--execute"]);
        let by_server = run(command.arg(format!("{kill} CONNECTION_ID()"))).stderr;
        let mut own = Prompt::open(&daemon);
        let pid = own.value("SELECT CONNECTION_ID()");
        own.send(&format!("{kill} {pid}"));
        let here = own.end().stderr;
        let words = |text: &str| text.replace(" at line 1", "").replace(" at line 2", "");
        assert_eq!(words(&here), words(&by_server), "{kill}");
    }
}
