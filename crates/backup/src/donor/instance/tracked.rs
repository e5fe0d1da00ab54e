//! The pages that page tracking has recorded, read from the server's archive files.
//!
//! The files are read directly, not through `mysqlbackup_page_track_get_changed_pages()`: the
//! function returns a list that is silently cut short after a crash recovery, shares one output
//! file between all its users, and fails on an idle server. Read directly, after a checkpoint
//! `C` is visible in the redo log, the files hold every page whose changes up to `C` are on disk.

use crate::{Error, Job, Result};
use innodb::ids::SpaceId;
use innodb::lsn::Lsn;
use innodb::page_track::{
    BLOCK_SIZE, DATA_BLOCKS_PER_FILE, DataBlock, ResetBlock, STOP_UNKNOWN, data_block_place,
};
use roaring::RoaringBitmap;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The pages recorded since a start point.
#[derive(Debug, Default)]
pub(super) struct TrackedPages {
    /// The start point: the newest one at or below the LSN asked for.
    pub start: Lsn,
    /// Page numbers by tablespace.
    pub pages: HashMap<SpaceId, RoaringBitmap>,
    /// Entries read; a page has one for every time it was flushed after a start point.
    pub entries: u64,
    /// Whether the range spans a crash recovery.
    pub spans_recovery: bool,
}

/// The group of archive files of one period of tracking.
#[derive(Debug)]
pub(super) struct Group {
    directory: PathBuf,
    /// Where the period begins.
    begin: Lsn,
}

/// Reads of a block that is being written, ten milliseconds apart: its writer may have been stopped
/// in the middle by a machine or a disk that has much else to do.
const ATTEMPTS: usize = 1500;

impl Group {
    /// The group that is being written; `None` while tracking is off.
    pub(super) fn active(datadir: &Path) -> Result<Option<Self>> {
        let archive = datadir.join("#ib_archive");
        let entries = match std::fs::read_dir(&archive) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read directory", &archive, e)),
        };
        for entry in entries {
            let directory = entry
                .map_err(|e| Error::io("read directory", &archive, e))?
                .path();
            let name = directory
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let Some(begin) = name
                .strip_prefix("page_group_")
                .and_then(|lsn| lsn.parse().ok())
            else {
                continue;
            };
            if directory.join("active").exists() {
                return Ok(Some(Self {
                    directory,
                    begin: Lsn::new(begin),
                }));
            }
        }
        Ok(None)
    }

    /// Where the period of tracking begins.
    pub(super) fn begin(&self) -> Lsn {
        self.begin
    }

    /// Every page recorded since the start point at or before `since`.
    pub(super) fn read_since(&self, since: Lsn, job: &Job) -> Result<TrackedPages> {
        let (start, mut block, mut offset) = self
            .start_point(since, job)?
            .ok_or(Error::NoResetPoint(since))?;
        let mut tracked = TrackedPages {
            start,
            ..TrackedPages::default()
        };
        let mut file: Option<(u64, File, PathBuf)> = None;
        loop {
            if block % 256 == 0 {
                job.check()?;
            }
            let (index, at) = data_block_place(block);
            if file.as_ref().is_none_or(|(open, ..)| *open != index) {
                let path = self.path(index);
                match File::open(&path) {
                    Ok(opened) => file = Some((index, opened, path)),
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => break,
                    Err(e) => return Err(Error::io("open file", &path, e)),
                }
            }
            let Some((_, opened, path)) = &file else {
                break;
            };
            let Some(bytes) = read_data_block(opened, path, at, block, job)? else {
                break;
            };
            let data = DataBlock::parse(&bytes).map_err(|e| Error::damaged(path, e))?;
            tracked.spans_recovery |= data.header().stop_lsn == STOP_UNKNOWN;
            let first = offset.take();
            let entries = match first {
                Some(offset) => data
                    .entries_from(offset)
                    .map_err(|e| Error::damaged(path, e))?,
                None => data.entries_from(32).map_err(|e| Error::damaged(path, e))?,
            };
            for (space, page) in entries {
                tracked.pages.entry(space).or_default().insert(page.get());
                tracked.entries += 1;
            }
            block += 1;
        }
        Ok(tracked)
    }

    /// LSN, data block and offset of the newest start point at or below `since`.
    fn start_point(&self, since: Lsn, job: &Job) -> Result<Option<(Lsn, u64, Option<u16>)>> {
        let mut best: Option<(Lsn, u64, Option<u16>)> = None;
        for index in 0.. {
            let path = self.path(index);
            let file = match File::open(&path) {
                Ok(file) => file,
                // The first files of a long period may have been purged.
                Err(e)
                    if e.kind() == std::io::ErrorKind::NotFound && index < self.first_file()? =>
                {
                    continue;
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => break,
                Err(e) => return Err(Error::io("open file", &path, e)),
            };
            let Some(bytes) = read_whole(&file, &path, 0, job, |bytes| {
                bytes.iter().all(|byte| *byte == 0) || ResetBlock::parse(bytes).is_ok()
            })?
            else {
                break;
            };
            let Ok(reset) = ResetBlock::parse(&bytes) else {
                continue;
            };
            for point in reset.points() {
                let lsn = match point.lsn {
                    Some(lsn) => lsn,
                    None => match point_lsn(&file, &path, point.block, job)? {
                        Some(lsn) => lsn,
                        None => continue,
                    },
                };
                if lsn <= since && best.is_none_or(|(found, ..)| lsn >= found) {
                    best = Some((lsn, point.block, Some(point.offset)));
                }
            }
        }
        Ok(best)
    }

    fn first_file(&self) -> Result<u64> {
        let entries = std::fs::read_dir(&self.directory)
            .map_err(|e| Error::io("read directory", &self.directory, e))?;
        let number = |entry: std::io::Result<std::fs::DirEntry>| -> Option<u64> {
            entry
                .ok()?
                .file_name()
                .to_str()?
                .strip_prefix("ib_page_")?
                .parse()
                .ok()
        };
        Ok(entries.filter_map(number).min().unwrap_or(0))
    }

    fn path(&self, index: u64) -> PathBuf {
        self.directory.join(format!("ib_page_{index}"))
    }
}

