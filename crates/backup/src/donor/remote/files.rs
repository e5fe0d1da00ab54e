//! The donor's files: what it lists, and what DDL does to them while they travel.

use super::keys;
use super::link::protocol;
use super::names::{self, Name};
use crate::files::{FileKind, SpaceInfo};
use crate::{FileDesc, FileId, Result, Sealing};
use innodb::flags::SpaceFlags;
use innodb::geometry::{Geometry, PageSize};
use innodb::ids::SpaceId;
use roaring::RoaringBitmap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wire::clone::{FileDescriptor, FileFlags, Stage};

/// A file of the donor.
#[derive(Debug)]
pub(super) struct RemoteFile {
    pub kind: FileKind,
    pub space: Option<SpaceInfo>,
    /// Its size when it was announced.
    pub size: u64,
    pub allocated: u64,
    /// The stage it was announced for: one that came later than FILE COPY has no data from there.
    pub born: Stage,
    /// The chunks of FILE COPY that are of it.
    pub chunks: (u32, u32),
    /// Dropped meanwhile.
    pub gone: bool,
    name: Name,
    found: Mutex<Found>,
}

/// What was received of a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Bytes received in FILE COPY.
    pub bytes: u64,
    /// Bytes that the donor was told not to send.
    pub left_out: u64,
    /// The donor said in FILE COPY that the file is no more.
    pub dropped: bool,
    /// Pages that did not verify in FILE COPY: they were being written.
    pub torn: RoaringBitmap,
    /// Pages in the spool.
    pub pages: RoaringBitmap,
    /// Pages received in PAGE COPY.
    pub copied: RoaringBitmap,
    /// The end of what the donor says the file has.
    pub length: u64,
    /// Why the first torn page did not verify.
    pub fault: Option<String>,
}

impl RemoteFile {
    pub(super) fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Physical page size in bytes; 0 for a file without pages.
    pub(super) fn page_size(&self) -> usize {
        self.space.map_or(0, |space| space.geometry.physical())
    }

    /// Its name below the donor's data directory, if it is there.
    pub(super) fn name_inside(&self) -> Option<&str> {
        match &self.name {
            Name::Inside(path) => Some(path),
            Name::Outside(..) => None,
        }
    }

    /// What the donor calls the file, for messages.
    pub(super) fn shown(&self) -> &str {
        match &self.name {
            Name::Inside(path) => path,
            Name::Outside(_, file) => file,
        }
    }

    /// The length it has in the end: whole extents, as the server extends files.
    pub(super) fn length(&self) -> u64 {
        let length = self.found().length.max(self.size);
        let Some(space) = self.space else {
            return length;
        };
        let page = space.geometry.physical() as u64;
        let extent = u64::from(space.geometry.page_size().extent_pages()) * page;
        let whole = length - length % page;
        if self.kind == FileKind::System || whole <= extent {
            whole
        } else {
            whole.next_multiple_of(extent)
        }
    }
}

/// The donor's files, by the index the donor gives them.
#[derive(Debug)]
pub(super) struct Files {
    all: Vec<RemoteFile>,
    page_size: PageSize,
    /// Takes the keys of encrypted tablespaces; `None`: there must be none.
    keys: Option<Arc<Sealing>>,
}

impl Files {
    /// None yet. `page_size` is the donor's.
    pub(super) fn new(page_size: PageSize) -> Self {
        Self {
            all: Vec::new(),
            page_size,
            keys: None,
        }
    }

    /// The same, for a donor with encrypted tablespaces.
    pub(super) fn with_keys(mut self, keys: Option<Arc<Sealing>>) -> Self {
        self.keys = keys;
        self
    }

    /// What takes the keys of encrypted tablespaces.
    pub(super) fn keys(&self) -> Option<&Arc<Sealing>> {
        self.keys.as_ref()
    }

    /// All files that were announced, dropped ones too.
    pub(super) fn all(&self) -> &[RemoteFile] {
        &self.all
    }

    /// Files that still are there, with their indexes.
    pub(super) fn live(&self) -> impl Iterator<Item = (u32, &RemoteFile)> {
        (0..).zip(&self.all).filter(|(_, file)| !file.gone)
    }

    /// The file of this index.
    pub(super) fn get(&self, index: u32) -> Result<&RemoteFile> {
        self.all
            .get(index as usize)
            .ok_or_else(|| protocol(format!("file {index} was never announced")))
    }

