//! Compressed files under construction.
//!
//! Workers bring the bytes of a file in any order, best in whole units; threads of the packer
//! compress them at once; the frames stand in the file in order. So a frame may have to wait for
//! those before it. A few wait in memory, the others on disk, in a file without a name: nobody who
//! brings bytes waits for what somebody else is to bring, and memory is bounded all the same.

mod output;
mod part;
mod spill;
mod state;
#[cfg(test)]
mod tests;

use self::output::Output;
use self::spill::Spill;
use self::state::{Arrived, State, Unit, Waiting};
use super::tree::{Key, Tree};
use crate::job::StopFlag;
use crate::{Error, Result};
use frame::{Compressor, Settings};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How the files of a set are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// Algorithm, level, chunk size.
    pub settings: Settings,
    /// Compressing threads; at least 1.
    pub threads: usize,
}

/// The file in which frames wait, until it has lost its name.
const SPILL: &str = "#waiting_frames";

/// How often a worker that waits looks whether the job was cancelled.
const LOOK: Duration = Duration::from_millis(20);

/// Compresses files into a tree.
#[derive(Debug)]
pub(super) struct Packer {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    tree: Arc<Tree>,
    settings: Settings,
    stop: StopFlag,
    /// Units that may be waiting for their compression, or in it.
    limit: usize,
    /// Frames that may wait in memory for those before them.
    keep: usize,
    spill: Spill,
    state: Mutex<State>,
    changed: Condvar,
}

