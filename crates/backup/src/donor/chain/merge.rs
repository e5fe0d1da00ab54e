//! One file merged from all sets of a chain that hold pages of it.

use super::delta::DeltaReader;
use crate::io::Original;
use crate::set::{BackupSet, Content, FileRecord};
use crate::{Error, FileDesc, Result};
use innodb::ids::PageNo;
use innodb::verify::verify_page_at;

/// The newest version of every page of a file.
#[derive(Debug)]
pub(super) struct MergedFile {
    base: Option<Original>,
    /// Bytes of the base that count: the file may have been shorter in a later set, and what was
    /// cut off then does not come back when it grows again.
    base_end: u64,
    /// The oldest first, each with the first page that does not count, for the same reason.
    deltas: Vec<(DeltaReader, u32)>,
    /// Without a base: the first page that the oldest delta need not have. It has all before.
    whole_to: u32,
    desc: FileDesc,
}

impl MergedFile {
    /// `sources` are the oldest first; only the first may hold all bytes.
    pub(super) fn open<'a>(
        sources: impl Iterator<Item = (&'a BackupSet, &'a FileRecord)>,
        desc: &FileDesc,
    ) -> Result<Self> {
        let mut merged = Self {
            base: None,
            base_end: 0,
            deltas: Vec::new(),
            whole_to: 0,
            desc: desc.clone(),
        };
        for (set, record) in sources {
            merged.cut(record.length);
            if let Some(base) = record.base() {
                let base = set.open_stored(base)?;
                merged.base_end = base.size().min(record.length);
                merged.base = Some(base);
            }
            merged.add_delta(set, record)?;
        }
        Ok(merged)
    }

    /// Puts the pages that a set has on their own over what there is.
    fn add_delta(&mut self, set: &BackupSet, record: &FileRecord) -> Result<()> {
        let Some(stored) = record.delta() else {
            if record.content == Content::Full {
                return Ok(());
            }
            let detail = format!("nothing is stored for '{}'", record.name);
            return Err(Error::damaged(set.path(), detail));
        };
        let file = set.open_stored(stored)?;
        let page_size = record.space.map_or(0, |space| space.page_size);
        if page_size as usize != self.desc.page_size() {
            let detail = format!("has pages of {page_size} bytes");
            return Err(Error::damaged(file.path(), detail));
        }
        let delta = DeltaReader::new(file, page_size as usize)?;
        if delta.len() != u64::from(record.pages) {
            let detail = format!("has {} pages instead of {}", delta.len(), record.pages);
            return Err(Error::damaged(delta.path(), detail));
        }
        if record.content == Content::Whole {
            let first = record.space.map_or(0, |space| space.first_page);
            self.whole_to = first.saturating_add(record.pages);
        }
        self.deltas.push((delta, u32::MAX));
        Ok(())
    }

    /// What the sources so far have beyond `length` bytes does not count.
    fn cut(&mut self, length: u64) {
        self.base_end = self.base_end.min(length);
        let first = self.desc.space.map_or(0, |space| space.first_page);
        let pages = u32::try_from(length / self.desc.page_size() as u64).unwrap_or(u32::MAX);
        for (_, end) in &mut self.deltas {
            *end = (*end).min(first.saturating_add(pages));
        }
    }

    /// Reads `out.len()` bytes at `offset`: whole pages, of files made of pages.
    pub(super) fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.read_base(offset, out)?;
        let Some(space) = self.desc.space else {
            return Ok(());
        };
        let size = self.desc.page_size();
        let low = space.first_page + (offset / size as u64) as u32;
        let high = low + (out.len() / size) as u32;
        self.overlay(low, high, out, size)?;
        for (no, page) in (low..high).zip(out.chunks_exact(size)) {
            verify_page_at(page, space.geometry, space.id, PageNo::new(no)).map_err(|bad| {
                Error::BadPage {
                    path: self.newest_path(),
                    page: no,
                    detail: bad.to_string(),
                }
            })?;
        }
        Ok(())
    }

    /// What the oldest source has there; beyond its end there is a hole.
    fn read_base(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        let Some(base) = &mut self.base else {
            out.fill(0);
            return Ok(());
        };
        let there = self.base_end.saturating_sub(offset).min(out.len() as u64) as usize;
        let (part, rest) = out.split_at_mut(there);
        rest.fill(0);
        base.read_at(offset, part)
    }

    /// Puts the pages `low..high` of the deltas over the base, each page from the newest only.
    fn overlay(&mut self, low: u32, high: u32, out: &mut [u8], size: usize) -> Result<()> {
        let mut done = vec![false; (high - low) as usize];
        for (index, (delta, end)) in self.deltas.iter_mut().enumerate().rev() {
            let found = delta.find(low, high)?;
            let needed = self.whole_to.clamp(low, high) - low;
            if index == 0 && (found.len() as u32) < needed {
                let detail = format!("pages are missing between {low} and {}", low + needed);
                return Err(Error::damaged(delta.path(), detail));
            }
            for (page, position) in found.into_iter().take_while(|(page, _)| page < end) {
                let at = (page - low) as usize;
                if !std::mem::replace(&mut done[at], true) {
                    delta.read(position, &mut out[at * size..(at + 1) * size])?;
                }
            }
        }
        Ok(())
    }

    fn newest_path(&self) -> std::path::PathBuf {
        let delta = self.deltas.last().map(|(delta, _)| delta.path());
        let base = self.base.as_ref().map(Original::path);
        delta
            .or(base)
            .map_or_else(|| (&self.desc.name).into(), std::path::Path::to_owned)
    }
}
