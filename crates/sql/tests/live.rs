//! Statements against a real server: errors with their numbers, states and words.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod world;

use std::collections::BTreeSet;

use sql::{Identity, Session};
use world::{World, by_the_server, refused, rows};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn errors_have_the_numbers_states_and_words_of_the_server() {
    let world = World::new();
    let mut session = world.session();
    let (empty, file, plain) = (world.path("empty"), world.path("file"), world.path("plain"));
    std::fs::create_dir(&empty).unwrap();
    std::fs::write(&file, "").unwrap();
    session
        .execute(&format!("CLONE LOCAL DATA DIRECTORY '{plain}'"))
        .unwrap();
    let history = rows(&mut session, "SELECT COUNT(*) FROM mysql.clone_history");
    let local = |directory: &str| format!("CLONE LOCAL DATA DIRECTORY = '{directory}'");
    let long = format!("/{}", "x".repeat(511));
    let new = world.path("new");
    let remote = "CLONE INSTANCE FROM u@h:1 IDENTIFIED BY 'hunter2' DATA DIRECTORY '/d'";
    for (sql, code, state, message) in [
        (local("relative"), 1525, "HY000", "Incorrect path value: 'relative'".to_owned()),
        (local(""), 1525, "HY000", "Incorrect path value: ''".to_owned()),
        (local(&long), 1680, "HY000", "The path specified for DATA DIRECTORY is too long.".to_owned()),
        (local(&empty), 1007, "HY000", format!("Can't create database '{empty}'; database exists")),
        (
            local(&format!("{file}/x")),
            1006,
            "HY000",
            format!("Can't create database '{file}/x/' (errno: 20 - Not a directory)"),
        ),
        (
            format!("{} INCREMENT BASED DIRECTORY '{empty}' ENABLE PAGE TRACK", local(&new)),
            1024,
            "HY000",
            format!("Error reading file '{empty}/#clone/#clone_checkpoints' (errno: 2 - No such file or directory)"),
        ),
        (
            format!("{} INCREMENT BASED DIRECTORY 'x' ENABLE PAGE TRACK", local(&new)),
            1525,
            "HY000",
            "Incorrect path value: 'x'".to_owned(),
        ),
        (
            format!("{} START_LSN = 20000", local(&new)),
            3803,
            "HY000",
            "Tracking was not enabled for the LSN range specified".to_owned(),
        ),
        (
            format!("{} INCREMENT BASED DIRECTORY '{plain}' ENABLE PAGE TRACK", local(&new)),
            3803,
            "HY000",
            "Tracking was not enabled for the LSN range specified".to_owned(),
        ),
        (
            format!("{} START_LSN = 9223372036854775806", local(&new)),
            3803,
            "HY000",
            "Tracking was not enabled for the LSN range specified".to_owned(),
        ),
        (
            remote.to_owned(),
            3869,
            "HY000",
            "Clone system configuration: h:1 is not found in clone_valid_donor_list: ".to_owned(),
        ),
        (
            "SET GLOBAL clone_valid_donor_list = 'a:1, b:2'".to_owned(),
            3869,
            "HY000",
            "Clone system configuration: Invalid Format. Please enter \
             \"<hostname1>:<port1>,...\"' with no extra space"
                .to_owned(),
        ),
        ("KILL 99".to_owned(), 1094, "HY000", "Unknown thread id: 99".to_owned()),
        ("SELECT * FROM mysql.user".to_owned(), 1146, "42S02", "Table 'mysql.user' doesn't exist".to_owned()),
        ("SHOW TABLES".to_owned(), 1046, "3D000", "No database selected".to_owned()),
        ("USE test".to_owned(), 1049, "42000", "Unknown database 'test'".to_owned()),
        ("SELECT @@nothing".to_owned(), 1193, "HY000", "Unknown system variable 'nothing'".to_owned()),
        (
            "SET clone_ddl_timeout = 1".to_owned(),
            1229,
            "HY000",
            "Variable 'clone_ddl_timeout' is a GLOBAL variable and should be set with SET GLOBAL".to_owned(),
        ),
        (
            "SET GLOBAL clone_incremental_dir = '/x'".to_owned(),
            1238,
            "HY000",
            "Variable 'clone_incremental_dir' is a read only variable".to_owned(),
        ),
        (
            "SET GLOBAL clone_file_compress = CLONE_FILE_COMPRESS_GZIP".to_owned(),
            1231,
            "42000",
            "Variable 'clone_file_compress' can't be set to the value of 'CLONE_FILE_COMPRESS_GZIP'".to_owned(),
        ),
        (
            "INSTALL COMPONENT 'file://component_validate_password'".to_owned(),
            1235,
            "42000",
            "This version of MySQL doesn't yet support 'file://component_validate_password'".to_owned(),
        ),
    ] {
        let error = refused(&mut session, &sql);
        let found = (error.code, error.sqlstate.as_str(), error.message.as_str());
        assert_eq!(found, (code, state, message.as_str()), "{sql}");
    }
    let others = "SELECT COUNT(*) FROM mysql.clone_history WHERE ERROR_NO <> 3803";
    assert_eq!(rows(&mut session, others), history);
    // These are found out by a clone that has begun.
    let begun =
        "SELECT COUNT(*) FROM mysql.clone_history WHERE ERROR_NO = 3803 AND STATE = 'Failed'";
    assert_eq!(rows(&mut session, begun), "3");
    assert!(!std::path::Path::new(&new).exists(), "nothing half-made");

    // Tracking that began after the LSN asked for.
    let lsn = rows(&mut session, "SELECT mysqlbackup_page_track_set(true)");
    assert!(lsn.parse::<u64>().unwrap() > 20000);
    let error = refused(&mut session, &format!("{} START_LSN = 20000", local(&new)));
    let message = "Internal error: page_archiver Can't set postion - No matching reset point.";
    assert_eq!((error.code, error.message.as_str()), (1815, message));
    let warnings = rows(&mut session, "SHOW WARNINGS");
    assert!(warnings.starts_with("Error\t1815\t"), "{warnings}");
    assert!(
        warnings.contains("\nNote\t1105\tThere is no start point of page tracking"),
        "{warnings}"
    );
}