    /// The file that a chunk of FILE COPY is of, with its index.
    pub(super) fn of_chunk(&self, chunk: u32) -> Option<(u32, &RemoteFile)> {
        let mut all = (0..).zip(&self.all);
        all.find(|(_, file)| (file.chunks.0..=file.chunks.1).contains(&chunk))
    }

    /// A descriptor of the master before or at the begin of a stage: a new file, or what happened
    /// to a known one.
    pub(super) fn apply(&mut self, file: &FileDescriptor) -> Result<()> {
        let known = self.all.len();
        if file.index as usize > known || known >= MAX_FILES {
            return Err(protocol(format!(
                "file {} follows file {known}",
                file.index
            )));
        }
        let gone = file.flags.has(FileFlags::DELETED);
        if !gone {
            keys::of_descriptor(self.keys(), file)?;
        }
        if let Some(old) = self.all.get_mut(file.index as usize) {
            if gone {
                old.gone = true;
            } else {
                let id = old.space.map(|space| space.id.get());
                if id.is_some_and(|id| id != file.space) {
                    return Err(protocol(format!(
                        "file {} changed its tablespace",
                        file.index
                    )));
                }
                if file.flags.has(FileFlags::RENAMED) {
                    let own_table = is_own_table(old.space);
                    old.name = Name::parse(&file.name, old.kind, own_table)?;
                }
            }
            return Ok(());
        }
        let mut new = self.announced(file)?;
        new.gone = gone;
        self.all.push(new);
        Ok(())
    }

    fn announced(&self, file: &FileDescriptor) -> Result<RemoteFile> {
        let buffer_pool = file.space == FileDescriptor::BUFFER_POOL;
        let space = if buffer_pool {
            None
        } else {
            Some(self.space(file)?)
        };
        let kind = match space.map(|space| space.id) {
            None => FileKind::Plain,
            Some(SpaceId::SYSTEM) => FileKind::System,
            Some(id) if id.is_undo() => FileKind::Undo,
            Some(_) => FileKind::Tablespace,
        };
        let name = if buffer_pool {
            // The donor's name for it is a setting of its own.
            Name::Inside("ib_buffer_pool".to_owned())
        } else {
            Name::parse(&file.name, kind, is_own_table(space))?
        };
        let page = space.map_or(1, |space| space.geometry.physical()) as u64;
        if file.size / page > u64::from(u32::MAX) {
            return Err(protocol(format!("a file of {} bytes", file.size)));
        }
        Ok(RemoteFile {
            kind,
            space,
            size: file.size,
            allocated: file.allocated,
            born: file.stage,
            chunks: (file.first_chunk, file.last_chunk),
            gone: false,
            name,
            found: Mutex::default(),
        })
    }

    /// What the descriptor says of the tablespace. Files of the system tablespace come one after
    /// the other; each begins with the page after those of the one before.
    fn space(&self, file: &FileDescriptor) -> Result<SpaceInfo> {
        let unusable = |why: String| {
            let flags = file.space_flags;
            protocol(format!(
                "tablespace {} with flags {flags:#x}: {why}",
                file.space
            ))
        };
        let flags = SpaceFlags::new(file.space_flags).map_err(|e| unusable(e.to_string()))?;
        let geometry = Geometry::of(flags).map_err(|e| unusable(e.to_string()))?;
        if geometry.page_size() != self.page_size {
            return Err(unusable("another page size than the donor's".to_owned()));
        }
        if flags.is_encrypted() && self.keys.is_none() {
            return Err(keys::encrypted(&String::from_utf8_lossy(&file.name)));
        }
        let id = SpaceId::new(file.space);
        let before = self
            .all
            .iter()
            .filter(|other| !other.gone && other.space.is_some_and(|space| space.id == id));
        let pages: u64 = before
            .map(|other| other.size / geometry.physical() as u64)
            .sum();
        if pages > 0 && id != SpaceId::SYSTEM {
            return Err(protocol(format!("two files of tablespace {id}")));
        }
        Ok(SpaceInfo {
            id,
            flags,
            geometry,
            first_page: u32::try_from(pages).map_err(|_| unusable("too long".to_owned()))?,
        })
    }

    /// A tablespace was encrypted, or is no longer, while it travelled: its first page says so.
    pub(super) fn set_flags(&mut self, index: u32, flags: SpaceFlags) {
        let file = self.all.get_mut(index as usize);
        if let Some(space) = file.and_then(|file| file.space.as_mut())
            && Geometry::of(flags) == Ok(space.geometry)
        {
            space.flags = flags;
        }
    }

