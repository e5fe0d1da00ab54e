//! Server processes that cannot outlive their test.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::Result;

/// A process run under a small shell that kills it when the test process is gone.
///
/// The shell is the parent of the program, so its process id cannot be reused while the shell
/// lives. The shell's standard input is a pipe from the test: when the test dies, however that
/// happens, the pipe closes, the shell kills the program and removes its directory. The shell is in
/// a process group of its own, so that a Ctrl-C or a killed job reaches the test and not the shell.
#[derive(Debug)]
pub(crate) struct Guarded {
    shell: Child,
    /// Open while the test wants the program; never written.
    lifeline: Option<ChildStdin>,
    pid: Pid,
}

/// $1: file for the program's own output, $2: directory to remove when the test is gone (or empty),
/// rest: the program.
const GUARD: &str = r#"
output=$1; remove=$2; shift 2
exec 3<&0 </dev/null
"$@" 3<&- >>"$output" 2>&1 &
pid=$!
echo "$pid"
orphan=
trap 'orphan=yes; kill -9 "$pid" 2>/dev/null' USR1
( while read -r _; do :; done <&3; kill -USR1 "$$" ) &
watcher=$!
exec 3<&-
wait "$pid"; code=$?
if [ -n "$orphan" ]; then
    wait "$pid"
    [ -z "$remove" ] || rm -rf -- "$remove"
else
    kill "$watcher" 2>/dev/null
fi
exit "$code"
"#;

impl Guarded {
    /// Starts `command`; its output is appended to `output`. `remove` is removed if the test dies
    /// first.
    pub(crate) fn start(command: &Command, output: &Path, remove: Option<&Path>) -> Result<Self> {
        use std::os::unix::process::CommandExt;

        let mut shell = Command::new("/bin/sh");
        shell
            .arg("-c")
            .arg(GUARD)
            .arg("guard")
            .arg(output)
            .arg(remove.unwrap_or(Path::new("")));
        shell.arg(command.get_program()).args(command.get_args());
        crate::install::forget_environment(&mut shell);
        let mut shell = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .context("start /bin/sh")?;
        let lifeline = shell.stdin.take();
        let stdout = shell.stdout.take().context("no pipe from the guard")?;
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .context("read the process id")?;
        let pid = line.trim().parse().ok().and_then(Pid::from_raw);
        let pid =
            pid.with_context(|| format!("the guard said {line:?} instead of a process id"))?;
        Ok(Self {
            shell,
            lifeline,
            pid,
        })
    }

    /// The process id of the program itself.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The exit status if the program has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.shell.try_wait()?)
    }

    /// Sends SIGTERM (a clean shutdown) and waits.
    pub(crate) fn terminate(&mut self, patience: Duration) -> Result<()> {
        if self.ended()?.is_none() {
            kill_process(self.pid, Signal::TERM).context("send SIGTERM")?;
        }
        let status = self.wait(patience)?;
        ensure!(
            status.success(),
            "the server did not shut down cleanly: {status}"
        );
        Ok(())
    }

    /// Sends SIGKILL and waits: what a crash of the process looks like.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            // It may end between the question and the signal.
            let _ = kill_process(self.pid, Signal::KILL);
        }
        self.wait(KILLED).map(drop)
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("process {} did not end within {patience:?}", self.pid());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A killed process ends when what it has the kernel do is done: a disk that is busy takes its time.
const KILLED: Duration = Duration::from_secs(300);

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            let _ = writeln!(std::io::stderr(), "testkit: {error:#}");
        }
        // Only now: the guard must not take the end of the pipe for the end of the test.
        drop(self.lifeline.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scratch, wait_until};

    fn alive(pid: u32) -> bool {
        let Ok(stat) = fs_err::read_to_string(format!("/proc/{pid}/stat")) else {
            return false;
        };
        !stat.contains(") Z ")
    }

    #[test]
    fn dropping_kills_the_program() {
        let scratch = Scratch::new().unwrap();
        let mut command = Command::new("sleep");
        command.arg("3600");
        let process = Guarded::start(&command, &scratch.join("out"), None).unwrap();
        let pid = process.pid();
        assert!(alive(pid));
        drop(process);
        assert!(!alive(pid));
    }

    #[test]
    fn a_closed_pipe_kills_the_program_and_removes_its_directory() {
        let scratch = Scratch::new().unwrap();
        let folder = scratch.join("gone");
        fs_err::create_dir(&folder).unwrap();
        let mut command = Command::new("sleep");
        command.arg("3600");
        let mut process = Guarded::start(&command, &scratch.join("out"), Some(&folder)).unwrap();
        drop(process.lifeline.take());
        wait_until("the program is killed", || !alive(process.pid()));
        wait_until("the directory is removed", || !folder.exists());
    }

    #[test]
    fn the_exit_status_is_the_programs() {
        let scratch = Scratch::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo hello; exit 7"]);
        let mut process = Guarded::start(&command, &scratch.join("out"), None).unwrap();
        assert_eq!(process.wait(KILLED).unwrap().code(), Some(7));
        assert_eq!(
            fs_err::read_to_string(scratch.join("out")).unwrap(),
            "hello\n"
        );
    }
}
