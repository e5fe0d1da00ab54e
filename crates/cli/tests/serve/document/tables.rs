//! The three tables and the variables, as the document shows them.

use super::{get, names, status_columns, vertical};
use crate::common::shown::{HISTORY_COLUMNS, table};
use crate::daemon::{Daemon, run_with};

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

/// Name, type, length, digits of the fraction, of each column of `mysql.clone_history`, as
/// `mysql --column-type-info` has them.
const HISTORY_TYPES: [(&str, &str, u32, u8); 16] = [
    ("ID", "LONG", 11, 0),
    ("PID", "LONG", 11, 0),
    ("CLONE_TYPE", "VAR_STRING", 200, 0),
    ("STATE", "STRING", 64, 0),
    ("BEGIN_TIME", "TIMESTAMP", 23, 3),
    ("END_TIME", "TIMESTAMP", 23, 3),
    ("SOURCE", "VAR_STRING", 2048, 0),
    ("DESTINATION", "VAR_STRING", 2048, 0),
    ("ERROR_NO", "LONG", 11, 0),
    ("ERROR_MESSAGE", "VAR_STRING", 2048, 0),
    ("BINLOG_FILE", "VAR_STRING", 2048, 0),
    ("BINLOG_POSITION", "LONGLONG", 20, 0),
    ("GTID_EXECUTED", "VAR_STRING", 16384, 0),
    ("START_LSN", "LONGLONG", 20, 0),
    ("PAGE_TRACK_LSN", "LONGLONG", 20, 0),
    ("END_LSN", "LONGLONG", 20, 0),
];

const PROGRESS_TYPES: [(&str, &str, u32, u8); 11] = [
    ("ID", "LONG", 11, 0),
    ("STAGE", "STRING", 128, 0),
    ("STATE", "STRING", 64, 0),
    ("BEGIN_TIME", "TIMESTAMP", 26, 6),
    ("END_TIME", "TIMESTAMP", 26, 6),
    ("THREADS", "LONG", 11, 0),
    ("ESTIMATE", "LONGLONG", 20, 0),
    ("DATA", "LONGLONG", 20, 0),
    ("NETWORK", "LONGLONG", 20, 0),
    ("DATA_SPEED", "LONG", 11, 0),
    ("NETWORK_SPEED", "LONG", 11, 0),
];

#[test]
fn tables_and_variables_are_those_of_the_document() {
    let daemon = Daemon::new(&[]);
    variables(&daemon);
    let full = daemon.world.path("clone-full/20240618/");
    let increment = daemon.world.path("clone-incr/20240618-202406181041/");
    daemon.sql(&format!(
        "CLONE LOCAL DATA DIRECTORY = '{full}' ENABLE PAGE TRACK;
         CLONE LOCAL DATA DIRECTORY = '{increment}'
          ENABLE PAGE TRACK
          INCREMENT BASED DIRECTORY = '{full}';"
    ));
    history(&daemon, [&full, &increment]);
    progress(&daemon);
    let rows = vertical(&daemon.sql("SELECT * FROM performance_schema.clone_status\\G"));
    assert_eq!(names(&rows[0]), status_columns());
    assert!(!get(&rows[1], "BINLOG_FILE").is_empty());
    let mut types = HISTORY_TYPES.to_vec();
    types.retain(|(name, ..)| *name != "CLONE_TYPE");
    assert_eq!(
        column_types(&daemon, "performance_schema.clone_status"),
        types
    );

    // The clone has ended, and so has its session.
    let pid = daemon.value("SELECT PID FROM mysql.clone_history WHERE ID = 2");
    let killed = daemon.run(&format!("KILL {pid};"));
    let expected = format!("ERROR 1094 (HY000) at line 1: Unknown thread id: {pid}");
    assert!(killed.stderr.contains(&expected), "{}", killed.stderr);
}

/// The variables that the document introduces.
fn variables(daemon: &Daemon) {
    for (name, default, set) in [
        (
            "clone_file_compress",
            "CLONE_FILE_COMPRESS_NONE",
            &["CLONE_FILE_COMPRESS_ZSTD", "CLONE_FILE_COMPRESS_LZ4"][..],
        ),
        ("clone_file_compress_zstd_level", "1", &["19"]),
        ("clone_file_compress_chunk_size", "65536", &["1024"]),
        ("clone_file_compress_threads", "4", &["128"]),
        ("clone_incremental_dir", "", &[]),
        ("clone_encrypt_key_path", "", &[]),
    ] {
        let shown = |value: &str| {
            let rows = table(&daemon.sql(&format!("SHOW GLOBAL VARIABLES LIKE '{name}';")));
            assert_eq!(rows, [["Variable_name", "Value"], [name, value]]);
        };
        shown(default);
        for value in set {
            daemon.sql(&format!("SET GLOBAL {name} = {value};"));
            shown(value);
            assert_eq!(daemon.value(&format!("SELECT @@GLOBAL.{name}")), *value);
        }
        if !set.is_empty() {
            daemon.sql(&format!("SET GLOBAL {name} = DEFAULT;"));
            shown(default);
        }
    }
    let refused = daemon.run("SET GLOBAL clone_incremental_dir = '/data/restore/increment';");
    assert!(
        refused.stderr.contains("ERROR 1238 (HY000)"),
        "{}",
        refused.stderr
    );
}

