//! What a process costs: time, memory, bytes read and written.

use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::Result;

/// A process that ended, and what it cost.
#[derive(Debug, Clone)]
pub struct Run {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// From its start to its end.
    pub time: Duration,
    /// Peak of resident memory (`VmHWM`) in bytes, looked at every few milliseconds.
    pub peak_memory: u64,
    /// Bytes read and written.
    pub io: Io,
}

impl Run {
    /// The run itself when it succeeded.
    ///
    /// # Errors
    /// Shows what the program said when it did not.
    pub fn success(self) -> Result<Self> {
        ensure!(
            self.status.success(),
            "{}\n{}{}",
            self.status,
            self.stderr,
            self.stdout
        );
        Ok(self)
    }

    /// The cost of this run and of one that followed it.
    #[must_use]
    pub fn then(mut self, next: &Self) -> Self {
        self.status = next.status;
        self.stdout.push_str(&next.stdout);
        self.stderr.push_str(&next.stderr);
        self.time += next.time;
        self.peak_memory = self.peak_memory.max(next.peak_memory);
        self.io = self.io + next.io;
        self
    }
}

/// Bytes that a process moved, as the kernel counts them in `/proc/PID/io`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Io {
    /// Given to the process by read calls, wherever they came from (`rchar`).
    pub read: u64,
    /// Handed over by write calls (`wchar`).
    pub written: u64,
    /// Fetched from disk (`read_bytes`).
    pub from_disk: u64,
}

impl Io {
    /// The counters of a process that runs or has not been waited for. A counter is 0 where the
    /// kernel does not show it.
    pub fn of(pid: u32) -> Self {
        let text = fs_err::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        Self {
            read: field(&text, "rchar:"),
            written: field(&text, "wchar:"),
            from_disk: field(&text, "read_bytes:"),
        }
    }

    /// What was moved since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            read: self.read.saturating_sub(earlier.read),
            written: self.written.saturating_sub(earlier.written),
            from_disk: self.from_disk.saturating_sub(earlier.from_disk),
        }
    }
}

impl std::ops::Add for Io {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            written: self.written + other.written,
            from_disk: self.from_disk + other.from_disk,
        }
    }
}

/// Runs a command to its end and measures it.
///
/// # Errors
/// When it cannot be started; a program that fails is a [`Run`] all the same.
pub fn measure(command: &mut Command) -> Result<Run> {
    let program = command.get_program().to_owned();
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let number = child.id();
    let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
    let pid = pid.context("a process without id")?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (peak, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let stdout = scope.spawn(|| text_of(stdout));
        let stderr = scope.spawn(|| text_of(stderr));
        scope.spawn(|| watch_memory(number, &peak, &ended));
        // The process is left as it ended, so that its counters can still be read.
        let waited = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        );
        let time = begin.elapsed();
        ended.store(true, Ordering::Relaxed);
        waited.context("wait for a process")?;
        let io = Io::of(number);
        Ok(Run {
            status: child.wait()?,
            stdout: stdout.join().unwrap_or_default(),
            stderr: stderr.join().unwrap_or_default(),
            time,
            peak_memory: peak.load(Ordering::Relaxed),
            io,
        })
    })
}

/// Bytes on disk below `path`: blocks in use, holes not counted.
///
/// # Errors
/// When a directory cannot be read; files that vanish meanwhile count nothing.
pub fn size_on_disk(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = 0;
    for entry in fs_err::read_dir(path)? {
        let entry = entry?;
        let Ok(metadata) = fs_err::symlink_metadata(entry.path()) else {
            continue;
        };
        sum += metadata.blocks() * 512;
        if metadata.is_dir() {
            sum += size_on_disk(&entry.path())?;
        }
    }
    Ok(sum)
}

fn text_of(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What came before an error is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The kernel keeps the peak itself, so that only growth in the last moments can be missed.
fn watch_memory(pid: u32, peak: &AtomicU64, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        let text = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        peak.fetch_max(field(&text, "VmHWM:") * 1024, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// The number after `name` at the start of a line.
fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let number = value.and_then(|value| value.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;

    #[test]
    fn a_process_is_measured_with_its_output_and_status() {
        let scratch = Scratch::new().unwrap();
        let file = scratch.join("file");
        fs_err::write(&file, vec![b'x'; 3 << 20]).unwrap();
        let script = "wc -c < \"$1\"; sleep 2; echo bad >&2; exec dd if=\"$1\" of=/dev/null bs=1M";
        let run = measure(Command::new("sh").args(["-c", script, "sh"]).arg(&file)).unwrap();
        assert!(run.status.success() && run.stdout.starts_with("3145728"));
        assert!(run.stderr.starts_with("bad"));
        assert!(run.time >= Duration::from_secs(2), "{:?}", run.time);
        assert!(run.peak_memory > 100 << 10, "{}", run.peak_memory);
        assert!(run.io.read >= 3 << 20, "{:?}", run.io);
    }

    #[test]
    fn a_failed_process_is_an_error_with_its_words() {
        let run = measure(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap();
        assert_eq!(run.status.code(), Some(3));
        assert!(run.success().unwrap_err().to_string().contains("why"));
    }

    #[test]
    fn holes_take_no_space() {
        let scratch = Scratch::new().unwrap();
        let file = fs_err::File::create(scratch.join("file")).unwrap();
        file.set_len(1 << 30).unwrap();
        assert!(size_on_disk(scratch.path()).unwrap() < 1 << 20);
    }
}
