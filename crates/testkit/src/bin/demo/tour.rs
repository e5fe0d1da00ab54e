//! The story.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use innoclone_testkit::{
    Innoclone, Result, Run, Server, ServerOptions, Workload, WorkloadOptions, measure,
    replay_binlog, show, size_on_disk,
};

use crate::screen::Screen;
use crate::{proof, shop};

/// Tells it; whether the restored server is identical with its source.
pub(crate) fn run(screen: &mut Screen) -> Result<bool> {
    screen.say(WELCOME)?;
    screen.chapter("A server with data")?;
    let tour = Tour::begin(screen)?;

    screen.chapter("A full backup, while clients write")?;
    let workload = tour.start_clients(screen)?;
    let full = tour.backup(screen, &workload, "full", &["--page-track"])?;

    screen.chapter("DDL, and an increment")?;
    tour.change(screen, shop::FIRST_CHANGES)?;
    let base = tour.path("full");
    let first = tour.backup(screen, &workload, "incr1", &["--based-on", &base])?;

    screen.chapter("More DDL, and an increment of the increment")?;
    tour.change(screen, shop::SECOND_CHANGES)?;
    let base = tour.path("incr1");
    let second = tour.backup(screen, &workload, "incr2", &["--based-on", &base])?;

    screen.chapter("The clients stop")?;
    std::thread::sleep(Duration::from_secs(2));
    let stats = workload.stop();
    screen.say(&format!(
        "They committed {} transactions, the last ones after the last backup: those are in the\n\
         binary log only. The history knows the three backups:\n\n",
        show::number(stats.transactions)
    ))?;
    tour.innoclone(screen, &["history"])?;

    screen.chapter("Restore the chain with one command")?;
    let restore = tour.restore(screen)?;

    screen.chapter("Stock mysqld starts on the result")?;
    let restored = tour.boot(screen)?;

    screen.chapter("Point in time recovery with stock mysqlbinlog")?;
    tour.replay(screen, &restored)?;

    screen.chapter("Is it the same?")?;
    let same = proof::compare(screen, &tour.server, &restored)?;
    restored.shutdown()?;

    screen.chapter("What it took")?;
    screen.say(&show::table(
        &["step", "time", "on disk", "peak memory"],
        &[full, first, second, restore],
    ))?;
    if same {
        screen.success("OK: every table, every object and the GTID set are identical.")?;
    } else {
        screen.failure("the restored server differs from its source, see above");
    }
    Ok(same)
}

/// What the steps share.
struct Tour {
    server: Server,
    program: Innoclone,
}

impl Tour {
    fn begin(screen: &Screen) -> Result<Self> {
        let server = Server::start(ServerOptions::default())?;
        // Everything is kept below the server's directory, which is removed at the end, however
        // the demo ends.
        let program = Innoclone::find(&server.root_dir().join("state"))?;
        let version = server.query_value("SELECT VERSION()")?;
        screen.say(&format!(
            "mysqld {version} runs in {}, stock, with binary log and GTIDs.",
            server.root_dir().display()
        ))?;
        let begin = Instant::now();
        server.load_sysbench_like(TABLES, ROWS)?;
        server.sql(shop::OPENING)?;
        let size = size_on_disk(server.datadir())?;
        screen.say(&format!(
            "It was filled with {TABLES} tables of {} rows and a little shop: {} in {}.",
            show::number(ROWS),
            show::bytes(size),
            show::seconds(begin.elapsed())
        ))?;
        Ok(Self { server, program })
    }

    /// A path beside the server's data directory.
    fn path(&self, name: &str) -> String {
        self.server.root_dir().join(name).display().to_string()
    }

    fn start_clients(&self, screen: &Screen) -> Result<Workload> {
        let options = WorkloadOptions {
            pause: Duration::from_millis(1),
            ..WorkloadOptions::default()
        };
        let workload = Workload::start(&self.server, options)?;
        std::thread::sleep(Duration::from_secs(1));
        screen.say(
            "Two clients move money between accounts, place and cancel orders, write documents.\n\
             They go on until the backups are done.\n\n",
        )?;
        Ok(workload)
    }

