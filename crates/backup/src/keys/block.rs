//! The block in the place of a key: on page 0 of a tablespace, and in a redo file.
//!
//! | offset | bytes | |
//! |---:|---:|---|
//! | 0 | 3 | `iCS`: a server knows `lCA`, `lCB` and `lCC` |
//! | 3 | 4 | 0 |
//! | 7 | 36 | uuid of the server that made the key, as it was there |
//! | 43 | 68 | 0 |

use crate::files::SpaceInfo;
use innodb::checksum;
use innodb::encryption::{KeyBlockError, REDO_KEY_AT, TablespaceKey};
use innodb::tablespace::{EncryptionInfo, encryption_offset};
use std::ops::Range;

/// The block in the place of the key that stands in `block`; and the key, unless a keyring protects
/// it: then the block may stay.
pub(crate) fn take(block: &[u8]) -> Result<Option<(TablespaceKey, Block)>, KeyBlockError> {
    let key = TablespaceKey::unprotected(block)?;
    Ok(key.map(|key| (key, without_key(block.get(UUID).unwrap_or_default()))))
}

/// The block for a key that a server with this uuid made.
pub(crate) fn without_key(uuid: &[u8]) -> Block {
    let mut block = [0; EncryptionInfo::LEN];
    block[..3].copy_from_slice(MAGIC);
    let len = uuid.len().min(UUID.len());
    block[UUID.start..UUID.start + len].copy_from_slice(&uuid[..len]);
    block
}

/// Whether the key of this block is sealed.
pub(crate) fn is_sealed(block: &[u8]) -> bool {
    block.starts_with(MAGIC)
}

/// The block as a server opens it.
pub(crate) fn with_key(block: &[u8], key: &TablespaceKey) -> Block {
    key.block(block.get(UUID).unwrap_or_default())
}

/// The block of page 0 of a tablespace.
pub(crate) fn of_page<'a>(space: &SpaceInfo, page: &'a [u8]) -> Option<&'a [u8]> {
    let at = encryption_offset(space.flags);
    page.get(at..at + EncryptionInfo::LEN)
}

/// Writes the block of page 0 of a tablespace, and the checksum of the page.
pub(crate) fn put_on_page(space: &SpaceInfo, page: &mut [u8], block: &Block) {
    let at = encryption_offset(space.flags);
    if let Some(place) = page.get_mut(at..at + block.len()) {
        place.copy_from_slice(block);
        checksum::stamp(page, space.geometry);
    }
}

/// Only a part of a block is in the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CutOff;

/// Where the block of a redo file is in `len` bytes from `offset` of the file; `None`: not there.
pub(crate) fn in_redo(offset: u64, len: usize) -> Result<Option<Range<usize>>, CutOff> {
    let (at, end) = (
        REDO_KEY_AT as u64,
        (REDO_KEY_AT + EncryptionInfo::LEN) as u64,
    );
    let until = offset.saturating_add(len as u64);
    if until <= at || offset >= end {
        return Ok(None);
    }
    if at < offset || until < end {
        return Err(CutOff);
    }
    Ok(Some((at - offset) as usize..(end - offset) as usize))
}

/// A block with or without a key.
pub(crate) type Block = [u8; EncryptionInfo::LEN];

const MAGIC: &[u8; 3] = b"iCS";
const UUID: Range<usize> = 7..43;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_and_put_back() {
        let key = TablespaceKey::from_bytes(&[5; 64]);
        let open = key.block(b"01234567-89ab-cdef-0123-456789abcdef");
        let (found, sealed) = take(&open).unwrap().unwrap();
        assert!(found == key && is_sealed(&sealed) && !is_sealed(&open));
        assert!(sealed[43..].iter().all(|byte| *byte == 0));
        assert!(
            EncryptionInfo::read(&sealed, 0).is_none(),
            "no server opens it"
        );
        assert_eq!(with_key(&sealed, &key), open);
        assert_eq!(take(&sealed).unwrap().map(|_| ()), None);
    }

    #[test]
    fn the_block_of_a_redo_file_is_found_wherever_its_bytes_are_cut() {
        assert_eq!(in_redo(0, 2048), Ok(Some(1072..1183)));
        assert_eq!(in_redo(1072, 111), Ok(Some(0..111)));
        assert_eq!(in_redo(0, 1072), Ok(None));
        assert_eq!(in_redo(1183, 512), Ok(None));
        for (offset, len) in [(0, 1073), (1073, 512), (1072, 110), (1182, 1)] {
            assert_eq!(in_redo(offset, len), Err(CutOff));
        }
    }
}
