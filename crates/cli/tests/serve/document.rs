//! The statements of GreatSQL's documentation on incremental and compressed clones, in their
//! order and word for word: only paths and LSNs are those of this test. What it does in a shell is
//! done with the program.

use std::path::Path;
use std::process::Command;

use testkit::{Server, assert_same, snapshot};

use crate::daemon::Daemon;

const HISTORY_COLUMNS: [&str; 16] = [
    "ID",
    "PID",
    "CLONE_TYPE",
    "STATE",
    "BEGIN_TIME",
    "END_TIME",
    "SOURCE",
    "DESTINATION",
    "ERROR_NO",
    "ERROR_MESSAGE",
    "BINLOG_FILE",
    "BINLOG_POSITION",
    "GTID_EXECUTED",
    "START_LSN",
    "PAGE_TRACK_LSN",
    "END_LSN",
];

const CREATE_HISTORY: &str = "Create Table: CREATE TABLE `clone_history` (
  `ID` int NOT NULL AUTO_INCREMENT,
  `PID` int DEFAULT '0',
  `CLONE_TYPE` varchar(50) DEFAULT NULL,
  `STATE` char(16) DEFAULT NULL,
  `BEGIN_TIME` timestamp(3) NULL DEFAULT NULL,
  `END_TIME` timestamp(3) NULL DEFAULT NULL,
  `SOURCE` varchar(512) DEFAULT NULL,
  `DESTINATION` varchar(512) DEFAULT NULL,
  `ERROR_NO` int DEFAULT NULL,
  `ERROR_MESSAGE` varchar(512) DEFAULT NULL,
  `BINLOG_FILE` varchar(512) DEFAULT NULL,
  `BINLOG_POSITION` bigint DEFAULT NULL,
  `GTID_EXECUTED` varchar(4096) DEFAULT NULL,
  `START_LSN` bigint DEFAULT NULL,
  `PAGE_TRACK_LSN` bigint DEFAULT NULL,
  `END_LSN` bigint DEFAULT NULL,
  PRIMARY KEY (`ID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci STATS_PERSISTENT=0 COMMENT='Clone history'
";

/// Rows of an answer to a statement that ended in `\G`: name and value of each line.
fn vertical(text: &str) -> Vec<Vec<(String, String)>> {
    let mut rows: Vec<Vec<(String, String)>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("*****") {
            assert!(
                line.contains(&format!(" {}. row ", rows.len() + 1)),
                "{line}"
            );
            rows.push(Vec::new());
        } else if let (Some(row), Some((name, value))) = (rows.last_mut(), line.split_once(':')) {
            row.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    rows
}

/// Rows of an answer in the form of a table, the names of the columns first.
fn table(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let inner = line.trim_matches('|').split('|');
        inner.map(|cell| cell.trim().to_owned()).collect()
    };
    lines.map(cells).collect()
}

fn names(row: &[(String, String)]) -> Vec<&str> {
    row.iter().map(|(name, _)| name.as_str()).collect()
}

fn get<'a>(row: &'a [(String, String)], name: &str) -> &'a str {
    &row.iter().find(|(known, _)| known == name).unwrap().1
}

/// A command of a shell that succeeds.
fn shell(command: &str, dir: &Path) {
    let status = Command::new("sh")
        .args(["-ec", command])
        .current_dir(dir)
        .status();
    assert!(status.unwrap().success(), "{command}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "the document is one story")]
fn full_and_incremental_clones_are_made_and_restored_as_documented() {
    let daemon = Daemon::new(&[]);
    let world = &daemon.world;
    world
        .server
        .sql("CREATE DATABASE test; CREATE TABLE test.d (id INT PRIMARY KEY); INSERT INTO test.d VALUES (1)")
        .unwrap();
    let (full, restore) = (world.path("clone-full/20240618"), world.path("restore"));
    let first = world.path("clone-incr/20240618-202406181041");
    let second = world.path("clone-incr/20240618-202406181350");

    // The server of this test may have the component already; both answers are the server's own.
    let installed = daemon.run("INSTALL COMPONENT \"file://component_mysqlbackup\";");
    let known = installed.stderr.contains("ERROR 3529 (HY000)");
    assert!(installed.status == Some(0) || known, "{}", installed.stderr);

    daemon.sql(&format!(
        "CLONE LOCAL DATA DIRECTORY = '{full}' ENABLE PAGE TRACK;"
    ));
    let rows = vertical(&daemon.sql("SELECT * FROM mysql.clone_history\\G"));
    assert_eq!(rows.len(), 1);
    assert_eq!(names(&rows[0]), HISTORY_COLUMNS);
    for (name, value) in [
        ("ID", "1"),
        ("CLONE_TYPE", "full clone"),
        ("STATE", "Completed"),
        ("SOURCE", "LOCAL INSTANCE"),
        ("DESTINATION", &full),
        ("ERROR_NO", "0"),
        ("ERROR_MESSAGE", ""),
        ("START_LSN", "0"),
    ] {
        assert_eq!(get(&rows[0], name), value, "{name}");
    }
    let lsn = get(&rows[0], "PAGE_TRACK_LSN").to_owned();
    assert!(lsn.parse::<u64>().unwrap() > 0);

    world.server.sql("INSERT INTO test.d VALUES (2)").unwrap();
    daemon.sql(&format!(
        "CLONE LOCAL DATA DIRECTORY = '{first}'
          ENABLE PAGE TRACK START_LSN = {lsn};"
    ));
    world.server.sql("INSERT INTO test.d VALUES (3)").unwrap();
    daemon.sql(&format!(
        "CLONE LOCAL DATA DIRECTORY = '{second}'
          ENABLE PAGE TRACK
          INCREMENT BASED DIRECTORY = '{first}';"
    ));
    let rows = vertical(&daemon.sql("SELECT * FROM mysql.clone_history\\G"));
    let types: Vec<&str> = rows.iter().map(|row| get(row, "CLONE_TYPE")).collect();
    assert_eq!(types, ["full clone", "increment clone", "increment clone"]);
    assert!(rows.iter().all(|row| get(row, "STATE") == "Completed"));

    // The restore: a copy of the full, and one increment after the other put into it.
    let before = snapshot(&world.server).unwrap();
    let dir = world.dir.path();
    shell(
        "mkdir -p restore/increment && cp -rfp clone-full/20240618/ restore/",
        dir,
    );
    let data = format!("{restore}/20240618");
    let defaults = format!("{data}/my.cnf");
    std::fs::write(
        &defaults,
        format!("[mysqld]\ndatadir = {data}\nsocket = mysql.sock\nskip-networking\n"),
    )
    .unwrap();
    for name in ["20240618-202406181041", "20240618-202406181350"] {
        shell(
            &format!("cp -rfp clone-incr/{name}/ restore/increment"),
            dir,
        );
        let defaults = format!("--defaults-file={defaults}");
        let set = format!("--clone_incremental_dir={restore}/increment/{name}");
        world.run_alone(&["apply", &defaults, &set]).expect(0);
    }
    let restored = Server::start_on(data.as_ref(), &[]).unwrap();
    assert_same(&before, &snapshot(&restored).unwrap());
    drop(restored);

    let rows = vertical(&daemon.sql("SELECT * FROM performance_schema.clone_status\\G"));
    let without_type: Vec<&str> = HISTORY_COLUMNS
        .into_iter()
        .filter(|name| *name != "CLONE_TYPE")
        .collect();
    assert_eq!(names(&rows[0]), without_type);
    assert!(!get(&rows[2], "BINLOG_FILE").is_empty());

    let rows = vertical(&daemon.sql("SHOW MASTER STATUS\\G"));
    let expected = [
        "File",
        "Position",
        "Binlog_Do_DB",
        "Binlog_Ignore_DB",
        "Executed_Gtid_Set",
    ];
    assert_eq!(names(&rows[0]), expected);
    let rows = table(&daemon.sql("SHOW BINARY LOGS;"));
    assert_eq!(rows[0], ["Log_name", "File_size", "Encrypted"]);
    assert!(rows.len() > 1 && rows[1][1].parse::<u64>().is_ok());

    let created = daemon.sql("SHOW CREATE TABLE mysql.clone_history\\G");
    assert!(created.ends_with(CREATE_HISTORY), "{created}");

    let rows = table(&daemon.sql("SELECT * FROM performance_schema.clone_progress;"));
    assert_eq!(
        rows[0],
        [
            "ID",
            "STAGE",
            "STATE",
            "BEGIN_TIME",
            "END_TIME",
            "THREADS",
            "ESTIMATE",
            "DATA",
            "NETWORK",
            "DATA_SPEED",
            "NETWORK_SPEED"
        ]
    );
    assert_eq!(rows.len(), 1 + 3 * 7);
    let stages: Vec<&str> = rows[15..].iter().map(|row| row[1].as_str()).collect();
    assert_eq!(
        stages,
        [
            "DROP DATA",
            "FILE COPY",
            "PAGE COPY",
            "REDO COPY",
            "FILE SYNC",
            "RESTART",
            "RECOVERY"
        ]
    );
    for row in &rows[1..] {
        let started = !["RESTART", "RECOVERY"].contains(&row[1].as_str());
        let expected = if started { "Completed" } else { "Not Started" };
        assert_eq!(row[2], expected, "{row:?}");
        assert_eq!(row[3] != "NULL", started, "{row:?}");
    }

    // The clone has ended, and so has its session.
    let pid = daemon.value("SELECT PID FROM mysql.clone_history WHERE ID = 3");
    let killed = daemon.run(&format!("KILL {pid};"));
    assert!(
        killed.stderr.contains(&format!(
            "ERROR 1094 (HY000) at line 1: Unknown thread id: {pid}"
        )),
        "{}",
        killed.stderr
    );
}

#[test]
fn compressed_clones_are_made_and_restored_as_documented() {
    let daemon = Daemon::new(&[]);
    let world = &daemon.world;
    world
        .server
        .sql("CREATE DATABASE test; CREATE TABLE test.d (id INT PRIMARY KEY); INSERT INTO test.d VALUES (1)")
        .unwrap();
    let full = world.path("clone-compressed/20240708");
    let incr = world.path("clone-compressed-incr/20240708-202407081218");

    daemon.sql("SET GLOBAL clone_file_compress = CLONE_FILE_COMPRESS_ZSTD;");
    let shown = table(&daemon.sql("SHOW VARIABLES LIKE 'clone_file_compress';"));
    assert_eq!(
        shown[1],
        ["clone_file_compress", "CLONE_FILE_COMPRESS_ZSTD"]
    );
    daemon.sql(&format!(
        "-- a backup of the local instance, with page tracking
CLONE LOCAL DATA DIRECTORY = '{full}' ENABLE PAGE TRACK;"
    ));
    assert!(Path::new(&full).join("ibdata1.zstd").exists());
    world.server.sql("INSERT INTO test.d VALUES (2)").unwrap();
    daemon.sql(&format!(
        "CLONE LOCAL DATA DIRECTORY = '{incr}'
          ENABLE PAGE TRACK
          INCREMENT BASED DIRECTORY '{full}';"
    ));
    assert!(Path::new(&incr).join("ibdata1.delta.zstd").exists());

    let before = snapshot(&world.server).unwrap();
    let data = world.path("restore");
    world
        .run_alone(&["restore", &incr, "--to", &data])
        .expect(0);
    let restored = Server::start_on(data.as_ref(), &[]).unwrap();
    assert_same(&before, &snapshot(&restored).unwrap());
}

#[test]
fn page_tracking_is_switched_as_documented() {
    let daemon = Daemon::new(&[]);
    let rows = table(&daemon.sql("SELECT mysqlbackup_page_track_set(true); "));
    assert_eq!(rows[0], ["mysqlbackup_page_track_set(true)"]);
    assert!(rows[1][0].parse::<u64>().unwrap() > 0);

    let rows = table(&daemon.sql("SHOW GLOBAL STATUS LIKE '%lsn%';"));
    assert_eq!(rows[0], ["Variable_name", "Value"]);
    let mut found: Vec<&str> = rows[1..].iter().map(|row| row[0].as_str()).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "Innodb_lsn_current",
            "Innodb_lsn_flushed",
            "Innodb_lsn_last_checkpoint",
            "Innodb_redo_log_checkpoint_lsn",
            "Innodb_redo_log_current_lsn",
            "Innodb_redo_log_flushed_to_disk_lsn",
        ]
    );

    // The user's own work is for the instance: the daemon says so.
    let work = "CREATE TABLE `t` (
  `id` int unsigned NOT NULL AUTO_INCREMENT,
  `c1` int unsigned NOT NULL,
  `c2` varchar(30) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB;";
    let refused = daemon.run(work);
    assert!(
        refused.stderr.contains("ERROR 1235 (42000)"),
        "{}",
        refused.stderr
    );
    daemon
        .world
        .server
        .sql(&format!("CREATE DATABASE test; USE test; {work}"))
        .unwrap();
    let insert = "INSERT INTO t SELECT 0, rand()*10240000, rand()";
    let fill = format!("USE test; {insert}; {insert} FROM t; {insert} FROM t; {insert} FROM t;");
    daemon.world.server.sql(&fill).unwrap();
    daemon.sql("SHOW GLOBAL STATUS LIKE '%lsn%';");

    let rows = table(&daemon.sql("SELECT mysqlbackup_page_track_set(false); "));
    assert_eq!(rows[0], ["mysqlbackup_page_track_set(false)"]);
    let lsn = &rows[1][0];
    assert!(lsn.parse::<u64>().unwrap() > 0);
    let purge = format!("mysqlbackup_page_track_purge_up_to({lsn})");
    let rows = table(&daemon.sql(&format!("SELECT {purge};")));
    assert_eq!(rows[0], [purge.as_str()]);
    assert!(rows[1][0].parse::<u64>().is_ok());
    let rows = table(&daemon.sql(&format!("SELECT {purge};")));
    assert_eq!(rows[1], ["9223372036854775807"]);
}

#[test]
fn remote_clones_heed_the_list_of_donors() {
    let daemon = Daemon::new(&[]);
    let dir = daemon.world.path("clone-full/20240610");
    let statement = format!(
        "CLONE INSTANCE FROM repl@172.16.16.10:3306 IDENTIFIED BY 'GreatSQL@2023'
          DATA DIRECTORY = '{dir}' ENABLE PAGE TRACK;"
    );
    let refused = daemon.run(&statement);
    assert!(
        refused.stderr.contains(
            "ERROR 3869 (HY000) at line 1: Clone system configuration: 172.16.16.10:3306 is not \
             found in clone_valid_donor_list"
        ),
        "{}",
        refused.stderr
    );
    assert_eq!(
        daemon.value("SELECT COUNT(*) FROM mysql.clone_history"),
        "0"
    );
    let (_, log) = daemon.stop();
    assert!(!log.contains("GreatSQL@2023"), "{log}");
}

#[test]
fn remote_clones_are_made_and_restored_as_documented() {
    let daemon = Daemon::new(&[]);
    let world = &daemon.world;
    world
        .server
        .sql(
            "CREATE DATABASE test; CREATE TABLE test.d (id INT PRIMARY KEY); \
             INSERT INTO test.d VALUES (1); \
             CREATE USER repl@'%' IDENTIFIED BY 'GreatSQL@2023'; GRANT BACKUP_ADMIN ON *.* TO repl@'%'",
        )
        .unwrap();
    let port = world.server.port();
    daemon.sql(&format!(
        "SET GLOBAL clone_valid_donor_list = '127.0.0.1:{port}';"
    ));
    let full = world.path("clone-full/20240610");
    let first = world.path("clone-incr/20240610-21083116");
    let second = world.path("clone-incr/second");
    daemon.sql(&format!(
        "CLONE INSTANCE FROM repl@127.0.0.1:{port} IDENTIFIED BY 'GreatSQL@2023'
          DATA DIRECTORY = '{full}' ENABLE PAGE TRACK;"
    ));
    world.server.sql("INSERT INTO test.d VALUES (2)").unwrap();
    daemon.sql(&format!(
        "CLONE INSTANCE FROM repl@127.0.0.1:{port} IDENTIFIED BY 'GreatSQL@2023'
\t  DATA DIRECTORY = '{first}'
\t  ENABLE PAGE TRACK
\t  INCREMENT BASED DIRECTORY = '{full}';"
    ));
    let lsn = daemon.value("SELECT END_LSN FROM mysql.clone_history WHERE ID = 1");
    daemon.sql(&format!(
        "CLONE INSTANCE FROM repl@127.0.0.1:{port} IDENTIFIED BY 'GreatSQL@2023'
\t  DATA DIRECTORY = '{second}'
\t  ENABLE PAGE TRACK START_LSN = {lsn};"
    ));
    let rows = table(&daemon.sql("SELECT SOURCE, CLONE_TYPE, STATE FROM mysql.clone_history;"));
    let source = format!("127.0.0.1:{port}");
    assert_eq!(rows[1], [source.as_str(), "full clone", "Completed"]);
    assert_eq!(rows[2], [source.as_str(), "increment clone", "Completed"]);
    assert_eq!(rows[3], [source.as_str(), "increment clone", "Completed"]);

    let denied = daemon.run(&format!(
        "CLONE INSTANCE FROM repl@127.0.0.1:{port} IDENTIFIED BY 'wrong' DATA DIRECTORY = '{full}x';"
    ));
    let expected = "ERROR 3862 (HY000) at line 1: Clone Donor Error: Connect failed: 1045 : Access denied for user 'repl'@";
    assert!(denied.stderr.contains(expected), "{}", denied.stderr);

    let before = snapshot(&world.server).unwrap();
    let data = world.path("restore");
    world
        .run_alone(&["restore", &first, "--to", &data])
        .expect(0);
    let restored = Server::start_on(data.as_ref(), &[]).unwrap();
    assert_same(&before, &snapshot(&restored).unwrap());
    drop(restored);
    let (_, log) = daemon.stop();
    assert!(!log.contains("GreatSQL@2023"), "{log}");
}
