//! A server process that does not outlive us.

use crate::recipient::KEEP_AWAY;
use crate::set::layout::PERSISTED;
use crate::{Error, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

/// A program run below a small shell.
///
/// The shell waits for the end of its input, a pipe that only we hold: when we are gone, however
/// that happened, it kills the program, keeps other servers away from the unfinished directory, and
/// removes the private one. It is in a process group
/// of its own, so that a Ctrl-C reaches us alone.
#[derive(Debug)]
pub(super) struct Guarded {
    shell: Child,
    /// Never written.
    lifeline: Option<ChildStdin>,
    pid: Pid,
    status: Option<ExitStatus>,
}

/// $1: the private directory, $2: the file that keeps servers away, $3: what stands there; the rest:
/// the program.
const SCRIPT: &str = r#"
private=$1; away=$2; text=$3; shift 3
exec 3<&0 </dev/null
"$@" 3<&- >>"$private/output" 2>&1 &
pid=$!
echo "$pid"
left=
trap 'left=yes; kill -9 "$pid" 2>/dev/null' USR1
( while read -r line; do :; done <&3; kill -USR1 "$$" ) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$pid"; status=$?
if [ -n "$left" ]; then
    wait "$pid"
    [ -e "$away" ] || echo "$text" >"$away"
    rm -rf -- "$private"
else
    kill "$watcher" 2>/dev/null
fi
exit "$status"
"#;

impl Guarded {
    /// Starts `command`, a server on `datadir`; what it prints goes to [`OUTPUT`] in the private directory.
    pub(super) fn start(command: &Command, private: &Path, datadir: &Path) -> Result<Self> {
        let program = PathBuf::from(command.get_program());
        let error = |e| Error::io("start program", &program, e);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT, "innoclone"]).arg(private);
        shell.arg(datadir.join(PERSISTED)).arg(KEEP_AWAY);
        shell.arg(command.get_program()).args(command.get_args());
        let mut shell = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|e| Error::io("start program", Path::new("/bin/sh"), e))?;
        let lifeline = shell.stdin.take();
        let mut line = String::new();
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(error)?;
        }
        let Some(pid) = line.trim().parse().ok().and_then(Pid::from_raw) else {
            return Err(error(std::io::Error::other("no process was started")));
        };
        Ok(Self {
            shell,
            lifeline,
            pid,
            status: None,
        })
    }

    /// Whether the program has ended.
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        if self.status.is_none() {
            let status = self.shell.try_wait();
            self.status =
                status.map_err(|e| Error::io("wait for program", Path::new("mysqld"), e))?;
        }
        Ok(self.status.is_some())
    }

    /// Whether it ended with status 0.
    pub(super) fn ended_well(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Asks it to end.
    pub(super) fn terminate(&mut self) -> Result<()> {
        if !self.has_ended()? {
            // It may end between the question and the signal.
            let _ = kill_process(self.pid, Signal::TERM);
        }
        Ok(())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if matches!(self.has_ended(), Ok(false)) {
            // The shell has not reaped it, so the number is still its.
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = self.shell.wait();
        }
        self.lifeline = None;
    }
}

/// What the program prints, in the private directory.
pub(super) const OUTPUT: &str = "output";