    /// The first file is not the dump of the buffer pool that it is announced as: an empty one
    /// takes its place.
    pub(super) fn empty_first(&mut self) {
        if let Some(file) = self.all.first_mut()
            && file.space.is_none()
        {
            file.size = 0;
        }
    }

    /// The files that are there, as the recipient knows them.
    pub(super) fn describe(&self) -> Result<Vec<(u32, FileDesc)>> {
        let names: Vec<Name> = self.live().map(|(_, file)| file.name.clone()).collect();
        let names = names::place(&names)?;
        let files = self.live().zip(names);
        let described = files.map(|((index, file), name)| {
            let desc = FileDesc {
                id: FileId(index),
                name,
                kind: file.kind,
                space: file.space,
                length: file.length(),
                allocated: file.allocated,
                source: None,
            };
            (index, desc)
        });
        Ok(described.collect())
    }
}

/// Whether a tablespace is that of one table, which lies in a directory named as its schema.
fn is_own_table(space: Option<SpaceInfo>) -> bool {
    space.is_some_and(|space| !space.flags.is_shared())
}

/// More tablespaces than this a server cannot have open.
const MAX_FILES: usize = 1 << 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(index: u32, space: u32, name: &str) -> FileDescriptor {
        FileDescriptor {
            stage: Stage::FileCopy,
            size: 7 * 16384,
            space_flags: 16417,
            space,
            index,
            name: name.into(),
            ..FileDescriptor::default()
        }
    }

    fn files() -> Files {
        let mut files = Files::new(PageSize::DEFAULT);
        files.apply(&descriptor(0, 20, "./a/t.ibd")).unwrap();
        files.apply(&descriptor(1, 21, "./a/u.ibd")).unwrap();
        files
    }

    fn names(files: &Files) -> Vec<String> {
        let all = files.describe().unwrap().into_iter();
        all.map(|(_, desc)| desc.name).collect()
    }

    fn renamed(index: u32, space: u32, name: &str) -> FileDescriptor {
        FileDescriptor {
            flags: FileFlags::RENAMED,
            ..descriptor(index, space, name)
        }
    }

    #[test]
    fn swapped_names_come_out_right() {
        let mut files = files();
        files.apply(&renamed(0, 20, "./a/u.ibd")).unwrap();
        files.apply(&renamed(1, 21, "./a/t.ibd")).unwrap();
        assert_eq!(names(&files), ["a/u.ibd", "a/t.ibd"]);
    }

    #[test]
    fn a_truncated_table_is_a_new_file_with_the_old_name() {
        let mut files = files();
        let gone = FileDescriptor {
            flags: FileFlags::RENAMED | FileFlags::DELETED,
            ..descriptor(0, 20, "./a/#sql-ib1-2.ibd")
        };
        files.apply(&gone).unwrap();
        files.apply(&descriptor(2, 22, "./a/t.ibd")).unwrap();
        assert_eq!(names(&files), ["a/u.ibd", "a/t.ibd"]);
        let born_dead = FileDescriptor {
            flags: FileFlags::DELETED,
            ..descriptor(3, 23, "./a/v.ibd")
        };
        files.apply(&born_dead).unwrap();
        assert_eq!(files.live().count(), 2);
    }

    #[test]
    fn files_of_the_system_tablespace_are_one_after_the_other() {
        let mut files = Files::new(PageSize::DEFAULT);
        files.apply(&descriptor(0, 0, "ibdata1")).unwrap();
        files.apply(&descriptor(1, 0, "ibdata2")).unwrap();
        let first = files.all()[1].space.unwrap().first_page;
        assert_eq!(first, 7);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for bad in [
            descriptor(9, 22, "./a/v.ibd"),
            descriptor(2, 20, "./a/v.ibd"),
            renamed(0, 99, "./a/v.ibd"),
            renamed(0, 20, "./#clone/v.ibd"),
            FileDescriptor {
                space_flags: 0xFFFF_FFFF,
                ..descriptor(2, 22, "./a/v.ibd")
            },
            FileDescriptor {
                size: u64::MAX,
                ..descriptor(2, 22, "./a/v.ibd")
            },
        ] {
            assert_eq!(files().apply(&bad).unwrap_err().code(), 3863, "{bad:?}");
        }
        let secret = FileDescriptor {
            flags: FileFlags::ENCRYPTED,
            ..descriptor(2, 22, "./a/v.ibd")
        };
        assert_eq!(files().apply(&secret).unwrap_err().code(), 3872);
    }
}
