//! The files of a stage as the protocol numbers them: files from 0, chunks from 1 across all files,
//! blocks from 1 within a chunk.
//!
//! A chunk lies in one file. It travels on one connection, its blocks in order, so that a client
//! that comes back can say what it has.

use super::block::Block;
use crate::files::{FileKind, SpaceInfo};
use crate::{Error, FileDesc, FileId, Result};
use ::wire::clone::{FileDescriptor, FileFlags, Stage, StageDescriptor};
use std::collections::HashMap;

/// Bytes of a chunk. As with a stock donor with pages of 16 KiB; clients take any.
pub(super) const CHUNK: u64 = 64 << 20;
/// Bytes of a block: the pieces that the engine writes.
pub(super) const BLOCK: u64 = 1 << 20;
/// Bytes of a redo file before the log. They are a chunk of their own: clients rely on redo having
/// at least two chunks.
const REDO_HEAD: u64 = innodb::redo::HEADER_AREA as u64;

/// What is sent when a stage begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// What has become of files since the stage before; said before the stage begins.
    pub(crate) before: Vec<FileDescriptor>,
    /// The begin of the stage.
    pub(crate) stage: StageDescriptor,
    /// The files.
    pub(crate) files: Vec<FileDescriptor>,
}

impl Announcement {
    /// Of a stage that carries nothing.
    pub(crate) fn empty(stage: Stage) -> Self {
        Self {
            before: Vec::new(),
            stage: StageDescriptor {
                stage,
                begins: true,
                ..StageDescriptor::default()
            },
            files: Vec::new(),
        }
    }
}

/// Where a piece of a file is in the protocol's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) chunk: u32,
    pub(super) block: u32,
    /// The last block of its chunk.
    pub(super) last: bool,
}

/// A file with its numbers.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) descriptor: FileDescriptor,
    pub(super) space: Option<SpaceInfo>,
    /// Its path in the data directory.
    pub(super) path: String,
    /// Bytes at the begin that are a chunk of their own.
    head: u64,
}

/// The files of a stage.
#[derive(Debug)]
pub(super) struct Layout {
    stage: Stage,
    files: Vec<Placed>,
    by_id: HashMap<FileId, usize>,
    chunks: u32,
}

impl Layout {
    /// Layout of FILE COPY. The buffer pool dump comes first, then the system tablespace with its
    /// files one after the other: clients rely on both.
    pub(super) fn of_data(files: &[FileDesc]) -> Result<Self> {
        let mut sorted: Vec<&FileDesc> = files.iter().collect();
        sorted.sort_by_key(|desc| match (desc.space, desc.kind) {
            (None, _) => (0, 0),
            (Some(space), FileKind::System) => (1, space.first_page),
            (Some(_), _) => (2, 0),
        });
        let mut layout = Self::new(Stage::FileCopy);
        for desc in sorted {
            layout.add(desc, data_descriptor(desc), 0)?;
        }
        Ok(layout)
    }

    /// Layout of REDO COPY with files of no tablespace, which only another innoclone takes.
    pub(super) fn of_redo_and_plain(redo: &[FileDesc], plain: &[FileDesc]) -> Result<Self> {
        let mut layout = Self::of_redo(redo)?;
        for desc in plain {
            let descriptor = FileDescriptor {
                stage: Stage::RedoCopy,
                size: desc.length,
                allocated: desc.length,
                space_flags: FileDescriptor::NO_FLAGS,
                space: FileDescriptor::BUFFER_POOL,
                name: desc.name.clone().into_bytes(),
                ..FileDescriptor::default()
            };
            layout.add(desc, descriptor, 0)?;
        }
        Ok(layout)
    }

    /// The files, in the order of their indexes.
    pub(super) fn files(&self) -> impl Iterator<Item = (FileId, &Placed)> {
        let mut ids: Vec<_> = self.by_id.iter().map(|(id, at)| (*at, *id)).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(at, id)| (id, &self.files[at]))
    }

    /// Layout of REDO COPY. The file with the smallest number becomes file 0.
    pub(super) fn of_redo(files: &[FileDesc]) -> Result<Self> {
        let mut sorted = Vec::with_capacity(files.len());
        for desc in files {
            sorted.push((redo_number(&desc.name)?, desc));
        }
        sorted.sort_by_key(|(number, _)| *number);
        let mut layout = Self::new(Stage::RedoCopy);
        for (at, (number, desc)) in sorted.iter().enumerate() {
            let expected = sorted[0].0.checked_add(at as u64);
            if expected != Some(*number) || desc.length <= REDO_HEAD {
                return Err(Error::refused(
                    1105,
                    format!("'{}' is no redo file that can be served", desc.name),
                    "Run 'innoclone verify' on the set.",
                ));
            }
            let descriptor = FileDescriptor {
                stage: Stage::RedoCopy,
                size: desc.length,
                space_flags: FileDescriptor::NO_FLAGS,
                space: FileDescriptor::REDO,
                ..FileDescriptor::default()
            };
            layout.add(desc, descriptor, REDO_HEAD)?;
        }
        Ok(layout)
    }

    fn new(stage: Stage) -> Self {
        Self {
            stage,
            files: Vec::new(),
            by_id: HashMap::new(),
            chunks: 0,
        }
    }

    fn add(&mut self, desc: &FileDesc, descriptor: FileDescriptor, head: u64) -> Result<()> {
        let chunks = desc.length.div_ceil(CHUNK).max(1) + u64::from(head > 0);
        let last_chunk = u32::try_from(u64::from(self.chunks) + chunks)
            .map_err(|_| Error::refused(1105, "the set is too large for the clone protocol", ""))?;
        self.by_id.insert(desc.id, self.files.len());
        self.files.push(Placed {
            descriptor: FileDescriptor {
                index: self.files.len() as u32,
                first_chunk: self.chunks + 1,
                last_chunk,
                ..descriptor
            },
            space: desc.space,
            path: desc.name.clone(),
            head,
        });
        self.chunks = last_chunk;
        Ok(())
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) fn has(&self, file: FileId) -> bool {
        self.by_id.contains_key(&file)
    }

    pub(super) fn file(&self, file: FileId) -> Option<&Placed> {
        self.files.get(*self.by_id.get(&file)?)
    }

    /// Bytes from `offset` that belong to a chunk of their own.
    pub(super) fn head(&self, file: FileId, offset: u64) -> usize {
        let head = self.file(file).map_or(0, |placed| placed.head);
        head.saturating_sub(offset) as usize
    }

    /// What the client is told when the stage begins.
    pub(super) fn announcement(&self) -> Announcement {
        let files: Vec<FileDescriptor> = self
            .files
            .iter()
            .map(|placed| placed.descriptor.clone())
            .collect();
        let estimate = files.iter().map(|file| file.size).sum();
        let on_disk = |file: &FileDescriptor| {
            // Only these get their holes back.
            if file.flags.has(FileFlags::ZLIB) {
                file.allocated
            } else {
                file.size
            }
        };
        Announcement {
            before: Vec::new(),
            stage: StageDescriptor {
                stage: self.stage,
                chunks: self.chunks,
                files: files.len() as u32,
                estimate,
                estimate_disk: files.iter().map(on_disk).sum(),
                begins: true,
                ..StageDescriptor::default()
            },
            files,
        }
    }
}

