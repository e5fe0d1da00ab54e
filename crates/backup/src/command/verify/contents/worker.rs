//! What one thread does with the files.

use super::bytes::Bytes;
use super::delta::DeltaCheck;
use super::item::{Expected, Item};
use super::ranges::Ranges;
use super::{Body, Contents};
use crate::io::{BUFFER, ChunkDigests};
use crate::set::layout::REDO_DIR;
use crate::{Error, Job, Result, Stage};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A piece of work. Files are positions in the list of all.
#[derive(Debug, Clone, Copy)]
pub(super) enum Task {
    /// Bytes of a file, the first a chunk's.
    Range { item: usize, offset: u64, len: u64 },
    /// The whole file in one pass, because only its digest is known.
    Whole { item: usize },
    /// What a compressed file holds: bytes of the original.
    Unpacked { item: usize, offset: u64, len: u64 },
    /// The headers of a delta.
    Headers { item: usize },
    /// The redo log.
    Redo,
}

/// One thread's state.
pub(super) struct Worker<'w> {
    contents: &'w Contents<'w>,
    job: &'w Job,
    buffer: Vec<u8>,
    /// The chunk values of the file read last.
    values: Option<(usize, Arc<ChunkDigests>)>,
}

impl<'w> Worker<'w> {
    pub(super) fn new(contents: &'w Contents<'w>, job: &'w Job) -> Self {
        Self {
            contents,
            job,
            buffer: vec![0; BUFFER],
            values: None,
        }
    }

    pub(super) fn run(&mut self, task: Task) -> Result<()> {
        match task {
            Task::Redo => {
                let Some(redo) = &self.contents.redo else {
                    return Ok(());
                };
                let result = redo.run(self.contents.findings, self.job);
                self.contents.findings.tolerate(REDO_DIR, result)?;
                Ok(())
            }
            Task::Headers { item } => {
                self.headers(&self.contents.items[item]);
                Ok(())
            }
            Task::Whole { item } => self.whole(&self.contents.items[item]),
            Task::Range {
                item: index,
                offset,
                len,
            } => {
                let item = &self.contents.items[index];
                if self.values.as_ref().is_none_or(|(held, _)| *held != index) {
                    self.values = item.chunk_values().map(|values| (index, values));
                }
                let values = self.values.as_ref().map(|(_, values)| Arc::clone(values));
                let range = offset..offset + len;
                self.pieces(item, range, values.as_deref(), |_| {})?;
                Ok(())
            }
            Task::Unpacked { item, offset, len } => {
                self.unpacked(&self.contents.items[item], offset..offset + len)
            }
        }
    }

    fn whole(&mut self, item: &Item<'_>) -> Result<()> {
        let Expected::Digest(digest) = item.expected else {
            return Ok(());
        };
        let mut hasher = blake3::Hasher::new();
        let complete = self.pieces(item, 0..item.readable(), None, |bytes| {
            hasher.update(bytes);
        })?;
        let is_cut = item.readable() < item.size;
        if complete && !is_cut && *hasher.finalize().as_bytes() != digest {
            item.doubts.wrong_bytes.store(true, Ordering::Relaxed);
            let detail = format!(
                "bytes 0 to {} are not the bytes that were backed up",
                item.size
            );
            self.contents.findings.add(item.name(), detail);
        }
        Ok(())
    }

    /// Opens a file; that it cannot be opened is a problem.
    fn open(&self, item: &Item<'_>, opened: Result<Bytes>) -> Option<Bytes> {
        match opened {
            Ok(file) => Some(file),
            Err(error) if item.unpacked().is_some() => {
                item.doubts.note(0, detail_of(&error));
                None
            }
            Err(error) => {
                self.contents.findings.add(item.name(), detail_of(&error));
                None
            }
        }
    }

    fn headers(&self, item: &Item<'_>) {
        let (Body::Delta(rules), Some(file)) = (item.body, self.open(item, item.place.open()))
        else {
            return;
        };
        let size = item.unpacked().unwrap_or_else(|| item.readable());
        DeltaCheck::new(rules, file).headers(size, |offset, detail| {
            self.contents.findings.add_at(item.name(), offset, detail);
        });
    }

    /// Reads a range of a file piece by piece, checks it, and shows it to `see`; whether all of it
    /// could be read.
    fn pieces(
        &mut self,
        item: &Item<'_>,
        range: Range<u64>,
        values: Option<&ChunkDigests>,
        mut see: impl FnMut(&[u8]),
    ) -> Result<bool> {
        let mut file = match item.open_stored() {
            Ok(file) => file,
            Err(error) => {
                self.contents.findings.add(item.name(), detail_of(&error));
                return Ok(false);
            }
        };
        let findings = self.contents.findings;
        let mut ranges = Ranges::new(self.contents, item, item.unpacked().is_none());
        let mut complete = true;
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(BUFFER as u64);
            self.job.check()?;
            self.job.throttle(len)?;
            let bytes = &mut self.buffer[..len as usize];
            match file.read_at(at, bytes) {
                Ok(()) => {
                    see(bytes);
                    ranges.check(at, bytes, values);
                }
                Err(error) => {
                    complete = false;
                    let e = detail_of(&error);
                    let detail = format!("bytes {at} to {} cannot be read: {e}", at + len);
                    findings.add_at(item.name(), at, detail);
                }
            }
            file.drop_cache(at, len);
            findings.count_bytes(len);
            self.job.progress.count_read(len);
            if item.unpacked().is_none() || self.contents.quick {
                self.job.progress.advance(Stage::FileCopy, len);
            }
            at += len;
        }
        ranges.end();
        Ok(complete)
    }

    /// Looks into a compressed file. That something is wrong with it is only noted: its bytes are
    /// then compared with their digests.
    fn unpacked(&mut self, item: &Item<'_>, range: Range<u64>) -> Result<()> {
        let Some(mut file) = self.open(item, item.place.open()) else {
            return Ok(());
        };
        let mut ranges = Ranges::new(self.contents, item, true);
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(BUFFER as u64);
            self.job.check()?;
            self.job.throttle(len)?;
            let bytes = &mut self.buffer[..len as usize];
            match file.read_at(at, bytes) {
                Ok(()) => ranges.check(at, bytes, None),
                Err(error) => item.doubts.note(at, detail_of(&error)),
            }
            self.contents.findings.count_bytes(len);
            self.job.progress.count_read(len);
            self.job.progress.advance(Stage::FileCopy, len);
            at += len;
        }
        ranges.end();
        Ok(())
    }
}

/// What is wrong with a file whose name is told beside it.
fn detail_of(error: &Error) -> String {
    match error {
        Error::Damaged { detail, .. } => detail.clone(),
        Error::Io { action, source, .. } => format!("{action}: {source}"),
        other => other.to_string(),
    }
}