/// The LSN of a start point is kept in the header of its data block.
fn point_lsn(file: &File, path: &Path, block: u64, job: &Job) -> Result<Option<Lsn>> {
    let (_, at) = data_block_place(block);
    let Some(bytes) = read_data_block(file, path, at, block, job)? else {
        return Ok(None);
    };
    let data = DataBlock::parse(&bytes).map_err(|e| Error::damaged(path, e))?;
    Ok(data.header().start_point())
}

/// Data block `number`; `None` where it has not been written.
fn read_data_block(
    file: &File,
    path: &Path,
    at: u64,
    number: u64,
    job: &Job,
) -> Result<Option<Vec<u8>>> {
    let bytes = read_whole(file, path, at, job, |bytes| {
        bytes.iter().all(|byte| *byte == 0) || DataBlock::parse(bytes).is_ok()
    })?;
    Ok(bytes
        .filter(|bytes| DataBlock::parse(bytes).is_ok_and(|data| data.header().number == number)))
}

/// Reads a block until `is_whole`; `None` at the end of the file.
fn read_whole(
    file: &File,
    path: &Path,
    at: u64,
    job: &Job,
    is_whole: impl Fn(&[u8]) -> bool,
) -> Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; BLOCK_SIZE];
    for _ in 0..ATTEMPTS {
        match file.read_exact_at(&mut bytes, at) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(Error::io("read file", path, e)),
        }
        job.progress.count_read(BLOCK_SIZE as u64);
        if is_whole(&bytes) {
            return Ok(Some(bytes));
        }
        job.sleep(Duration::from_millis(10))?;
    }
    let block = at / BLOCK_SIZE as u64 % (DATA_BLOCKS_PER_FILE + 1);
    Err(Error::damaged(
        path,
        format!("block {block} does not verify"),
    ))
}
