//! Finished logs, compressed: frames of zstd and their index, as in a compressed set.

use super::directory::{UNFINISHED, ZSTD};
use crate::io::{create_new, fsync_dir, fsync_file, remove_file, rename};
use crate::{Error, Job, Result};
use frame::{Algorithm, Compressor, Decompressor, Index, Settings};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Compresses a whole log of `length` bytes into `NAME.zstd` beside it; durable on return.
pub(super) fn compress(
    from: &Path,
    length: u64,
    directory: &Path,
    name: &str,
    job: &Job,
) -> Result<()> {
    let settings = Settings::of(Algorithm::Zstd);
    let lower = |path: &Path, e: frame::Error| Error::damaged(path, e);
    let path = directory.join(format!("{name}{UNFINISHED}"));
    let source = File::open(from).map_err(|e| Error::io("open file", from, e))?;
    let mut source = source.take(length);
    remove_file(&path)?;
    let mut target = create_new(&path)?;
    let mut compressor = Compressor::new(&settings).map_err(|e| lower(&path, e))?;
    let (mut unit, mut frame, mut frames) = (Vec::new(), Vec::new(), Vec::new());
    let mut read = 0;
    loop {
        job.check()?;
        unit.clear();
        let piece = (&mut source).take(settings.unit()).read_to_end(&mut unit);
        piece.map_err(|e| Error::io("read file", from, e))?;
        if unit.is_empty() {
            break;
        }
        read += unit.len() as u64;
        frame.clear();
        let made = compressor.compress(&unit, &mut frame);
        made.map_err(|e| lower(&path, e))?;
        let written = target.write_all(&frame);
        written.map_err(|e| Error::io("write file", &path, e))?;
        frames.push(frame.len() as u32);
    }
    if read != length {
        let detail = format!("it has {read} bytes, not {length}");
        return Err(Error::damaged(from, detail));
    }
    let index = Index::new(settings.unit(), length, &frames).map_err(|e| lower(&path, e))?;
    let written = target.write_all(&index.encode());
    written.map_err(|e| Error::io("write file", &path, e))?;
    fsync_file(&target, &path)?;
    rename(&path, &directory.join(format!("{name}{ZSTD}")))?;
    fsync_dir(directory)
}

/// The original of a compressed log.
pub(super) struct Reader {
    file: File,
    path: PathBuf,
    index: Index,
    decompressor: Decompressor,
    next: usize,
    frame: Vec<u8>,
    unit: Vec<u8>,
    at: usize,
}

impl Reader {
    pub(super) fn new(file: File, path: &Path) -> Result<Self> {
        let length = file
            .metadata()
            .map_err(|e| Error::io("open file", path, e))?;
        let read_at = |offset, bytes: &mut [u8]| file.read_exact_at(bytes, offset);
        let index = Index::read(length.len(), read_at).map_err(|e| Error::damaged(path, e))?;
        let index = index.ok_or_else(|| Error::damaged(path, "it has no index"))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            index,
            decompressor: Decompressor::new(Algorithm::Zstd),
            next: 0,
            frame: Vec::new(),
            unit: Vec::new(),
            at: 0,
        })
    }

    /// Reads the next frame; whether there was one.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(place) = self.index.place(self.next) else {
            return Ok(false);
        };
        self.next += 1;
        // Both are bounded by the index: units of at most 4 MiB, frames not much larger.
        let stored = (place.stored.end - place.stored.start) as usize;
        self.frame.resize(stored, 0);
        self.file
            .read_exact_at(&mut self.frame, place.stored.start)?;
        let original = (place.original.end - place.original.start) as usize;
        self.unit.resize(original, 0);
        self.at = 0;
        let done = self
            .decompressor
            .decompress_unit(&self.frame, &mut self.unit);
        done.map_err(|e| {
            let error = e.in_file(place.stored.start);
            io::Error::other(format!("'{}' is damaged: {error}", self.path.display()))
        })?;
        Ok(true)
    }
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.unit.len() {
            if !self.fill()? {
                return Ok(0);
            }
        }
        let rest = self.unit.get(self.at..).unwrap_or_default();
        let count = rest.len().min(out.len());
        if let (Some(out), Some(rest)) = (out.get_mut(..count), rest.get(..count)) {
            out.copy_from_slice(rest);
        }
        self.at += count;
        Ok(count)
    }
}
