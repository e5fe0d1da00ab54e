//! An encrypted donor, sets of it, and the search for its keys.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use crate::common::{self, Place, files_below};
use crate::network;
use backup::command::{BackupReport, RestoreReport, RestoreRequest, backup_remote, restore};
use backup::command::{RemoteBackupRequest, VerifyRequest, verify};
use backup::donor::instance::IncrementFrom;
use backup::donor::remote::RemoteOptions;
use backup::{EncryptionKey, Error};
use innodb::encryption::{REDO_KEY_AT, TablespaceKey};
use innodb::tablespace::{SpaceHeader, encryption_offset};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use testkit::{Client, Server, ServerOptions};

pub fn key(byte: u8) -> EncryptionKey {
    EncryptionKey::from_bytes(&[byte; 32]).unwrap()
}

/// A server on which everything is encrypted that can be, in all the ways there are.
pub fn encrypted_donor() -> Server {
    let server = network::donor(ServerOptions {
        keyring: true,
        args: vec![
            "--innodb-redo-log-encrypt=ON".into(),
            "--innodb-undo-log-encrypt=ON".into(),
        ],
        ..ServerOptions::default()
    });
    let table = |name: &str, options: &str| {
        format!(
            "CREATE TABLE e.{name} (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(400)) {options};
             INSERT INTO e.{name} (t) WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n \
             WHERE i < 900) SELECT CONCAT('{name}', REPEAT(i, 30)) FROM n;"
        )
    };
    let mut script = "CREATE SCHEMA e; ALTER TABLESPACE mysql ENCRYPTION='Y';
        CREATE TABLESPACE gs ADD DATAFILE 'gs.ibd' ENCRYPTION='Y';
        CREATE TABLESPACE turns ADD DATAFILE 'turns.ibd' ENCRYPTION='Y';"
        .to_owned();
    script += &table("own", "ENCRYPTION='Y'");
    script += &table("idle", "ENCRYPTION='Y'");
    script += &table("plain", "");
    script += &table(
        "zip",
        "ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8 ENCRYPTION='Y'",
    );
    script += &table("holes", "COMPRESSION='zlib' ENCRYPTION='Y'");
    script += &table("shared", "TABLESPACE=gs ENCRYPTION='Y'");
    script += &table("turned", "TABLESPACE=turns ENCRYPTION='Y'");
    script += &table(
        "parts",
        "ENCRYPTION='Y' PARTITION BY HASH (id) PARTITIONS 2",
    );
    server.sql(&script).unwrap();
    server
}

/// DDL that switches encryption on and off, makes and drops encrypted tables and rotates the master
/// key, until it is dropped.
pub struct Ddl {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Ddl {
    /// Of donors that no lock keeps DDL from. General tablespaces stay as they are, see
    /// [`switch_in_place`].
    pub fn start(server: &Server) -> Self {
        Self::begin(server, statements)
    }

    /// Of donors that have the backup lock at the snapshot.
    pub fn start_with_general_tablespaces(server: &Server) -> Self {
        Self::begin(server, |round| {
            let mut all = statements(round);
            let on = if round % 2 == 1 { "Y" } else { "N" };
            all.push(format!("ALTER TABLESPACE turns ENCRYPTION='{on}'"));
            all
        })
    }

    fn begin(server: &Server, statements: fn(usize) -> Vec<String>) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (ending, counted): (_, Arc<AtomicUsize>) = (Arc::clone(&stop), Arc::clone(&done));
        let client = server.client().clone();
        let thread = std::thread::spawn(move || {
            let mut round = 0;
            while !ending.load(Ordering::Relaxed) {
                for statement in statements(round) {
                    run(&client, &statement);
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                round += 1;
            }
        });
        Self {
            stop,
            done,
            thread: Some(thread),
        }
    }

