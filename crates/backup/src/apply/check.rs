//! The increment is read and checked to the last byte, and what the data directory is going to
//! hold is worked out, before anything is changed.
//!
//! For every chunk of a file that gets pages, the bytes that stay are read from the data directory
//! through the digests of its manifest, so that rotten bytes cannot pass into a new digest. Chunks
//! that nothing touches keep the value they have: they are not read, and `verify` still finds what
//! is wrong with them. So the whole result is known, with all its digests, before it is made; and
//! making it can be repeated, after a crash at any point, until it has exactly these digests.

mod worker;

use self::worker::Worker;
use super::plan::Origin;
use super::source::{Pages, main_file, ranges};
use crate::files::FileKind;
use crate::io::{CHUNK, ChunkDigests, Digest, digest_of};
use crate::keys::Unsealing;
use crate::set::{BackupSet, Content, FileRecord, StoredFile};
use crate::{Error, Job, Result, Stage};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A file of the result as it is going to be stored.
#[derive(Debug)]
pub(super) struct Planned {
    /// Name, size and digest.
    pub stored: StoredFile,
    /// Chunk values; none for a file of one chunk.
    pub values: ChunkDigests,
}

/// What is known of a file of the result.
#[derive(Debug, Default)]
struct Known {
    values: ChunkDigests,
    /// Of a file of one chunk.
    digest: Option<Digest>,
}

#[derive(Debug)]
struct Item<'a> {
    record: &'a FileRecord,
    /// The file of the data directory it is made from.
    base: Option<&'a StoredFile>,
    /// Pages of the delta that were met: all of them, in the end.
    met: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Debug)]
enum Task<'a> {
    /// Read a stored file to the end; the `.meta` of a record is compared with it.
    Read(&'a StoredFile, Option<&'a FileRecord>),
    /// Read a file to the end that the result has otherwise: unpacked, or with a key. Only the digest
    /// of its stored bytes is known.
    Unpack(usize, &'a StoredFile),
    /// Work out the chunks of a range of a file.
    Merge(usize, Range<u64>),
}

/// Reads all of `increment`, and works out what its files are going to be on `base`.
pub(super) fn check(
    base: &BackupSet,
    increment: &BackupSet,
    origins: &[Origin],
    keys: &Unsealing,
    job: &Job,
) -> Result<Vec<Planned>> {
    let manifest = increment.manifest();
    let mut items = Vec::with_capacity(manifest.files.len());
    for (record, origin) in manifest.files.iter().zip(origins) {
        let old = origin.and_then(|at| base.manifest().files.get(at));
        items.push(Item {
            record,
            base: old.map(|old| main_file(base.path(), old)).transpose()?,
            met: AtomicU64::new(0),
            known: Mutex::default(),
        });
    }
    let tasks = tasks(increment, &items, keys)?;
    let bytes = manifest.stored_files().map(StoredFile::length).sum();
    job.progress.begin(Stage::FileCopy, job.parallel(), bytes);
    let next = AtomicUsize::new(0);
    job.in_parallel(|| {
        let mut worker = Worker::new(base, increment, &items, keys, job);
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            worker.run(task)?;
        }
        Ok(())
    })?;
    job.progress.end(Stage::FileCopy);
    items
        .into_iter()
        .map(|item| planned(increment, item, keys))
        .collect()
}

/// Whether the result has the very bytes that the increment stores.
fn is_copied(record: &FileRecord, main: &StoredFile, keys: &Unsealing) -> bool {
    let has_key = record.kind == FileKind::Redo && !keys.is_empty();
    record.content == Content::Full && main.compressed.is_none() && !has_key
}

fn tasks<'a>(
    increment: &'a BackupSet,
    items: &[Item<'a>],
    keys: &Unsealing,
) -> Result<Vec<Task<'a>>> {
    let mut tasks = Vec::new();
    for own in &increment.manifest().own_files {
        tasks.push(Task::Read(own, None));
    }
    for (at, item) in items.iter().enumerate() {
        let main = main_file(increment.path(), item.record)?;
        if is_copied(item.record, main, keys) {
            tasks.push(Task::Read(main, None));
        } else if item.record.content == Content::Full {
            tasks.push(Task::Unpack(at, main));
        } else {
            tasks.extend(ranges(item.record.length).map(|range| Task::Merge(at, range)));
        }
        for stored in item.record.stored.iter().skip(1) {
            tasks.push(Task::Read(stored, Some(item.record)));
        }
    }
    Ok(tasks)
}

impl Item<'_> {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of one file, all of it having been read.
fn planned(increment: &BackupSet, item: Item<'_>, keys: &Unsealing) -> Result<Planned> {
    let record = item.record;
    let main = main_file(increment.path(), record)?;
    if is_copied(record, main, keys) {
        return Ok(Planned {
            stored: StoredFile {
                name: record.name.clone(),
                ..main.clone()
            },
            values: (*increment.chunk_values(main)?).clone(),
        });
    }
    let path = increment.path().join(&main.name);
    let met = item.met.into_inner();
    if record.content != Content::Full && met != u64::from(record.pages) {
        let detail = format!(
            "has {} pages that are out of order or beyond the end of the file",
            u64::from(record.pages).abs_diff(met)
        );
        return Err(Error::damaged(&path, detail));
    }
    let known = item
        .known
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let digest = match record.length {
        0 => Some(digest_of(&[])),
        length if length <= CHUNK as u64 => known.digest,
        _ => known.values.root(),
    };
    let digest = digest.ok_or_else(|| Error::damaged(&path, "was not read to the end"))?;
    Ok(Planned {
        stored: StoredFile {
            name: record.name.clone(),
            size: record.length,
            blake3: blake3::Hash::from_bytes(digest).to_hex().to_string(),
            compressed: None,
        },
        values: known.values,
    })
}

/// Bytes that the data directory grows by at most, before what is replaced goes: new files, and
/// the pages beyond the old ends of files that grow.
pub(super) fn growth(
    base: &BackupSet,
    increment: &BackupSet,
    origins: &[Origin],
    job: &Job,
) -> Result<u64> {
    let mut need = increment.chunk_values_len();
    for (record, origin) in increment.manifest().files.iter().zip(origins) {
        job.check()?;
        let page_size = record.space.map_or(1, |space| u64::from(space.page_size));
        let old = origin.and_then(|at| base.manifest().files.get(at));
        need += match (record.content, old) {
            (Content::Full, _) => record.length,
            (_, None) => record.length.min(u64::from(record.pages) * page_size),
            (_, Some(old)) if record.length > old.length => {
                let mut pages = Pages::open(increment, record)?;
                let mut beyond = 0;
                for range in ranges(record.length) {
                    let range = range.start.max(old.length)..range.end;
                    if !range.is_empty() {
                        beyond += pages.find(&range)?.len() as u64;
                    }
                }
                beyond * page_size
            }
            _ => 0,
        };
    }
    Ok(need)
}
