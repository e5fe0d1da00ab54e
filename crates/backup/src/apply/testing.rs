//! What the tests of this module share: manifests, small sets made of true pages, and a disk that
//! stops.

use crate::files::{FileKind, SpaceInfo};
use crate::recipient::{
    BackupSetRecipient, Delivery, PlannedFile, Recipient, SetOptions, Snapshot, StagePlan, Target,
};
use crate::set::{
    BackupSet, BinlogPosition, CloneRecord, Content, FileRecord, LsnRecord, Manifest, PagesBy,
    ServerRecord, SetId, SetKind, SpaceRecord, StoredFile,
};
use crate::{Error, FileDesc, FileId, Job, JobOptions, Result, Stage};
use innodb::flags::SpaceFlags;
use innodb::geometry::Geometry;
use innodb::ids::{PageNo, SpaceId};
use innodb::lsn::Lsn;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, atomic::AtomicBool};

#[path = "../../tests/compressing/mod.rs"]
pub(super) mod compressing;

/// Dynamic tablespace with pages of 16 KiB.
pub(super) const PLAIN: u32 = 0x4021;
/// The same with `KEY_BLOCK_SIZE=1`.
pub(super) const ZIP_1K: u32 = 0x4023;

/// Stops a disk before one of its operations. Without a limit it only counts them.
#[derive(Debug)]
pub(crate) struct Stop {
    done: AtomicU64,
    at: AtomicU64,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            done: AtomicU64::new(0),
            at: AtomicU64::new(u64::MAX),
        }
    }
}

impl Stop {
    pub(super) fn after(&self, operations: u64) {
        self.at.store(operations, Ordering::Relaxed);
    }

    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn step(&self) -> Result<()> {
        if self.done.load(Ordering::Relaxed) >= self.at.load(Ordering::Relaxed) {
            return Err(Error::refused(1105, "stopped by the test", ""));
        }
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

pub(super) fn job() -> Job {
    let options = JobOptions {
        parallel: 1,
        read_rate: None,
    };
    Job::new(&options, Arc::new(AtomicBool::new(false)))
}

pub(super) fn full_file(name: &str, id: u32) -> FileRecord {
    record(name, id, Content::Full, 0)
}

pub(super) fn delta(name: &str, id: u32, pages: u32) -> FileRecord {
    record(name, id, Content::Delta, pages)
}

pub(super) fn whole(name: &str, id: u32) -> FileRecord {
    record(name, id, Content::Whole, 7)
}

fn record(name: &str, id: u32, content: Content, pages: u32) -> FileRecord {
    FileRecord {
        name: name.to_owned(),
        kind: FileKind::Tablespace,
        content,
        length: 7 * 16384,
        allocated: 7 * 16384,
        pages,
        space: Some(SpaceRecord {
            id,
            flags: PLAIN,
            page_size: 16384,
            first_page: 0,
        }),
        source: None,
        stored: vec![StoredFile {
            name: name.to_owned(),
            size: 7 * 16384,
            blake3: String::new(),
            compressed: None,
        }],
    }
}

pub(super) fn manifest(kind: SetKind, files: Vec<FileRecord>) -> Manifest {
    Manifest {
        format: Manifest::FORMAT,
        made_by: String::new(),
        id: SetId::random().unwrap(),
        parent: None,
        parent_path: None,
        kind,
        server: server(),
        lsn: lsn(1),
        binlog: BinlogPosition::default(),
        page_size: 16384,
        clone: CloneRecord::default(),
        pages_by: PagesBy::All,
        means: None,
        keys: None,
        directories: Vec::new(),
        files,
        own_files: Vec::new(),
    }
}

fn server() -> ServerRecord {
    ServerRecord {
        uuid: "00000000-0000-0000-0000-000000000001".into(),
        version: "9.7.4".into(),
        process: None,
        datadir: "/d".into(),
        owner: (0, 0),
        variables: BTreeMap::new(),
        features: None,
        maturity: None,
    }
}

fn lsn(generation: u64) -> LsnRecord {
    let at = |n| Lsn::new(1000 * generation + n);
    LsnRecord {
        start: if generation == 1 {
            Lsn::ZERO
        } else {
            Lsn::new(1000 * (generation - 1) + 100)
        },
        page_track: at(100),
        checkpoint: at(200),
        end: at(300),
    }
}

/// A tablespace of the model: what is on its pages, 0 for a page never written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Space {
    pub name: String,
    pub flags: u32,
    pub pages: Vec<u8>,
}

impl Space {
    pub(super) fn new(name: &str, pages: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            flags: PLAIN,
            pages: pages.to_vec(),
        }
    }