impl Placed {
    /// Where `len` bytes at `offset` are.
    pub(super) fn place(&self, offset: u64, len: usize) -> Result<Place> {
        let end = offset.saturating_add(len as u64);
        let fits = len > 0 && len as u64 <= BLOCK && end <= self.descriptor.size;
        let aligned = offset.is_multiple_of(BLOCK) || offset == self.head;
        if !fits || !aligned {
            let message = format!("{len} bytes at {offset} are no block");
            return Err(Error::refused(1105, message, "This is a bug."));
        }
        if end <= self.head {
            return Ok(Place {
                chunk: self.descriptor.first_chunk,
                block: 1,
                last: true,
            });
        }
        let own = u32::from(self.head > 0);
        // The number of chunks was checked to fit.
        let chunk = self.descriptor.first_chunk + own + (offset / CHUNK) as u32;
        Ok(Place {
            chunk,
            block: (offset % CHUNK / BLOCK) as u32 + 1,
            last: end.is_multiple_of(CHUNK) || end == self.descriptor.size,
        })
    }

    /// The block of the bytes at `offset`, which [`place`](Self::place) has found a place for.
    pub(super) fn block(&self, place: Place, offset: u64, bytes: Vec<u8>) -> Block {
        let file = &self.descriptor;
        Block::new(file.stage, (file.index, file.size), place, offset, bytes)
    }

    /// The places of the piece that begins at `offset`: two, if it begins with the head.
    pub(super) fn places_from(&self, offset: u64) -> impl Iterator<Item = Place> + use<> {
        let end = (offset - offset % BLOCK + BLOCK).min(self.descriptor.size);
        let cut = self.head.clamp(offset, end);
        let place = |from: u64, to: u64| {
            (from < to)
                .then(|| self.place(from, (to - from) as usize).ok())
                .flatten()
        };
        [place(offset, cut), place(cut, end)].into_iter().flatten()
    }
}

/// Whether the protocol carries this file. Of the files without pages it knows only one.
pub(super) fn is_carried(desc: &FileDesc) -> bool {
    desc.space.is_some() || desc.name == BUFFER_POOL
}

/// The number in the name of a redo file.
pub(crate) fn redo_number(name: &str) -> Result<u64> {
    let number = name.strip_prefix("#innodb_redo/#ib_redo");
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| {
            Error::refused(
                1105,
                format!("'{name}' is no name of a redo file since MySQL 8.0.30"),
                "Only sets of MySQL 8.0.30 and later can be served.",
            )
        })
}

pub(super) fn data_descriptor(desc: &FileDesc) -> FileDescriptor {
    let Some(space) = desc.space else {
        return FileDescriptor {
            stage: Stage::FileCopy,
            size: desc.length,
            allocated: desc.length,
            space_flags: FileDescriptor::NO_FLAGS,
            space: FileDescriptor::BUFFER_POOL,
            name: BUFFER_POOL.into(),
            ..FileDescriptor::default()
        };
    };
    let base = desc.name.rsplit('/').next().unwrap_or(&desc.name);
    let name = match desc.kind {
        FileKind::System | FileKind::Undo => base.to_owned(),
        _ if desc.name == DICTIONARY => base.to_owned(),
        _ => format!("./{}", desc.name),
    };
    // The flag makes clients look at each page, and give the holes of compressed ones back. Whether
    // a file has such pages stands nowhere; one without holes can do without.
    let sparse = desc.allocated < desc.length && !space.geometry.is_zip();
    FileDescriptor {
        stage: Stage::FileCopy,
        size: desc.length,
        allocated: desc.allocated,
        space_flags: space.flags.get(),
        block_size: 4096,
        flags: if sparse {
            FileFlags::ZLIB
        } else {
            FileFlags::default()
        },
        space: space.id.get(),
        name: name.into_bytes(),
        ..FileDescriptor::default()
    }
}

/// The dump of the buffer pool, as every donor calls it.
const BUFFER_POOL: &str = "ib_buffer_pool";
/// The tablespace of the data dictionary.
const DICTIONARY: &str = "mysql.ibd";

#[cfg(test)]
mod tests;
