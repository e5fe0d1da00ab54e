//! Reading what the increment holds of one file, range by range.

use crate::donor::chain::{delta::DeltaReader, space_info};
use crate::files::SpaceInfo;
use crate::io::{CHUNK, Original};
use crate::keys::Unsealing;
use crate::set::{BackupSet, Content, FileRecord, StoredFile};
use crate::{Error, Result};
use innodb::ids::PageNo;
use innodb::verify::verify_page_at;
use std::ops::Range;
use std::path::Path;

/// Bytes of a file that one worker handles at a time: a whole number of chunks.
pub(super) const TASK_BYTES: u64 = 256 * CHUNK as u64;

/// The changed pages of one tablespace file.
#[derive(Debug)]
pub(super) struct Pages {
    delta: DeltaReader,
    space: SpaceInfo,
    /// The first page that need not be there.
    whole: u32,
}

/// A page of a range: its number, and its position in the delta.
pub(super) type Found = (u32, u64);

impl Pages {
    pub(super) fn open(set: &BackupSet, record: &FileRecord) -> Result<Self> {
        let path = set.path().join(&record.name);
        let space = record
            .space
            .ok_or_else(|| Error::damaged(&path, "is a delta of a file without pages"))?;
        let space = space_info(&path, space)?;
        let file = set.open_stored(main_file(set.path(), record)?)?;
        let delta = DeltaReader::new(file, space.geometry.physical())?;
        if delta.len() != u64::from(record.pages) {
            let detail = format!("has {} pages instead of {}", delta.len(), record.pages);
            return Err(Error::damaged(delta.path(), detail));
        }
        let whole = match record.content {
            Content::Whole => space.first_page.saturating_add(record.pages),
            Content::Full | Content::Delta => 0,
        };
        Ok(Self {
            delta,
            space,
            whole,
        })
    }

    fn page_size(&self) -> u64 {
        self.space.geometry.physical() as u64
    }

    /// Bytes of a page.
    pub(super) fn bytes_of(&self, pages: &[Found]) -> u64 {
        pages.len() as u64 * self.page_size()
    }

    /// The pages within `range` of the file (bytes, whole pages), ascending.
    pub(super) fn find(&mut self, range: &Range<u64>) -> Result<Vec<Found>> {
        let number = |offset: u64| -> Result<u32> {
            u32::try_from(offset / self.page_size())
                .ok()
                .and_then(|page| page.checked_add(self.space.first_page))
                .ok_or_else(|| Error::damaged(self.delta.path(), "is of a file that is too long"))
        };
        let (low, high) = (number(range.start)?, number(range.end)?);
        let found = self.delta.find(low, high)?;
        // The first pages of a file held whole, as many as are stored, stand for all there were.
        let needed = self.whole.clamp(low, high) - low;
        if (found.len() as u64) < u64::from(needed) {
            let detail = format!("lacks pages between {low} and {}", low + needed);
            return Err(Error::damaged(self.delta.path(), detail));
        }
        Ok(found)
    }

    /// The pages of `found`, ascending, that lie in the `len` bytes at `offset` of the file.
    pub(super) fn within<'a>(&self, found: &'a [Found], offset: u64, len: usize) -> &'a [Found] {
        let place = |page: u32| u64::from(page - self.space.first_page) * self.page_size();
        let from = found.partition_point(|(page, _)| place(*page) < offset);
        let to = found.partition_point(|(page, _)| place(*page) < offset + len as u64);
        &found[from..to]
    }

    /// Puts the images of `pages`, all of them within `out`, which is at `offset` of the file, over
    /// what is there, sealed keys back in their places. Returns the ranges of `out` that were written, ascending and not touching.
    pub(super) fn overlay(
        &mut self,
        pages: &[Found],
        offset: u64,
        out: &mut [u8],
        keys: &Unsealing,
        verify: bool,
    ) -> Result<Vec<Range<usize>>> {
        let size = self.space.geometry.physical();
        let mut runs: Vec<Range<usize>> = Vec::new();
        for (page, position) in pages {
            let at = u64::from(page - self.space.first_page) * size as u64 - offset;
            let at = at as usize;
            let Some(image) = out.get_mut(at..at + size) else {
                let detail = format!("has page {page}, which is beyond the end of the file");
                return Err(Error::damaged(self.delta.path(), detail));
            };
            self.delta.read(*position, image)?;
            if verify {
                self.verify(*page, image)?;
            }
            if *page == 0 {
                keys.page(&self.space, image, self.delta.path())?;
            }
            match runs.last_mut() {
                Some(last) if last.end == at => last.end += size,
                _ => runs.push(at..at + size),
            }
        }
        Ok(runs)
    }

    fn verify(&self, page: u32, image: &[u8]) -> Result<()> {
        verify_page_at(image, self.space.geometry, self.space.id, PageNo::new(page))
            .map(|_| ())
            .map_err(|bad| Error::BadPage {
                path: self.delta.path().to_owned(),
                page,
                detail: bad.to_string(),
            })
    }
}

/// Reads a whole stored file through its digests.
pub(super) fn read_all(
    mut file: Original,
    mut each: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < file.size() {
        let part = &mut buffer[..(file.size() - at).min(CHUNK as u64) as usize];
        file.read_at(at, part)?;
        each(at, part)?;
        at += part.len() as u64;
    }
    Ok(())
}

/// The stored file that holds the bytes or pages of a file.
pub(super) fn main_file<'a>(set: &Path, record: &'a FileRecord) -> Result<&'a StoredFile> {
    record
        .stored
        .first()
        .ok_or_else(|| Error::damaged(set, format!("nothing is stored for '{}'", record.name)))
}

/// Cuts `0..length` into the ranges that workers take.
pub(super) fn ranges(length: u64) -> impl Iterator<Item = Range<u64>> {
    (0..length.div_ceil(TASK_BYTES))
        .map(move |at| at * TASK_BYTES..((at + 1) * TASK_BYTES).min(length))
}

/// Cuts a range that begins at a chunk into chunks: offset and length.
pub(super) fn chunks(range: &Range<u64>) -> impl Iterator<Item = (u64, usize)> {
    let end = range.end;
    (range.start..end)
        .step_by(CHUNK)
        .map(move |at| (at, (end - at).min(CHUNK as u64) as usize))
}
