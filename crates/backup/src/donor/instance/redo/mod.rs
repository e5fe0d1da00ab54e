//! Following the redo log of a running server into the snapshot.

mod consumer;
mod copier;
mod live;

pub(super) use live::checkpoint;

use self::consumer::Consumer;
use self::copier::Copier;
use super::facts::Facts;
use crate::recipient::Recipient;
use crate::{Error, Job, Result};
use innodb::encryption::TablespaceKey;
use innodb::lsn::Lsn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use wire::ConnectOptions;

/// State shared with the thread that follows.
#[derive(Debug)]
struct Shared {
    /// Where to end; 0 while not known.
    end: AtomicU64,
    /// Copy nothing more until the end is known.
    hold: AtomicBool,
    /// Nothing is being copied.
    held: AtomicBool,
    stop: AtomicBool,
    failure: Mutex<Option<Error>>,
    /// The key of an encrypted log, where it is known.
    key: Mutex<Option<TablespaceKey>>,
    bytes: AtomicU64,
}

/// Copies the log from a checkpoint on, in a thread of its own, until told where to end.
#[derive(Debug)]
pub(super) struct Follower {
    pub checkpoint: Lsn,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Wakes the thread when it waits for an answer of the server.
    connection: Option<wire::ShutdownHandle>,
}

impl Follower {
    /// Registers as a consumer, reads the checkpoint and begins to follow.
    pub(super) fn start(
        facts: &Facts,
        options: &ConnectOptions,
        recipient: &Arc<dyn Recipient>,
        job: &Job,
    ) -> Result<Self> {
        // Registered first: from then on nothing after the checkpoint read next can go.
        let consumer = Consumer::register(options, job)?;
        let connection = consumer.as_ref().and_then(Consumer::shutdown_handle);
        let from = checkpoint(&facts.redo_dir)?;
        let shared = Arc::new(Shared {
            end: AtomicU64::new(0),
            hold: AtomicBool::new(false),
            held: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
            key: Mutex::default(),
            bytes: AtomicU64::new(0),
        });
        let lsn = from.lsn;
        let mut copier = Copier::new(facts, from, recipient, &job.progress);
        let state = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("redo".into())
            .spawn(move || {
                if let Err(error) = copier.run(&state, consumer) {
                    *state.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    state.stop.store(true, Ordering::Release);
                }
            })
            .map_err(|e| Error::io("start thread for", &facts.redo_dir, e))?;
        Ok(Self {
            checkpoint: lsn,
            shared,
            thread: Some(thread),
            connection,
        })
    }

    /// With the key of an encrypted log its last block is cut as that of any log.
    pub(super) fn use_key(&self, key: Option<TablespaceKey>) {
        *self
            .shared
            .key
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// Fails as soon as the copy of the log has.
    pub(super) fn check(&self) -> Result<()> {
        if !self.shared.stop.load(Ordering::Acquire) {
            return Ok(());
        }
        let failure = self
            .shared
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Err(failure.unwrap_or(Error::Cancelled))
    }

    /// Makes the copy wait until [`Self::finish`] says where it ends. Log that the server writes
    /// between the choice of the end and that call must not be in the backup.
    pub(super) fn hold(&self, job: &Job) -> Result<()> {
        self.shared.hold.store(true, Ordering::Release);
        while !self.shared.held.load(Ordering::Acquire) {
            self.check()?;
            job.sleep(Duration::from_millis(1))?;
        }
        Ok(())
    }

    /// Ends the copy at `end` and waits for it; bytes of log copied.
    pub(super) fn finish(&mut self, end: Lsn, job: &Job) -> Result<u64> {
        self.shared.end.store(end.get(), Ordering::Release);
        while self
            .thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
        {
            job.sleep(Duration::from_millis(2))?;
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.check()?;
        Ok(self.shared.bytes.load(Ordering::Relaxed))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // The server forgets the consumer with its session.
            if let Some(connection) = &self.connection {
                connection.shutdown();
            }
            let _ = thread.join();
        }
    }
}
