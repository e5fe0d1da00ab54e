//! Frames that wait on disk for those before them.

use crate::io::{create_new, remove_file};
use crate::{Error, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A file without a name, made when it is first needed, in which frames lie in slots that are used
/// again. It is as long as the most frames that waited at the same time.
#[derive(Debug)]
pub(super) struct Spill {
    path: PathBuf,
    /// Bytes of a slot: at least those of any frame.
    slot: u64,
    file: OnceLock<File>,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    free: Vec<u64>,
    made: u64,
}

/// Where a frame waits.
#[derive(Debug)]
pub(super) struct Place {
    slot: u64,
    length: usize,
}

impl Spill {
    /// At `path`, for a moment, for frames of at most `largest` bytes.
    pub(super) fn new(path: &Path, largest: usize) -> Self {
        Self {
            path: path.to_owned(),
            slot: (largest as u64).next_multiple_of(BLOCK),
            file: OnceLock::new(),
            slots: Mutex::default(),
        }
    }

    /// Stores a frame.
    pub(super) fn store(&self, frame: &[u8]) -> Result<Place> {
        let slot = {
            let mut slots = self.slots();
            if self.file.get().is_none() {
                let file = create_new(&self.path)?;
                remove_file(&self.path)?;
                self.file.get_or_init(|| file);
            }
            slots.free.pop().unwrap_or_else(|| {
                slots.made += 1;
                slots.made - 1
            })
        };
        let written = self.file()?.write_all_at(frame, slot * self.slot);
        written.map_err(|e| Error::io("write file", &self.path, e))?;
        Ok(Place {
            slot,
            length: frame.len(),
        })
    }

    /// Takes a frame out.
    pub(super) fn take(&self, place: Place, frame: &mut Vec<u8>) -> Result<()> {
        frame.resize(place.length, 0);
        let read = self.file()?.read_exact_at(frame, place.slot * self.slot);
        read.map_err(|e| Error::io("read file", &self.path, e))?;
        self.give_up(place);
        Ok(())
    }

    /// Nobody wants the frame any more.
    #[expect(clippy::needless_pass_by_value, reason = "a place is used once")]
    pub(super) fn give_up(&self, place: Place) {
        self.slots().free.push(place.slot);
    }

    fn file(&self) -> Result<&File> {
        let missing = || Error::refused(1105, "no frame waits on disk", "This is a bug.");
        self.file.get().ok_or_else(missing)
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Slots begin at blocks of the file system.
const BLOCK: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_and_the_file_has_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new(&dir.path().join("waiting"), 5000);
        let frames: Vec<Vec<u8>> = (0..6).map(|n| vec![n; 4990 + usize::from(n)]).collect();
        let mut places: Vec<Place> = frames.iter().map(|f| spill.store(f).unwrap()).collect();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let mut out = Vec::new();
        for number in (3..6).rev() {
            spill.take(places.remove(number), &mut out).unwrap();
            assert_eq!(out, frames[number]);
        }
        spill.give_up(places.remove(1));
        for number in [5, 4, 3, 1] {
            places.push(spill.store(&frames[number]).unwrap());
        }
        assert_eq!(spill.slots().made, 6);
        for (place, number) in places.into_iter().zip([0, 2, 5, 4, 3, 1]) {
            spill.take(place, &mut out).unwrap();
            assert_eq!(out, frames[number]);
        }
    }
}
