//! Written data goes to disk while the copy runs, and does not stay in the page cache.
//!
//! Without this a large copy fills memory with dirty pages, pushes the server's files out of the
//! cache, and ends with one long sync.

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::fs::Advice;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Bytes of one file that may be dirty before it is handed over.
pub(crate) const WINDOW: u64 = 32 << 20;

/// A thread that syncs files handed to it. Errors are not lost: the final sync of each file, which
/// the kernel makes report write errors that happened before, is the one that counts.
#[derive(Debug)]
pub(crate) struct Writeback {
    queue: Option<Sender<Arc<File>>>,
    thread: Option<JoinHandle<()>>,
    failed: Arc<AtomicBool>,
}

impl Writeback {
    pub(crate) fn start() -> Self {
        let (queue, files): (_, Receiver<Arc<File>>) = bounded(4);
        let failed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&failed);
        let thread = std::thread::spawn(move || {
            for file in files {
                match file.sync_data() {
                    Ok(()) => drop_cache(&file, 0, 0),
                    Err(_) => flag.store(true, Ordering::Relaxed),
                }
            }
        });
        Self {
            queue: Some(queue),
            thread: Some(thread),
            failed,
        }
    }

    /// Hands a file over; waits when the disk is that far behind, which bounds dirty memory.
    pub(crate) fn push(&self, file: &Arc<File>) {
        if let Some(queue) = &self.queue {
            // The receiver lives as long as `self`.
            let _ = queue.send(Arc::clone(file));
        }
    }

    /// Whether a sync has failed. A descriptor reports a write error once, so this one must not
    /// be forgotten even if later syncs succeed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Drop for Writeback {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Lets the kernel forget clean cached pages of `file`; `len` 0 is up to the end. Advice only.
pub(crate) fn drop_cache(file: &File, offset: u64, len: u64) {
    let _ = rustix::fs::fadvise(
        file,
        offset,
        std::num::NonZeroU64::new(len),
        Advice::DontNeed,
    );
}
