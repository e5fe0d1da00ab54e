//! A server that writes small binary logs, and archives of it.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use backup::archive::{ArchivedLog, Storage, list};
use serde_json::Value;
use testkit::{Client, Scratch, Server, ServerOptions};

use crate::common::{Ended, innoclone, run};

pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) dir: Scratch,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(&["--max-binlog-size=131072"])
    }

    pub(crate) fn with(args: &[&str]) -> Self {
        Self::of(ServerOptions::with_args(args.iter().copied()))
    }

    pub(crate) fn of(options: ServerOptions) -> Self {
        let options = ServerOptions {
            plugins: false,
            ..options
        };
        let server = Server::start(options).unwrap();
        server
            .sql("CREATE DATABASE test; CREATE TABLE test.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)")
            .unwrap();
        Self {
            server,
            dir: Scratch::new().unwrap(),
        }
    }

    /// Transactions of all sizes, some hundred KiB.
    pub(crate) fn work(&self) {
        work(self.server.client(), 40).unwrap();
    }

    pub(crate) fn to(&self) -> PathBuf {
        self.dir.join("archive")
    }

    /// The command that archives into a directory.
    pub(crate) fn command_to(&self, to: &Path, words: &[&str]) -> Command {
        let mut command = innoclone(&self.dir.join("state"));
        command.args(["binlog", "archive", "--user=root", "--json"]);
        command.arg("--to").arg(to).args(words);
        command
    }

    /// The command over the socket.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.command_to(&self.to(), words);
        let socket = format!("--socket={}", self.server.socket().display());
        command.arg(socket);
        command
    }

    pub(crate) fn archive(&self, words: &[&str]) -> Ended {
        run(&mut self.command(words))
    }

    pub(crate) fn archive_ok(&self, words: &[&str]) -> Value {
        let ended = self.archive(words).expect(0);
        ended.json()["binlog_archive"].clone()
    }

    /// Fails with this number, and changes nothing in the archive.
    #[track_caller]
    pub(crate) fn refused(&self, code: u64, text: &str) {
        let before = contents(&self.to());
        let ended = self.archive(&[]).expect(1);
        let error = &ended.json()["error"];
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().unwrap().contains(text), "{error}");
        assert!(before == contents(&self.to()), "the archive has changed");
    }

    /// Names of the server's logs.
    pub(crate) fn logs(&self) -> Vec<String> {
        let rows = self.server.sql_rows("SHOW BINARY LOGS").unwrap();
        rows.into_iter().map(|row| row[0].clone()).collect()
    }

    /// The archive has all that the server has, byte for byte, and nothing else.
    #[track_caller]
    pub(crate) fn assert_whole(&self) {
        let archived = list(&self.to()).unwrap();
        let names: Vec<String> = archived.iter().map(|log| log.name.to_string()).collect();
        assert_eq!(names, self.logs());
        for (at, log) in archived.iter().enumerate() {
            let is_last = at + 1 == archived.len();
            assert_eq!(log.storage == Storage::Part, is_last, "{log:?}");
            self.assert_same(log);
        }
        let count = std::fs::read_dir(self.to()).unwrap().count();
        assert_eq!(count, archived.len() + 1, "files that do not belong there");
    }

    #[track_caller]
    pub(crate) fn assert_same(&self, log: &ArchivedLog) {
        let mut own = std::fs::read(self.server.datadir().join(log.name.to_string())).unwrap();
        // The server clears the mark of a file in use when it closes the file, and in streams.
        own[IN_USE] &= !1;
        let mut archived = Vec::new();
        log.open().unwrap().read_to_end(&mut archived).unwrap();
        let differs = own
            .iter()
            .zip(&archived)
            .position(|(own, other)| own != other);
        let lengths = (own.len(), archived.len());
        assert!(
            own == archived,
            "{}: {lengths:?} bytes, differ at {differs:?}",
            log.name
        );
    }
}

/// Where the low byte of the flags of the format description is.
const IN_USE: usize = 4 + 17;

/// All files of a directory with their bytes.
pub(crate) fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let files = entries.map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read(entry.path()).unwrap())
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

/// Some transactions; fails when the server is not there.
fn work(client: &Client, count: u32) -> testkit::Result<()> {
    for number in 0..count {
        let sql = match number % 8 {
            0 => "CREATE TABLE IF NOT EXISTS test.u (id INT PRIMARY KEY); DROP TABLE test.u",
            1 => {
                "SET binlog_transaction_compression = ON; INSERT INTO test.t (v) VALUES (REPEAT('c', 9000))"
            }
            2 => {
                "XA START 'x'; INSERT INTO test.t (v) VALUES ('x'); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'"
            }
            3 => "INSERT INTO test.t (v) SELECT v FROM test.t LIMIT 3",
            4 => "UPDATE test.t SET v = RANDOM_BYTES(1000) ORDER BY id DESC LIMIT 5",
            5 => "FLUSH BINARY LOGS",
            _ => "INSERT INTO test.t (v) VALUES (REPEAT(RANDOM_BYTES(1000), 20))",
        };
        client.sql(sql)?;
    }
    Ok(())
}

/// Work that goes on until it is told to stop. Failures are no matter: the server may be away.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(server: &Server) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, stopped) = (server.client().clone(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if work(&client, 8).is_err() {
                    // A transaction that a crash left prepared would be in the way for ever.
                    let _ = client.sql("XA ROLLBACK 'x'");
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits until `done`.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !done() {
        assert!(begin.elapsed().as_secs() < 300, "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

impl Scene {
    /// Waits until the archive ends where the server's logs do. Nobody may write meanwhile.
    #[track_caller]
    pub(crate) fn wait_until_whole(&self) {
        let last = self.logs().pop().unwrap();
        let length = std::fs::metadata(self.server.datadir().join(&last))
            .unwrap()
            .len();
        let part = self.to().join(format!("{last}.part"));
        wait_until("the archive has all", || {
            std::fs::metadata(&part).is_ok_and(|part| part.len() == length)
        });
    }
}
