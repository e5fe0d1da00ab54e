//! The statements of GreatSQL's documentation on incremental and compressed clones, in their
//! order and word for word: only paths and LSNs are those of this test. What it does in a shell is
//! done in a shell, with the program in the place of `mysqld --clone_incremental_dir`.

mod chains;
mod donors;
mod page_tracking;
mod sets;
mod tables;

use std::path::Path;
use std::process::Command;

use crate::common::Ended;
use crate::common::shown::HISTORY_COLUMNS;

/// The columns of `performance_schema.clone_status`.
fn status_columns() -> Vec<&'static str> {
    let all = HISTORY_COLUMNS.into_iter();
    all.filter(|name| *name != "CLONE_TYPE").collect()
}

/// A row of an answer to a statement that ended in `\G`: name and value of each line.
type Row = Vec<(String, String)>;

/// Rows of an answer to a statement that ended in `\G`.
fn vertical(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in text.lines() {
        if line.starts_with("*****") {
            let number = format!(" {}. row ", rows.len() + 1);
            assert!(line.contains(&number), "{line}");
            rows.push(Vec::new());
        } else if let (Some(row), Some((name, value))) = (rows.last_mut(), line.split_once(':')) {
            row.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    rows
}

fn names(row: &[(String, String)]) -> Vec<&str> {
    row.iter().map(|(name, _)| name.as_str()).collect()
}

#[track_caller]
fn get<'a>(row: &'a [(String, String)], name: &str) -> &'a str {
    &row.iter().find(|(known, _)| known == name).unwrap().1
}

#[track_caller]
fn lsn(row: &[(String, String)], name: &str) -> u64 {
    get(row, name).parse().unwrap()
}

/// A command of a shell that succeeds, with the program under the names of the tools in the
/// `PATH`; what it prints.
#[track_caller]
fn shell(command: &str, dir: &Path, tools: &Path) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-ec", command])
        .current_dir(dir)
        .env("PATH", format!("{path}:{}", tools.display()))
        .output()
        .unwrap();
    Ended::from(output).expect(0).stdout
}

/// A directory with `zstd_decompress` and `lz4_decompress`.
fn tools(dir: &Path) -> std::path::PathBuf {
    let bin = dir.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for name in ["zstd_decompress", "lz4_decompress"] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_innoclone"), bin.join(name)).unwrap();
    }
    bin
}
