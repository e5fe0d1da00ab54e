//! Assignments beside those of the server's own plugin, and what clients ask besides.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod world;

use world::{World, by_the_server, refused, rows, shown};

#[test]
fn assignments_end_as_those_of_the_plugin() {
    let world = World::new();
    let mut session = world.session();
    for assignment in [
        "clone_max_concurrency = 8",
        "clone_max_concurrency = 0",
        "clone_max_concurrency = 129",
        "clone_max_concurrency = -1",
        "clone_max_concurrency = 'abc'",
        "clone_max_concurrency = 1.5",
        "clone_max_concurrency = DEFAULT",
        "clone_max_concurrency = 3 + 4",
        "clone_max_concurrency = NULL",
        "clone_max_concurrency = ON",
        "clone_ddl_timeout = 99999999999",
        "clone_ddl_timeout = 2592000",
        "clone_max_data_bandwidth = 10",
        "clone_max_data_bandwidth = 10000000",
        "clone_autotune_concurrency = OFF",
        "clone_autotune_concurrency = 1",
        "clone_autotune_concurrency = 'on'",
        "clone_autotune_concurrency = 2",
        "clone_autotune_concurrency = maybe",
        "clone_autotune_concurrency = DEFAULT",
        "clone_buffer_size = 1048577",
        "clone_buffer_size = 5",
        "clone_buffer_size = 999999999999",
        "clone_buffer_size = 8388608",
        "clone_buffer_size = DEFAULT",
        "clone_delay_after_data_drop = 5000",
        "clone_delay_after_data_drop = DEFAULT",
        "clone_donor_timeout_after_network_failure = 31",
        "clone_donor_timeout_after_network_failure = 18446744073709551615",
        "clone_enable_compression = ON",
        "clone_enable_compression = 'off'",
        "clone_max_network_bandwidth = 0x10",
        "clone_max_network_bandwidth = 1e1",
        "clone_max_network_bandwidth = '7'",
        "clone_ssl_ca = '/x'",
        "clone_ssl_ca = NULL",
        "clone_block_ddl = OFF",
        "clone_valid_donor_list = 'a:1'",
        "clone_valid_donor_list = 'A.example:1,10.0.0.1:3306'",
        "clone_valid_donor_list = 'a'",
        "clone_valid_donor_list = 'a:'",
        "clone_valid_donor_list = 'a:1,'",
        "clone_valid_donor_list = 'a:1, b:2'",
        "clone_valid_donor_list = 5",
        "clone_valid_donor_list = NULL",
        "clone_valid_donor_list = DEFAULT",
    ] {
        let name = assignment.split(' ').next().unwrap();
        let set = format!("SET GLOBAL {assignment}");
        let show = format!("SHOW GLOBAL VARIABLES LIKE '{name}'");
        let expected = by_the_server(&world.server, &format!("{set}; SHOW WARNINGS"));
        let found = match session.execute(&set) {
            // What has no effect here is said in a warning of our own.
            Ok(_) => {
                let warnings = rows(&mut session, "SHOW WARNINGS");
                let lines = warnings.split_inclusive('\n');
                let of_both: String = lines
                    .filter(|line| !line.starts_with("Warning\t1105"))
                    .collect();
                if of_both.is_empty() || of_both.ends_with('\n') {
                    of_both
                } else {
                    of_both + "\n"
                }
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{set}");
        for query in [show, format!("SELECT @@global.{name}")] {
            let expected = by_the_server(&world.server, &query);
            let found = format!("{}\n", rows(&mut session, &query));
            assert_eq!(found, expected, "{set}; {query}");
        }
    }
}

#[test]
fn scopes_and_persisted_values_are_those_of_the_server() {
    let world = World::new();
    let mut session = world.session();
    for sql in [
        "SET @@global.clone_max_concurrency = 9",
        "SELECT @@clone_max_concurrency, @@GLOBAL.clone_max_concurrency",
        "SELECT @@session.clone_max_concurrency",
        "SET clone_max_concurrency = 9",
        "SET SESSION clone_max_concurrency = 9",
        "SET GLOBAL clone_nothing = 1",
        "SET PERSIST clone_ddl_timeout = 77, GLOBAL clone_max_data_bandwidth = 3",
        "SELECT @@clone_ddl_timeout, @@clone_max_data_bandwidth",
        "SET PERSIST_ONLY clone_buffer_size = 2097152",
        "SELECT @@clone_buffer_size",
        "SELECT * FROM performance_schema.persisted_variables ORDER BY 1",
        "SELECT VARIABLE_NAME, VARIABLE_SOURCE FROM performance_schema.variables_info \
         WHERE VARIABLE_NAME IN ('clone_ddl_timeout', 'clone_max_concurrency', 'clone_block_ddl') ORDER BY 1",
        "SELECT MIN_VALUE, MAX_VALUE FROM performance_schema.variables_info \
         WHERE VARIABLE_NAME = 'clone_ddl_timeout'",
        "SELECT * FROM performance_schema.global_variables WHERE VARIABLE_NAME LIKE 'clone\\_%timeout%' ORDER BY 1",
        "SHOW VARIABLES LIKE 'clone\\_ssl%'",
        "SHOW GLOBAL VARIABLES WHERE Variable_name LIKE 'clone%' AND Value = 'ON'",
        "SHOW VARIABLES WHERE Variable_name = 'CLONE_DDL_TIMEOUT' OR Value = '2097152x'",
        "RESET PERSIST clone_ddl_timeout",
        "RESET PERSIST clone_ddl_timeout",
        "RESET PERSIST",
        "SELECT COUNT(*) FROM performance_schema.persisted_variables",
        "SET GLOBAL clone_ddl_timeout = DEFAULT, GLOBAL clone_max_concurrency = DEFAULT",
        "SELECT @@clone_ddl_timeout, @@clone_max_concurrency",
    ] {
        let found = match session.execute(sql) {
            Ok(answer) => shown(answer),
            Err(error) => error.to_string(),
        };
        let found = if found.is_empty() || found.starts_with("ERROR") {
            found
        } else {
            format!("{found}\n")
        };
        let expected = by_the_server(&world.server, sql);
        assert_eq!(found, expected, "{sql}");
    }
}

#[test]
fn a_key_that_would_not_encrypt_is_never_ignored() {
    let world = World::new();
    let mut session = world.session();
    let (short, key) = (world.path("short"), world.path("key"));
    std::fs::write(&short, "aes").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&short, private).unwrap();
    std::fs::write(&key, [7; 32]).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, private).unwrap();
    let set = |path: &str| format!("SET GLOBAL clone_encrypt_key_path = {path}");
    for (path, start) in [
        (
            "'/nonexistent/key'".to_owned(),
            "Clone system configuration: Error: Fail to open encrypt key file",
        ),
        (
            format!("'{}'", world.dir.path().display()),
            "Clone system configuration: Error: Invalid dump encrypt key file",
        ),
        (
            format!("'{short}'"),
            "Clone system configuration: Error: Invalid dump encrypt key file",
        ),
    ] {
        let error = refused(&mut session, &set(&path));
        assert_eq!(error.code, 3869, "{error}");
        assert!(error.message.starts_with(start), "{error}");
    }
    assert_eq!(
        rows(&mut session, "SELECT @@clone_encrypt_key_path"),
        "NULL"
    );
    session.execute(&set(&format!("'{key}'"))).unwrap();
    assert_eq!(rows(&mut session, "SELECT @@clone_encrypt_key_path"), key);
    let clone = format!("CLONE LOCAL DATA DIRECTORY = '{}'", world.path("set"));
    assert_eq!(refused(&mut session, &clone).code, 3869);
    session
        .execute("SET GLOBAL clone_file_compress = CLONE_FILE_COMPRESS_ZSTD")
        .unwrap();
    let error = refused(&mut session, &clone);
    let message = "Clone system configuration: Currently, not supported enable compress and encrypt at the same time.";
    assert_eq!((error.code, error.message.as_str()), (3869, message));
    assert!(!std::path::Path::new(&world.path("set")).exists());
    assert_eq!(
        rows(&mut session, "SELECT COUNT(*) FROM mysql.clone_history"),
        "0"
    );
    session.execute(&set("NULL")).unwrap();
    session.execute(&clone).unwrap();
}

