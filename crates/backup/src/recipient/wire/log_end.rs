//! What a client gets at the end of the log, beyond what is in the set: the binary log position.
//!
//! A server writes its position into the system tablespace whenever it commits while a clone of it
//! runs. So a log may have positions that are older than the set, or nothing but such, and recovery
//! writes them over what is on the page. A record behind all others has the last word.

use crate::files::FileKind;
use crate::io::Original;
use crate::keys::Unsealing;
use crate::set::{BackupSet, FileRecord};
use crate::{Error, Result};
use innodb::geometry::PageSize;
use innodb::lsn::Lsn;
use innodb::redo::{
    BLOCK_SIZE, BlockHeader, BlockState, HEADER_AREA, RedoFileHeader, classify_block, continue_log,
    cut_block, empty_block,
};
use innodb::trx_sys::{RecordedPosition, position_log};

/// The blocks at the end of the log, as a client gets them.
#[derive(Debug)]
pub(super) struct LogEnd {
    /// The file, by its path in the data directory.
    file: String,
    /// Where in it.
    offset: u64,
    blocks: Vec<u8>,
}

impl LogEnd {
    /// The end of the log of `set`. `None` when it is encrypted and its key is not among `keys`: nobody
    /// without it goes on with the log. Servers take blocks in plain behind encrypted ones.
    pub(super) fn of(set: &BackupSet, keys: &Unsealing) -> Result<Option<Self>> {
        let manifest = set.manifest();
        let position = RecordedPosition {
            file: manifest.binlog.file.clone(),
            position: manifest.binlog.position,
        };
        let known = !position.file.is_empty();
        let page_size =
            PageSize::new(manifest.page_size).map_err(|error| Error::damaged(set.path(), error))?;
        let Some(log) = position_log(page_size, known.then_some(&position)) else {
            return Ok(None);
        };
        let end = manifest.lsn.end;
        let files = manifest.files.iter();
        let mut redo: Vec<&FileRecord> = files.filter(|file| file.kind == FileKind::Redo).collect();
        // The log ends in the last of them.
        redo.sort_by_key(|file| std::cmp::Reverse(super::redo_number(&file.name).unwrap_or(0)));
        for record in redo {
            if let Some((file, offset)) = find(set, record, end)? {
                return Self::in_file(file, record, offset, end, &log, keys);
            }
        }
        Err(Error::damaged(
            set.path(),
            format!("no redo file has the end of the log, LSN {end}"),
        ))
    }

    /// Of a log that ends in this file, in the block at `offset`.
    fn in_file(
        mut file: Original,
        record: &FileRecord,
        offset: u64,
        mut end: Lsn,
        log: &[u8],
        keys: &Unsealing,
    ) -> Result<Option<Self>> {
        let mut block = [0; BLOCK_SIZE];
        if file.size().saturating_sub(offset) >= BLOCK_SIZE as u64 {
            file.read_at(offset, &mut block)?;
        }
        let at = end.block_start();
        if let Ok(header) = BlockHeader::parse(&block)
            && header.encrypted
        {
            let Some(plain) = keys.plain_redo_block(&block, at) else {
                return Ok(None);
            };
            block = plain;
            // Who made the set did not have the key, and kept the block whole.
            if u32::from(header.data_len) > end.offset_in_block() {
                let cut = cut_block(&mut block, end);
                cut.map_err(|error| Error::damaged(file.path(), error))?;
            }
        }
        // The log has filled the block before: it goes on behind the header of one not begun yet.
        if end.offset_in_block() <= EMPTY && classify_block(&block, at) == BlockState::NotYetWritten
        {
            block = empty_block(at);
            end = at.checked_add(EMPTY.into()).unwrap_or(end);
        }
        let blocks = continue_log(&block, end, log);
        let blocks = blocks.map_err(|error| Error::damaged(file.path(), error))?;
        // Sets have room behind their log: recovery wants some too.
        if offset.saturating_add(blocks.len() as u64) > record.length {
            tracing::warn!("no room behind the log: clone_status may have an older position");
            return Ok(None);
        }
        Ok(Some(Self {
            file: record.name.clone(),
            offset,
            blocks,
        }))
    }

    /// Puts what is in `bytes`, at `offset` of a file, over them.
    pub(super) fn put(&self, file: &str, offset: u64, bytes: &mut [u8]) {
        if file != self.file {
            return;
        }
        let end = offset.saturating_add(bytes.len() as u64);
        let from = self.offset.max(offset);
        let to = (self.offset + self.blocks.len() as u64).min(end);
        if from >= to {
            return;
        }
        let length = (to - from) as usize;
        let source = (from - self.offset) as usize;
        let target = (from - offset) as usize;
        if let (Some(target), Some(source)) = (
            bytes.get_mut(target..target + length),
            self.blocks.get(source..source + length),
        ) {
            target.copy_from_slice(source);
        }
    }
}

/// A redo file, and the offset in it of the block with LSN `end`; `None`: it is of earlier log.
fn find(set: &BackupSet, record: &FileRecord, end: Lsn) -> Result<Option<(Original, u64)>> {
    let Some(stored) = record.base() else {
        return Ok(None);
    };
    let mut file = set.open_stored(stored)?;
    if file.size() < HEADER_AREA as u64 {
        return Ok(None);
    }
    let mut header = [0; BLOCK_SIZE];
    file.read_at(0, &mut header)?;
    let header = RedoFileHeader::parse(&header);
    let header = header.map_err(|error| Error::damaged(file.path(), error))?;
    let before = end.block_start().since(header.start_lsn);
    Ok(before.map(|before| (file, before.saturating_add(HEADER_AREA as u64))))
}

/// Offset in its block of a log that ends in one without log.
const EMPTY: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_put_over_every_piece_that_has_some_of_it() {
        let end = LogEnd {
            file: "r".into(),
            offset: 1000,
            blocks: (0..100).collect(),
        };
        let mut whole = vec![0xFF; 3000];
        end.put("r", 0, &mut whole);
        assert_eq!(whole[1000..1100], end.blocks);
        for piece in [1, 7, 64, 1050] {
            let mut bytes = vec![0xFF; 3000];
            for (at, part) in bytes.chunks_mut(piece).enumerate() {
                end.put("r", (at * piece) as u64, part);
            }
            assert_eq!(bytes, whole);
        }
        let mut other = vec![0xFF; 3000];
        end.put("s", 0, &mut other);
        assert!(other.iter().all(|byte| *byte == 0xFF));
    }
}
