//! Which process runs a clone, and whether it still does.
//!
//! A process is known by its pid, its start time (field 22 of `/proc/<pid>/stat`, clock ticks since
//! boot) and the boot id, so that a pid used again is not taken for the owner. That fails to see
//! processes of another pid namespace (containers that share the catalogue through a volume), so
//! the owner also holds a lock on a small file, which the kernel drops however the process ends.
//! A clone counts as abandoned only when both say so.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A process of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Process id, in the process's own pid namespace.
    pub(crate) pid: u32,
    /// Start time in clock ticks since boot; unknown without `/proc`.
    pub(crate) start: Option<i64>,
    /// The boot the process belongs to; unknown without `/proc`.
    pub(crate) boot: Option<String>,
}

impl Process {
    /// This process.
    pub(crate) fn current() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            start: running_since(pid),
            boot: boot_id(),
        }
    }

    /// Whether `/proc` shows the process, and not another one with its pid.
    fn is_visible(&self) -> bool {
        if self.boot.is_some() && self.boot != boot_id() {
            return false;
        }
        self.start.is_some() && running_since(self.pid) == self.start
    }
}

/// The lock the owner of a clone holds until the clone has ended.
#[derive(Debug)]
pub(crate) struct RunLock {
    path: PathBuf,
    _file: File,
}

impl RunLock {
    /// Takes the lock of clone `id` in the catalogue's directory.
    pub(crate) fn take(dir: &Path, id: i64) -> std::io::Result<Self> {
        let path = lock_path(dir, id);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        file.try_lock()?;
        Ok(Self { path, _file: file })
    }

    /// Gives the lock back and removes its file.
    pub(crate) fn release(self) {
        // A file that stays behind is harmless: nobody holds it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the owner of clone `id` still runs.
pub(crate) fn is_running(dir: &Path, id: i64, owner: Option<&Process>) -> bool {
    owner.is_some_and(Process::is_visible) || is_locked(&lock_path(dir, id))
}

/// Removes the lock file of a clone whose owner is gone.
pub(crate) fn forget(dir: &Path, id: i64) {
    let _ = fs::remove_file(lock_path(dir, id));
}

fn lock_path(dir: &Path, id: i64) -> PathBuf {
    dir.join(format!("clone-{id}.lock"))
}

fn is_locked(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Start time of a live process: a zombie has ended, it only waits for its parent to notice.
fn running_since(pid: u32) -> Option<i64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (state, start) = parse_stat(&stat)?;
    (!matches!(state, "Z" | "X" | "x")).then_some(start)
}

/// State (field 3) and start time (field 22). Field 2 is the command name, which may hold blanks
/// and parentheses, so counting starts after the last `)`.
fn parse_stat(stat: &str) -> Option<(&str, i64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?.parse().ok()?;
    Some((state, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_of_a_command_with_blanks_and_parentheses_is_read() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        assert_eq!(parse_stat(stat), Some(("S", 987_654)));
        assert_eq!(parse_stat("nothing"), None);
        assert_eq!(parse_stat("42 (a) S 1 2"), None);
    }

    #[test]
    fn this_process_is_visible_and_the_same_pid_with_another_start_is_not() {
        let me = Process::current();
        assert!(me.is_visible());
        let reused = Process {
            start: me.start.map(|s| s + 1),
            ..me.clone()
        };
        assert!(!reused.is_visible());
        let before_reboot = Process {
            boot: Some("another".to_owned()),
            ..me
        };
        assert!(!before_reboot.is_visible());
    }

    #[test]
    fn a_zombie_is_not_running() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::yield_now();
        }
        assert_eq!(running_since(child.id()), None);
        child.wait().unwrap();
    }

    #[test]
    fn a_held_lock_shows_an_owner_that_proc_does_not() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_running(dir.path(), 7, None));
        let lock = RunLock::take(dir.path(), 7).unwrap();
        assert!(is_running(dir.path(), 7, None));
        assert!(!is_running(dir.path(), 8, None));
        drop(lock);
        assert!(!is_running(dir.path(), 7, None));
        RunLock::take(dir.path(), 7).unwrap().release();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