fn history(daemon: &Daemon, directories: [&str; 2]) {
    let rows = vertical(&daemon.sql("SELECT * FROM mysql.clone_history\\G"));
    assert_eq!(rows.len(), 2);
    let kinds = ["full clone", "increment clone"];
    for ((row, directory), kind) in rows.iter().zip(directories).zip(kinds) {
        assert_eq!(names(row), HISTORY_COLUMNS);
        assert_eq!(get(row, "DESTINATION"), directory);
        assert_eq!(get(row, "CLONE_TYPE"), kind);
        assert_eq!(get(row, "STATE"), "Completed");
    }
    let created = daemon.sql("SHOW CREATE TABLE mysql.clone_history\\G");
    assert!(created.ends_with(CREATE_HISTORY), "{created}");
    assert!(
        created.contains("       Table: clone_history\n"),
        "{created}"
    );
    assert_eq!(column_types(daemon, "mysql.clone_history"), HISTORY_TYPES);

    // Each column is described as SHOW CREATE TABLE has it.
    let described = table(&daemon.sql("DESC mysql.clone_history;"));
    assert_eq!(
        described[0],
        ["Field", "Type", "Null", "Key", "Default", "Extra"]
    );
    for (row, line) in described[1..].iter().zip(CREATE_HISTORY.lines().skip(1)) {
        let start = format!("  `{}` {} ", row[0], row[1]);
        assert!(line.starts_with(&start), "{row:?} {line}");
        assert_eq!(row[2] == "NO", line.contains(" NOT NULL"), "{row:?} {line}");
        let default = if row[4] == "NULL" {
            " DEFAULT NULL"
        } else {
            " DEFAULT '0'"
        };
        assert_eq!(row[0] != "ID", line.contains(default), "{row:?} {line}");
    }
    assert_eq!(described.len(), 17);
    assert_eq!(
        described[1],
        ["ID", "int", "NO", "PRI", "NULL", "auto_increment"]
    );
}

fn progress(daemon: &Daemon) {
    assert_eq!(
        column_types(daemon, "performance_schema.clone_progress"),
        PROGRESS_TYPES
    );
    let rows = table(&daemon.sql("SELECT * FROM performance_schema.clone_progress;"));
    assert!(
        rows[0]
            .iter()
            .eq(PROGRESS_TYPES.iter().map(|(name, ..)| name))
    );
    assert_eq!(rows.len(), 1 + 2 * 7);
    for (at, row) in rows[1..].iter().enumerate() {
        let stages = [
            "DROP DATA",
            "FILE COPY",
            "PAGE COPY",
            "REDO COPY",
            "FILE SYNC",
            "RESTART",
            "RECOVERY",
        ];
        assert_eq!(row[0], (at / 7 + 1).to_string(), "{row:?}");
        assert_eq!(row[1], stages[at % 7], "{row:?}");
        let started = at % 7 < 5;
        let expected = if started { "Completed" } else { "Not Started" };
        assert_eq!(row[2], expected, "{row:?}");
        assert_eq!(row[3] != "NULL", started, "{row:?}");
        assert_eq!(row[5] != "0", started, "{row:?}");
    }
    // What was copied is what was to be copied, in the stage that has the name.
    for row in [&rows[2], &rows[4], &rows[11]] {
        assert!(row[7].parse::<u64>().unwrap() > 0, "{row:?}");
    }
    assert_eq!(rows[9][7], "0", "{:?}", rows[9]);
}

/// What the client is told of a table's columns.
fn column_types(daemon: &Daemon, table: &str) -> Vec<(&'static str, &'static str, u32, u8)> {
    let mut command = daemon.client("root");
    command.arg("--column-type-info");
    let told = run_with(command, &format!("SELECT * FROM {table};"))
        .expect(0)
        .stdout;
    let values = |label: &str| -> Vec<String> {
        let lines = told.lines().filter(|line| line.contains(label));
        let value = |line: &str| line.split_once(label).unwrap().1.trim().to_owned();
        lines.map(value).collect()
    };
    let names: Vec<String> = told
        .lines()
        .filter(|line| line.starts_with("Field "))
        .map(|line| line.split('`').nth(1).unwrap().to_owned())
        .collect();
    let (types, lengths, decimals) = (values("Type:"), lengths_of(&told), values("Decimals:"));
    let mut all = Vec::new();
    for at in 0..names.len() {
        all.push((
            &*names[at].clone().leak(),
            &*types[at].clone().leak(),
            lengths[at].parse().unwrap(),
            decimals[at].parse().unwrap(),
        ));
    }
    all
}

fn lengths_of(told: &str) -> Vec<String> {
    let lines = told.lines().filter(|line| line.starts_with("Length:"));
    lines
        .map(|line| line["Length:".len()..].trim().to_owned())
        .collect()
}
