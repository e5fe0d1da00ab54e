//! Backups and restores of whole chains: a full and two increments of the local and of a remote
//! instance, plain and in both ways compressed, put together step by step as the document does it,
//! and started by a stock server.

use std::path::{Path, PathBuf};

use testkit::{Server, Snapshot, assert_same, snapshot};

use super::sets::{self, Kind};
use super::{Row, get, lsn, names, shell, status_columns, tools, vertical};
use crate::common::shown::{HISTORY_COLUMNS, table};
use crate::daemon::{Daemon, run_with};

/// How the files of the sets are compressed: the value of the variable, the suffix of the files.
type Compression = (&'static str, &'static str);

const PLAIN: Compression = ("CLONE_FILE_COMPRESS_NONE", "");
const ZSTD: Compression = ("CLONE_FILE_COMPRESS_ZSTD", "zstd");
const LZ4: Compression = ("CLONE_FILE_COMPRESS_LZ4", "lz4");

#[test]
fn chains_of_the_local_instance_are_made_and_restored_as_documented() {
    let daemon = prepared();
    let instance = Instance::Local;
    for compression in [PLAIN, ZSTD, LZ4] {
        chain(&daemon, &instance, compression);
    }
}

#[test]
fn chains_of_a_remote_instance_are_made_and_restored_as_documented() {
    let daemon = prepared();
    let server = &daemon.world.server;
    server
        .sql(
            "CREATE USER repl@'%' IDENTIFIED BY 'GreatSQL@2023'; \
             GRANT BACKUP_ADMIN ON *.* TO repl@'%'",
        )
        .unwrap();
    let instance = Instance::Remote(format!("127.0.0.1:{}", server.port()));
    daemon.sql(&format!(
        "SET GLOBAL clone_valid_donor_list = '{}';",
        instance.source()
    ));
    for compression in [PLAIN, ZSTD, LZ4] {
        chain(&daemon, &instance, compression);
    }
    let (_, log) = daemon.stop();
    assert!(!log.contains("GreatSQL@2023"), "{log}");
}

/// The instance to be cloned.
enum Instance {
    Local,
    /// `host:port`.
    Remote(String),
}

impl Instance {
    /// What the statement begins with.
    fn clone(&self) -> String {
        match self {
            Self::Local => "CLONE LOCAL".to_owned(),
            Self::Remote(donor) => {
                format!("CLONE INSTANCE FROM repl@{donor} IDENTIFIED BY 'GreatSQL@2023'\n\t ")
            }
        }
    }

    /// What the tables have as SOURCE.
    fn source(&self) -> &str {
        match self {
            Self::Local => "LOCAL INSTANCE",
            Self::Remote(donor) => donor,
        }
    }
}

fn prepared() -> Daemon {
    let daemon = Daemon::new(&[]);
    // The server of this test may have the component already; both answers are the server's own.
    let installed = daemon.run("INSTALL COMPONENT \"file://component_mysqlbackup\";");
    let known = installed.stderr.contains("ERROR 3529 (HY000)");
    assert!(installed.status == Some(0) || known, "{}", installed.stderr);
    daemon
        .world
        .server
        .sql("CREATE DATABASE test; CREATE TABLE test.d (id INT AUTO_INCREMENT PRIMARY KEY)")
        .unwrap();
    tools(daemon.world.dir.path());
    daemon
}

