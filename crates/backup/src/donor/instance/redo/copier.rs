//! Copying log blocks into the redo files of the snapshot.

use super::super::facts::Facts;
use super::Shared;
use super::consumer::Consumer;
use super::live::{Checkpoint, live_files};
use crate::donor::redo_files::{LogStart, RedoFiles, advance};
use crate::recipient::Recipient;
use crate::{Error, Result};
use innodb::encryption::TablespaceKey;
use innodb::lsn::Lsn;
use innodb::redo::{
    BLOCK_SIZE, BlockHeader, BlockState, HEADER_AREA, RedoFileHeader, classify_block, cut_block,
};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Bytes of log read at once.
const READ: usize = 1 << 20;
/// Pause when the log has nothing new. Well below the time in which the smallest log is reused.
const POLL: Duration = Duration::from_millis(10);
/// A file of the live log that is open.
struct OpenFile {
    file: File,
    start: Lsn,
    end: Lsn,
}

/// Copies the log block by block.
pub(super) struct Copier {
    redo_dir: PathBuf,
    checkpoint: Lsn,
    open: Option<OpenFile>,
    out: RedoFiles,
    progress: Arc<crate::Progress>,
}

impl Copier {
    /// A copy of the log in `redo_dir` from a checkpoint on.
    pub(super) fn new(
        facts: &Facts,
        from: Checkpoint,
        recipient: &Arc<dyn Recipient>,
        progress: &Arc<crate::Progress>,
    ) -> Self {
        let start = LogStart {
            checkpoint: from.lsn,
            header: from.header,
            encryption: from.encryption,
        };
        Self {
            redo_dir: facts.redo_dir.clone(),
            checkpoint: from.lsn,
            open: None,
            out: RedoFiles::new(start, facts.page_size, recipient, progress),
            progress: Arc::clone(progress),
        }
    }

