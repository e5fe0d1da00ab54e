//! Whether a server is healthy.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::bail;

use crate::client::quote_name;
use crate::{Result, Server};

/// `CHECK TABLE … EXTENDED` of every table, `mysql.*` included. Tables whose tablespace is
/// discarded are left out.
///
/// # Errors
/// Names every table that is not OK.
pub fn check_tables(server: &Server) -> Result<()> {
    let names = server.sql_rows(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' \
         AND table_schema NOT IN ('information_schema', 'performance_schema') ORDER BY 1, 2",
    )?;
    let mut script = String::new();
    for row in &names {
        if let [schema, table] = row.as_slice() {
            let _ = writeln!(
                script,
                "CHECK TABLE {}.{} EXTENDED;",
                quote_name(schema),
                quote_name(table)
            );
        }
    }
    let rows = server.sql_rows(&script)?;
    // Rows are: table, operation, type of message, message. A discarded table gives several.
    let discarded: BTreeSet<&str> = rows
        .iter()
        .filter(|row| row.len() == 4 && row[3].contains("Tablespace is discarded"))
        .map(|row| row[0].as_str())
        .collect();
    let bad: Vec<String> = rows
        .iter()
        .filter(|row| !is_fine(row) && !discarded.contains(row[0].as_str()))
        .map(|row| row.join(" "))
        .collect();
    if bad.is_empty() {
        Ok(())
    } else {
        bail!("CHECK TABLE:\n{}", bad.join("\n"))
    }
}

fn is_fine(row: &[String]) -> bool {
    match row {
        [_, _, kind, text] => {
            text == "OK"
                || (kind == "note" && text.contains("doesn't support check"))
                // MyISAM after a crash of the server; the status row that follows says what the
                // check found.
                || (kind == "warning" && text.contains("hasn't closed the table properly"))
        }
        _ => false,
    }
}

/// The `[ERROR]` and `[Warning]` lines of an error log that are no part of a healthy server's life.
pub fn scan_error_log(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| line.contains("[ERROR]") || line.contains("[Warning]"))
        .filter(|line| !ALLOWED.iter().any(|(part, _)| line.contains(part)))
        .map(ToOwned::to_owned)
        .collect()
}

/// Part of a message, and why it is harmless.
#[rustfmt::skip]
const ALLOWED: &[(&str, &str)] = &[
    ("[MY-010068]", "the CA certificate is self-signed: the server made it itself"),
    ("[MY-010075]", "a new server UUID: a copied data directory without auto.cnf gets one"),
    ("[MY-010097]", "no secure_file_priv: the tests' server may write anywhere"),
    ("[MY-010211] [Server] Got error 155 ", "a snapshot tried to read a table whose tablespace is discarded"),
    ("[MY-010453]", "root has an empty password: --initialize-insecure, which is what the tests want"),
    ("[MY-011810]", "the directory of the pid file is readable for others: a scratch directory"),
    ("[MY-011825] [InnoDB] Cannot drop undo tablespace", "a workload's guess was refused"),
    ("[MY-011996]", "a tablespace is discarded, as its statement wanted"),
    ("[MY-012363]", "innodb_page_size is not the default: a test's choice"),
    ("[MY-013711]", "a component manifest is writable: for root every file is"),
    ("[MY-014084]", "writers wait for a checkpoint: the redo log is small on purpose"),
];