    /// Statements executed so far.
    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until all statements have had another turn.
    pub fn go_on(&self) {
        let seen = self.done();
        let is_alive = || !self.thread.as_ref().unwrap().is_finished();
        while self.done() < seen + statements(0).len() {
            assert!(is_alive(), "the DDL ended by itself");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    pub fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Encrypts or decrypts a general tablespace, which is done in place.
///
/// Not while a stock donor is cloned: a server that is killed in the middle of it crashes, once in
/// about a hundred times, when it goes on with that at its next start. A snapshot of such a moment
/// is no better.
pub fn switch_in_place(server: &Server, on: bool) {
    let on = if on { "Y" } else { "N" };
    server
        .sql(&format!("ALTER TABLESPACE turns ENCRYPTION='{on}'"))
        .unwrap();
}

fn statements(round: usize) -> Vec<String> {
    let on = |yes: bool| if yes { "Y" } else { "N" };
    let (now, then) = (on(round % 2 == 1), on(round.is_multiple_of(2)));
    vec![
        format!("INSERT INTO e.own (t) SELECT REPEAT({round} % 10, 200) FROM e.own LIMIT 50"),
        format!("ALTER TABLE e.plain ENCRYPTION='{now}'"),
        format!("UPDATE e.shared SET t = REPEAT({round} % 10, 300) WHERE id % 7 = {round} % 7"),
        format!("ALTER TABLE e.zip ENCRYPTION='{then}'"),
        "UPDATE e.holes SET t = REVERSE(t) WHERE id % 3 = 1".to_owned(),
        // Two in one: where the first fails, the second cannot succeed.
        format!(
            "CREATE TABLE e.born{round} (id INT PRIMARY KEY, t TEXT) ENCRYPTION='Y'; \
             INSERT INTO e.born{round} SELECT id, t FROM e.own LIMIT 200"
        ),
        "ALTER INSTANCE ROTATE INNODB MASTER KEY".to_owned(),
        "TRUNCATE TABLE e.parts; INSERT INTO e.parts SELECT id, t FROM e.own LIMIT 300".to_owned(),
        format!("DROP TABLE IF EXISTS e.born{}", round.wrapping_sub(2)),
    ]
}

/// A clone may make DDL wait, and end it.
fn run(client: &Client, statement: &str) {
    if let Err(error) = client.sql(statement) {
        let text = error.to_string();
        assert!(
            text.contains("1205") || text.contains("3633") || text.contains("1206"),
            "{statement}: {text}"
        );
    }
}

pub fn backup(
    place: &Place,
    server: &Server,
    name: &str,
    base: Option<&str>,
    change: impl FnOnce(&mut RemoteOptions),
) -> Result<BackupReport, Error> {
    let mut remote = network::remote_options(server);
    remote.encryption_key = Some(key(1));
    remote.wait_for_donor = true;
    remote.from = base.map(|base| IncrementFrom::Set(place.path(base)));
    change(&mut remote);
    let request = RemoteBackupRequest {
        compression: *place.compression.lock().unwrap(),
        remote,
        to: place.path(name),
    };
    backup_remote(&request, &place.catalogue(), &common::job())
}

pub fn try_restore(
    place: &Place,
    set: &Path,
    to: &str,
    key: Option<EncryptionKey>,
) -> Result<RestoreReport, Error> {
    let request = RestoreRequest {
        set: set.to_owned(),
        chain: Vec::new(),
        to: place.path(to),
        force: false,
        owner: None,
        encryption_key: key,
    };
    restore(&request, &common::job())
}

pub fn problems(path: &Path) -> Vec<String> {
    let request = VerifyRequest {
        path: path.to_owned(),
        chain: Vec::new(),
        only_this: false,
        quick: false,
    };
    let report = verify(&request, &common::job()).unwrap();
    report.problems.iter().map(|p| format!("{p:?}")).collect()
}

/// Gives a data directory a keyring of its own, an empty one.
pub fn empty_keyring(place: &Place, data: &Path) {
    let name = data.file_name().unwrap().to_str().unwrap();
    let keys = place.path(&format!("keyring-of-{name}"));
    let manifest = r#"{ "components": "file://component_keyring_file" }"#;
    std::fs::write(data.join("mysqld.my"), manifest).unwrap();
    let configuration = format!(r#"{{ "path": "{}", "read_only": false }}"#, keys.display());
    std::fs::write(data.join("component_keyring_file.cnf"), configuration).unwrap();
}

/// The keys that stand in a data directory for everybody to read.
pub fn keys_in(data: &Path) -> Vec<TablespaceKey> {
    let found = named_keys_in(data).into_iter();
    found.map(|(_, key)| key).collect()
}

/// The same, with the files in which they stand.
pub fn named_keys_in(data: &Path) -> Vec<(PathBuf, TablespaceKey)> {
    let mut keys = Vec::new();
    for name in files_below(data) {
        let bytes = std::fs::read(data.join(&name)).unwrap();
        let at = if name.to_string_lossy().contains("#ib_redo") {
            REDO_KEY_AT
        } else {
            match SpaceHeader::parse(&bytes) {
                Ok(header) => encryption_offset(header.flags),
                Err(_) => continue,
            }
        };
        let block = bytes.get(at..at + 111).unwrap_or_default();
        let key = TablespaceKey::unprotected(block).unwrap();
        keys.extend(key.map(|key| (name, key)));
    }
    keys
}

/// Panics when one of the keys, in clear or wrapped by the key that everybody has, is in a file
/// below `root`.
pub fn assert_has_no_key(root: &Path, keys: &[TablespaceKey]) {
    assert!(keys.len() > 5, "{} keys to look for", keys.len());
    let mut needles = Vec::new();
    for key in keys {
        let wrapped = key.block(&[]);
        for part in [&key.as_bytes()[..], &wrapped[43..107]] {
            needles.extend(part.chunks(16).map(<[u8]>::to_vec));
        }
    }
    let mut begins = vec![false; 1 << 16];
    let pair = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    for needle in &needles {
        begins[pair(needle)] = true;
    }
    for name in files_below(root) {
        let bytes = std::fs::read(root.join(&name)).unwrap();
        for window in bytes.windows(16) {
            if begins[pair(window)] {
                let found = needles.iter().any(|needle| needle == window);
                assert!(!found, "a key stands in {}", name.display());
            }
        }
    }
}

/// Checks the sets of a chain: their keys are sealed, and every state comes back under an empty
/// keyring.
pub fn check_chain(server: &Server, place: &Place, sets: &[(&str, BackupReport)]) {
    for (set, report) in sets {
        assert_eq!(report.sealed_by.as_deref(), Some(key(1).id()));
        assert_eq!(problems(&place.path(set)), Vec::<String>::new());
        let data = format!("data-{set}");
        let restored = try_restore(place, &place.path(set), &data, Some(key(1))).unwrap();
        assert!(restored.keyring.unwrap().contains("keyring"));
        let data = place.path(&data);
        let keys = keys_in(&data);
        for (set, _) in sets {
            assert_has_no_key(&place.path(set), &keys);
        }
        empty_keyring(place, &data);
        let encrypt = [
            "--innodb-redo-log-encrypt=ON",
            "--innodb-undo-log-encrypt=ON",
        ];
        let mut restored = Server::start_on(&data, &encrypt).unwrap();
        // The server has wrapped them by its own key; that of its log it wraps when it is told to.
        restored
            .sql("SET sql_log_bin = 0; ALTER INSTANCE ROTATE INNODB MASTER KEY")
            .unwrap();
        restored.stop().unwrap();
        let left = named_keys_in(&data);
        assert!(left.is_empty(), "{left:?}");
        restored.start_again().unwrap();
        check_booted(server, &mut restored, report);
    }
}

/// Checks a restored server, and that it equals the donor once it has the donor's binary log.
pub fn check_booted(donor: &Server, restored: &mut Server, report: &BackupReport) {
    if testkit::check_tables(restored).is_err() {
        // The file of a table that was being truncated is found at the second start.
        restored.restart(&[]).unwrap();
        testkit::check_tables(restored).unwrap();
    }
    let log = restored.error_log();
    let mut complaints = testkit::scan_error_log(&log);
    complaints.retain(|line| {
        !line.contains("is not cloned and is empty") && !line.contains("the .ibd file is missing")
    });
    assert!(complaints.is_empty(), "{complaints:#?} in\n{log}");
    let (file, position) = (&report.binlog.file, report.binlog.position);
    testkit::replay_binlog(donor, restored, file, position).unwrap();
    let take = |server| {
        let snapshot = testkit::snapshot(server).unwrap().ignoring_auto_increment();
        snapshot.ignoring_objects("undo tablespace")
    };
    testkit::assert_same(&take(donor), &take(restored));
}