#[test]
fn what_clients_look_around_for_is_there() {
    let world = World::new();
    let mut session = world.session();
    for (sql, expected) in [
        (
            "SHOW DATABASES",
            "information_schema\nmysql\nperformance_schema",
        ),
        (
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY 1",
            "information_schema\nmysql\nperformance_schema",
        ),
        ("SHOW FULL TABLES FROM mysql", "clone_history\tBASE TABLE"),
        (
            "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.tables WHERE table_schema = 'MYSQL'",
            "clone_history\tBASE TABLE",
        ),
        (
            "SELECT COLUMN_NAME, COLUMN_TYPE, COLUMN_KEY FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME = 'clone_history' ORDER BY ORDINAL_POSITION LIMIT 2",
            "ID\tint\tPRI\nPID\tint\t",
        ),
        (
            "SELECT ENGINE FROM information_schema.ENGINES WHERE SUPPORT = 'default'",
            "InnoDB",
        ),
        ("SELECT COUNT(*) FROM information_schema.PROCESSLIST", "1"),
        (
            "SELECT COUNT(*) > 3 FROM performance_schema.global_status WHERE VARIABLE_NAME LIKE '%lsn%'",
            "1",
        ),
        (
            "SELECT DATABASE(), VERSION() = @@version, CONNECTION_ID() > 0",
            "NULL\t1\t1",
        ),
        ("SHOW WARNINGS", ""),
    ] {
        assert_eq!(rows(&mut session, sql), expected, "{sql}");
    }
    for (sql, part) in [
        (
            "SHOW INDEX FROM mysql.clone_history",
            "clone_history\t0\tPRIMARY\t1\tID\tA",
        ),
        (
            "SHOW KEYS FROM clone_history IN mysql WHERE Key_name = 'PRIMARY'",
            "PRIMARY",
        ),
        ("SHOW ENGINES", "PERFORMANCE_SCHEMA\tYES"),
        ("SHOW PLUGINS", "clone\tACTIVE\tCLONE"),
        (
            "SHOW TABLE STATUS FROM mysql LIKE 'clone%'",
            "clone_history\tInnoDB",
        ),
        ("SHOW CHARACTER SET", "utf8mb4\tUTF-8"),
        (
            "SHOW COLLATION WHERE `Default` = 'Yes'",
            "utf8mb4_0900_ai_ci\tutf8mb4\t255\tYes",
        ),
        (
            "SHOW FULL COLUMNS FROM mysql.clone_history LIKE 'STATE'",
            "char(16)\tutf8mb4_0900_ai_ci",
        ),
    ] {
        let found = rows(&mut session, sql);
        assert!(found.contains(part), "{sql}\n{found}");
    }
    for sql in [
        "EXPLAIN SELECT 1",
        "EXPLAIN FORMAT=JSON SELECT 1",
        "DESCRIBE SELECT 1",
        "SHOW TRIGGERS",
        "SHOW CREATE DATABASE mysql",
        "SELECT 1 INTO @x",
        "SELECT UUID()",
        "INSERT INTO mysql.clone_history VALUES (1)",
    ] {
        let error = refused(&mut session, sql);
        assert_eq!(error.code, 1235, "{sql}: {error}");
    }
    for sql in [
        "SET autocommit = 0",
        "BEGIN",
        "COMMIT",
        "START TRANSACTION READ ONLY",
        "USE mysql",
        "SET NAMES utf8mb4",
    ] {
        session.execute(sql).unwrap();
    }
    assert_eq!(
        rows(
            &mut session,
            "SELECT DATABASE(), COUNT(*) FROM clone_history"
        ),
        "mysql\t0"
    );
}