impl Packer {
    /// Starts the threads.
    pub(super) fn start(tree: &Arc<Tree>, how: &Compression, stop: StopFlag) -> Result<Self> {
        let threads = how.threads.max(1);
        let shared = Arc::new(Shared {
            tree: Arc::clone(tree),
            settings: how.settings,
            stop,
            // One being compressed and one in waiting for each thread.
            limit: 2 * threads,
            keep: threads,
            spill: Spill::new(&tree.unnamed(SPILL), 2 * how.settings.unit() as usize),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut packer = Self {
            shared: Arc::clone(&shared),
            threads: Vec::with_capacity(threads),
        };
        for _ in 0..threads {
            let hint = "Give fewer --compress-threads or a lower --compress-level.";
            let compressor = Compressor::new(&how.settings)
                .map_err(|e| Error::refused(1041, e.to_string(), hint))?;
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name("compress".into())
                .spawn(move || shared.work(compressor))
                .map_err(|e| Error::refused(1041, format!("start thread: {e}"), hint))?;
            packer.threads.push(thread);
        }
        Ok(packer)
    }

    /// What the files are compressed with.
    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Announces that `length` bytes will be compressed into the file `key` of the tree, which is
    /// there and empty. When they are, `source` is removed.
    pub(super) fn open(&self, key: Key, length: u64, source: Option<Key>) -> Result<()> {
        let unit = self.shared.settings.unit();
        self.shared.lock().open(key, length, unit, source);
        if length == 0 {
            self.shared.remove_source(source)?;
        }
        Ok(())
    }

    /// Bytes of the file, in any order, each of them once. Waits while too many units are to be
    /// compressed.
    pub(super) fn write(&self, key: Key, offset: u64, bytes: &[u8]) -> Result<()> {
        let unit = self.shared.settings.unit();
        let (mut offset, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let within = offset % unit;
            let take = (unit - within).min(rest.len() as u64);
            let (now, later) = rest.split_at(take as usize);
            self.shared.put(key, offset / unit, within, now)?;
            offset += take;
            rest = later;
        }
        Ok(())
    }

    /// Nothing more comes for the file, and nothing more is written to it.
    pub(super) fn abandon(&self, key: Key) {
        let waiting = self.shared.lock().abandon(key);
        for place in waiting {
            self.shared.spill.give_up(place);
        }
        self.shared.changed.notify_all();
    }

    /// Waits until everything is written; fails when a file has not come whole.
    pub(super) fn wait(&self) -> Result<()> {
        let mut state = self.shared.lock();
        while state.is_busy() {
            state = self.shared.sleep(state)?;
        }
        state.check()?;
        match state.unfinished() {
            None => Ok(()),
            Some(key) => Err(Error::refused(
                1105,
                format!("file {key:?} did not come whole"),
                "This is a bug.",
            )),
        }
    }

    /// Bytes of the original of a finished file.
    pub(super) fn length(&self, key: Key) -> Option<u64> {
        self.shared.lock().length(key)
    }
}

impl Drop for Packer {
    fn drop(&mut self) {
        self.shared.lock().close();
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change. Fails when something has failed or the job ends early.
    fn sleep<'a>(&self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>> {
        state.check()?;
        self.stop.check()?;
        let waited = self.changed.wait_timeout(state, LOOK);
        Ok(waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    fn put(&self, key: Key, number: u64, within: u64, bytes: &[u8]) -> Result<()> {
        let unit = self.settings.unit();
        let alone = self
            .lock()
            .buffer_for(key, number, within, bytes.len(), unit);
        let buffer = match alone {
            // Copied while nobody waits for us.
            Some(mut buffer) => {
                buffer.extend_from_slice(bytes);
                buffer
            }
            None => match self.lock().fill(key, number, within, bytes, unit)? {
                Some(buffer) => buffer,
                None => return Ok(()),
            },
        };
        let mut state = self.lock();
        while !state.has_room(self.limit) {
            state = self.sleep(state)?;
        }
        state.check()?;
        state.push(Unit {
            key,
            number,
            bytes: buffer,
        });
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// What a thread does until the packer is dropped.
    fn work(&self, mut compressor: Compressor) {
        if let Err(error) = self.pack(&mut compressor) {
            self.lock().fail(error);
            self.changed.notify_all();
        }
    }

    fn pack(&self, compressor: &mut Compressor) -> Result<()> {
        while let Some((unit, mut frame)) = self.next() {
            if let Err(error) = compressor.compress(&unit.bytes, &mut frame) {
                return Err(lower(&self.tree.path(unit.key)?, error));
            }
            self.deliver(unit, frame)?;
        }
        Ok(())
    }

    /// The next unit, with room for its frame; `None` at the end.
    fn next(&self) -> Option<(Unit, Vec<u8>)> {
        let mut state = self.lock();
        while !state.is_closed() {
            if let Some(unit) = state.pop() {
                return Some((unit, state.spare()));
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Appends the frame, if it is its turn, and those that have waited for it.
    fn deliver(&self, unit: Unit, frame: Vec<u8>) -> Result<()> {
        let (key, number) = (unit.key, unit.number);
        let mut state = self.lock();
        let mut arrived = state.arrived(unit, frame, self.keep);
        if let Arrived::Spill(frame) = arrived {
            drop(state);
            // There is room for the next unit.
            self.changed.notify_all();
            let place = self.spill.store(&frame)?;
            state = self.lock();
            arrived = match state.spilled(key, number, frame, place) {
                Ok(arrived) => arrived,
                Err(unwanted) => {
                    self.spill.give_up(unwanted);
                    Arrived::Kept
                }
            };
        }
        if let Arrived::Due(output) = arrived {
            state = self.append(state, key, output)?;
        }
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    fn append<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        key: Key,
        mut output: Box<Output>,
    ) -> Result<MutexGuard<'a, State>> {
        while let Some(next) = state.take_next(key) {
            drop(state);
            let frame = match next {
                Waiting::Here(frame) => frame,
                Waiting::OnDisk(place) => {
                    let mut frame = self.lock().spare();
                    self.spill.take(place, &mut frame)?;
                    frame
                }
            };
            output.append(&self.tree, key, &frame)?;
            state = self.lock();
            state.appended(key, frame);
            self.changed.notify_all();
        }
        if state.is_complete(key) {
            let source = state.source(key);
            drop(state);
            output.finish(&self.tree, key)?;
            self.remove_source(source)?;
            state = self.lock();
            state.done(key);
        } else {
            state.give_back(key, output);
        }
        Ok(state)
    }

    fn remove_source(&self, source: Option<Key>) -> Result<()> {
        source.map_or(Ok(()), |source| self.tree.remove(source))
    }
}

/// An error of the library as one of a file.
fn lower(path: &Path, error: frame::Error) -> Error {
    match error {
        frame::Error::Compress(source) => Error::io("write compressed file", path, source),
        other => Error::damaged(path, other),
    }
}
