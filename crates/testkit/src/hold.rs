//! Waiting for a state of the server, and holding it there: tests of what happens meanwhile then do
//! not depend on how fast the machine is.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};

use crate::client::quote_text;
use crate::session::{Outcome, Session};
use crate::{Client, Result, Server};

/// How long a state is waited for: a guard, not a goal.
const PATIENCE: Duration = Duration::from_secs(600);

impl Client {
    /// Asks for the one value of `query` until it is `wanted`.
    ///
    /// # Errors
    /// When that takes ten minutes; tells the query and its last value.
    pub fn wait_until(&self, query: &str, wanted: &str) -> Result<()> {
        let begin = Instant::now();
        loop {
            let found = self.query_value(query)?;
            if found == wanted {
                return Ok(());
            }
            ensure!(
                begin.elapsed() < PATIENCE,
                "{found:?} and never {wanted:?} from: {query}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The lock of a backup (`LOCK INSTANCE FOR BACKUP`), held until this is dropped.
#[derive(Debug)]
pub struct BackupLock {
    _session: Session,
}

/// A statement of DDL that is under way until [`HeldDdl::release`]: it holds what DDL holds, and
/// waits for a transaction that has read its table.
#[derive(Debug)]
pub struct HeldDdl {
    reader: Session,
    statement: JoinHandle<Result<String>>,
}

impl Server {
    /// Keeps DDL out, as a backup does.
    pub fn lock_for_backup(&self) -> Result<BackupLock> {
        let session = Session::open(self.client(), "LOCK INSTANCE FOR BACKUP")?;
        Ok(BackupLock { _session: session })
    }

    /// Starts `ALTER TABLE table change`, and returns when it is under way and waits.
    pub fn hold_ddl(&self, table: &str, change: &str) -> Result<HeldDdl> {
        let mut reader = Session::open(self.client(), "BEGIN")?;
        let read = reader.run(&format!("DO (SELECT COUNT(*) FROM {table})"), PATIENCE)?;
        ensure!(read == Outcome::Done, "{table} cannot be read");
        let (client, alter) = (
            self.client().clone(),
            format!("ALTER TABLE {table} {change}"),
        );
        let waits = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
             WHERE STATE = 'Waiting for table metadata lock' AND INFO = {}",
            quote_text(&alter)
        );
        let statement = std::thread::spawn(move || client.sql(&alter));
        self.client().wait_until(&waits, "1")?;
        Ok(HeldDdl { reader, statement })
    }
}

impl HeldDdl {
    /// Lets the statement go on, and waits for its end.
    ///
    /// # Errors
    /// That of the statement.
    pub fn release(self) -> Result<()> {
        drop(self.reader);
        let ended = self.statement.join();
        ended
            .map_err(|_| anyhow!("the statement's thread panicked"))?
            .map(drop)
    }
}
