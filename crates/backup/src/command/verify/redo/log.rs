//! Following a redo log that nobody writes.

use super::super::contents::{Bytes, Place, Unwritten};
use super::super::findings::Findings;
use crate::io::{BUFFER, is_zero};
use crate::{Error, Job, Result};
use innodb::lsn::Lsn;
use innodb::redo::{
    BLOCK_SIZE, BlockHeader, BlockState, HEADER_AREA, RedoFileHeader, classify_block,
    latest_checkpoint,
};
use std::cell::RefCell;

/// Blocks behind the end of a log that are looked at for more log.
const LOOK_BEHIND: u64 = 16;

/// A file of the log.
#[derive(Debug)]
pub(super) struct RedoFile {
    pub name: String,
    file: RefCell<Bytes>,
    pub size: u64,
    pub area: [u8; HEADER_AREA],
    pub header: RedoFileHeader,
}

impl RedoFile {
    pub(super) fn open(place: &Place<'_>) -> Result<Self> {
        let mut file = place.open()?;
        let size = file.size()?;
        let mut area = [0; HEADER_AREA];
        file.read_at(0, &mut area)?;
        let path = place.root.join(&place.name);
        let header = RedoFileHeader::parse(&area).map_err(|e| Error::damaged(&path, e))?;
        Ok(Self {
            name: place.name.clone(),
            file: RefCell::new(file),
            size,
            area,
            header,
        })
    }

    /// LSN of the first block behind the file.
    pub(super) fn end(&self) -> Lsn {
        let log = self.size.saturating_sub(HEADER_AREA as u64);
        let log = log - log % BLOCK_SIZE as u64;
        self.header.start_lsn.checked_add(log).unwrap_or(Lsn::MAX)
    }

    fn offset_of(&self, lsn: Lsn) -> u64 {
        HEADER_AREA as u64 + lsn.since(self.header.start_lsn).unwrap_or(0)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let mut file = self.file.borrow_mut();
        file.read_at(offset, out)?;
        file.drop_cache(offset, out.len() as u64);
        Ok(())
    }
}

/// Where a log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stop {
    /// The block that is not full.
    pub block: Lsn,
    /// What it is instead.
    pub state: BlockState,
    /// The end of the log.
    pub end: Lsn,
    /// Whether the last block that is log is encrypted.
    pub encrypted: bool,
}

/// All files of a log.
#[derive(Debug)]
pub(super) struct Log<'l> {
    files: Vec<RedoFile>,
    findings: &'l Findings,
    job: &'l Job,
}

impl<'l> Log<'l> {
    pub(super) fn new(files: Vec<RedoFile>, findings: &'l Findings, job: &'l Job) -> Self {
        Self {
            files,
            findings,
            job,
        }
    }

    /// The newest checkpoint.
    pub(super) fn checkpoint(&self) -> Option<Lsn> {
        latest_checkpoint(self.files.iter().map(|file| (&file.area, file.size))).map(|(lsn, _)| lsn)
    }

    fn file_at(&self, lsn: Lsn) -> Option<&RedoFile> {
        let mut files = self.files.iter();
        files.find(|file| (file.header.start_lsn..file.end()).contains(&lsn))
    }

    /// Name of the file with this LSN.
    pub(super) fn name_at(&self, lsn: Lsn) -> Option<&str> {
        self.file_at(lsn).map(|file| file.name.as_str())
    }

    /// Where this LSN is in its file.
    pub(super) fn offset_of(&self, lsn: Lsn) -> Option<u64> {
        self.file_at(lsn).map(|file| file.offset_of(lsn))
    }

    /// Follows the log from the block of `from` until a block is not full.
    pub(super) fn follow(&self, from: Lsn) -> Result<Stop> {
        let mut buffer = vec![0; BUFFER];
        let mut at = from.block_start();
        let mut encrypted = false;
        loop {
            let len = self.read_ahead(at, &mut buffer)?;
            if len == 0 {
                return Ok(stop(at, BlockState::NotYetWritten, encrypted));
            }
            for block in buffer[..len].chunks_exact(BLOCK_SIZE) {
                let state = classify_block(block, at);
                let is_log = matches!(state, BlockState::Full | BlockState::Partial { .. });
                if is_log {
                    encrypted = BlockHeader::parse(block).is_ok_and(|header| header.encrypted);
                }
                if state != BlockState::Full {
                    return Ok(stop(at, state, encrypted));
                }
                at = at.checked_add(BLOCK_SIZE as u64).unwrap_or(Lsn::MAX);
            }
        }
    }

