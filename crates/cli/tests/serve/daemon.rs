//! A daemon with its server, and clients of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::world::World;
use crate::common::{Ended, run};

/// A server, a daemon for it, and a place for what they make.
pub(crate) struct Daemon {
    pub(crate) world: World,
    pub(crate) port: String,
    process: Guarded,
    log: Receiver<String>,
    heard: String,
}

/// Killed when dropped.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // Fails where it has ended, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Daemon {
    pub(crate) fn new(words: &[&str]) -> Self {
        Self::on(World::new(), words)
    }

    /// A daemon for a server that is there; also a new one after another was stopped.
    pub(crate) fn on(world: World, words: &[&str]) -> Self {
        Self::started(world, words, |_| {})
    }

    /// A daemon whose command is changed before it starts.
    pub(crate) fn started(world: World, words: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let socket = world.path("endpoint");
        let all = [
            &["serve", "--listen", "127.0.0.1:0", "--listen", &socket],
            words,
        ]
        .concat();
        let mut command = world.to_server(&all);
        change(&mut command);
        Self::by(world, command)
    }

    /// A daemon by a command that has it listen at a port of 127.0.0.1 and at `endpoint`.
    pub(crate) fn by(world: World, mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut daemon = Self {
            world,
            port: String::new(),
            process: Guarded(child),
            log,
            heard: String::new(),
        };
        let line = daemon.wait_for("127.0.0.1:");
        let (_, port) = line.split_once("127.0.0.1:").unwrap();
        daemon.port = port.chars().take_while(char::is_ascii_digit).collect();
        daemon.wait_for("listening on socket");
        daemon
    }

    /// Waits for a line of the log that contains `text`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.log.recv_timeout(left) else {
                panic!("no '{text}' in the log:\n{}", self.heard);
            };
            self.heard.push_str(&line);
            self.heard.push('\n');
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The `mysql` client as `user` over the socket, in batch mode with a table as output.
    pub(crate) fn client(&self, user: &str) -> Command {
        let mut command = self.world.server.install().command("mysql");
        let socket = self.world.path("endpoint");
        command
            .arg(format!("--socket={socket}"))
            .arg(format!("--user={user}"));
        command.args(["--table", "--commands", "--default-character-set=utf8mb4"]);
        command.env_remove("MYSQL_PWD");
        command
    }

    /// The `mysql` client as `user` over TCP.
    pub(crate) fn by_tcp(&self, user: &str, words: &[&str]) -> Command {
        let mut command = self.world.server.install().command("mysql");
        let port = format!("--port={}", self.port);
        command.args(["--protocol=TCP", "--host=127.0.0.1", &port, "--batch"]);
        command.arg(format!("--user={user}")).args(words);
        command
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Runs statements as root.
    pub(crate) fn run(&self, statements: &str) -> Ended {
        run_with(self.client("root"), statements)
    }

    /// What statements print that all succeed.
    #[track_caller]
    pub(crate) fn sql(&self, statements: &str) -> String {
        self.run(statements).expect(0).stdout
    }

    /// The only value of a query.
    #[track_caller]
    pub(crate) fn value(&self, query: &str) -> String {
        let mut command = self.client("root");
        command.args([
            "--skip-table",
            "--batch",
            "--skip-column-names",
            "-e",
            query,
        ]);
        run(&mut command).expect(0).stdout.trim_end().to_owned()
    }

    /// Waits until a query has this value.
    #[track_caller]
    pub(crate) fn wait_until(&self, query: &str, expected: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.value(query);
            if expected(&value) {
                return value;
            }
            assert!(Instant::now() < deadline, "{query} is still '{value}'");
        }
    }

    /// Sends SIGTERM and waits for the end; the whole log.
    pub(crate) fn stop(mut self) -> (World, String) {
        let pid = Pid::from_child(&self.process.0);
        kill_process(pid, Signal::TERM).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self
            .log
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.heard.push_str(&line);
            self.heard.push('\n');
        }
        let status = self.process.0.wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.heard);
        (self.world, self.heard)
    }
}

/// A session of a server that keeps what its statements got, until it is dropped.
pub(crate) struct Holder(Guarded);

impl Holder {
    /// Runs statements that come to an end.
    pub(crate) fn of(server: &testkit::Server, statements: &str) -> Self {
        let mut holder = Self::waiting(server, &format!("{statements}; SELECT 'it is held'"));
        let output = BufReader::new(holder.0.0.stdout.take().unwrap());
        let mut lines = output.lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "it is held"), "{statements}");
        holder
    }

    /// Begins statements of which one waits.
    pub(crate) fn waiting(server: &testkit::Server, statements: &str) -> Self {
        let mut command = server.install().command("mysql");
        let socket = format!("--socket={}", server.socket().display());
        command.args([&socket, "--user=root", "--batch", "--unbuffered"]);
        command.args(["--skip-column-names"]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::null()).spawn().unwrap();
        let stdin = child.stdin.as_mut().unwrap();
        writeln!(stdin, "{statements};").unwrap();
        Self(Guarded(child))
    }
}

/// Runs a client on statements from its standard input.
pub(crate) fn run_with(mut command: Command, statements: &str) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(statements.as_bytes()).unwrap();
    drop(stdin);
    Ended::from(child.wait_with_output().unwrap())
}

/// Before a test takes a daemon or a client for hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