    fn kind(&self) -> FileKind {
        match self.name.as_str() {
            "ibdata1" => FileKind::System,
            name if name.starts_with("undo_") => FileKind::Undo,
            _ => FileKind::Tablespace,
        }
    }
}

/// A server's files at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    /// By space id. Another file with the id of an old one (IMPORT) is in `replaced`.
    pub spaces: BTreeMap<u32, Space>,
    pub replaced: Vec<u32>,
    pub plain: BTreeMap<String, Vec<u8>>,
    pub directories: Vec<String>,
    pub generation: u64,
}

impl World {
    pub(super) fn space(&mut self, id: u32) -> &mut Space {
        self.spaces.get_mut(&id).unwrap()
    }

    /// Backs the world up: a full set, or an increment on the state `before` that `parent` has.
    pub(super) fn backup(&self, to: &Path, base: Option<(&World, &Path)>) -> PathBuf {
        let job = job();
        let kind = if base.is_some() {
            SetKind::Increment
        } else {
            SetKind::Full
        };
        let options = SetOptions {
            kind,
            id: SetId::random().unwrap(),
            clone: CloneRecord::default(),
        };
        let set = BackupSetRecipient::new(Target::new(to, false).unwrap(), options, &job);
        set.prepare(&job).unwrap();
        let files: Vec<PlannedFile> = self
            .spaces
            .iter()
            .enumerate()
            .map(|(at, (id, space))| PlannedFile {
                desc: desc(FileId(at as u32), *id, space),
                delivery: self.delivery(*id, base.map(|(before, _)| before)),
            })
            .collect();
        let stage = match kind {
            SetKind::Full => Stage::FileCopy,
            SetKind::Increment => Stage::PageCopy,
        };
        let plan = StagePlan {
            files: files.clone(),
            directories: self.directories.clone(),
        };
        set.begin(stage, &plan).unwrap();
        for (file, (id, space)) in files.iter().zip(&self.spaces) {
            deliver(&set, file, *id, space);
            set.set_length(file.desc.id, file.desc.length).unwrap();
        }
        set.end(stage).unwrap();
        let redo = vec![self.generation as u8; 5000];
        let mut plain = self.plain.clone();
        plain.insert("#innodb_redo/#ib_redo0".into(), redo);
        for (at, (name, bytes)) in plain.iter().enumerate() {
            let desc = plain_desc(FileId(1000 + at as u32), name, bytes);
            set.add_file(&desc).unwrap();
            set.write(desc.id, 0, bytes).unwrap();
            set.set_length(desc.id, bytes.len() as u64).unwrap();
        }
        set.sync(&job).unwrap();
        set.seal(&self.snapshot(kind, base.map(|(_, path)| path)))
            .unwrap();
        to.to_owned()
    }

    fn delivery(&self, id: u32, before: Option<&World>) -> Delivery {
        let old = before.and_then(|before| before.spaces.get(&id));
        match old {
            Some(old) if !self.replaced.contains(&id) => {
                let pages = self.spaces[&id].pages.iter().enumerate();
                let changed = pages.filter(|(no, page)| old.pages.get(*no).unwrap_or(&0) != *page);
                Delivery::Pages(changed.map(|(no, _)| no as u32).collect())
            }
            _ => Delivery::Whole,
        }
    }

