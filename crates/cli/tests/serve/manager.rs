//! What the daemon tells the service manager.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::common::world::World;
use crate::daemon::{Daemon, PATIENCE};

#[test]
fn the_service_manager_is_told_when_the_daemon_is_ready_and_when_it_stops() {
    let world = World::new();
    let path = world.dir.join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut message = [0; 4096];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let daemon = Daemon::started(world, &[], |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    assert_eq!(heard().trim_end(), "READY=1");
    assert_eq!(daemon.value("SELECT 1"), "1");
    daemon.stop();
    assert_eq!(heard().trim_end(), "STOPPING=1");
}

/// A value of the unit in `contrib`.
fn of_unit(key: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/innoclone.service");
    let unit = std::fs::read_to_string(file).unwrap();
    let mut lines = unit.lines();
    let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value
        .unwrap_or_else(|| panic!("no {key} in the unit"))
        .to_owned()
}

#[test]
fn the_unit_of_systemd_runs_the_daemon() {
    assert_eq!(of_unit("Type"), "notify");
    // Longer than the daemon itself waits for its clones to end, before it says that some did not.
    let limit: u64 = of_unit("TimeoutStopSec").parse().unwrap();
    assert!(limit > 60, "systemd would kill it");
    let world = World::new();
    let path = world.dir.join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut message = [0; 4096];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let config = world.path("serve.toml");
    let listen = format!(
        "listen = [\"127.0.0.1:0\", \"{}\"]\n",
        world.path("endpoint")
    );
    std::fs::write(&config, listen).unwrap();
    // As an administrator of the host has it: the program finds its server in an option file.
    let socket = world.server.socket().display();
    let options = format!("[client]\nsocket={socket}\nuser=root\n");
    std::fs::write(world.dir.join(".my.cnf"), options).unwrap();
    let line = of_unit("ExecStart");
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some("/usr/local/bin/innoclone"));
    let (name, _) = of_unit("Environment")
        .split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .unwrap();
    let mut command = std::process::Command::new("env");
    command.args(["--ignore-environment", "--default-signal=INT,TERM,HUP"]);
    command.arg(format!("{name}={}", world.state_dir().display()));
    command.arg(format!("HOME={}", world.path("").trim_end_matches('/')));
    command.arg(format!("NOTIFY_SOCKET={}", path.display()));
    command.arg(env!("CARGO_BIN_EXE_innoclone"));
    for word in words {
        let word = if word == "/etc/innoclone/serve.toml" {
            &config
        } else {
            word
        };
        command.arg(word);
    }
    let daemon = Daemon::by(world, command);
    assert_eq!(heard().trim_end(), "READY=1");
    // A clone that runs, a quarter of an hour long, does not hold the end up.
    daemon.world.server.make_large(1024).unwrap();
    daemon.sql("SET GLOBAL clone_max_data_bandwidth = 1;");
    let set = daemon.world.path("set");
    let mut clone = daemon.client("root");
    clone.args(["-e", &format!("CLONE LOCAL DATA DIRECTORY = '{set}'")]);
    let mut clone = clone.stderr(std::process::Stdio::null()).spawn().unwrap();
    let running = "SELECT COUNT(*) FROM mysql.clone_history WHERE STATE = 'In Progress'";
    daemon.wait_until(running, |count| count == "1");
    let (world, log) = daemon.stop();
    assert_eq!(heard().trim_end(), "STOPPING=1");
    assert!(!clone.wait().unwrap().success());
    assert!(log.lines().all(|line| line.starts_with('{')), "{log}");
    assert_eq!(world.history()[0]["ERROR_NO"], 1317);
}
