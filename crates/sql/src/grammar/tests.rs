use std::path::PathBuf;

use super::parse;
use crate::parser::Parser;
use crate::statement::*;

fn parsed(sql: &str) -> Statement {
    let mut all = Parser::statements(sql).unwrap();
    assert_eq!(all.len(), 1, "{sql}");
    parse(&all.remove(0)).unwrap_or_else(|error| panic!("{sql}\n{error}"))
}

fn refused(sql: &str) -> (u16, String) {
    let error = match Parser::statements(sql) {
        Ok(all) => parse(&all[0]).map(|statement| panic!("{sql}: {statement:?}")),
        Err(error) => Err(error),
    };
    let error = error.unwrap_err();
    (error.code, error.message)
}

fn clone(sql: &str) -> CloneStatement {
    match parsed(sql) {
        Statement::Clone(clone) => clone,
        other => panic!("{sql}: {other:?}"),
    }
}

fn local(page_track: bool, from: From) -> CloneStatement {
    CloneStatement {
        donor: None,
        directory: Some("/d".into()),
        page_track,
        from,
    }
}

#[test]
fn every_tail_of_a_local_clone_is_understood_however_it_is_written() {
    let based = || From::BasedOn(PathBuf::from("/b"));
    let lsn = || From::StartLsn(7);
    for (sql, expected) in [
        (
            "CLONE LOCAL DATA DIRECTORY = '/d'",
            local(false, From::Nothing),
        ),
        (
            "clone local data directory '/d';",
            local(false, From::Nothing),
        ),
        (
            "CLONE LOCAL DATA DIRECTORY := \"/d\"",
            local(false, From::Nothing),
        ),
        (
            "CLONE LOCAL DATA DIRECTORY '/' 'd'",
            local(false, From::Nothing),
        ),
        (
            "CLONE LOCAL DATA DIRECTORY='/d' ENABLE PAGE TRACK",
            local(true, From::Nothing),
        ),
        (
            "CLONE LOCAL DATA DIRECTORY='/d' START_LSN = 7",
            local(false, lsn()),
        ),
        (
            "CLONE LOCAL DATA DIRECTORY='/d' START_LSN 0x7",
            local(false, lsn()),
        ),
        (
            "CLONE LOCAL DATA DIRECTORY='/d' ENABLE PAGE TRACK START_LSN := 7",
            local(true, lsn()),
        ),
        (
            "CLONE LOCAL DATA DIRECTORY='/d' START_LSN=7 ENABLE PAGE TRACK",
            local(true, lsn()),
        ),
        (
            "CLONE LOCAL DATA DIRECTORY='/d' INCREMENT BASED DIRECTORY '/b' ENABLE PAGE TRACK",
            local(true, based()),
        ),
        (
            "CLONE LOCAL /* x */ DATA DIRECTORY = '/d' -- y\n ENABLE PAGE TRACK # z\n INCREMENT \
             BASED DIRECTORY = '/b'",
            local(true, based()),
        ),
        (
            "/*!80000 CLONE */ LOCAL DATA DIRECTORY '/d'",
            local(false, From::Nothing),
        ),
    ] {
        assert_eq!(clone(sql), expected, "{sql}");
    }
}

#[test]
fn a_remote_clone_names_its_donor_in_many_forms() {
    for (account, user, host, port) in [
        ("repl@172.16.16.10:3306", "repl", "172.16.16.10", 3306),
        ("'r e'@'H':1", "r e", "h", 1),
        ("`r`@`::1`:65535", "r", "::1", 65535),
        ("\"r\"@db_1.example:33060", "r", "db_1.example", 33060),
        ("root@localhost:3306", "root", "localhost", 3306),
    ] {
        let sql = format!("CLONE INSTANCE FROM {account} IDENTIFIED BY 'p' DATA DIRECTORY = '/d'");
        let donor = clone(&sql).donor.unwrap();
        assert_eq!(
            (donor.user.as_str(), donor.host.as_str(), donor.port),
            (user, host, port)
        );
        assert_eq!((donor.password.expose(), donor.ssl), ("p", None));
    }
    let full = "CLONE INSTANCE FROM a@b:1 IDENTIFIED BY 'p' DATA DIRECTORY '/d' REQUIRE NO SSL \
                ENABLE PAGE TRACK START_LSN = 5";
    let full = clone(full);
    assert_eq!(full.donor.unwrap().ssl, Some(false));
    assert_eq!((full.page_track, full.from), (true, From::StartLsn(5)));
    let replacing = clone("CLONE INSTANCE FROM a@b:1 IDENTIFIED BY 'p' REQUIRE SSL");
    assert_eq!(
        (replacing.directory, replacing.donor.unwrap().ssl),
        (None, Some(true))
    );
}