    /// Runs innoclone and shows it.
    fn innoclone(&self, screen: &Screen, args: &[&str]) -> Result<Run> {
        let mut command = self.program.command(args);
        screen.command("$", &format!("innoclone --no-defaults {}", args.join(" ")))?;
        let run = measure(&mut command)?;
        screen.run(&run)?;
        // What it said has just been shown.
        ensure!(
            run.status.success(),
            "innoclone {}: {}",
            args.join(" "),
            run.status
        );
        Ok(run)
    }

    fn backup(
        &self,
        screen: &Screen,
        workload: &Workload,
        name: &str,
        more: &[&str],
    ) -> Result<Vec<String>> {
        let (socket, to) = (self.server.socket().display().to_string(), self.path(name));
        let mut args = vec!["backup", "--user", "root", "--socket", &socket, "--to", &to];
        args.extend(more);
        let before = workload.stats().transactions;
        let run = self.innoclone(screen, &args)?;
        let committed = workload.stats().transactions - before;
        let size = size_on_disk(self.server.root_dir().join(name).as_path())?;
        screen.say(&format!(
            "\n{} in {}; meanwhile the clients committed {} transactions.",
            show::bytes(size),
            show::seconds(run.time),
            show::number(committed)
        ))?;
        Ok(row(&format!("backup {name}"), &run, size))
    }

    fn change(&self, screen: &Screen, changes: &[(&str, &str)]) -> Result<()> {
        for (statement, remark) in changes {
            screen.command("mysql>", &format!("{statement};  -- {remark}"))?;
            self.server.sql(statement)?;
        }
        std::thread::sleep(Duration::from_secs(1));
        screen.say("\n")
    }

    fn restore(&self, screen: &Screen) -> Result<Vec<String>> {
        let (last, to) = (self.path("incr2"), self.path("restored"));
        let run = self.innoclone(screen, &["restore", &last, "--to", &to])?;
        let size = size_on_disk(to.as_ref())?;
        screen.say(&format!(
            "\n{} in {}, in one pass, each page written once; the sets were only read.\n\n",
            show::bytes(size),
            show::seconds(run.time)
        ))?;
        self.innoclone(screen, &["verify", &to])?;
        Ok(row("restore", &run, size))
    }

    fn boot(&self, screen: &Screen) -> Result<Server> {
        let begin = Instant::now();
        let datadir = self.server.root_dir().join("restored");
        screen.command("$", &format!("mysqld --datadir={} ...", datadir.display()))?;
        let restored = Server::start_on(&datadir, &[])?;
        screen.say(&format!(
            "\nIt is up after {}.",
            show::seconds(begin.elapsed())
        ))?;
        Workload::check(&restored)?;
        screen
            .say("Its transactions are whole. The server's own view of how it came to be:\n\n")?;
        screen.command("mysql>", "SELECT * FROM performance_schema.clone_status\\G")?;
        let mut command = restored.client().command("mysql");
        command.args([
            "--vertical",
            "--execute",
            "SELECT * FROM performance_schema.clone_status",
        ]);
        screen.run(&measure(&mut command)?.success()?)?;
        Ok(restored)
    }

    fn replay(&self, screen: &Screen, restored: &Server) -> Result<()> {
        let rows = restored
            .sql_rows("SELECT BINLOG_FILE, BINLOG_POSITION FROM performance_schema.clone_status")?;
        let [file, position] = rows.first().map_or(&[][..], Vec::as_slice) else {
            anyhow::bail!("clone_status has {rows:?} instead of one position");
        };
        let position = position.parse().context("BINLOG_POSITION")?;
        screen.command(
            "$",
            &format!("mysqlbinlog --start-position={position} {file} ... | mysql --binary-mode"),
        )?;
        let begin = Instant::now();
        replay_binlog(&self.server, restored, file, position)?;
        screen.say(&format!(
            "\nThe transactions after the last backup were replayed in {}.",
            show::seconds(begin.elapsed())
        ))
    }
}

fn row(what: &str, run: &Run, size: u64) -> Vec<String> {
    vec![
        what.to_owned(),
        show::seconds(run.time),
        show::bytes(size),
        show::bytes(run.peak_memory),
    ]
}

const WELCOME: &str = "\
innoclone copies the files of a running MySQL server, from outside, and proves what it did.
This tour takes a full backup and two increments while clients write and tables come and go,
restores them with one command, and compares every table with the original.";

const TABLES: u32 = 4;
const ROWS: u64 = 150_000;
