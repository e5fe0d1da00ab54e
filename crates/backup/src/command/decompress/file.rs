//! One file: its compressed form, its parts that threads can work on, and what becomes of it.

use super::find::Tree;
use super::found::Found;
use super::sink::{Digests, Sink};
use super::source::{Sequential, Source};
use super::target::{Target, exists, new_target, open_target};
use crate::donor::chain::open_full;
use crate::io::{BUFFER, Original, carry, drop_cache, fsync_file, of_frame, remove_file, rename};
use crate::set::{BackupSet, StoredFile};
use crate::{Error, Job, Result};
use frame::{Decompressor, Index, decompress_stream};
use rustix::fs::FlockOperation;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Units in a part of a file.
const UNITS: usize = 8;

/// How the original is made.
#[derive(Debug)]
enum How {
    /// Frame by frame, wherever they are.
    Units(Index),
    /// From front to end.
    Stream,
    /// Out of the file and the pages beside it; its length.
    Merge(u64),
    /// It is there, made by somebody else: only its digest is wanted.
    ByHand(u64),
}

/// Bytes of a part of a file that is merged.
const MERGED: u64 = 8 * BUFFER as u64;

/// A file that is being decompressed.
#[derive(Debug)]
pub(super) struct Open<'a> {
    pub found: &'a Found,
    pub target: Target,
    /// Wanted of files that a set is going to list.
    pub digests: Option<Digests>,
    tree: &'a Tree,
    /// The compressed file, locked.
    stored: File,
    how: How,
    /// Bytes of the original.
    length: AtomicU64,
    /// Parts not yet done.
    left: AtomicUsize,
    bad: AtomicBool,
    finished: AtomicBool,
}

impl<'a> Open<'a> {
    /// Opens both sides; `replace` says that a file of the original's name does not matter.
    pub(super) fn new(tree: &'a Tree, found: &'a Found, replace: bool) -> Result<Self> {
        let path = if found.by_hand {
            &found.original
        } else {
            &found.stored
        };
        let stored = File::open(path).map_err(|e| Error::io("open file", path, e))?;
        lock(&stored, path)?;
        // Only a regular file has a length to go by.
        let regular = stored.metadata().is_ok_and(|meta| meta.is_file());
        let index = if regular && found.layered.is_none() && !found.by_hand {
            let mut source = Source::of(tree, found, &stored)?;
            let read_at = |offset, bytes: &mut [u8]| source.read_at(offset, bytes).map_err(carry);
            Index::read(found.length, read_at).map_err(|e| of_frame(path, e))?
        } else {
            None
        };
        // The file that somebody made has not the pages beside it.
        let target = if found.by_hand && found.layered.is_some() {
            new_target(&found.original)?
        } else {
            open_target(found, replace)?
        };
        let how = match (index, &found.layered) {
            (_, Some(record)) => How::Merge(record.length),
            (_, None) if found.by_hand => {
                let meta = stored.metadata();
                How::ByHand(meta.map_err(|e| Error::io("open file", path, e))?.len())
            }
            (Some(index), None) if !matches!(target, Target::Stream(_)) => How::Units(index),
            _ => How::Stream,
        };
        let (parts, length) = match &how {
            How::Units(index) => (index.frames().div_ceil(UNITS), index.length()),
            How::Stream => (1, 0),
            // One at least, which ends the file.
            How::Merge(length) | How::ByHand(length) => {
                ((length.div_ceil(MERGED) as usize).max(1), *length)
            }
        };
        Ok(Self {
            found,
            target,
            digests: found.listed.as_ref().map(|_| Digests::default()),
            tree,
            stored,
            length: AtomicU64::new(length),
            how,
            left: AtomicUsize::new(parts),
            bad: AtomicBool::new(false),
            finished: AtomicBool::new(false),
        })
    }

    /// Number of parts, at first.
    pub(super) fn parts(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Decompresses part `number`. Returns the bytes read.
    pub(super) fn part(&self, number: usize, buffers: &mut Buffers, job: &Job) -> Result<u64> {
        if self.is_bad() {
            return Ok(0);
        }
        match &self.how {
            How::Units(index) => {
                let mut source = Source::of(self.tree, self.found, &self.stored)?;
                self.units(number * UNITS, index, &mut source, buffers, job)
            }
            How::Stream => {
                let source = Source::of(self.tree, self.found, &self.stored)?;
                self.stream(source, job)
            }
            How::Merge(length) => {
                let range = part_of(number, *length);
                let set = self.found.listed.as_ref();
                let set = set.and_then(|(set, _)| self.tree.sets.get(*set));
                let (Some(set), Some(record)) = (set, &self.found.layered) else {
                    return Ok(0);
                };
                let mut merged = open_full(&set.set, record, &open_either)?;
                let read = |at, out: &mut [u8]| merged.read(at, out);
                self.copy(range.clone(), read, buffers, job)?;
                let of = u128::from(record.length.max(1));
                let part = |at| (u128::from(self.found.length) * u128::from(at) / of) as u64;
                Ok(part(range.end) - part(range.start))
            }
            How::ByHand(length) => {
                let mut original = Original::unchecked(&self.found.original)?;
                let read = |at, out: &mut [u8]| original.read_at(at, out);
                self.copy(part_of(number, *length), read, buffers, job)?;
                Ok(0)
            }
        }
    }

    /// Makes a range of the original out of what `read` gives.
    fn copy(
        &self,
        range: Range<u64>,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<()>,
        buffers: &mut Buffers,
        job: &Job,
    ) -> Result<()> {
        let mut sink = Sink::new(self, range.start, job);
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(BUFFER as u64);
            job.throttle(len)?;
            buffers.original.resize(len as usize, 0);
            read(at, &mut buffers.original)?;
            sink.push(&buffers.original)?;
            at += len;
        }
        sink.finish()?;
        Ok(())
    }