#[test]
fn what_is_no_clone_statement_is_a_syntax_error_at_its_place() {
    for (sql, near) in [
        ("CLONE", ""),
        ("CLONE LOCAL", ""),
        ("CLONE LOCAL DATA DIRECTORY", ""),
        ("CLONE LOCAL DATA DIRECTORY = /d", "/d"),
        ("CLONE LOCAL DATA DIRECTORY 'x' ENABLE PAGE", ""),
        (
            "CLONE LOCAL DATA DIRECTORY 'x' INCREMENT BASED DIRECTORY 'y'",
            "",
        ),
        ("CLONE LOCAL DATA DIRECTORY 'x' START_LSN = -1", "-1"),
        (
            "CLONE LOCAL DATA DIRECTORY 'x' START_LSN = 18446744073709551616",
            "18446744073709551616",
        ),
        (
            "CLONE LOCAL DATA DIRECTORY 'x' ENABLE PAGE TRACK START_LSN 1 INCREMENT BASED \
             DIRECTORY 'y'",
            "INCREMENT BASED DIRECTORY 'y'",
        ),
        (
            "CLONE INSTANCE FROM a@b:1 IDENTIFIED BY 'p' ENABLE PAGE TRACK",
            "ENABLE PAGE TRACK",
        ),
        (
            "CLONE INSTANCE FROM a@b:1 IDENTIFIED BY 'p' DATA DIRECTORY 'x' ENABLE PAGE TRACK \
             REQUIRE SSL",
            "REQUIRE SSL",
        ),
        (
            "CLONE INSTANCE FROM a@b :1 IDENTIFIED BY 'p'",
            ":1 IDENTIFIED BY <secret>",
        ),
        (
            "CLONE INSTANCE FROM a@b: 1 IDENTIFIED BY 'p'",
            ": 1 IDENTIFIED BY <secret>",
        ),
        (
            "CLONE INSTANCE FROM a@b:65536 IDENTIFIED BY 'p'",
            "65536 IDENTIFIED BY <secret>",
        ),
        (
            "CLONE INSTANCE FROM a:1 IDENTIFIED BY 'p'",
            ":1 IDENTIFIED BY <secret>",
        ),
        ("CLONE INSTANCE FROM a@b:1 IDENTIFIED BY p", "<secret>"),
        ("CLONE LOCAL DATA DIRECTORY 'x", "'x"),
    ] {
        let (code, message) = refused(sql);
        assert_eq!(code, 1064, "{sql}");
        assert!(
            message.contains(&format!("near '{near}' at line 1")),
            "{sql}\n{message}"
        );
    }
}

#[test]
fn assignments_have_a_scope_a_name_and_a_value() {
    let set = |sql: &str| match parsed(sql) {
        Statement::Set(all) => all,
        other => panic!("{other:?}"),
    };
    let variable = |scope, name: &str, value| Assignment::Variable {
        scope,
        name: name.to_owned(),
        value,
    };
    let zstd = || Expression::Name("CLONE_FILE_COMPRESS_ZSTD".to_owned());
    for sql in [
        "SET GLOBAL clone_file_compress = CLONE_FILE_COMPRESS_ZSTD",
        "set global CLONE_FILE_COMPRESS := CLONE_FILE_COMPRESS_ZSTD",
        "SET @@global.clone_file_compress=CLONE_FILE_COMPRESS_ZSTD;",
    ] {
        assert_eq!(
            set(sql),
            [variable(Scope::Global, "clone_file_compress", zstd())],
            "{sql}"
        );
    }
    assert_eq!(
        set("SET PERSIST a = 1, @@persist_only.b = 'x', c = DEFAULT, @u := 1 + 2, NAMES utf8mb4"),
        [
            variable(Scope::Persist, "a", Expression::Number("1".to_owned())),
            variable(Scope::PersistOnly, "b", Expression::Text("x".to_owned())),
            variable(Scope::Session, "c", Expression::Default),
            Assignment::User {
                name: "u".to_owned(),
                value: Expression::Other("1 + 2".to_owned()),
            },
            Assignment::Session,
        ]
    );
    assert_eq!(
        set("SET a = concat(@@a, ',x'), b = -5"),
        [
            variable(
                Scope::Session,
                "a",
                Expression::Other("concat(@@a, ',x')".to_owned())
            ),
            variable(Scope::Session, "b", Expression::Number("-5".to_owned())),
        ]
    );
    for sql in [
        "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_0900_ai_ci'",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET CHARACTER SET utf8mb4",
    ] {
        assert_eq!(set(sql), [Assignment::Session], "{sql}");
    }
    for sql in ["SET", "SET GLOBAL", "SET a", "SET a =", "SET a = 1,"] {
        assert_eq!(refused(sql).0, 1064, "{sql}");
    }
}

