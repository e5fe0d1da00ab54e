//! A bounded set of open files, so that many small pieces of work on many files neither open a
//! file for each piece nor run out of descriptors.

use crate::{Error, Result};
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Open files by a key of the caller's; the longest unused ones are closed first.
#[derive(Debug)]
pub(crate) struct Handles<K> {
    state: Mutex<State<K>>,
    limit: usize,
}

#[derive(Debug)]
struct State<K> {
    open: HashMap<K, (Arc<File>, u64)>,
    clock: u64,
}

impl<K: Copy + Eq + std::hash::Hash> Handles<K> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::new(State {
                open: HashMap::new(),
                clock: 0,
            }),
            limit,
        }
    }

    /// The file kept for `key`, or the one that `open` gives.
    pub(crate) fn get(&self, key: K, open: impl FnOnce() -> Result<File>) -> Result<Arc<File>> {
        let mut state = self.lock();
        state.clock += 1;
        let clock = state.clock;
        if let Some((file, used)) = state.open.get_mut(&key) {
            *used = clock;
            return Ok(Arc::clone(file));
        }
        if state.open.len() >= self.limit {
            let oldest = state
                .open
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                state.open.remove(&oldest);
            }
        }
        let file = Arc::new(open()?);
        state.open.insert(key, (Arc::clone(&file), clock));
        Ok(file)
    }

    /// Closes the file kept for `key`, once its users are done with it.
    pub(crate) fn forget(&self, key: K) {
        self.lock().open.remove(&key);
    }

    /// Closes all.
    pub(crate) fn clear(&self) {
        self.lock().open.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<K>> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Opens for reading and writing.
pub(crate) fn open_rw(path: &Path) -> Result<File> {
    File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|e| Error::io("open file", path, e))
}
