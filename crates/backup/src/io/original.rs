//! Reading the original of a stored file, at any place, whether it is stored plain or compressed.

use super::CheckedFile;
use crate::{Error, Result};
use frame::{Decompressor, Index};
use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The bytes that were stored, of which none is used that is not the byte that was backed up.
#[derive(Debug)]
pub(crate) enum Original {
    /// They are there as they are.
    Plain(CheckedFile),
    /// They are in frames.
    Unpacked(Unpacked),
}

impl Original {
    /// Bytes of the original.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Plain(file) => file.size(),
            Self::Unpacked(file) => file.index.length(),
        }
    }

    /// Where the stored file is, for messages.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Plain(file) => file.path(),
            Self::Unpacked(file) => file.stored.path(),
        }
    }

    /// Reads `out.len()` bytes at `offset` of the original, which must lie within it.
    pub(crate) fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        match self {
            Self::Plain(file) => file.read_at(offset, out),
            Self::Unpacked(file) => file.read_at(offset, out),
        }
    }
}

/// A compressed file. Frames that are wanted whole are unpacked where they are wanted, of the
/// others the last one is kept.
#[derive(Debug)]
pub(crate) struct Unpacked {
    stored: CheckedFile,
    index: Arc<Index>,
    algorithm: frame::Algorithm,
    unit: Vec<u8>,
    /// Number of the frame in `unit`.
    held: Option<usize>,
}

/// What every thread has once, however many files it reads at a time: a chain has many.
struct Scratch {
    frame: Vec<u8>,
    zstd: Decompressor,
    lz4: Decompressor,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        frame: Vec::new(),
        zstd: Decompressor::new(frame::Algorithm::Zstd),
        lz4: Decompressor::new(frame::Algorithm::Lz4),
    });
}

impl Unpacked {
    /// `stored` is a file that `index` has been read from.
    pub(crate) fn new(stored: CheckedFile, index: Arc<Index>, algorithm: frame::Algorithm) -> Self {
        Self {
            stored,
            index,
            algorithm,
            unit: Vec::new(),
            held: None,
        }
    }

    fn read_at(&mut self, mut offset: u64, mut out: &mut [u8]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > self.index.length()) {
            let detail = format!("holds {} bytes, not byte {offset}", self.index.length());
            return Err(Error::damaged(self.stored.path(), detail));
        }
        while !out.is_empty() {
            let frame = self.index.frame_at(offset);
            let place = frame.and_then(|number| Some((number, self.index.place(number)?)));
            let Some((number, place)) = place else {
                let detail = format!("the index has no frame for byte {offset}");
                return Err(Error::damaged(self.stored.path(), detail));
            };
            let within = (offset - place.original.start) as usize;
            let length = (place.original.end - place.original.start) as usize;
            let take = (length - within).min(out.len());
            let (part, rest) = out.split_at_mut(take);
            if take == length && self.held != Some(number) {
                self.unpack(number, part)?;
            } else {
                self.hold(number, length)?;
                part.copy_from_slice(&self.unit[within..within + take]);
            }
            offset += take as u64;
            out = rest;
        }
        Ok(())
    }

    fn hold(&mut self, number: usize, length: usize) -> Result<()> {
        if self.held == Some(number) {
            return Ok(());
        }
        self.held = None;
        let mut unit = std::mem::take(&mut self.unit);
        unit.resize(length, 0);
        let unpacked = self.unpack(number, &mut unit);
        self.unit = unit;
        unpacked?;
        self.held = Some(number);
        Ok(())
    }

    /// Unpacks frame `number`, which holds `out.len()` bytes.
    fn unpack(&mut self, number: usize, out: &mut [u8]) -> Result<()> {
        let Some(place) = self.index.place(number) else {
            let detail = format!("the index has no frame {number}");
            return Err(Error::damaged(self.stored.path(), detail));
        };
        let begin = place.stored.start;
        let stored = &mut self.stored;
        SCRATCH.with_borrow_mut(|scratch| {
            // Readers of an index rely on no frame being much larger than what it holds.
            scratch.frame.resize((place.stored.end - begin) as usize, 0);
            stored.read_at(begin, &mut scratch.frame)?;
            let engine = match self.algorithm {
                frame::Algorithm::Zstd => &mut scratch.zstd,
                frame::Algorithm::Lz4 => &mut scratch.lz4,
            };
            engine
                .decompress_unit(&scratch.frame, out)
                .map_err(|e| of_frame(stored.path(), e.in_file(begin)))
        })
    }
}

/// Reads the index of a compressed file of ours, which holds `length` bytes; one of no bytes has
/// none.
pub(crate) fn read_index(stored: &mut CheckedFile, length: u64) -> Result<Index> {
    let size = stored.size();
    if size == 0 && length == 0 {
        return Index::new(1 << 20, 0, &[]).map_err(|e| of_frame(stored.path(), e));
    }
    let read_at = |offset, bytes: &mut [u8]| stored.read_at(offset, bytes).map_err(carry);
    let index = Index::read(size, read_at).map_err(|e| of_frame(stored.path(), e))?;
    let Some(index) = index else {
        let detail = format!("there is no index of its frames before its end at byte {size}");
        return Err(Error::damaged(stored.path(), detail));
    };
    if index.length() != length {
        let at = index.offset(index.frames());
        let detail = format!(
            "the index at byte {at} tells of {} bytes, the manifest of {length}",
            index.length()
        );
        return Err(Error::damaged(stored.path(), detail));
    }
    Ok(index)
}

/// An error of ours through a library that knows only those of the operating system.
pub(crate) fn carry(error: Error) -> io::Error {
    io::Error::other(error)
}

/// An error of compressed bytes as one of the file `path`, or the one that was carried through.
pub(crate) fn of_frame(path: &Path, error: frame::Error) -> Error {
    match error {
        frame::Error::Read { source, .. } | frame::Error::Write(source) => {
            match source.downcast::<Error>() {
                Ok(error) => error,
                Err(source) => Error::io("read file", path, source),
            }
        }
        other => Error::damaged(path, other),
    }
}
