//! Point in time recovery with the stock programs.

use std::process::Stdio;

use anyhow::{Context, ensure};

use crate::{Result, Server};

/// Replays the binary logs in the data directory of `from` into the server `into`, from `position`
/// in `file` to the end of the last one: `mysqlbinlog --start-position=… files… | mysql
/// --binary-mode`.
///
/// `from` may be stopped. What `into` has already executed is skipped by its GTIDs.
pub fn replay_binlog(from: &Server, into: &Server, file: &str, position: u64) -> Result<()> {
    let files = binlogs(from)?;
    let first = files
        .iter()
        .position(|name| name == file)
        .with_context(|| format!("{file} is not one of the binary logs {files:?}"))?;
    let mut reader = from.install().command("mysqlbinlog");
    reader.arg(format!("--start-position={position}"));
    reader.args(files[first..].iter().map(|name| from.datadir().join(name)));
    let mut reader = reader
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start mysqlbinlog")?;
    let events = reader.stdout.take().context("no pipe from mysqlbinlog")?;
    let mut writer = into.client().batch();
    let writer = writer
        .arg("--binary-mode")
        .stdin(events)
        .output()
        .context("run mysql")?;
    let reader = reader.wait_with_output().context("run mysqlbinlog")?;
    ensure!(
        writer.status.success(),
        "replay: mysql: {}",
        String::from_utf8_lossy(&writer.stderr).trim()
    );
    ensure!(
        reader.status.success(),
        "replay: mysqlbinlog: {}",
        String::from_utf8_lossy(&reader.stderr).trim()
    );
    Ok(())
}

/// The names in `binlog.index`, oldest first.
fn binlogs(server: &Server) -> Result<Vec<String>> {
    let index = fs_err::read_to_string(server.datadir().join("binlog.index"))?;
    let name = |line: &str| line.trim().trim_start_matches("./").to_owned();
    Ok(index
        .lines()
        .map(name)
        .filter(|name| !name.is_empty())
        .collect())
}
