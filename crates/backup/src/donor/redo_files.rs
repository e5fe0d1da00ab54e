//! The redo files of a snapshot, made block by block.

use crate::files::FileKind;
use crate::recipient::Recipient;
use crate::set::layout::redo_name;
use crate::{Error, FileDesc, FileId, Progress, Result, Stage};
use innodb::geometry::PageSize;
use innodb::lsn::Lsn;
use innodb::redo::{BLOCK_SIZE, HEADER_AREA, RedoFileHeader, end_file_size, redo_file_header_area};
use std::sync::Arc;

/// Log bytes of one redo file of the backup; mysqld takes files of up to 16 GiB whose size, header
/// area included, is a multiple of its page size.
const FILE_CAPACITY: u64 = (16 << 30) - (64 << 20) - HEADER_AREA as u64;

/// Ids of redo files, apart from those of data files, which are counted from 0.
const REDO_IDS: u32 = u32::MAX - 100_000;

/// Where a log begins.
pub(super) struct LogStart {
    /// Where recovery begins.
    pub checkpoint: Lsn,
    /// Format, uuid and creator of the log.
    pub header: RedoFileHeader,
    /// Block 2 of the file with the checkpoint: how the log is encrypted.
    pub encryption: [u8; BLOCK_SIZE],
}

/// A redo file of the backup.
#[derive(Clone, Copy)]
struct OutFile {
    id: FileId,
    start: Lsn,
}

/// Writes the redo files of a snapshot.
pub(super) struct RedoFiles {
    start: LogStart,
    page_size: PageSize,
    /// Start of the next block.
    position: Lsn,
    recipient: Arc<dyn Recipient>,
    progress: Arc<Progress>,
    file: Option<OutFile>,
    next_index: u32,
}

impl RedoFiles {
    /// Files for the log from the block of the checkpoint on.
    pub(super) fn new(
        start: LogStart,
        page_size: PageSize,
        recipient: &Arc<dyn Recipient>,
        progress: &Arc<Progress>,
    ) -> Self {
        Self {
            position: start.checkpoint.block_start(),
            start,
            page_size,
            recipient: Arc::clone(recipient),
            progress: Arc::clone(progress),
            file: None,
            next_index: 0,
        }
    }

    /// Start of the next block.
    pub(super) fn position(&self) -> Lsn {
        self.position
    }

    /// Appends whole blocks.
    pub(super) fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let out = self.out_file()?;
            let used = self.position.since(out.start).unwrap_or(0);
            let take = (FILE_CAPACITY - used).min(bytes.len() as u64) as usize;
            let (now, later) = bytes.split_at(take);
            self.recipient
                .write(out.id, HEADER_AREA as u64 + used, now)?;
            self.progress.advance(Stage::RedoCopy, now.len() as u64);
            self.position = advance(self.position, take as u64)?;
            bytes = later;
        }
        Ok(())
    }

    /// Ends the log.
    pub(super) fn finish(&mut self) -> Result<()> {
        let out = self.out_file()?;
        let data_end = HEADER_AREA as u64 + self.position.since(out.start).unwrap_or(0);
        self.close_file(end_file_size(data_end, self.page_size), 0)
    }

    /// The redo file that takes the next block.
    fn out_file(&mut self) -> Result<OutFile> {
        if let Some(out) = self.file {
            if self.position.since(out.start).unwrap_or(0) < FILE_CAPACITY {
                return Ok(out);
            }
            self.close_file(
                FILE_CAPACITY + HEADER_AREA as u64,
                RedoFileHeader::FLAG_FILE_FULL,
            )?;
        }
        let out = OutFile {
            id: FileId(REDO_IDS + self.next_index),
            start: self.position,
        };
        let desc = FileDesc {
            id: out.id,
            name: redo_name(self.next_index),
            kind: FileKind::Redo,
            space: None,
            length: 0,
            allocated: 0,
            source: None,
        };
        self.recipient.add_file(&desc)?;
        self.next_index += 1;
        self.file = Some(out);
        Ok(out)
    }

    /// Writes the header of the current file and sets its size.
    fn close_file(&mut self, size: u64, flags: u32) -> Result<()> {
        let Some(out) = self.file else { return Ok(()) };
        let header = RedoFileHeader {
            start_lsn: out.start,
            flags,
            ..self.start.header.clone()
        };
        // Only the first file holds the checkpoint's LSN.
        let checkpoint = if self.next_index == 1 {
            self.start.checkpoint
        } else {
            Lsn::ZERO
        };
        let area = redo_file_header_area(&header, checkpoint, Some(&self.start.encryption));
        self.recipient.write(out.id, 0, &area)?;
        self.recipient.set_length(out.id, size)
    }
}

pub(super) fn advance(lsn: Lsn, bytes: u64) -> Result<Lsn> {
    lsn.checked_add(bytes)
        .ok_or_else(|| Error::refused(1105, "LSN out of range", "This is a bug."))
}
