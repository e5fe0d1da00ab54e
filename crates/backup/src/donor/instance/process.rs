//! Which process the server is: page tracking cannot be trusted across a restart.

use crate::set::ProcessIdentity;
use std::path::Path;

/// Identifies the server: by the number the kernel gives for the other end of a unix socket, else
/// by its pid file. `None` when the process cannot be shown to be the one on `datadir`.
pub(super) fn identify(
    peer: Option<u32>,
    pid_file: &Path,
    datadir: &Path,
) -> Option<ProcessIdentity> {
    let from_file = || std::fs::read_to_string(pid_file).ok()?.trim().parse().ok();
    let pid = peer.or_else(from_file)?;
    // mysqld changes to its data directory; a stale pid file or a proxy does not pass.
    let works_in = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    if works_in != datadir.canonicalize().ok()? {
        return None;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(ProcessIdentity::Proc {
        pid,
        start: start_time(&stat)?,
        boot: boot.trim().to_owned(),
    })
}

/// Seconds since 1970 at which a process with this start time (clock ticks since boot) started.
pub(super) fn started_at(start: u64) -> Option<i64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    let ticks = rustix::param::clock_ticks_per_second();
    Some(boot.trim().parse::<i64>().ok()? + (start / ticks.max(1)).cast_signed())
}

/// Field 22 of `/proc/PID/stat`. The name in field 2 may hold blanks and parentheses.
fn start_time(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_its_name_and_number() {
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(start_time(&own).unwrap() > 0);
        let odd = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(start_time(odd), Some(4242));
        assert_eq!(start_time("nonsense"), None);
    }

    #[test]
    fn a_process_elsewhere_is_not_the_server() {
        let pid = std::process::id();
        let here = std::env::current_dir().unwrap();
        let found = identify(Some(pid), Path::new("/nowhere"), &here);
        assert!(matches!(found, Some(ProcessIdentity::Proc { pid: same, .. }) if same == pid));
        assert_eq!(
            identify(Some(pid), Path::new("/nowhere"), Path::new("/tmp")),
            None
        );
    }
}
