//! Clients of other people, each with a script of its own in the folder `clients`: they log in on
//! every way, set variables, clone, read the tables, prepare statements, and kill.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::ForeignClients;

use crate::common::Ended;
use crate::common::world::World;
use crate::daemon::Daemon;

/// Runs a script against a daemon with a user of its own, `operator`, and one of the instance, `local`.
#[track_caller]
fn check(name: &str, command: impl Fn(&ForeignClients, &Path) -> Command) {
    let clients = ForeignClients::find().unwrap();
    let world = World::new();
    world
        .server
        .sql("CREATE USER local@localhost IDENTIFIED WITH caching_sha2_password BY 'secret 2'")
        .unwrap();
    let hash = sql::endpoint::hashed(&wire::Secret::new("secret 1")).unwrap();
    let config = world.path("serve.toml");
    let text = format!("local-accounts = true\n[users.operator]\npassword = \"{hash}\"\n");
    std::fs::write(&config, text).unwrap();
    let daemon = Daemon::on(world, &["--config", &config]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/clients");
    let mut command = command(&clients, &folder.join(name));
    command.args([
        daemon.world.path("endpoint"),
        daemon.port.clone(),
        daemon.world.path("sets"),
    ]);
    run_within_patience(command, &daemon.world.dir.join("output")).expect(0);
}

/// Runs a script to its end; one that hangs is ended and fails the test with what it has said.
#[track_caller]
fn run_within_patience(mut command: Command, output: &Path) -> Ended {
    let file = std::fs::File::create(output).unwrap();
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap());
    let mut child = command.stderr(file).spawn().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `make clients` fetches what runs it")
    });
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!(
                "{command:?} hangs: {}",
                std::fs::read_to_string(output).unwrap()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    Ended {
        status: status.code(),
        stdout: std::fs::read_to_string(output).unwrap(),
        stderr: String::new(),
    }
}

#[test]
fn pymysql_logs_in_clones_and_kills() {
    check("by_pymysql.py", ForeignClients::python);
}

#[test]
fn connector_python_logs_in_prepares_clones_and_kills() {
    check("by_connector.py", ForeignClients::python);
}

#[test]
fn mysql2_of_node_logs_in_prepares_clones_and_kills() {
    check("by_mysql2.js", ForeignClients::node);
}

const PATIENCE: Duration = Duration::from_secs(600);
