//! The daemon as its configuration file says.

use std::path::Path;

use crate::common::run;
use crate::common::world::World;
use crate::daemon::{Daemon, run_with};

/// The example of the guide, with what is of this host put in its place.
fn example(world: &World, password: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guide = std::fs::read_to_string(root.join("docs/guide.md")).unwrap();
    let blocks = guide.split("```toml\n").skip(1);
    let mut blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let block = blocks.find(|block| block.contains("listen =")).unwrap();
    let hash = sql::endpoint::hashed(&wire::Secret::new(password)).unwrap();
    let pems = root.join("crates/wire/tests/data");
    let mut text = block.to_owned();
    for (shown, real) in [
        ("127.0.0.1:3307", "127.0.0.1:0".to_owned()),
        ("/run/innoclone/innoclone.sock", world.path("endpoint")),
        (
            "/etc/innoclone/cert.pem",
            pems.join("server.pem").display().to_string(),
        ),
        (
            "/etc/innoclone/key.pem",
            pems.join("server-key.pem").display().to_string(),
        ),
        (
            "/etc/innoclone/rsa.pem",
            world
                .server
                .datadir()
                .join("private_key.pem")
                .display()
                .to_string(),
        ),
        ("0x24412430303524…", hash),
    ] {
        assert!(text.contains(shown), "{shown} is not in the example");
        text = text.replace(shown, &real);
    }
    text
}

fn started(world: World, config: &str) -> Daemon {
    let file = world.path("serve.toml");
    std::fs::write(&file, config).unwrap();
    let command = world.to_server(&["serve", "--config", &file]);
    Daemon::by(world, command)
}

#[test]
fn the_example_of_the_guide_works_on_every_way() {
    let world = World::new();
    let config = example(&world, "p w");
    let daemon = started(world, &config);
    let public = daemon.world.server.datadir().join("public_key.pem");
    let public = format!("--server-public-key-path={}", public.display());
    let way = |words: &[&str], password: &str, statement: &str| {
        let mut command = daemon.by_tcp("operator", words);
        run(command
            .env("MYSQL_PWD", password)
            .args(["--execute", statement]))
    };
    // The first login over plain TCP: the password travels, by the key of the file.
    let plain = ["--ssl-mode=DISABLED", &public];
    let shown = way(&plain, "p w", "SHOW SESSION STATUS LIKE 'Ssl_cipher'").expect(0);
    assert_eq!(shown.stdout, "Variable_name\tValue\nSsl_cipher\t\n");
    // Now it is known, and need not.
    way(&["--ssl-mode=DISABLED"], "p w", "SELECT 1").expect(0);
    let denied = way(&["--ssl-mode=DISABLED"], "wrong", "SELECT 1");
    assert!(
        denied.stderr.contains("ERROR 1045 (28000)"),
        "{}",
        denied.stderr
    );

    let ca = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire/tests/data/ca.pem");
    let ca = format!("--ssl-ca={}", ca.display());
    for (version, cipher) in [("TLSv1.3", "TLS_AES_"), ("TLSv1.2", "ECDHE-")] {
        let only = format!("--tls-version={version}");
        let words = ["--ssl-mode=VERIFY_CA", &ca, &only];
        let status = "SHOW SESSION STATUS WHERE Variable_name LIKE 'Ssl%'";
        let with_commands = [words[0], words[1], words[2], "--commands"];
        let shown = way(&words, "p w", status).expect(0).stdout;
        assert!(
            shown.contains(&format!("Ssl_version\t{version}\n")),
            "{shown}"
        );
        assert!(shown.contains(&format!("Ssl_cipher\t{cipher}")), "{shown}");
        // The client shows what it knows of the cipher; the server says the same.
        let shown = way(&with_commands, "p w", "status").expect(0).stdout;
        let line = shown.lines().find(|line| line.starts_with("SSL:")).unwrap();
        let used = line.rsplit(' ').next().unwrap();
        let told = way(&words, "p w", "SHOW STATUS LIKE 'ssl_cipher'").expect(0);
        assert!(
            told.stdout.contains(&format!("Ssl_cipher\t{used}\n")),
            "{line}"
        );
        for begin in [
            "Connection id:",
            "Current user:\t\toperator@",
            "Uptime:",
            "Threads: ",
        ] {
            assert!(
                shown
                    .lines()
                    .any(|line| line.starts_with(begin) || line.contains(begin)),
                "{shown}"
            );
        }
    }

    // What the user may do.
    let mut command = daemon.client("operator");
    command.env("MYSQL_PWD", "p w");
    let set = daemon.world.path("set");
    run_with(command, &format!("CLONE LOCAL DATA DIRECTORY = '{set}';")).expect(0);
    let refused = way(&plain, "p w", "SET GLOBAL clone_ddl_timeout = 1");
    assert!(refused.stderr.contains("ERROR 1227"), "{}", refused.stderr);
    daemon.stop();
}

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

#[test]
fn hundreds_of_clients_are_served_up_to_the_limit() {
    let world = World::new();
    let config = format!("max-connections = 220\n{}", example(&world, "p"));
    let daemon = started(world, &config);
    let options = wire::ConnectOptions {
        endpoint: wire::Endpoint::Socket(daemon.world.path("endpoint").into()),
        user: "operator".to_owned(),
        password: Some("p".into()),
        connect_timeout: crate::daemon::PATIENCE,
        ..wire::ConnectOptions::default()
    };
    let connect = || wire::Connection::connect(&options).unwrap();
    let mut first = connect();
    let before = resident(daemon.pid());
    let mut idle: Vec<_> = (0..199).map(|_| connect()).collect();
    let query = "SELECT COUNT(*) FROM mysql.clone_history";
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut active = connect();
                for _ in 0..30 {
                    let count: Option<u64> = active.query_value(query).unwrap();
                    assert_eq!(count, Some(0));
                }
                // Until all are there.
                active
            });
        }
    });
    let open = "SELECT COUNT(*) FROM information_schema.PROCESSLIST";
    let mut wait_for = |count: u64| {
        let begin = std::time::Instant::now();
        while first.query_value(open).unwrap() != Some(count) {
            assert!(begin.elapsed() < crate::daemon::PATIENCE);
        }
    };
    // They were all there at once, and have gone.
    wait_for(200);
    let active: Vec<_> = (0..20).map(|_| connect()).collect();
    let grown = resident(daemon.pid()).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB for 220 connections");
    let refused = run(daemon
        .by_tcp("operator", &["--execute=SELECT 1"])
        .env("MYSQL_PWD", "p"));
    assert!(
        refused.stderr.contains("ERROR 1040 (HY000)"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("Too many connections"),
        "{}",
        refused.stderr
    );
    wait_for(220);
    for connection in &mut idle {
        connection.ping().unwrap();
    }
    drop((idle, active));
    wait_for(1);
    connect().close();
    drop(first);
    daemon.stop();
}
