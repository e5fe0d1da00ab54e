//! Errors of CLONE that come from the disk: too small, or with a limit for files.

use std::process::Command;

use crate::common::world::World;
use crate::daemon::Daemon;
use crate::errors::{failure, local, remote};
use crate::small_disk::Mounted;

#[test]
fn a_disk_that_is_too_small_has_the_servers_numbers() {
    let world = World::new();
    let disk = Mounted::small(&world.dir.join("small"), "size=1m");
    let daemon = Daemon::started(world, &[], |command| *command = disk.inside(command));
    let setup = "CREATE USER good@'%' IDENTIFIED BY 'g'; GRANT BACKUP_ADMIN ON *.* TO good@'%'";
    daemon.world.server.sql(setup).unwrap();
    let port = daemon.world.server.port();
    let list = format!("SET GLOBAL clone_valid_donor_list = '127.0.0.1:{port}';");
    daemon.sql(&list);

    // Before anything is written.
    let set = daemon.world.path("small/remote");
    let (told, row) = failure(&daemon, "root", &remote("good", port, &set));
    let start = "3873 (HY000): Clone estimated database size is ";
    let end = " bytes is not enough.";
    assert!(told.starts_with(start) && told.ends_with(end), "{told}");
    let row = row.unwrap();
    assert!(row.starts_with("Failed 3873: Clone estimated"), "{row}");
    assert!(!disk.join("remote").exists());

    // Nobody knows before how large a local one will be.
    let set = daemon.world.path("small/local");
    let (told, row) = failure(&daemon, "root", &local(&set));
    let start = format!("1021 (HY000): Disk full ({set}/");
    let end = ") (errno: 28 - No space left on device)";
    assert!(told.starts_with(&start) && told.ends_with(end), "{told}");
    let row = row.unwrap();
    assert!(
        row.starts_with("Failed 1021: ") && row.contains(&set),
        "{row}"
    );
    daemon.stop();
}

/// Also what a quota is told by: the file cannot be written, and the disk is not full.
#[test]
fn a_file_that_may_not_grow_has_the_servers_number() {
    let world = World::new();
    let daemon = Daemon::started(world, &[], |command| *command = limited(command));
    let set = daemon.world.path("set");
    let (told, row) = failure(&daemon, "root", &local(&set));
    let start = format!("1026 (HY000): Error writing file '{set}/");
    let end = "' (errno: 27 - File too large)";
    assert!(told.starts_with(&start) && told.ends_with(end), "{told}");
    let row = row.unwrap();
    assert!(
        row.starts_with("Failed 1026: ") && row.contains(&set),
        "{row}"
    );
    daemon.stop();
}

/// The same command, whose files end at 4 MiB.
fn limited(command: &Command) -> Command {
    let mut limited = Command::new("env");
    let script = "ulimit -f 8192; exec \"$@\"";
    limited.args(["--ignore-signal=XFSZ", "sh", "-c", script, "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}
