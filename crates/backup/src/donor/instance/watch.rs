//! Cancellation of a job whose control connection waits for the server.

use super::session::Session;
use crate::{Error, Job, Result};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A thread that shuts the control connection down when the job is cancelled: the statement that
/// waits fails at once, and the server gives back what the session holds.
#[derive(Debug)]
pub(in crate::donor) struct CancelWatch {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl CancelWatch {
    pub(in crate::donor) fn start(session: &Session, job: &Job) -> Result<Self> {
        let handle = session.shutdown_handle()?;
        let (done, cancelled) = (Arc::new(AtomicBool::new(false)), job.cancelled());
        let over = Arc::clone(&done);
        let thread = std::thread::Builder::new()
            .name("cancel".into())
            .spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    if cancelled.load(Ordering::Relaxed) {
                        handle.shutdown();
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
            })
            .map_err(|e| Error::io("start thread for", Path::new("cancellation"), e))?;
        Ok(Self {
            done,
            thread: Some(thread),
        })
    }
}

impl Drop for CancelWatch {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
