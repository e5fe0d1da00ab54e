//! The donor's redo log: received as files, checked and made the snapshot's.

use super::intake::Sink;
use super::keys;
use super::link::protocol;
use super::spool::Spool;
use crate::donor::redo_files::{LogStart, RedoFiles, advance};
use crate::recipient::Recipient;
use crate::{Error, Job, Progress, Result, Sealing, Stage};
use innodb::geometry::PageSize;
use innodb::lsn::Lsn;
use innodb::redo::{
    BLOCK_SIZE, BlockState, HEADER_AREA, RedoFileHeader, classify_block, parse_checkpoint,
};
use innodb::trx_sys::PositionScan;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wire::clone::{DataDescriptor, FileDescriptor};

/// Receives REDO COPY.
#[derive(Debug)]
pub(super) struct RedoSink {
    spool: Spool,
    files: Mutex<BTreeMap<u32, RedoFile>>,
    /// Takes the key of an encrypted log.
    keys: Option<Arc<Sealing>>,
    progress: Arc<Progress>,
}

/// A redo file of the donor.
#[derive(Debug, Default, Clone, Copy)]
struct RedoFile {
    /// Its size in the donor's clone: the log goes on in the next file behind it.
    size: u64,
    /// The end of what was received.
    received: u64,
}

impl RedoSink {
    pub(super) fn new(spool: Spool, keys: Option<Arc<Sealing>>, job: &Job) -> Self {
        Self {
            spool,
            files: Mutex::default(),
            keys,
            progress: Arc::clone(&job.progress),
        }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<u32, RedoFile>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for RedoSink {
    fn announce(&self, file: &FileDescriptor) -> Result<()> {
        if file.space != FileDescriptor::REDO {
            return Err(protocol("a data file in REDO COPY"));
        }
        let mut files = self.files();
        // In no order: the connections that bring parts of several files do not wait for each other.
        if file.index >= MAX_FILES || file.size > MAX_SIZE {
            return Err(protocol(format!(
                "redo file {} of {} bytes",
                file.index, file.size
            )));
        }
        // Every connection announces what it sends of.
        let known = files.entry(file.index).or_default();
        known.size = known.size.max(file.size);
        Ok(())
    }

    fn put(&self, data: &DataDescriptor, bytes: &[u8]) -> Result<()> {
        let end = data.offset.checked_add(bytes.len() as u64);
        {
            let mut files = self.files();
            let file = files
                .get_mut(&data.file)
                .ok_or_else(|| protocol(format!("redo file {} was never announced", data.file)))?;
            match end {
                Some(end) if end <= file.size => file.received = file.received.max(end),
                _ => {
                    return Err(protocol(format!(
                        "{} bytes at offset {} of a redo file of {}",
                        bytes.len(),
                        data.offset,
                        file.size
                    )));
                }
            }
        }
        self.progress.receive(Stage::PageCopy, bytes.len() as u64);
        let bytes = keys::of_redo(self.keys.as_deref(), data.offset, bytes)?;
        self.spool.write(data.file, data.offset, &bytes)
    }
}

/// What the log says.
#[derive(Debug)]
pub(super) struct LogFacts {
    pub checkpoint: Lsn,
    pub end: Lsn,
}

impl RedoSink {
    /// Gives the log to the recipient, from the checkpoint to its end, and to `positions`.
    pub(super) fn deliver(
        &self,
        page_size: PageSize,
        recipient: &Arc<dyn Recipient>,
        positions: &mut PositionScan,
        job: &Job,
    ) -> Result<LogFacts> {
        let files: Vec<RedoFile> = {
            let files = self.files();
            if let Some((missing, _)) = (0..).zip(files.keys()).find(|(at, index)| at != *index) {
                return Err(damaged(format!("file {missing} did not come")));
            }
            files.values().copied().collect()
        };
        let start = self.start()?;
        let checkpoint = start.checkpoint;
        let begin = start.header.start_lsn;
        if checkpoint < begin {
            return Err(damaged(format!(
                "the checkpoint {checkpoint} is before the log, which begins at {begin}"
            )));
        }
        let key = self.keys.as_ref().and_then(|keys| keys.of_redo());
        let mut out = RedoFiles::new(start, page_size, recipient, &job.progress);
        let mut at = begin;
        let mut buffer = vec![0; crate::io::BUFFER];
        let mut end = None;
        for (index, file) in (0..).zip(&files) {
            let mut offset = HEADER_AREA as u64;
            let limit = file.size - file.size % BLOCK_SIZE as u64;
            while offset < limit {
                job.check()?;
                let piece = (limit - offset).min(buffer.len() as u64) as usize;
                self.spool.read(index, offset, &mut buffer[..piece])?;
                for block in buffer[..piece].chunks_exact(BLOCK_SIZE) {
                    if let Some(end) = end {
                        check_behind(block, end)?;
                        continue;
                    }
                    let plain = keys::plain_redo_block(key.as_ref(), block)?;
                    let length = match classify_block(&plain, at) {
                        BlockState::Full => BLOCK_SIZE as u64,
                        BlockState::Partial { data_len } => u64::from(data_len),
                        BlockState::NotYetWritten => 0,
                        BlockState::Torn => {
                            return Err(damaged(format!("the block at LSN {at} does not verify")));
                        }
                    };
                    if length < BLOCK_SIZE as u64 {
                        end = Some(advance(at, length)?);
                    }
                    if length == 0 {
                        check_behind(block, at)?;
                        continue;
                    }
                    positions.log(log_of(&plain, length));
                    // Blocks before that of the checkpoint are not needed for recovery.
                    if at >= out.position() && length > HEADER as u64 {
                        out.append(block)?;
                    }
                    at = advance(at, BLOCK_SIZE as u64)?;
                }
                offset += piece as u64;
                // What was not received is zero: there is nothing more to see.
                if end.is_some() && offset >= file.received {
                    break;
                }
            }
        }
        let end = end.unwrap_or(at);
        if checkpoint > end {
            return Err(damaged(format!(
                "the log ends at {end}, before its checkpoint {checkpoint}"
            )));
        }
        out.finish()?;
        Ok(LogFacts { checkpoint, end })
    }

    /// The header area of the first file.
    fn start(&self) -> Result<LogStart> {
        let mut area = [0; HEADER_AREA];
        self.spool.read(0, 0, &mut area)?;
        let header = RedoFileHeader::parse(&area).map_err(damaged)?;
        let of_block = |block: usize| parse_checkpoint(&area[block * BLOCK_SIZE..]);
        let checkpoint = of_block(1).max(of_block(3)).filter(|lsn| *lsn > Lsn::ZERO);
        let checkpoint = checkpoint.ok_or_else(|| damaged("it has no checkpoint"))?;
        let mut encryption = [0; BLOCK_SIZE];
        encryption.copy_from_slice(&area[2 * BLOCK_SIZE..3 * BLOCK_SIZE]);
        Ok(LogStart {
            checkpoint,
            header,
            encryption,
        })
    }
}

/// What a block holds of the log.
fn log_of(block: &[u8], length: u64) -> &[u8] {
    let log = block.get(HEADER..(length as usize).min(TRAILER));
    log.unwrap_or_default()
}

/// Behind the end of the log there is none.
fn check_behind(block: &[u8], end: Lsn) -> Result<()> {
    if crate::io::is_zero(block) {
        return Ok(());
    }
    Err(damaged(format!(
        "there are bytes behind its end at LSN {end}"
    )))
}

pub(super) fn damaged(detail: impl std::fmt::Display) -> Error {
    Error::damaged(Path::new("redo log of the donor"), detail)
}

const HEADER: usize = 12;
const TRAILER: usize = 508;
/// mysqld's largest redo log is 512 GiB.
const MAX_SIZE: u64 = 1 << 40;
const MAX_FILES: u32 = 100_000;