    fn units(
        &self,
        first: usize,
        index: &Index,
        source: &mut Source<'_>,
        buffers: &mut Buffers,
        job: &Job,
    ) -> Result<u64> {
        let mut decompressor = Decompressor::new(self.found.algorithm);
        let mut sink: Option<Sink<'_>> = None;
        let mut read = 0;
        let places = (first..first + UNITS).map_while(|number| index.place(number));
        for place in places {
            let (stored, original) = (length(&place.stored), length(&place.original));
            job.throttle(stored as u64)?;
            buffers.stored.resize(stored, 0);
            buffers.original.resize(original, 0);
            source.read_at(place.stored.start, &mut buffers.stored)?;
            decompressor
                .decompress_unit(&buffers.stored, &mut buffers.original)
                .map_err(|e| of_frame(&self.found.stored, e.in_file(place.stored.start)))?;
            sink.get_or_insert_with(|| Sink::new(self, place.original.start, job))
                .push(&buffers.original)?;
            read += stored as u64;
        }
        sink.map_or(Ok(0), Sink::finish)?;
        Ok(read)
    }

    fn stream(&self, source: Source<'_>, job: &Job) -> Result<u64> {
        let mut input = Sequential {
            source,
            job,
            at: 0,
            length: self.found.length,
        };
        let mut sink = Sink::new(self, 0, job);
        let mut output = |bytes: &[u8]| sink.push(bytes).map_err(carry);
        decompress_stream(&mut input, &mut output, self.found.algorithm)
            .map_err(|e| of_frame(&self.found.stored, e))?;
        self.length.store(sink.finish()?, Ordering::Relaxed);
        Ok(input.at)
    }

    /// Notes that a part is done; whether it was the last one.
    pub(super) fn part_done(&self) -> bool {
        self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Notes that the file cannot be decompressed.
    pub(super) fn give_up(&self) {
        self.bad.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_bad(&self) -> bool {
        self.bad.load(Ordering::Relaxed)
    }

    /// Whether the original was there before.
    pub(super) fn was_there(&self) -> bool {
        matches!(self.target, Target::Existing { .. })
    }

    /// Makes the original durable and gives it its name. Its directory is still to be synced.
    pub(super) fn finish(&self) -> Result<u64> {
        let total = self.length.load(Ordering::Relaxed);
        let original = &self.found.original;
        match &self.target {
            Target::New { file, path } => {
                file.set_len(total)
                    .map_err(|e| Error::io("extend file", path, e))?;
                self.keep_owner_and_mode(file, path)?;
                fsync_file(file, path)?;
                drop_cache(file, 0, 0);
                rename(path, original)?;
            }
            Target::Existing { length, .. } if *length != total => return Err(self.in_the_way()),
            Target::Existing { file, .. } => {
                self.keep_owner_and_mode(file, original)?;
                fsync_file(file, original)?;
            }
            Target::Stream(_) => {}
        }
        self.finished.store(true, Ordering::Relaxed);
        Ok(total)
    }

    /// Removes what is not going to be finished.
    pub(super) fn abandon(&self) {
        if let Target::New { path, .. } = &self.target
            && !self.finished.load(Ordering::Relaxed)
            && let Err(error) = remove_file(path)
        {
            tracing::warn!(%error, "an unfinished file stays behind");
        }
    }

    /// There is a file of the original's name with another content.
    pub(super) fn in_the_way(&self) -> Error {
        exists(&self.found.original)
    }

    /// The server must be able to use what it could use before.
    fn keep_owner_and_mode(&self, file: &File, path: &Path) -> Result<()> {
        let meta = |file: &File| file.metadata().map_err(|e| Error::io("open file", path, e));
        let (of, is) = (meta(&self.stored)?, meta(file)?);
        if (of.uid(), of.gid()) != (is.uid(), is.gid()) {
            match std::os::unix::fs::fchown(file, Some(of.uid()), Some(of.gid())) {
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => tracing::warn!(
                    path = %self.found.original.display(),
                    "the file belongs to who runs this, not to the owner of the compressed one"
                ),
                changed => changed.map_err(|e| Error::io("change owner of", path, e))?,
            }
        }
        file.set_permissions(of.permissions())
            .map_err(|e| Error::io("change mode of", path, e))
    }
}

fn part_of(number: usize, length: u64) -> Range<u64> {
    let begin = number as u64 * MERGED;
    begin..(begin + MERGED).min(length)
}

/// Opens what a set stores, or what somebody has made of it.
fn open_either(set: &BackupSet, stored: &StoredFile) -> Result<Original> {
    let plain = stored.plain_name().map(|name| set.path().join(name));
    match plain {
        Some(plain)
            if stored.compressed.is_some()
                && set.path().join(&stored.name).symlink_metadata().is_err() =>
        {
            Original::unchecked(&plain)
        }
        _ => set.open_stored(stored),
    }
}

/// Memory of one thread.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    stored: Vec<u8>,
    original: Vec<u8>,
}

fn lock(file: &File, path: &Path) -> Result<()> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::refused(
            1105,
            format!("another process decompresses '{}'", path.display()),
            "Wait for it to end.",
        )),
        // Some file systems lock only what can be written; without a lock it works as well.
        _ => Ok(()),
    }
}

fn length(range: &Range<u64>) -> usize {
    (range.end - range.start) as usize
}
