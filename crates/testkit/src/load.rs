//! A lot of data, fast.

use std::io::{BufWriter, Write};
use std::process::Stdio;

use anyhow::{Context, ensure};

use crate::random::Random;
use crate::{Client, Result, Server};

impl Server {
    /// Makes the server larger by a file of `mebibytes` zeros, schema `large`, in no time: a copy of
    /// it that is limited to a mebibyte a second cannot be over by luck.
    pub fn make_large(&self, mebibytes: u32) -> Result<()> {
        let table = "CREATE TABLE large.t (id INT PRIMARY KEY)";
        self.sql(&format!(
            "CREATE SCHEMA large; {table} AUTOEXTEND_SIZE={mebibytes}M"
        ))
        .map(drop)
    }

    /// Fills schema `sbtest` with `tables` tables `sbtest1…` of `rows` rows each, as sysbench's
    /// OLTP tests have them: `id`, `k` with an index, `c` CHAR(120) and `pad` CHAR(60) of random
    /// digit groups. A row takes about 220 bytes on disk, so five million rows are about 1 GB.
    ///
    /// The load is not written to the binary log: take the base backup of a replay test after it.
    pub fn load_sysbench_like(&self, tables: u32, rows: u64) -> Result<()> {
        self.sql("CREATE SCHEMA IF NOT EXISTS sbtest")?;
        let client = self.client();
        // One client per table, two at a time: more do not help a small buffer pool.
        std::thread::scope(|scope| {
            let loaders: Vec<_> = (0..2)
                .map(|first| {
                    scope.spawn(move || {
                        (first + 1..=tables)
                            .step_by(2)
                            .try_for_each(|n| load(client, n, rows))
                    })
                })
                .collect();
            loaders.into_iter().try_for_each(|loader| {
                loader
                    .join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("a loader panicked")))
            })
        })
    }
}

/// Rows per LOAD DATA, that is per transaction.
const BATCH: u64 = 250_000;

fn load(client: &Client, table: u32, rows: u64) -> Result<()> {
    client.sql(&format!(
        "SET sql_log_bin = 0; CREATE TABLE sbtest.sbtest{table} (\
           id INT NOT NULL AUTO_INCREMENT, k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '', \
           pad CHAR(60) NOT NULL DEFAULT '', PRIMARY KEY (id)) CHARSET latin1"
    ))?;
    let mut random = Random::new(u64::from(table));
    let mut first = 1;
    while first <= rows {
        let count = BATCH.min(rows - first + 1);
        send(client, table, first, count, rows, &mut random)?;
        first += count;
    }
    client
        .sql(&format!(
            "SET sql_log_bin = 0; CREATE INDEX k_{table} ON sbtest.sbtest{table} (k)"
        ))
        .map(drop)
}

fn send(
    client: &Client,
    table: u32,
    first: u64,
    count: u64,
    rows: u64,
    random: &mut Random,
) -> Result<()> {
    let mut command = client.batch();
    command
        .arg("--local-infile=1")
        .arg("--execute")
        .arg(format!(
            "SET sql_log_bin = 0, unique_checks = 0; LOAD DATA LOCAL INFILE '/dev/stdin' \
         INTO TABLE sbtest.sbtest{table} CHARACTER SET latin1 (id, k, c, pad)"
        ));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start mysql")?;
    let stdin = child.stdin.take().context("no pipe to mysql")?;
    let written = write_rows(
        &mut BufWriter::with_capacity(1 << 16, stdin),
        first,
        count,
        rows,
        random,
    );
    let output = child.wait_with_output().context("run mysql")?;
    ensure!(
        output.status.success(),
        "load: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    written.context("send rows to mysql")
}

fn write_rows(
    out: &mut impl Write,
    first: u64,
    count: u64,
    rows: u64,
    random: &mut Random,
) -> std::io::Result<()> {
    for id in first..first + count {
        write!(out, "{id}\t{}\t", 1 + random.below(rows))?;
        write_groups(out, 10, random)?;
        out.write_all(b"\t")?;
        write_groups(out, 5, random)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Groups of eleven digits joined by `-`.
fn write_groups(out: &mut impl Write, groups: usize, random: &mut Random) -> std::io::Result<()> {
    for group in 0..groups {
        let mut text = *b"-00000000000";
        let mut number = random.next();
        for digit in text.iter_mut().skip(1) {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        out.write_all(&text[usize::from(group == 0)..])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_looks_like_sysbenchs() {
        let mut out = Vec::new();
        write_rows(&mut out, 7, 1, 100, &mut Random::new(1)).unwrap();
        let line = String::from_utf8(out).unwrap();
        let fields: Vec<&str> = line.trim_end().split('\t').collect();
        assert_eq!(fields[0], "7");
        assert_eq!((fields[2].len(), fields[3].len()), (119, 59));
    }
}
