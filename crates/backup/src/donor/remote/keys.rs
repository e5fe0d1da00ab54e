//! Keys of encrypted tablespaces and of the redo log: the donor sends them in clear. They are taken out
//! before anything of what has them is kept.

use super::files::Files;
use super::link::protocol;
use super::redo::damaged;
use super::spool::Spool;
use crate::files::SpaceInfo;
use crate::keys::{REDO_SPACE, Sealing, block};
use crate::{Error, Result};
use innodb::encryption::{KeyBlockError, TablespaceKey};
use innodb::redo::BlockHeader;
use innodb::tablespace::SpaceHeader;
use std::borrow::Cow;
use std::sync::Arc;
use wire::clone::{FileDescriptor, FileFlags};

/// Something of the donor is encrypted, and there is nothing to seal its key by.
pub(super) fn encrypted(what: &str) -> Error {
    Error::refused(
        3872,
        format!("'{what}' of the donor is encrypted, and its key would lie in the backup in clear"),
        "Give a key file that seals it, by --encryption-key-file (in SQL: SET GLOBAL \
         clone_encrypt_key_path), or back up on the database host.",
    )
}

/// The key that comes with a file which was made or encrypted during the clone.
pub(super) fn of_descriptor(keys: Option<&Arc<Sealing>>, file: &FileDescriptor) -> Result<()> {
    let is_encrypted = file.flags.has(FileFlags::ENCRYPTED) || file.key.is_some();
    match (keys, &file.key) {
        (None, _) if is_encrypted => Err(encrypted(&String::from_utf8_lossy(&file.name))),
        (Some(keys), Some(key)) => {
            keys.add(file.space, TablespaceKey::new(&key.key, &key.iv));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Pages from `first` on, the first page of the tablespace among them without its key. One that
/// was being written while it was read may have half a key: it comes again.
pub(super) fn of_first_page<'a>(
    keys: Option<&Arc<Sealing>>,
    space: &SpaceInfo,
    first: u32,
    bytes: &'a [u8],
    is_torn: bool,
) -> Result<Cow<'a, [u8]>> {
    let size = space.geometry.physical();
    let page = bytes.get(..size).filter(|_| first == 0);
    let Some(found) = page.and_then(|page| block::of_page(space, page)) else {
        return Ok(Cow::Borrowed(bytes));
    };
    let without = match block::take(found) {
        Ok(None) => return Ok(Cow::Borrowed(bytes)),
        Ok(Some((key, without))) => {
            let keys = keys.ok_or_else(|| encrypted(&format!("tablespace {}", space.id)))?;
            keys.add(space.id.get(), key);
            without
        }
        Err(_) if is_torn => block::without_key(&[]),
        Err(e) => return Err(unreadable(space, e)),
    };
    let mut bytes = bytes.to_vec();
    block::put_on_page(space, bytes.get_mut(..size).unwrap_or_default(), &without);
    Ok(Cow::Owned(bytes))
}

/// Bytes at `offset` of a redo file, without the key of the log.
pub(super) fn of_redo<'a>(
    keys: Option<&Sealing>,
    offset: u64,
    bytes: &'a [u8],
) -> Result<Cow<'a, [u8]>> {
    let place = block::in_redo(offset, bytes.len())
        .map_err(|_| protocol("the head of a redo file in pieces"))?;
    let Some(place) = place else {
        return Ok(Cow::Borrowed(bytes));
    };
    let Some((key, without)) = block::take(&bytes[place.clone()]).map_err(damaged)? else {
        return Ok(Cow::Borrowed(bytes));
    };
    let keys = keys.ok_or_else(|| encrypted("redo log"))?;
    keys.add(REDO_SPACE, key);
    let mut bytes = bytes.to_vec();
    bytes[place].copy_from_slice(&without);
    Ok(Cow::Owned(bytes))
}

/// A block of the log in plain.
pub(super) fn plain_redo_block<'a>(
    key: Option<&TablespaceKey>,
    block: &'a [u8],
) -> Result<Cow<'a, [u8]>> {
    if !BlockHeader::parse(block).is_ok_and(|header| header.encrypted) {
        return Ok(Cow::Borrowed(block));
    }
    let key = key.ok_or_else(|| damaged("it is encrypted, and its key did not come"))?;
    let plain = key.decrypt_redo_block(block).map_err(damaged)?;
    Ok(Cow::Owned(plain.to_vec()))
}

/// The first page of a tablespace that was made during the clone has a place for its key.
pub(super) fn on_fresh_page(
    keys: Option<&Arc<Sealing>>,
    space: &SpaceInfo,
    page: &mut [u8],
) -> Result<()> {
    if keys.is_none_or(|keys| !keys.has(space.id.get())) {
        return if space.flags.is_encrypted() {
            Err(no_key(space))
        } else {
            Ok(())
        };
    }
    block::put_on_page(space, page, &block::without_key(&[]));
    Ok(())
}