#[test]
fn who_may_not_is_told_what_is_missing() {
    let world = World::new();
    let mut nobody = Session::new(
        &world.service,
        7,
        Identity {
            user: "poor".to_owned(),
            host: "10.0.0.1".to_owned(),
            privileges: BTreeSet::new(),
        },
        || (),
    );
    let needs = |privilege: &str| {
        format!(
            "Access denied; you need (at least one of) the {privilege} privilege(s) for this operation"
        )
    };
    for (sql, code, message) in [
        (
            "CLONE LOCAL DATA DIRECTORY '/x'",
            1227,
            needs("BACKUP_ADMIN"),
        ),
        (
            "CLONE INSTANCE FROM a@b:1 IDENTIFIED BY 'p'",
            1227,
            needs("BACKUP_ADMIN"),
        ),
        (
            "SELECT mysqlbackup_page_track_set(0)",
            1227,
            needs("BACKUP_ADMIN"),
        ),
        (
            "SET PERSIST clone_ddl_timeout = 1",
            1227,
            needs("SUPER or SYSTEM_VARIABLES_ADMIN"),
        ),
        (
            "RESET PERSIST",
            1227,
            needs("SUPER or SYSTEM_VARIABLES_ADMIN"),
        ),
        (
            "SHOW MASTER STATUS",
            1227,
            needs("SUPER, REPLICATION CLIENT"),
        ),
        (
            "SELECT * FROM performance_schema.clone_status",
            1142,
            "SELECT command denied to user 'poor'@'10.0.0.1' for table 'clone_status'".to_owned(),
        ),
        (
            "SHOW CREATE TABLE mysql.clone_history",
            1142,
            "SELECT command denied to user 'poor'@'10.0.0.1' for table 'clone_history'".to_owned(),
        ),
        (
            "UNINSTALL COMPONENT 'file://component_mysqlbackup'",
            1142,
            "INSERT command denied to user 'poor'@'10.0.0.1' for table 'component'".to_owned(),
        ),
    ] {
        let error = refused(&mut nobody, sql);
        assert_eq!((error.code, error.message), (code, message), "{sql}");
    }
    let other = Session::new(&world.service, 8, Identity::local("root"), || ());
    assert_eq!(refused(&mut nobody, "KILL 8").code, 1095);
    assert_eq!(
        rows(&mut nobody, "SELECT ID FROM information_schema.PROCESSLIST"),
        "7"
    );
    assert!(!other.is_killed());
    assert_eq!(refused(&mut nobody, "KILL 7").code, 1317);
    assert_eq!(refused(&mut nobody, "SELECT 1").code, 1317);
}

