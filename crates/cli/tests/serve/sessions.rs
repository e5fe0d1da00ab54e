//! What clients do besides: their own small talk, many at once, without rights.

use std::process::Stdio;

use crate::common::Ended;
use crate::daemon::{Daemon, run_with};

#[test]
fn the_small_talk_of_clients_is_answered() {
    let daemon = Daemon::new(&[]);
    for statement in [
        "select @@version_comment limit 1",
        "SET NAMES utf8mb4",
        "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_0900_ai_ci'",
        "SET autocommit=0",
        "SET @@session.autocommit = OFF",
        "SET AUTOCOMMIT = 1, sql_mode = concat(@@sql_mode,',STRICT_TRANS_TABLES')",
        "SELECT @@max_allowed_packet,@@system_time_zone,@@time_zone,@@auto_increment_increment",
        "select DATABASE(), USER() limit 1",
        "select @@character_set_client, @@character_set_connection, @@character_set_server, @@character_set_database limit 1",
        "SHOW WARNINGS",
        "SELECT 1",
        "BEGIN; COMMIT; ROLLBACK",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "show databases; use mysql; show tables; use performance_schema",
        "SHOW VARIABLES LIKE 'lower_case_%'",
        "DESC mysql.clone_history; SHOW FULL COLUMNS FROM performance_schema.clone_status",
        "SHOW FULL PROCESSLIST; SHOW GRANTS",
        "status",
    ] {
        daemon.sql(&format!("{statement};"));
    }
    assert_eq!(daemon.value("SELECT @@autocommit"), "1");
    let unknown = daemon.run("USE nothing;");
    assert!(
        unknown.stderr.contains("ERROR 1049 (42000)"),
        "{}",
        unknown.stderr
    );
    let warned = daemon.sql("SET GLOBAL clone_max_concurrency = 1000; SHOW WARNINGS;");
    assert!(
        warned.contains("Truncated incorrect clone_max_concurrency value: '1000'"),
        "{warned}"
    );
}

#[test]
fn accounts_of_the_instance_may_do_what_they_may_do_there() {
    let daemon = Daemon::new(&[]);
    let server = &daemon.world.server;
    server
        .sql("CREATE USER poor@localhost IDENTIFIED BY 'p'; CREATE USER rich@localhost IDENTIFIED BY 'r'; \
              GRANT BACKUP_ADMIN ON *.* TO rich@localhost")
        .unwrap();
    let as_user = |user: &str, password: &str, statement: &str| {
        let mut command = daemon.client(user);
        command.env("MYSQL_PWD", password);
        run_with(command, statement)
    };
    for (user, password) in [("poor", "x"), ("nobody", "p"), ("poor", "")] {
        let denied = as_user(user, password, "SELECT 1;");
        assert!(
            denied.stderr.contains("ERROR 1045 (28000)"),
            "{}",
            denied.stderr
        );
    }
    let dir = daemon.world.path("x");
    let clone = format!("CLONE LOCAL DATA DIRECTORY '{dir}';");
    for (statement, code) in [
        (clone.as_str(), "ERROR 1227 (42000)"),
        (
            "SELECT mysqlbackup_page_track_set(true);",
            "ERROR 1227 (42000)",
        ),
        ("SET GLOBAL clone_ddl_timeout = 1;", "ERROR 1227 (42000)"),
        ("SHOW BINARY LOGS;", "ERROR 1227 (42000)"),
        ("SELECT * FROM mysql.clone_history;", "ERROR 1142 (42000)"),
        (
            "INSTALL COMPONENT 'file://component_mysqlbackup';",
            "ERROR 1142 (42000)",
        ),
    ] {
        let refused = as_user("poor", "p", statement);
        assert!(
            refused.stderr.contains(code),
            "{statement}\n{}",
            refused.stderr
        );
    }
    // Clones are made by the account of the daemon; who may ask for them is who could by CLONE.
    as_user("rich", "r", &clone).expect(0);
    let shown = as_user("poor", "p", "SHOW PROCESSLIST;").expect(0).stdout;
    assert!(shown.contains("poor") && !shown.contains("root"), "{shown}");
    let own = as_user("rich", "r", "KILL 4000000;");
    assert!(own.stderr.contains("ERROR 1094"), "{}", own.stderr);
}

#[test]
fn many_clients_come_at_once_by_socket_and_tcp() {
    let daemon = Daemon::new(&[]);
    let mut clients = Vec::new();
    for at in 0..24 {
        let mut command = if at % 3 == 0 {
            daemon.client("root")
        } else {
            let mut command = daemon.world.server.install().command("mysql");
            let port = format!("--port={}", daemon.port);
            command.args(["--host=127.0.0.1", &port, "--user=root"]);
            command
        };
        let query = format!("SELECT {at} + COUNT(*) FROM mysql.clone_history");
        command.args([
            "--skip-table",
            "--batch",
            "--skip-column-names",
            "-e",
            &query,
        ]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        clients.push(command.spawn().unwrap());
    }
    for (at, client) in clients.into_iter().enumerate() {
        let ended = Ended::from(client.wait_with_output().unwrap()).expect(0);
        assert_eq!(ended.stdout.trim(), at.to_string());
    }
}

#[test]
fn users_of_the_configuration_need_no_account_in_the_instance() {
    let world = crate::common::world::World::new();
    let hash = sql::endpoint::hashed(&wire::Secret::new("only here")).unwrap();
    let config = world.path("serve.toml");
    let text = format!(
        "[users.operator]\npassword = \"{hash}\"\nprivileges = [\"BACKUP_ADMIN\", \"SELECT\"]\n"
    );
    std::fs::write(&config, text).unwrap();
    let daemon = Daemon::on(world, &["--config", &config]);
    let mut command = daemon.client("operator");
    command.env("MYSQL_PWD", "only here");
    let dir = daemon.world.path("set");
    let statements =
        format!("CLONE LOCAL DATA DIRECTORY '{dir}'; SELECT STATE FROM mysql.clone_history;");
    let ended = run_with(command, &statements).expect(0);
    assert!(ended.stdout.contains("Completed"), "{}", ended.stdout);
    let root = daemon.run("SELECT 1;");
    assert!(
        root.stderr.contains("ERROR 1045 (28000)"),
        "{}",
        root.stderr
    );
}
