//! `innoclone sql -e`: statements without a daemon, against a real server.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod common;

use common::Ended;
use common::world::World;
use testkit::Server;

fn sql(world: &World, statement: &str) -> Ended {
    world.run(&["sql", "-e", statement])
}

/// The first value of the first row.
fn value(world: &World, statement: &str) -> String {
    let ended = world.run(&["--json", "sql", "-e", statement]).expect(0);
    let json = ended.json();
    let value = &json["sql"][0]["rows"][0][0];
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn clones_are_made_queried_and_restored_by_statements() {
    let world = World::new();
    world
        .server
        .sql("CREATE DATABASE test; CREATE TABLE test.t (id INT PRIMARY KEY); INSERT INTO test.t VALUES (1)")
        .unwrap();
    let (full, incr, third) = (world.path("full"), world.path("incr"), world.path("third"));

    let lsn = value(&world, "SELECT mysqlbackup_page_track_set(true)");
    assert!(lsn.parse::<u64>().unwrap() > 0, "{lsn}");
    let made = format!("CLONE LOCAL DATA DIRECTORY = '{full}' ENABLE PAGE TRACK;");
    assert_eq!(
        sql(&world, &made).expect(0).stdout,
        "Query OK, 0 rows affected\n"
    );
    world.server.sql("INSERT INTO test.t VALUES (2)").unwrap();
    let made = format!(
        "CLONE LOCAL DATA DIRECTORY = '{incr}' ENABLE PAGE TRACK INCREMENT BASED DIRECTORY '{full}'"
    );
    sql(&world, &made).expect(0);
    world.server.sql("INSERT INTO test.t VALUES (3)").unwrap();
    let start = value(
        &world,
        "SELECT PAGE_TRACK_LSN FROM mysql.clone_history WHERE ID = 2",
    );
    let made =
        format!("CLONE LOCAL DATA DIRECTORY = '{third}' ENABLE PAGE TRACK START_LSN = {start}");
    sql(&world, &made).expect(0);

    let rows = "SELECT CLONE_TYPE, STATE FROM mysql.clone_history ORDER BY ID";
    let table = sql(&world, rows).expect(0).stdout;
    assert_eq!(
        table.matches("| increment clone | Completed |").count(),
        2,
        "{table}"
    );
    let shown = sql(&world, "SELECT * FROM mysql.clone_history\\G")
        .expect(0)
        .stdout;
    assert!(shown.contains("\n     CLONE_TYPE: full clone\n"), "{shown}");
    assert_eq!(
        value(
            &world,
            "SELECT COUNT(*) FROM performance_schema.clone_progress"
        ),
        "21"
    );
    assert_eq!(
        value(
            &world,
            "SELECT COUNT(DISTINCT STAGE) FROM performance_schema.clone_progress WHERE STATE = 'Completed'"
        ),
        "5"
    );

    let data = world.path("data");
    world
        .run_alone(&[
            "restore", &third, "--to", &data, "--chain", &full, "--chain", &incr,
        ])
        .expect(0);
    let restored = Server::start_on(data.as_ref(), &[]).unwrap();
    assert_eq!(
        restored.query_value("SELECT SUM(id) FROM test.t").unwrap(),
        "6"
    );
}

#[test]
fn variables_are_set_shown_and_kept() {
    let world = World::new();
    let set = "SET GLOBAL clone_ddl_timeout = 7; SELECT @@global.clone_ddl_timeout";
    assert!(sql(&world, set).expect(0).stdout.contains(" 7 |"));
    sql(&world, "SET PERSIST clone_max_concurrency = 3").expect(0);
    let shown = sql(&world, "SHOW GLOBAL VARIABLES LIKE 'clone\\_max\\_conc%'")
        .expect(0)
        .stdout;
    assert!(shown.contains("| clone_max_concurrency | 3"), "{shown}");
    let seen = value(&world, "SELECT @@global.clone_ddl_timeout");
    assert_eq!(seen, "300", "not persisted");
    let lsn = sql(&world, "SHOW GLOBAL STATUS LIKE '%lsn%'")
        .expect(0)
        .stdout;
    assert_eq!(lsn.matches("| Innodb_").count(), 6, "{lsn}");
    let ended = sql(&world, "SET GLOBAL clone_ddl_timeout = 'x'").expect(1);
    assert!(
        ended.stderr.contains("ERROR 1232 (42000)"),
        "{}",
        ended.stderr
    );
}
