//! The server, its data, and what contenders do to them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use innoclone_testkit::{Innoclone, Io, Result, Server, ServerOptions, measure, show};

use crate::contest::Sample;
use crate::report::{Report, say};
use crate::settings::Settings;

/// A loaded server and a folder beside its data directory, removed with it however the bench ends.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) server: Server,
    pub(crate) runs: usize,
    program: Innoclone,
    cold: bool,
    rows: u64,
}

impl Ground {
    /// Starts the server and loads it.
    pub(crate) fn prepare(settings: &Settings, report: &mut Report) -> Result<Self> {
        let server = Server::start(ServerOptions {
            // Not the tests' tiny redo log: loading would wait for it.
            args: [
                "--innodb-buffer-pool-size=512M",
                "--innodb-redo-log-capacity=1G",
            ]
            .map(str::to_owned)
            .to_vec(),
            base: Some(settings.base.clone()),
            ..ServerOptions::default()
        })?;
        let program = Innoclone::find(&server.root_dir().join("state"))?;
        let ground = Self {
            program,
            runs: settings.runs,
            cold: settings.cold,
            rows: settings.megabytes * (1 << 20) / BYTES_PER_ROW / u64::from(TABLES),
            server,
        };
        ground.check_space(settings.megabytes)?;
        let version = ground.server.query_value("SELECT VERSION()")?;
        say(&format!(
            "mysqld {version} in {}; loading {} MiB ...",
            ground.server.root_dir().display(),
            settings.megabytes
        ));
        let begin = Instant::now();
        ground.load()?;
        let size = ground.data_size()?;
        say(&format!(
            "loaded in {}: {TABLES} tables of {} rows, {} of tablespaces",
            show::seconds(begin.elapsed()),
            show::number(ground.rows),
            show::bytes(size)
        ));
        say(if ground.cold {
            "before each run the page cache of this machine is emptied\n"
        } else {
            "before each run the files to be read are read once, so that they come from memory where it is\n\
             large enough (the server's own clone reads from disk all the same; BENCH_COLD=1 is even)\n"
        });
        report.fact("mysqld", version.into());
        report.fact("bytes_of_tablespaces", size.into());
        Ok(ground)
    }

    /// Fills `sbtest`; what an earlier load put there is moved out of the way.
    pub(crate) fn load(&self) -> Result<()> {
        self.server.load_sysbench_like(TABLES, self.rows)?;
        self.settle()
    }

    /// Moves the tables of `sbtest` to another schema, so that more can be loaded.
    pub(crate) fn put_aside(&self) -> Result<()> {
        let pairs: Vec<String> = (1..=TABLES)
            .map(|table| format!("sbtest.sbtest{table} TO aside.sbtest{table}"))
            .collect();
        self.server
            .sql(&format!(
                "CREATE SCHEMA aside; RENAME TABLE {}",
                pairs.join(", ")
            ))
            .map(drop)
    }

    /// Waits until the server has written everything and has nothing left to do.
    pub(crate) fn settle(&self) -> Result<()> {
        self.server
            .sql("SET GLOBAL innodb_max_dirty_pages_pct = 0")?;
        let begin = Instant::now();
        let mut quiet = 0;
        // Purge makes pages dirty again: it has to stay like this for a while.
        while quiet < 5 && begin.elapsed() < SETTLE {
            let rows = self
                .server
                .sql_rows("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")?;
            let dirty = rows.first().and_then(|row| row.get(1));
            quiet = if dirty.is_some_and(|count| count == "0") {
                quiet + 1
            } else {
                0
            };
            std::thread::sleep(Duration::from_millis(100));
        }
        self.server
            .sql("SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT")
            .map(drop)
    }

    /// Bytes of all tables that were loaded last.
    fn data_size(&self) -> Result<u64> {
        let size = self.server.query_value(
            "SELECT SUM(file_size) FROM information_schema.innodb_tablespaces WHERE name LIKE 'sbtest/%'",
        )?;
        size.parse().context("size of sbtest")
    }

    /// Changes rows on one percent of the pages, each on a page of its own; how many rows.
    pub(crate) fn change_one_percent(&self, seed: u64) -> Result<u64> {
        let pages = self.data_size()? / PAGE / 100;
        let each = (pages / u64::from(TABLES)).max(1);
        // Rows at equal distances, further apart than a page holds.
        let distance = self.rows / each;
        for table in 1..=TABLES {
            let first = 1 + seed * 37 % distance;
            let ids: Vec<String> = (0..each)
                .map(|n| (first + n * distance).to_string())
                .collect();
            self.server.sql(&format!(
                "UPDATE sbtest.sbtest{table} SET c = REVERSE(c), pad = CONCAT('{seed}', SUBSTR(pad, 2)) WHERE id IN ({})",
                ids.join(",")
            ))?;
        }
        self.settle()?;
        Ok(each * u64::from(TABLES))
    }

    /// Changes rows in small transactions of several sessions until a quarter of the data size is in
    /// the binary log behind a position; how many bytes there are.
    pub(crate) fn write_binlog(&self, file: &str, position: u64) -> Result<u64> {
        let wanted = self.rows * u64::from(TABLES) * BYTES_PER_ROW / 4;
        let mut round = 0;
        loop {
            let logs = self.server.sql_rows("SHOW BINARY LOGS")?;
            let behind = logs
                .iter()
                .filter(|row| row.first().is_some_and(|name| name.as_str() >= file));
            let bytes: u64 = behind
                .filter_map(|row| row.get(1)?.parse::<u64>().ok())
                .sum();
            let bytes = bytes.saturating_sub(position);
            if bytes >= wanted {
                self.settle()?;
                return Ok(bytes);
            }
            let client = self.server.client();
            std::thread::scope(|scope| {
                let sessions: Vec<_> = (1..=TABLES)
                    .map(|table| scope.spawn(move || client.sql(&updates(table, round, self.rows))))
                    .collect();
                sessions.into_iter().try_for_each(|session| {
                    session
                        .join()
                        .unwrap_or_else(|_| Err(anyhow::anyhow!("a session panicked")))
                        .map(drop)
                })
            })?;
            round += 1;
        }
    }

