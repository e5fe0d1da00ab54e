//! Opening the file: its place, its identity, its schema.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::error::{Error, Fault, Result};
use crate::sql;

/// How long a process waits for the others. Transactions take milliseconds, so a wait this long
/// means a stopped process, not a busy one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the database, creating directory and schema where they do not exist.
pub(crate) fn open(dir: &Path, path: &Path) -> Result<Connection> {
    make_private(dir, path)?;
    let fail = |source| Error::database(path, "open the database", source);
    let mut connection = Connection::open(path).map_err(fail)?;
    connection.busy_timeout(PATIENCE).map_err(fail)?;
    prepare_patiently(&mut connection, path)?;
    check_pages(&connection, path)?;
    Ok(connection)
}

/// The history names hosts, paths and errors: it is its owner's business only.
fn make_private(dir: &Path, path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| Error::unusable(dir, source))?;
    // SQLite would create the file with the mode of the umask; an empty file is a valid database,
    // and the -wal and -shm files take over the mode of this one.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| Error::unusable(path, source))?;
    Ok(())
}

/// The switch to WAL mode does not wait for other processes as ordinary statements do, so the
/// first processes to open a new file may get in each other's way.
fn prepare_patiently(connection: &mut Connection, path: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match prepare(connection, path) {
            Err(Fault::Sqlite(error))
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                sleep(Duration::from_millis(5));
            }
            done => return done.map_err(|fault| fault.at(path, "prepare the schema")),
        }
    }
}

fn prepare(connection: &mut Connection, path: &Path) -> Result<(), Fault> {
    // Before anything is changed: a foreign or newer file is left as it is.
    let version = identify(connection, path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit survives a power failure.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    if version == sql::SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? == 0 {
        transaction.execute_batch(sql::CREATE_SCHEMA)?;
        transaction.pragma_update(None, "application_id", sql::APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", sql::SCHEMA_VERSION)?;
    }
    transaction.commit()?;
    Ok(())
}

/// The schema version, 0 for a file just created.
fn identify(connection: &mut Connection, path: &Path) -> Result<i64, Fault> {
    // In one transaction, or another process could create the schema between the questions.
    let snapshot = connection.transaction()?;
    let number = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let objects = snapshot.query_row(sql::COUNT_OBJECTS, [], number)?;
    let application = snapshot.pragma_query_value(None, "application_id", number)?;
    let version = snapshot.pragma_query_value(None, "user_version", number)?;
    snapshot.finish()?;
    let (path, supported) = (path.to_owned(), sql::SCHEMA_VERSION);
    match (objects, application, version) {
        (0, 0, 0) => Ok(0),
        (_, sql::APPLICATION_ID, 1..=sql::SCHEMA_VERSION) => Ok(version),
        (_, sql::APPLICATION_ID, found) if found > supported => Err(Error::Newer {
            path,
            found,
            supported,
        }
        .into()),
        _ => Err(Error::Foreign { path }.into()),
    }
}

/// The history is small: reading it once at every start finds damage before it is built upon.
fn check_pages(connection: &Connection, path: &Path) -> Result<()> {
    let verdict: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|source| Error::database(path, "check the database", source))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(Error::Damaged {
        path: path.to_owned(),
        detail: verdict,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::{Catalogue, FILE_NAME};

    #[test]
    fn directory_and_file_are_private() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("var/catalogue");
        let _catalogue = Catalogue::open(&dir).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join(FILE_NAME)), 0o600);
        assert_eq!(mode(&dir.join("catalogue.db-wal")), 0o600);
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(Catalogue::open(dir.path()).unwrap());
        let file = dir.path().join(FILE_NAME);
        Connection::open(&file)
            .unwrap()
            .pragma_update(None, "user_version", 2)
            .unwrap();
        let error = Catalogue::open(dir.path()).unwrap_err();
        assert_eq!(error.code(), "catalogue-newer");
        assert!(error.to_string().contains("version 2"), "{error}");
        let version =
            Connection::open(&file)
                .unwrap()
                .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        assert_eq!(version, Ok(2));
    }

    #[test]
    fn a_database_of_something_else_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE_NAME);
        let other = Connection::open(&file).unwrap();
        other.execute_batch("CREATE TABLE t (a)").unwrap();
        drop(other);
        let before = fs::read(&file).unwrap();
        assert_eq!(
            Catalogue::open(dir.path()).unwrap_err().code(),
            "catalogue-foreign"
        );
        assert_eq!(fs::read(&file).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_no_database_is_named_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join(FILE_NAME),
            "not a database, whatever its name says",
        )
        .unwrap();
        let error = Catalogue::open(dir.path()).unwrap_err();
        assert_eq!(error.code(), "catalogue-damaged");
        assert!(error.to_string().contains("catalogue.db"), "{error}");
        assert!(error.hint().unwrap().contains("rebuild the history"));
    }

    #[test]
    fn damage_anywhere_in_the_file_never_panics() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(dir.path()).unwrap();
        for n in 0..40 {
            let id = catalogue.begin(&crate::catalogue::tests::full(n)).unwrap();
            catalogue.complete(id, &crate::Outcome::default()).unwrap();
        }
        drop(catalogue);
        let file = dir.path().join(FILE_NAME);
        let sound = fs::read(&file).unwrap();
        let mut refused = 0;
        for start in (0..sound.len()).step_by(sound.len() / 61) {
            let mut damaged = sound.clone();
            let end = (start + 96).min(damaged.len());
            damaged[start..end].fill(0xa5);
            fs::write(&file, &damaged).unwrap();
            for suffix in ["-wal", "-shm"] {
                let _ = fs::remove_file(dir.path().join(format!("{FILE_NAME}{suffix}")));
            }
            match Catalogue::open(dir.path()).and_then(|catalogue| catalogue.history()) {
                Ok(_) => {}
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains("catalogue.db"), "{error}");
                }
            }
        }
        assert!(refused > 10, "{refused}");
        fs::write(&file, &sound[..sound.len() / 2]).unwrap();
        assert_eq!(
            Catalogue::open(dir.path()).unwrap_err().code(),
            "catalogue-damaged"
        );
    }

    #[test]
    fn a_place_that_cannot_be_a_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Catalogue::open(&file.join("catalogue")).unwrap_err();
        assert_eq!(error.code(), "catalogue-unusable");
    }
}