#[test]
fn page_track_functions_are_told_from_other_queries() {
    let call = |sql: &str| match parsed(sql) {
        Statement::PageTrack(call) => call,
        other => panic!("{other:?}"),
    };
    let set = call("SELECT mysqlbackup_page_track_set(true);");
    assert_eq!(set.column, "mysqlbackup_page_track_set(true)");
    assert_eq!(
        (set.function, set.arguments.as_slice()),
        ("mysqlbackup_page_track_set", ["TRUE".to_owned()].as_slice())
    );
    let count = call("select MYSQLBACKUP_page_track_get_changed_page_count( 5 , -1 ) as n");
    assert_eq!((count.column.as_str(), count.arguments.len()), ("n", 2));
    for sql in [
        "SELECT mysqlbackup_page_track_set(sleep(1))",
        "SELECT mysqlbackup_page_track_set(true), user()",
        "SELECT mysqlbackup_page_track_purge_up_to(1); x",
        "SELECT mysqlbackup_page_track_purge_up_to('1')",
        "SELECT mysqlbackup_page_track_purge_up_to(1e3)",
        "SELECT mysqlbackup_page_track_set()",
    ] {
        let all = Parser::statements(sql).unwrap();
        let refused = all.iter().any(|parser| parse(parser).is_err());
        assert!(refused, "{sql}");
    }
    assert_eq!(parsed("SELECT 1"), Statement::Query);
}

#[test]
fn shows_and_the_rest_are_understood() {
    let none = || Filter::None;
    let history = || TableName {
        schema: Some("mysql".to_owned()),
        name: "clone_history".to_owned(),
    };
    for (sql, expected) in [
        ("SHOW MASTER STATUS", Show::BinaryLogStatus),
        ("SHOW BINARY LOG STATUS", Show::BinaryLogStatus),
        ("SHOW BINARY LOGS;", Show::BinaryLogs),
        ("SHOW PROCESSLIST", Show::ProcessList { full: false }),
        ("show full processlist", Show::ProcessList { full: true }),
        (
            "SHOW CREATE TABLE `mysql`.clone_history",
            Show::CreateTable(history()),
        ),
        (
            "SHOW GLOBAL STATUS LIKE '%lsn%'",
            Show::Status {
                filter: Filter::Like("%lsn%".to_owned()),
            },
        ),
        (
            "SHOW VARIABLES WHERE Variable_name = 'x'",
            Show::Variables {
                scope: Scope::Session,
                filter: Filter::Where { from: 3 },
            },
        ),
        (
            "SHOW COLUMNS FROM clone_history IN mysql",
            Show::Columns {
                table: history(),
                full: false,
                filter: none(),
            },
        ),
        (
            "DESC mysql.clone_history",
            Show::Columns {
                table: history(),
                full: false,
                filter: none(),
            },
        ),
        (
            "SHOW WARNINGS LIMIT 5",
            Show::Warnings {
                errors_only: false,
                count: false,
            },
        ),
    ] {
        assert_eq!(parsed(sql), Statement::Show(expected), "{sql}");
    }
    let kill = |id, what| Statement::Kill { id, what };
    assert_eq!(parsed("KILL 11;"), kill(11, Killed::Connection));
    assert_eq!(parsed("kill query 11"), kill(11, Killed::Query));
    assert_eq!(parsed("KILL CONNECTION 11"), kill(11, Killed::Connection));
    assert_eq!(
        parsed("INSTALL COMPONENT \"file://component_mysqlbackup\""),
        Statement::Component {
            install: true,
            urns: vec!["file://component_mysqlbackup".to_owned()],
        }
    );
    for sql in [
        "KILL",
        "KILL x",
        "SHOW",
        "SHOW FULL VARIABLES",
        "select $$ from",
        "$$",
        "FOO",
    ] {
        let is_query = sql.starts_with("select");
        assert_eq!(Parser::statements(sql).unwrap().len(), 1);
        assert!(is_query || refused(sql).0 == 1064, "{sql}");
    }
    assert_eq!(refused("INSERT INTO t VALUES (1)").0, 1235);
}