    /// Changes rows on one percent of the pages, all at the end of the last table; how many rows.
    pub(crate) fn change_the_last_percent(&self) -> Result<u64> {
        let rows = (self.rows * u64::from(TABLES) / 100).clamp(1, self.rows);
        self.server.sql(&format!(
            "UPDATE sbtest.sbtest{TABLES} SET pad = REVERSE(pad) WHERE id > {}",
            self.rows - rows
        ))?;
        self.settle()?;
        Ok(rows)
    }

    /// The program.
    pub(crate) fn program(&self) -> &Innoclone {
        &self.program
    }

    /// A path beside the server's data directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.server.root_dir().join(name)
    }

    /// The same as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Removes what a run made.
    pub(crate) fn discard(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        if path.exists() {
            fs_err::remove_dir_all(path)?;
        }
        Ok(())
    }

    /// Makes runs comparable: nothing waits to be written, and what is read is in the page cache,
    /// or nothing is.
    pub(crate) fn ready(&self, sources: &[&Path]) -> Result<()> {
        sync(self.server.root_dir())?;
        if self.cold {
            return fs_err::write("/proc/sys/vm/drop_caches", "1").context("BENCH_COLD wants root");
        }
        let mut block = vec![0; 1 << 20];
        sources
            .iter()
            .try_for_each(|path| read_all(path, &mut block))
    }

    /// Runs innoclone with `--json`.
    pub(crate) fn innoclone(&self, args: &[&str]) -> Result<Sample> {
        let mut command = self.program.command(args);
        let run = measure(command.arg("--json"))?;
        let run = run
            .success()
            .with_context(|| format!("innoclone {}", args.join(" ")))?;
        Ok(run.into())
    }

    /// A command of innoclone that runs beside others.
    pub(crate) fn beside(&self, args: &[&str]) -> Command {
        self.program.command(args)
    }

    /// `innoclone backup --to NAME` with further arguments.
    pub(crate) fn backup(&self, name: &str, more: &[&str]) -> Result<Sample> {
        let (socket, to) = (self.server.socket().display().to_string(), self.text(name));
        let mut args = vec!["backup", "--user", "root", "--socket", &socket, "--to", &to];
        args.extend(more);
        self.innoclone(&args)
    }

    /// `cp -r FROM TO` and a sync: durable, as a backup is.
    pub(crate) fn copy(&self, from: &str, to: &str) -> Result<Sample> {
        let (from, to) = (self.path(from), self.path(to));
        let copied = measure(Command::new("cp").arg("-r").args([&from, &to]))?.success()?;
        let synced = measure(Command::new("sync").arg("-f").arg(&to))?.success()?;
        Ok(copied.then(&synced).into())
    }

    /// The server's own clone into a directory.
    pub(crate) fn clone_local(&self, name: &str) -> Result<Sample> {
        let pid = self.server.pid().context("the server is not running")?;
        let (before, begin) = (Io::of(pid), Instant::now());
        self.server.sql(&format!(
            "CLONE LOCAL DATA DIRECTORY = '{}'",
            self.text(name)
        ))?;
        Ok(Sample {
            time: begin.elapsed(),
            io: Io::of(pid).since(before),
            peak_memory: None,
            answer: serde_json::Value::Null,
        })
    }

    fn check_space(&self, megabytes: u64) -> Result<()> {
        let stat = rustix::fs::statvfs(self.server.root_dir())?;
        let free = stat.f_bavail * stat.f_frsize;
        let need = megabytes * (1 << 20) * COPIES + (2 << 30);
        if free < need {
            bail!(
                "{} has {} free, the bench needs {}: set BENCH_DIR to another place, or BENCH_MB to less",
                self.server.root_dir().display(),
                show::bytes(free),
                show::bytes(need)
            );
        }
        Ok(())
    }
}

/// Some hundred transactions on a table.
fn updates(table: u32, round: u64, rows: u64) -> String {
    let statement = |n: u64| {
        let first = 1 + (round * 300 + n) * 7919 % rows;
        format!(
            "UPDATE sbtest.sbtest{table} SET k = k + 1, c = REVERSE(c) WHERE id BETWEEN {first} AND {};",
            first + 5
        )
    };
    (0..300).map(statement).collect()
}

/// Waits until the file system of `path` has nothing to write.
fn sync(path: &Path) -> Result<()> {
    let status = Command::new("sync").arg("-f").arg(path).status()?;
    ensure!(status.success(), "sync -f: {status}");
    Ok(())
}

fn read_all(path: &Path, block: &mut [u8]) -> Result<()> {
    if path.is_dir() {
        for entry in fs_err::read_dir(path)? {
            read_all(&entry?.path(), block)?;
        }
    } else if let Ok(mut file) = fs_err::File::open(path) {
        // The server removes files as it likes.
        while file.read(block)? > 0 {}
    }
    Ok(())
}

const TABLES: u32 = 8;
const PAGE: u64 = 16384;
/// On disk, index included.
const BYTES_PER_ROW: u64 = 235;
/// Copies of the data that exist at the same time, at most: twice the data, its backup, its restore.
const COPIES: u64 = 7;
const SETTLE: Duration = Duration::from_secs(120);
