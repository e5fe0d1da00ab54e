//! Tables as the program shows them.

/// The columns of `mysql.clone_history`.
pub(crate) const HISTORY_COLUMNS: [&str; 16] = [
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

/// Rows of an answer in the form of a table, the names of the columns first.
pub(crate) fn table(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let inner = line.trim_matches('|').split('|');
        inner.map(|cell| cell.trim().to_owned()).collect()
    };
    lines.map(cells).collect()
}