/// Every encrypted tablespace has come with its key. When everything has been received: what the
/// first pages say counts.
pub(super) fn check(files: &mut Files, spool: &Spool) -> Result<()> {
    let mut changed = Vec::new();
    for (index, file) in files.live() {
        let Some(space) = file.space.filter(|space| space.first_page == 0) else {
            continue;
        };
        let mut flags = space.flags;
        let has_first = file.found().pages.contains(0);
        if has_first {
            let mut page = vec![0; space.geometry.physical()];
            spool.read(index, 0, &mut page)?;
            if let Ok(header) = SpaceHeader::parse(&page) {
                flags = header.flags;
            }
            let sealed = block::of_page(&space, &page).is_some_and(block::is_sealed);
            let known = || files.keys().is_some_and(|keys| keys.has(space.id.get()));
            if flags.is_encrypted() && !(sealed && known()) {
                return Err(no_key(&space));
            }
        } else if flags.is_encrypted() {
            return Err(no_key(&space));
        }
        if flags != space.flags {
            changed.push((index, flags));
        }
    }
    for (index, flags) in changed {
        files.set_flags(index, flags);
    }
    if let Some(keys) = files.keys() {
        let there = files.live().filter_map(|(_, file)| file.space);
        let there: std::collections::BTreeSet<u32> = there.map(|space| space.id.get()).collect();
        keys.keep(|space| there.contains(&space));
    }
    Ok(())
}

fn no_key(space: &SpaceInfo) -> Error {
    protocol(format!(
        "tablespace {} is encrypted, and its key did not come",
        space.id
    ))
}

fn unreadable(space: &SpaceInfo, error: KeyBlockError) -> Error {
    protocol(format!("tablespace {}: {error}", space.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EncryptionKey;
    use innodb::first_page::fresh_first_page;
    use innodb::flags::SpaceFlags;
    use innodb::geometry::Geometry;
    use innodb::ids::{PageNo, SpaceId};
    use innodb::verify::{PageState, verify_page_at};

    fn space(flags: u32) -> SpaceInfo {
        let flags = SpaceFlags::new(flags).unwrap();
        SpaceInfo {
            id: SpaceId::new(77),
            flags,
            geometry: Geometry::of(flags).unwrap(),
            first_page: 0,
        }
    }

    fn sealing() -> Arc<Sealing> {
        Arc::new(Sealing::new(EncryptionKey::from_bytes(&[3; 32]).unwrap()))
    }

    #[test]
    fn a_first_page_is_kept_without_its_key_and_verifies() {
        // 16 KiB, ROW_FORMAT=COMPRESSED of 8 KiB, 4 KiB.
        for flags in [0x6021, 0x6029, 0x60E1] {
            let space = space(flags);
            let size = space.geometry.physical();
            let key = TablespaceKey::from_bytes(&std::array::from_fn(|at| at as u8 + 1));
            let mut page = fresh_first_page(space.id, space.flags, 90704).unwrap();
            block::put_on_page(&space, &mut page, &key.block(&[b'u'; 36]));
            page.extend(vec![9; size]);
            let keys = sealing();
            let refused = of_first_page(None, &space, 0, &page, false).unwrap_err();
            assert_eq!(refused.code(), 3872);
            let kept = of_first_page(Some(&keys), &space, 0, &page, false).unwrap();
            assert!(keys.has(77) && kept.len() == page.len());
            assert!(!kept.windows(8).any(|window| window == &key.as_bytes()[..8]));
            assert_eq!(kept[size..], page[size..]);
            let state = verify_page_at(&kept[..size], space.geometry, space.id, PageNo::new(0));
            assert_eq!(state, Ok(PageState::Valid));
            let later = of_first_page(None, &space, 5, &page, false).unwrap();
            assert_eq!(later, page, "page 5 has no key");
        }
    }

    #[test]
    fn half_a_key_of_a_torn_page_is_not_kept() {
        let space = space(0x6021);
        let mut page = vec![0; 16384];
        let mut half = TablespaceKey::from_bytes(&[6; 64]).block(&[]);
        half[60] ^= 1;
        block::put_on_page(&space, &mut page, &half);
        assert!(of_first_page(Some(&sealing()), &space, 0, &page, false).is_err());
        let kept = of_first_page(Some(&sealing()), &space, 0, &page, true).unwrap();
        assert!(block::of_page(&space, &kept).is_some_and(block::is_sealed));
        assert!(!kept.windows(8).any(|window| window == &half[43..51]));
    }

    #[test]
    fn the_key_of_the_log_is_taken_from_the_head_of_its_files() {
        let key = TablespaceKey::from_bytes(&[6; 64]);
        let mut head = vec![0; 2048];
        head[1072..1183].copy_from_slice(&key.block(&[]));
        assert_eq!(of_redo(None, 0, &head).unwrap_err().code(), 3872);
        let keys = sealing();
        let kept = of_redo(Some(&keys), 0, &head).unwrap();
        assert!(block::is_sealed(&kept[1072..1183]));
        assert_eq!(keys.of_redo(), Some(key));
        assert!(of_redo(Some(&keys), 0, &head[..1100]).is_err());
        assert_eq!(of_redo(Some(&keys), 2048, &head).unwrap(), head);
    }
}
