//! How many tests of this machine run servers at the same time.
//!
//! `cargo test` starts as many tests as there are cores, several checkouts may test at once, and a
//! mysqld costs half a gigabyte. A place is a locked file: the kernel gives it back however its
//! owner dies. A thread (a test) that already has a place starts further servers on it, so that two
//! tests which both need a second server cannot wait for each other for ever.

use std::cell::RefCell;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::Result;

/// The right to run servers; given back when the last clone is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _lock: Option<File>,
}

thread_local! {
    static MINE: RefCell<Weak<Place>> = const { RefCell::new(Weak::new()) };
}

/// Waits for a place; after [`PATIENCE`] goes on without one, because a slow test is better than a
/// stuck one.
pub(crate) fn place() -> Result<Arc<Place>> {
    if let Some(mine) = MINE.with_borrow(Weak::upgrade) {
        return Ok(mine);
    }
    let place = Arc::new(Place { _lock: wait()? });
    MINE.set(Arc::downgrade(&place));
    Ok(place)
}

/// Where the tests of this user have the files that they lock.
pub(crate) fn folder() -> Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("innoclone-places-{user}"));
    fs_err::create_dir_all(&folder)?;
    Ok(folder)
}

fn wait() -> Result<Option<File>> {
    let folder = folder()?;
    let count = std::env::var("INNOCLONE_SERVERS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4);
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        for number in 0..count {
            let file = fs_err::OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join(format!("{number}")))?
                .into_parts()
                .0;
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(None)
}

const PATIENCE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_needs_one_place() {
        let first = place().unwrap();
        let second = place().unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        assert!(MINE.with_borrow(Weak::upgrade).is_none());
    }
}