    fn snapshot(&self, kind: SetKind, parent: Option<&Path>) -> Snapshot {
        Snapshot {
            kind,
            parent: parent.map(|path| {
                let id = BackupSet::open(path).unwrap().manifest().id.clone();
                (id, path.display().to_string())
            }),
            server: server(),
            lsn: lsn(self.generation),
            binlog: BinlogPosition {
                file: format!("binlog.{}", self.generation),
                position: self.generation,
                gtid_executed: String::new(),
            },
            page_size: 16384,
            means: None,
            pages_by: match kind {
                SetKind::Full => PagesBy::All,
                SetKind::Increment => PagesBy::Tracked,
            },
            keys: None,
            source: "LOCAL INSTANCE".into(),
        }
    }
}

fn desc(file: FileId, id: u32, space: &Space) -> FileDesc {
    let flags = SpaceFlags::new(space.flags).unwrap();
    let geometry = Geometry::of(flags).unwrap();
    let length = (space.pages.len() * geometry.physical()) as u64;
    FileDesc {
        id: file,
        name: space.name.clone(),
        kind: space.kind(),
        space: Some(SpaceInfo {
            id: SpaceId::new(id),
            flags,
            geometry,
            first_page: 0,
        }),
        length,
        allocated: length,
        source: None,
    }
}

fn plain_desc(id: FileId, name: &str, bytes: &[u8]) -> FileDesc {
    FileDesc {
        id,
        name: name.to_owned(),
        kind: if name.contains("redo") {
            FileKind::Redo
        } else {
            FileKind::Plain
        },
        space: None,
        length: bytes.len() as u64,
        allocated: bytes.len() as u64,
        source: None,
    }
}

fn deliver(set: &BackupSetRecipient, file: &PlannedFile, id: u32, space: &Space) {
    let images = |pages: &RoaringBitmap| -> Vec<u8> {
        pages
            .iter()
            .flat_map(|no| image(id, no, space.pages[no as usize], space.flags))
            .collect()
    };
    match &file.delivery {
        Delivery::Whole => {
            let all: RoaringBitmap = (0..space.pages.len() as u32).collect();
            set.write(file.desc.id, 0, &images(&all)).unwrap();
        }
        Delivery::Pages(pages) => {
            let numbers: Vec<PageNo> = pages.iter().map(PageNo::new).collect();
            if !numbers.is_empty() {
                set.write_pages(file.desc.id, 0, &numbers, &images(pages))
                    .unwrap();
            }
        }
    }
}

/// A page that verifies, with `content` on it.
fn image(id: u32, no: u32, content: u8, flags: u32) -> Vec<u8> {
    let geometry = Geometry::of(SpaceFlags::new(flags).unwrap()).unwrap();
    let size = geometry.physical();
    let mut page = vec![0; size];
    if content == 0 {
        return page;
    }
    page[38..size - 8].fill(content);
    page[4..8].copy_from_slice(&no.to_be_bytes());
    page[16..24].copy_from_slice(&u64::from(content).to_be_bytes());
    page[24..26].copy_from_slice(&17855u16.to_be_bytes());
    page[34..38].copy_from_slice(&id.to_be_bytes());
    if !geometry.is_zip() {
        page[size - 4..].copy_from_slice(&u32::from(content).to_be_bytes());
    }
    assert!(innodb::checksum::stamp(&mut page, geometry));
    page
}

/// Copies a directory as `cp -a` does.
pub(super) fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Every file and directory below `root`, but for what is in `#clone`.
pub(super) fn contents(root: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    fn walk(root: &Path, prefix: &str, into: &mut BTreeMap<String, Option<Vec<u8>>>) {
        for entry in std::fs::read_dir(root.join(prefix)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().display());
            if name == "#clone" {
                continue;
            }
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                into.insert(name.clone(), None);
                walk(root, &format!("{name}/"), into);
            } else if kind.is_symlink() {
                into.insert(name, None);
            } else {
                into.insert(name, Some(std::fs::read(entry.path()).unwrap()));
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(root, "", &mut all);
    all
}