    /// Reads blocks from `at`, as far as the file goes; 0 when no file has it.
    fn read_ahead(&self, at: Lsn, buffer: &mut [u8]) -> Result<usize> {
        let Some(file) = self.file_at(at) else {
            return Ok(0);
        };
        let room = file.end().since(at).unwrap_or(0);
        let len = room.min(buffer.len() as u64);
        self.job.throttle(len)?;
        let offset = file.offset_of(at);
        file.read(offset, &mut buffer[..len as usize])?;
        self.findings.count_bytes(len);
        Ok(len as usize)
    }

    /// The LSN of a block of this log shortly behind `block`, if there is one.
    pub(super) fn goes_on_behind(&self, block: Lsn) -> Result<Option<Lsn>> {
        let mut bytes = [0; BLOCK_SIZE];
        for index in 1..=LOOK_BEHIND {
            let Some(at) = block.checked_add(index * BLOCK_SIZE as u64) else {
                break;
            };
            if self.read_ahead(at, &mut bytes)? == BLOCK_SIZE
                && matches!(
                    classify_block(&bytes, at),
                    BlockState::Full | BlockState::Partial { .. }
                )
            {
                return Ok(Some(at));
            }
        }
        // A file of the log may be gone.
        let later = self.files.iter().map(|file| file.header.start_lsn);
        let gap = self.file_at(block).is_none();
        Ok(later.filter(|start| gap && *start > block).min())
    }

    /// The files that the log from `from` on names as created or renamed there. In an encrypted log
    /// nothing can be found: all of them are taken to occur.
    pub(super) fn paths<'n>(
        &self,
        from: Lsn,
        files: &'n [Unwritten],
    ) -> Result<Vec<&'n Unwritten>> {
        // The log's paths are relative to the data directory, or absolute.
        let mut missing: Vec<(&Unwritten, Vec<u8>)> = files
            .iter()
            .map(|file| (file, format!("/{}", file.file).into_bytes()))
            .collect();
        let keep = missing.iter().map(|(_, path)| path.len()).max();
        let mut found = Vec::new();
        let mut text = Vec::new();
        let mut buffer = vec![0; BUFFER];
        let mut at = from.block_start();
        while !missing.is_empty() {
            let len = self.read_ahead(at, &mut buffer)?;
            let mut ended = len == 0;
            for block in buffer[..len].chunks_exact(BLOCK_SIZE) {
                let state = classify_block(block, at);
                if !matches!(state, BlockState::Full | BlockState::Partial { .. }) {
                    ended = true;
                    break;
                }
                if BlockHeader::parse(block).is_ok_and(|header| header.encrypted) {
                    return Ok(files.iter().collect());
                }
                // Records go on over the headers and trailers of blocks.
                text.extend_from_slice(&block[12..BLOCK_SIZE - 4]);
                at = at.checked_add(BLOCK_SIZE as u64).unwrap_or(Lsn::MAX);
            }
            missing.retain(|(name, path)| {
                let occurs = text.windows(path.len()).any(|window| window == path);
                if occurs {
                    found.push(*name);
                }
                !occurs
            });
            if ended {
                break;
            }
            text.drain(..text.len().saturating_sub(keep.unwrap_or(0)));
        }
        Ok(found)
    }

    /// File and offset of the first byte from `lsn` on that is not zero.
    pub(super) fn first_non_zero(&self, lsn: Lsn) -> Result<Option<(String, u64)>> {
        let mut buffer = vec![0; BUFFER];
        let mut at = lsn;
        loop {
            let len = self.read_ahead(at, &mut buffer)?;
            if len == 0 {
                return Ok(None);
            }
            let bytes = &buffer[..len];
            if !is_zero(bytes) {
                let index = bytes.iter().position(|byte| *byte != 0).unwrap_or(0) as u64;
                let file = self
                    .file_at(at)
                    .map(|file| (file.name.clone(), file.offset_of(at) + index));
                return Ok(file);
            }
            at = at.checked_add(len as u64).unwrap_or(Lsn::MAX);
        }
    }
}

fn stop(block: Lsn, state: BlockState, encrypted: bool) -> Stop {
    let length = match state {
        BlockState::Partial { data_len } => data_len.into(),
        _ => 0,
    };
    Stop {
        block,
        state,
        end: block.checked_add(length).unwrap_or(Lsn::MAX),
        encrypted,
    }
}