#[test]
fn an_instance_that_is_gone_is_an_error_and_not_the_end() {
    let mut world = World::new();
    let mut session = world.session();
    world.server.stop().unwrap();
    for sql in [
        "SHOW BINARY LOGS",
        "SHOW STATUS",
        "CLONE LOCAL DATA DIRECTORY '/nonexistent/x'",
    ] {
        let error = refused(&mut session, sql);
        assert_eq!(
            (error.code, error.sqlstate.as_str()),
            (1105, "HY000"),
            "{error}"
        );
    }
    // One that should have been made and was not is known.
    assert_eq!(
        rows(&mut session, "SELECT STATE FROM mysql.clone_history"),
        "Failed"
    );
}

#[test]
fn directories_and_donors_are_refused_as_by_the_plugin() {
    let world = World::new();
    let mut session = world.session();
    let (empty, file) = (world.path("empty"), world.path("file"));
    std::fs::create_dir(&empty).unwrap();
    std::fs::write(&file, "").unwrap();
    let datadir = world.server.datadir().to_str().unwrap();
    let long = format!("/{}", "x".repeat(511));
    for directory in [
        "relative",
        "",
        &long,
        &empty,
        &file,
        &format!("{file}/x"),
        &format!("{datadir}/x"),
    ] {
        let sql = format!("CLONE LOCAL DATA DIRECTORY = '{directory}'");
        let found = refused(&mut session, &sql).to_string();
        assert_eq!(found, by_the_server(&world.server, &sql), "{sql}");
    }
    for list in ["DEFAULT", "'a:1'", "'a:1,H:2'"] {
        let set = format!("SET GLOBAL clone_valid_donor_list = {list}");
        session.execute(&set).unwrap();
        world.server.sql(&set).unwrap();
        let sql = "CLONE INSTANCE FROM u@H:1 IDENTIFIED BY 'hunter2' DATA DIRECTORY = '/tmp/x/y'";
        let found = refused(&mut session, sql).to_string();
        let expected = by_the_server(&world.server, sql);
        assert_eq!(found.trim_end(), expected.trim_end(), "{list}");
    }
    for sql in [
        "CLONE LOCAL DATA DIRECTORY",
        "CLONE LOCAL DIRECTORY = '/x'",
        "CLONE INSTANCE FROM u@h: 1 IDENTIFIED BY 'p'",
        "CLONE INSTANCE FROM u@h:1 DATA DIRECTORY = '/x'",
        "KILL 5 6",
        "SHOW NOTHING",
        "SELECT $$",
        "SELECT 1 FROM",
        "SET GLOBAL",
    ] {
        let found = refused(&mut session, sql).to_string();
        let expected = by_the_server(&world.server, sql).replace("BY 'p'", "BY <secret>");
        assert_eq!(found, expected, "{sql}");
    }
}
