//! One file: its compressed form, its parts that threads can work on, and what becomes of it.

use super::find::{Found, Tree};
use super::sink::{Digests, Sink};
use crate::io::{
    CheckedFile, carry, create_new, drop_cache, fsync_file, of_frame, remove_file, rename,
};
use crate::{Error, Job, Result};
use frame::{Decompressor, Index, decompress_stream};
use rustix::fs::FlockOperation;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Units in a part of a file.
const UNITS: usize = 8;

/// What the name of a file ends with while it is not whole.
const UNFINISHED: &str = ".decompress-unfinished";

/// Where the original goes.
#[derive(Debug)]
pub(super) enum Target {
    /// To a new file, which has this name until it is whole.
    New { file: File, path: PathBuf },
    /// Nowhere: there is a file, which must have the same content.
    Existing { file: File, length: u64 },
    /// To what is no file: a pipe, a device.
    Stream(File),
}

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
    index: Option<Index>,
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
        let path = &found.stored;
        let stored = File::open(path).map_err(|e| Error::io("open file", path, e))?;
        lock(&stored, path)?;
        // Only a regular file has a length to go by.
        let regular = stored.metadata().is_ok_and(|meta| meta.is_file());
        let index = if regular {
            let mut source = Source::of(tree, found, &stored)?;
            let read_at = |offset, bytes: &mut [u8]| source.read_at(offset, bytes).map_err(carry);
            Index::read(found.length, read_at).map_err(|e| of_frame(path, e))?
        } else {
            None
        };
        let target = open_target(found, replace)?;
        let index = index.filter(|_| !matches!(target, Target::Stream(_)));
        let parts = index
            .as_ref()
            .map_or(1, |index| index.frames().div_ceil(UNITS));
        Ok(Self {
            found,
            target,
            digests: found.listed.as_ref().map(|_| Digests::default()),
            tree,
            stored,
            length: AtomicU64::new(index.as_ref().map_or(0, Index::length)),
            index,
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
        let mut source = Source::of(self.tree, self.found, &self.stored)?;
        match &self.index {
            Some(index) => self.units(number * UNITS, index, &mut source, buffers, job),
            None => self.stream(source, job),
        }
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

/// Memory of one thread.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    stored: Vec<u8>,
    original: Vec<u8>,
}

/// The compressed file, read at any place by one thread. What a set lists is read against its
/// digest.
#[derive(Debug)]
enum Source<'a> {
    Plain(&'a File, &'a Path),
    Checked(CheckedFile),
}

impl<'a> Source<'a> {
    fn of(tree: &Tree, found: &'a Found, stored: &'a File) -> Result<Self> {
        let listed = found.listed.as_ref();
        let set = listed.and_then(|(set, record)| Some((tree.sets.get(*set)?, record)));
        Ok(match set {
            Some((set, record)) => Self::Checked(set.set.open_bytes(record)?),
            None => Self::Plain(stored, &found.stored),
        })
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        match self {
            Self::Checked(file) => file.read_at(offset, bytes),
            Self::Plain(file, path) => file
                .read_exact_at(bytes, offset)
                .map_err(|e| Error::io("read file", path, e)),
        }
    }
}

/// The compressed file from front to end.
struct Sequential<'a> {
    source: Source<'a>,
    job: &'a Job,
    at: u64,
    length: u64,
}

impl Read for Sequential<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // What is no regular file has no length.
        if let Source::Plain(mut file, _) = self.source
            && !file.metadata()?.is_file()
        {
            return file.read(buffer);
        }
        let count = (self.length - self.at).min(buffer.len() as u64);
        let part = &mut buffer[..count as usize];
        self.job.throttle(count).map_err(carry)?;
        self.source.read_at(self.at, part).map_err(carry)?;
        self.at += count;
        Ok(count as usize)
    }
}

fn open_target(found: &Found, replace: bool) -> Result<Target> {
    let original = &found.original;
    let there = match std::fs::metadata(original) {
        Ok(meta) => Some(meta),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(Error::io("open file", original, e)),
    };
    match there {
        Some(meta) if replace && !meta.is_file() => {
            let file = File::options().write(true).open(original);
            Ok(Target::Stream(
                file.map_err(|e| Error::io("open file", original, e))?,
            ))
        }
        Some(meta) if !replace => {
            if !meta.is_file() {
                return Err(exists(original));
            }
            let file = File::open(original).map_err(|e| Error::io("open file", original, e))?;
            let length = meta.len();
            Ok(Target::Existing { file, length })
        }
        _ => {
            let mut name = original.as_os_str().to_owned();
            name.push(UNFINISHED);
            let path = PathBuf::from(name);
            remove_file(&path)?;
            let file = create_new(&path)?;
            Ok(Target::New { file, path })
        }
    }
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

fn exists(path: &Path) -> Error {
    Error::refused(
        1086,
        format!(
            "'{}' exists, and is not what the compressed file holds",
            path.display()
        ),
        "Remove one of the two.",
    )
}

fn length(range: &std::ops::Range<u64>) -> usize {
    (range.end - range.start) as usize
}