/// One chain from the first statement to the tables of the restored server.
fn chain(daemon: &Daemon, instance: &Instance, compression: Compression) {
    let (value, suffix) = compression;
    let folder = format!("sets-{suffix}");
    let world = Story {
        daemon,
        tools: daemon.world.path("bin").into(),
        root: daemon.world.path(&folder).into(),
        suffix,
    };
    std::fs::create_dir(&world.root).unwrap();
    daemon.sql(&format!("SET GLOBAL clone_file_compress = {value};"));
    let shown = table(&daemon.sql("SHOW VARIABLES LIKE 'clone_file_compress';"));
    assert_eq!(shown[1], ["clone_file_compress", value]);

    let (full, first, second) = (
        world.path("clone-full/20240618"),
        world.path("clone-incr/20240618-202406181041"),
        world.path("clone-incr/20240618-202406181350"),
    );
    let clone = instance.clone();
    world.change();
    daemon.sql(&format!(
        "-- 备份本地实例，并开启 page tracking
{clone} DATA DIRECTORY = '{full}' ENABLE PAGE TRACK;"
    ));
    let base = world.newest(instance, "full clone", &full);
    assert_eq!(get(&base, "START_LSN"), "0");
    sets::check(full.as_ref(), Kind::Full, suffix);

    // Increments from an LSN begin at the one that the history names.
    world.change();
    let since = match lsn(&base, "PAGE_TRACK_LSN") {
        // A donor that tracks no pages for us: changed pages are found by their own LSN.
        0 => format!("INCREMENT BASED DIRECTORY = '{full}'"),
        tracked => format!("START_LSN = {tracked}"),
    };
    daemon.sql(&format!(
        "{clone} DATA DIRECTORY = '{first}'
          ENABLE PAGE TRACK {since};"
    ));
    let one = world.newest(instance, "increment clone", &first);
    connected(&base, &one);
    sets::check(first.as_ref(), Kind::Increment, suffix);
    world.change();
    daemon.sql(&format!(
        "{clone} DATA DIRECTORY = '{second}'
          ENABLE PAGE TRACK
          INCREMENT BASED DIRECTORY '{first}';"
    ));
    let two = world.newest(instance, "increment clone", &second);
    connected(&one, &two);
    sets::check(second.as_ref(), Kind::Increment, suffix);

    let before = snapshot(&daemon.world.server).unwrap();
    let restored = world.restore();
    world.compare(&restored, instance, &before, &two);
    world.replay(&restored);
    restored.shutdown().unwrap();
    // Nothing of the sets themselves has changed.
    let chain = world.path("clone-full");
    let verify = ["verify", &second, "--chain", &chain];
    daemon.world.run_alone(&verify).expect(0);
}

/// `START_LSN <= PAGE_TRACK_LSN <= END_LSN`, and the increment begins where the base lets it.
fn connected(base: &Row, increment: &Row) {
    let start = lsn(increment, "START_LSN");
    assert!(
        start > 0 && start <= lsn(increment, "END_LSN"),
        "{increment:?}"
    );
    assert!(lsn(base, "END_LSN") <= lsn(increment, "END_LSN"));
    let tracked = [base, increment].map(|row| lsn(row, "PAGE_TRACK_LSN"));
    if tracked[0] > 0 {
        assert!(
            start <= tracked[0] && start <= tracked[1],
            "{base:?} {increment:?}"
        );
    }
}

/// What one chain needs at every step.
struct Story<'a> {
    daemon: &'a Daemon,
    tools: PathBuf,
    root: PathBuf,
    suffix: &'static str,
}