    /// Copies until told to stop, or where to end and that has been reached.
    pub(super) fn run(&mut self, shared: &Shared, mut consumer: Option<Consumer>) -> Result<()> {
        let mut buffer = vec![0; READ];
        while !shared.stop.load(Ordering::Acquire) {
            let end = Lsn::new(shared.end.load(Ordering::Acquire));
            if end == Lsn::ZERO && shared.hold.load(Ordering::Acquire) {
                shared.held.store(true, Ordering::Release);
                if let Some(consumer) = &mut consumer {
                    consumer.advance(self.out.position().max(self.checkpoint))?;
                }
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let full = self.copy_full_blocks(&mut buffer, end)?;
            shared.bytes.fetch_add(full, Ordering::Relaxed);
            if let Some(consumer) = &mut consumer {
                consumer.advance(self.out.position().max(self.checkpoint))?;
            }
            if end != Lsn::ZERO && self.out.position() >= end.block_start() {
                shared
                    .bytes
                    .fetch_add(self.finish(end, shared)?, Ordering::Relaxed);
                return Ok(());
            }
            if full == 0 {
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// Copies the full blocks that are there, not beyond the block of `end` if that is known;
    /// bytes copied.
    fn copy_full_blocks(&mut self, buffer: &mut [u8], end: Lsn) -> Result<u64> {
        let limit = if end == Lsn::ZERO {
            Lsn::MAX
        } else {
            end.block_start()
        };
        // Most of the time there is nothing new: look at one block before reading many.
        let Some(BLOCK_SIZE) = self.read_ahead(&mut buffer[..BLOCK_SIZE], limit)? else {
            return Ok(0);
        };
        if classify_block(&buffer[..BLOCK_SIZE], self.out.position()) != BlockState::Full {
            return Ok(0);
        }
        let Some(bytes) = self.read_ahead(buffer, limit)? else {
            return Ok(0);
        };
        let mut full = 0;
        let mut at = self.out.position();
        for block in buffer[..bytes].chunks_exact(BLOCK_SIZE) {
            if classify_block(block, at) != BlockState::Full || !self.is_settled(block, at)? {
                break;
            }
            full += BLOCK_SIZE;
            at = advance(at, BLOCK_SIZE as u64)?;
        }
        self.out.append(&buffer[..full])?;
        Ok(full as u64)
    }

    /// An encrypted block has no checksum that can be checked without the key: it is taken when
    /// it has not changed for a moment.
    fn is_settled(&mut self, block: &[u8], at: Lsn) -> Result<bool> {
        if !BlockHeader::parse(block).is_ok_and(|header| header.encrypted) {
            return Ok(true);
        }
        let mut again = [0; BLOCK_SIZE];
        match self.read_at(at, &mut again)? {
            Some(BLOCK_SIZE) => Ok(again == *block),
            _ => Ok(false),
        }
    }

    fn read_ahead(&mut self, buffer: &mut [u8], limit: Lsn) -> Result<Option<usize>> {
        let room = limit
            .since(self.out.position())
            .unwrap_or(0)
            .min(buffer.len() as u64) as usize;
        if room == 0 {
            return Ok(None);
        }
        self.read_at(self.out.position(), &mut buffer[..room])
    }

    /// Reads log from `at`, as far as its file goes; whole blocks. `None` when there is no file
    /// for it yet. Fails when the log has been overwritten.
    fn read_at(&mut self, at: Lsn, buffer: &mut [u8]) -> Result<Option<usize>> {
        if self
            .open
            .as_ref()
            .is_none_or(|open| at < open.start || at >= open.end)
        {
            self.open = self.find(at)?;
        }
        let Some(open) = &self.open else {
            return Ok(None);
        };
        let offset = HEADER_AREA as u64 + at.since(open.start).unwrap_or(0);
        let room = open.end.since(at).unwrap_or(0).min(buffer.len() as u64) as usize;
        let error = |e| Error::io("read file", &self.redo_dir, e);
        match open.file.read_exact_at(&mut buffer[..room], offset) {
            Ok(()) => {}
            // Resized while we looked: find it anew.
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                self.open = None;
                return Ok(None);
            }
            Err(e) => return Err(error(e)),
        }
        // The file may have been recycled under the open descriptor: what was read counts only
        // if the header still is the one of the log that was meant.
        let mut header = [0; BLOCK_SIZE];
        open.file.read_exact_at(&mut header, 0).map_err(error)?;
        let same =
            RedoFileHeader::parse(&header).is_ok_and(|header| header.start_lsn == open.start);
        if !same {
            self.open = None;
            return Ok(None);
        }
        self.progress.count_read(room as u64);
        Ok(Some(room))
    }

    /// The live file that holds `at`; `None` when the log has not come there yet.
    fn find(&self, at: Lsn) -> Result<Option<OpenFile>> {
        for attempt in 0.. {
            let files = live_files(&self.redo_dir)?;
            if let Some(live) = files
                .iter()
                .find(|file| (file.start..file.end).contains(&at))
            {
                let file = File::open(&live.path);
                if let Ok(file) = file {
                    return Ok(Some(OpenFile {
                        file,
                        start: live.start,
                        end: live.end,
                    }));
                }
                continue;
            }
            let oldest = files.iter().map(|file| file.start).min();
            let newest = files.iter().map(|file| file.end).max();
            match (oldest, newest) {
                (_, Some(newest)) if newest <= at => return Ok(None),
                // A file is unreadable for the moment in which it is renamed; on a machine that has
                // much else to do that is a while.
                _ if attempt < 500 => std::thread::sleep(Duration::from_millis(10)),
                (Some(oldest), _) => return Err(Error::RedoLost { needed: at, oldest }),
                (None, _) => {
                    return Err(Error::damaged(&self.redo_dir, "there is no redo log"));
                }
            }
        }
        Ok(None)
    }

    /// Copies the last block up to `end` and closes the file; bytes copied.
    fn finish(&mut self, end: Lsn, shared: &Shared) -> Result<u64> {
        let mut copied = 0;
        if self.out.position() > end.block_start() {
            let detail = format!("log was copied up to {}, beyond {end}", self.out.position());
            return Err(Error::refused(1105, detail, "This is a bug."));
        }
        if end.offset_in_block() > 12 {
            let block = self.last_block(end, shared)?;
            self.out.append(&block)?;
            copied = BLOCK_SIZE as u64;
        }
        self.out.finish()?;
        Ok(copied)
    }

    /// The block in which `end` lies, waited for and cut.
    fn last_block(&mut self, end: Lsn, shared: &Shared) -> Result<[u8; BLOCK_SIZE]> {
        let at = end.block_start();
        while !shared.stop.load(Ordering::Acquire) {
            let mut block = [0; BLOCK_SIZE];
            if self.read_at(at, &mut block)? == Some(BLOCK_SIZE) {
                let length = match classify_block(&block, at) {
                    BlockState::Full => BLOCK_SIZE as u32,
                    BlockState::Partial { data_len } => u32::from(data_len),
                    _ => 0,
                };
                if length >= end.offset_in_block() && self.is_settled(&block, at)? {
                    let key = shared
                        .key
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .clone();
                    if let Some(key) = key
                        && BlockHeader::parse(&block).is_ok_and(|header| header.encrypted)
                    {
                        let bad = |error| Error::damaged(&self.redo_dir, error);
                        return cut_encrypted(&block, end, &key).map_err(bad);
                    }
                    match cut_block(&mut block, end) {
                        Ok(()) => {}
                        // Without the key the block stays whole: the snapshot is some hundred
                        // bytes of log later than its end LSN, and as consistent.
                        Err(innodb::redo::RedoError::Encrypted) => {
                            tracing::warn!(
                                "the redo log is encrypted: its last block is kept whole"
                            );
                        }
                        Err(error) => return Err(Error::damaged(&self.redo_dir, error)),
                    }
                    return Ok(block);
                }
            }
            std::thread::sleep(POLL);
        }
        Err(Error::Cancelled)
    }
}

/// A block cut at `end`, encrypted as it was. That it was the right key the checksum of the block
/// says, which is that of the plain one.
fn cut_encrypted(block: &[u8], end: Lsn, key: &TablespaceKey) -> Result<[u8; BLOCK_SIZE], String> {
    let mut plain = key.decrypt_redo_block(block).map_err(|e| e.to_string())?;
    cut_block(&mut plain, end).map_err(|e| e.to_string())?;
    key.encrypt_redo_block(&plain).map_err(|e| e.to_string())
}
