//! What was received and has no place in the backup set yet, in a file without a name.
//!
//! Pages of PAGE COPY come in the donor's order, and only at the end is known which they are and
//! what the files are called. Memory would not do: they can be as many as the database has.

use crate::{Error, Result};
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Bytes of a file that are stored together.
const SEGMENT: u64 = 1 << 20;

/// Contents of files, by number and offset. What was not written is zero, and takes no space.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    path: PathBuf,
    /// Where the segments of the files are.
    segments: Mutex<HashMap<(u32, u64), u64>>,
}

impl Spool {
    /// Stored in `directory`, until it is dropped or the process ends, however it ends.
    pub(crate) fn new(directory: &Path, name: &str) -> Result<Self> {
        let path = directory.join(name);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            // It may lie where others can look.
            .mode(0o600)
            .open(&path)
            .map_err(|e| Error::io("create file", &path, e))?;
        std::fs::remove_file(&path).map_err(|e| Error::io("remove file", &path, e))?;
        Ok(Self {
            file,
            path,
            segments: Mutex::default(),
        })
    }

    /// Writes over what is there.
    pub(crate) fn write(&self, file: u32, offset: u64, bytes: &[u8]) -> Result<()> {
        pieces(offset, bytes.len(), |at, range| {
            let place = self.place(file, at / SEGMENT, true).unwrap_or_default() + at % SEGMENT;
            self.file
                .write_all_at(&bytes[range], place)
                .map_err(|e| Error::io("write file", &self.path, e))
        })
    }

    /// Reads; what was never written is zero.
    pub(crate) fn read(&self, file: u32, offset: u64, out: &mut [u8]) -> Result<()> {
        pieces(offset, out.len(), |at, range| {
            let out = &mut out[range];
            let Some(place) = self.place(file, at / SEGMENT, false) else {
                out.fill(0);
                return Ok(());
            };
            let mut filled = 0;
            while filled < out.len() {
                let from = place + at % SEGMENT + filled as u64;
                let read = self
                    .file
                    .read_at(&mut out[filled..], from)
                    .map_err(|e| Error::io("read file", &self.path, e))?;
                if read == 0 {
                    // Behind everything that was ever written.
                    out[filled..].fill(0);
                    break;
                }
                filled += read;
            }
            Ok(())
        })
    }

    /// Where a segment is; if it has to be, it is made.
    fn place(&self, file: u32, segment: u64, make: bool) -> Option<u64> {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let next = segments.len() as u64 * SEGMENT;
        match segments.entry((file, segment)) {
            std::collections::hash_map::Entry::Occupied(place) => Some(*place.get()),
            std::collections::hash_map::Entry::Vacant(place) => make.then(|| *place.insert(next)),
        }
    }
}

/// Cuts bytes at the ends of segments.
fn pieces(
    offset: u64,
    len: usize,
    mut act: impl FnMut(u64, std::ops::Range<usize>) -> Result<()>,
) -> Result<()> {
    let mut done = 0;
    while done < len {
        let at = offset + done as u64;
        let room = (SEGMENT - at % SEGMENT) as usize;
        let end = len.min(done + room);
        act(at, done..end)?;
        done = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_the_rest_is_zero() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::new(directory.path(), "spool").unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let long: Vec<u8> = (0..3_000_000u32).map(|n| n as u8 | 1).collect();
        spool.write(7, 1 << 40, &long).unwrap();
        spool.write(7, 100, b"abc").unwrap();
        spool.write(8, 100, b"xyz").unwrap();
        spool.write(7, 101, b"B").unwrap();
        let mut out = vec![9; 3_000_010];
        spool.read(7, (1 << 40) - 5, &mut out).unwrap();
        assert!(out[..5] == [0; 5] && out[5..3_000_005] == long && out[3_000_005..] == [0; 5]);
        let mut out = [9; 5];
        spool.read(7, 99, &mut out).unwrap();
        assert_eq!(&out, b"\0aBc\0");
        spool.read(9, 1 << 50, &mut out).unwrap();
        assert_eq!(out, [0; 5]);
    }
}
