//! A client that stays connected.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::{Client, Result};

/// One `mysql` process with its input open: statements go in one after the other, each is awaited.
#[derive(Debug)]
pub(crate) struct Session {
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Line>,
}

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed,
}

enum Line {
    Answer(String),
    Problem(String),
}

impl Session {
    /// Connects; `setup` runs first, its failure is an error.
    pub(crate) fn open(client: &Client, setup: &str) -> Result<Self> {
        let mut command = client.batch();
        // A lost connection must be noticed, not papered over; a failed statement must not end the
        // session.
        command.args(["--force", "--skip-reconnect"]);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start mysql")?;
        let input = process.stdin.take();
        let (sender, lines) = channel();
        if let (Some(output), Some(errors)) = (process.stdout.take(), process.stderr.take()) {
            forward(output, sender.clone(), Line::Answer);
            forward(errors, sender, Line::Problem);
        }
        let mut session = Self {
            process,
            input,
            lines,
        };
        match session.run(setup, CONNECT)? {
            Outcome::Done => Ok(session),
            Outcome::Failed => bail!("failed: {setup}"),
        }
    }

    /// Runs one statement that returns no rows and waits for its end.
    ///
    /// # Errors
    /// When the connection is lost, or nothing was heard for `patience`. The session is then of no
    /// more use.
    pub(crate) fn run(&mut self, statement: &str, patience: Duration) -> Result<Outcome> {
        let input = self.input.as_mut().context("the session is closed")?;
        // The count is 1 after a failed statement, and it is the one line of output to wait for.
        writeln!(input, "{statement};\nSHOW COUNT(*) ERRORS;").context("write to mysql")?;
        input.flush().context("write to mysql")?;
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self
                .lines
                .recv_timeout(left)
                .context("no answer from mysql")?
            {
                Line::Answer(text) if text == "0" => return Ok(Outcome::Done),
                Line::Answer(_) => return Ok(Outcome::Failed),
                Line::Problem(text) if is_loss(&text) => bail!("connection lost: {text}"),
                Line::Problem(_) => {}
            }
        }
    }
}

/// How long connecting may take on a machine that has much else to do.
const CONNECT: Duration = Duration::from_secs(300);

impl Drop for Session {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn forward(from: impl Read + Send + 'static, to: Sender<Line>, kind: fn(String) -> Line) {
    std::thread::spawn(move || {
        for line in BufReader::new(from)
            .lines()
            .map_while(std::result::Result::ok)
        {
            if to.send(kind(line)).is_err() {
                break;
            }
        }
    });
}

/// Errors after which nothing will be answered: connection errors of the client (2xxx), shutdown in
/// progress (1053), killed connection (1317 is only the statement), disconnected for inactivity
/// (4031).
fn is_loss(error: &str) -> bool {
    let Some(number) = error
        .strip_prefix("ERROR ")
        .and_then(|text| text.split(' ').next())
    else {
        return false;
    };
    number
        .parse()
        .is_ok_and(|code: u32| (2000..3000).contains(&code) || [1053, 4031].contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_connections_are_told_from_failed_statements() {
        assert!(is_loss(
            "ERROR 2013 (HY000) at line 5: Lost connection to MySQL server"
        ));
        assert!(is_loss(
            "ERROR 2006 (HY000) at line 5: MySQL server has gone away"
        ));
        assert!(!is_loss(
            "ERROR 1205 (HY000) at line 5: Lock wait timeout exceeded"
        ));
        assert!(!is_loss("mysql: [Warning] something"));
    }
}