impl Story<'_> {
    fn path(&self, name: &str) -> String {
        self.root.join(name).to_str().unwrap().to_owned()
    }

    fn change(&self) {
        let server = &self.daemon.world.server;
        server.sql("INSERT INTO test.d VALUES ()").unwrap();
    }

    #[track_caller]
    fn shell(&self, command: &str, dir: &str) -> String {
        shell(command, &self.root.join(dir), &self.tools)
    }

    /// The last row of the history: of a clone that has just been made.
    #[track_caller]
    fn newest(&self, instance: &Instance, kind: &str, directory: &str) -> Row {
        let mut rows = vertical(&self.daemon.sql("SELECT * FROM mysql.clone_history\\G"));
        let row = rows.pop().unwrap();
        assert_eq!(names(&row), HISTORY_COLUMNS);
        for (name, value) in [
            ("ID", (rows.len() + 1).to_string().as_str()),
            ("CLONE_TYPE", kind),
            ("STATE", "Completed"),
            ("SOURCE", instance.source()),
            ("DESTINATION", directory),
            ("ERROR_NO", "0"),
            ("ERROR_MESSAGE", ""),
        ] {
            assert_eq!(get(&row, name), value, "{name}");
        }
        assert!(
            lsn(&row, "PAGE_TRACK_LSN") <= lsn(&row, "END_LSN"),
            "{row:?}"
        );
        assert!(lsn(&row, "PID") > 0 && get(&row, "BEGIN_TIME") < get(&row, "END_TIME"));
        row
    }

    /// Copies of the sets, decompressed, put together one after the other, and started.
    fn restore(&self) -> Server {
        self.shell("mkdir -p restore/increment", "");
        self.shell("cp -rfp clone-full/20240618/ restore/", "");
        let data = self.path("restore/20240618");
        let text = format!("[mysqld]\ndatadir = {data}\nsocket = mysql.sock\nskip-networking\n");
        std::fs::write(Path::new(&data).join("my.cnf"), text).unwrap();
        if !self.suffix.is_empty() {
            self.decompress("restore/20240618");
            sets::check(data.as_ref(), Kind::FullWithPages, "");
            // The pages that were copied after the compressed files: the full into itself.
            self.apply(&data, &data);
        }
        for name in ["20240618-202406181041", "20240618-202406181350"] {
            self.shell(&format!("cp -rfp clone-incr/{name}/ restore/increment"), "");
            let increment = format!("restore/increment/{name}");
            if !self.suffix.is_empty() {
                self.decompress(&increment);
                sets::check(&self.root.join(&increment), Kind::Increment, "");
            }
            self.apply(&data, &self.path(&increment));
        }
        Server::start_on(data.as_ref(), &[]).unwrap()
    }

    fn decompress(&self, set: &str) {
        let suffix = self.suffix;
        let removal = if suffix == "zstd" { "rm -f" } else { "rm" };
        let said = self.shell(
            &format!(
                "for f in `find . -iname \"*\\.{suffix}\"`; do {suffix}_decompress $f \
                 $(dirname $f)/$(basename $f .{suffix}); {removal} $f; done"
            ),
            set,
        );
        let line = "decompress file: ./#innodb_redo/#ib_redo0.zstd";
        assert_eq!(said.contains(line), suffix == "zstd", "{said}");
    }

    /// `mysqld --defaults-file=./my.cnf --clone_incremental_dir=…`.
    #[track_caller]
    fn apply(&self, data: &str, set: &str) {
        let defaults = format!("--defaults-file={data}/my.cnf");
        let set = format!("--clone_incremental_dir={set}");
        self.daemon
            .world
            .run_alone(&["apply", &defaults, &set])
            .expect(0);
    }

    /// The restored server has the data, and says in the stock columns of its own table where it
    /// comes from.
    fn compare(&self, restored: &Server, instance: &Instance, before: &Snapshot, last: &Row) {
        assert_same(before, &snapshot(restored).unwrap());
        let query = "SELECT * FROM performance_schema.clone_status\\G";
        let rows = vertical(&ask(restored, query));
        assert_eq!(rows.len(), 1);
        let stock: Vec<&str> = status_columns().into_iter().take(12).collect();
        assert_eq!(names(&rows[0]), stock);
        for (name, value) in [
            ("PID", "0"),
            ("STATE", "Completed"),
            // GreatSQL shows the begin of the full.
            ("BEGIN_TIME", get(last, "BEGIN_TIME")),
            ("SOURCE", instance.source()),
            ("DESTINATION", "LOCAL INSTANCE"),
            ("ERROR_NO", "0"),
            ("ERROR_MESSAGE", ""),
        ] {
            assert_eq!(get(&rows[0], name), value, "{name}");
        }
        assert_eq!(
            get(&rows[0], "GTID_EXECUTED"),
            self.daemon
                .value("SELECT GTID_EXECUTED FROM mysql.clone_history ORDER BY ID DESC LIMIT 1")
        );
    }

    /// From the position of `clone_status` on, the original's binary log brings what came later.
    fn replay(&self, restored: &Server) {
        let query = "SELECT * FROM performance_schema.clone_status\\G";
        let rows = vertical(&ask(restored, query));
        let (file, from) = (
            get(&rows[0], "BINLOG_FILE"),
            get(&rows[0], "BINLOG_POSITION"),
        );
        self.change();
        let status = vertical(&self.daemon.sql("SHOW MASTER STATUS\\G"));
        let expected = [
            "File",
            "Position",
            "Binlog_Do_DB",
            "Binlog_Ignore_DB",
            "Executed_Gtid_Set",
        ];
        assert_eq!(names(&status[0]), expected);
        assert_eq!(get(&status[0], "File"), file);
        let to = get(&status[0], "Position");
        let logs = table(&self.daemon.sql("SHOW BINARY LOGS;"));
        assert_eq!(logs[0], ["Log_name", "File_size", "Encrypted"]);
        let last = logs.last().unwrap();
        assert_eq!(last, &[file, to, "No"]);

        let server = &self.daemon.world.server;
        let mut reader = server.install().command("mysqlbinlog");
        reader
            .arg(server.datadir().join(file))
            .arg(format!("--start-position={from}"))
            .arg(format!("--stop-position={to}"));
        let events = crate::common::run(&mut reader).expect(0).stdout;
        ask(restored, &events);
        let expected = snapshot(server).unwrap();
        assert_same(&expected, &snapshot(restored).unwrap());
    }
}

/// What the `mysql` client says of statements that succeed.
#[track_caller]
fn ask(server: &Server, statements: &str) -> String {
    let mut client = server.install().command("mysql");
    client
        .arg(format!("-S{}", server.socket().display()))
        .args(["-uroot", "--table", "--commands"]);
    run_with(client, statements).expect(0).stdout
}
