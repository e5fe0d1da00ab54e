//! The program while it runs: watched by its log, signalled, killed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::Ended;

/// A run under way. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    lines: Receiver<String>,
    heard: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            stdout: Some(stdout),
            lines,
            heard: String::new(),
        }
    }

    /// Waits for a line of the log that contains `text`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.hear(&line);
            if line.contains(text) {
                return;
            }
        }
        panic!("the log never said {text:?}:\n{}", self.heard);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.unwrap(), signal).unwrap();
    }

    /// SIGKILL.
    pub(crate) fn kill(self) -> Ended {
        self.signal(Signal::KILL);
        self.end()
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn end(self) -> Ended {
        self.end_within(PATIENCE)
    }

    /// Waits for the end, which has to come within `patience`: less than what must not be waited
    /// for takes, and more than a busy machine needs.
    #[track_caller]
    pub(crate) fn end_within(mut self, patience: Duration) -> Ended {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if begin.elapsed() > patience {
                while let Ok(line) = self.lines.try_recv() {
                    self.hear(&line);
                }
                panic!("still runs after {patience:?}:\n{}", self.heard);
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        // The end of the pipe ends this.
        while let Ok(line) = self.lines.recv() {
            self.hear(&line);
        }
        Ended {
            status: status.code(),
            stdout: self.stdout.take().unwrap().join().unwrap(),
            stderr: std::mem::take(&mut self.heard),
        }
    }

    fn hear(&mut self, line: &str) {
        self.heard.push_str(line);
        self.heard.push('\n');
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// For what is certain to happen, on however slow a machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
