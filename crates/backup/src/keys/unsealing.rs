//! Putting keys back into what a set gives.

use super::sealed::{SealedKeys, SpaceKeys, Unopened};
use super::{EncryptionKey, REDO_SPACE, block};
use crate::files::SpaceInfo;
use crate::io::read_bounded;
use crate::set::BackupSet;
use crate::set::layout::SEALED_KEYS;
use crate::{Error, Result};
use innodb::flags::SpaceFlags;
use innodb::lsn::Lsn;
use innodb::redo::{BLOCK_SIZE, BlockState, classify_block};
use std::fmt;
use std::path::Path;

/// The keys of the sets that something is read from, the newest set first.
#[derive(Default)]
pub(crate) struct Unsealing {
    sets: Vec<SpaceKeys>,
}

impl Unsealing {
    /// The keys of `sets`, the oldest first. The newest set that has sealed keys has those of all
    /// tablespaces there were; older ones matter only where a tablespace has not come since. Fails
    /// when the newest cannot be opened.
    pub(crate) fn open<'a>(
        sets: impl DoubleEndedIterator<Item = &'a BackupSet>,
        key: Option<&EncryptionKey>,
    ) -> Result<Self> {
        let mut found = Self::default();
        let mut is_last = true;
        for set in sets.rev() {
            let manifest = set.manifest();
            let Some(record) = &manifest.keys else {
                // A set that has no encrypted tablespaces needs no keys of the sets before it.
                if is_last && !has_encryption(set) {
                    return Ok(found);
                }
                is_last = false;
                continue;
            };
            is_last = false;
            if !found.sets.is_empty() && key.is_none_or(|key| key.id() != record.key_id) {
                continue;
            }
            let key = key.ok_or_else(|| needed(set.path(), &record.key_id))?;
            found.sets.push(open(set, key)?);
        }
        Ok(found)
    }

    /// Whether there is nothing to put back.
    pub(crate) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Puts the key back on page 0 of a tablespace, if `page` is that and has a place for it.
    pub(crate) fn page(&self, space: &SpaceInfo, page: &mut [u8], path: &Path) -> Result<()> {
        let sealed = block::of_page(space, page).filter(|found| block::is_sealed(found));
        if let Some(found) = sealed {
            let key = self.key(space.id.get(), path)?;
            let open = block::with_key(found, key);
            block::put_on_page(space, page, &open);
        }
        Ok(())
    }

    /// Puts the key back into `bytes`, which are at `offset` of a redo file.
    pub(crate) fn redo(&self, offset: u64, bytes: &mut [u8], path: &Path) -> Result<()> {
        let place = block::in_redo(offset, bytes.len());
        let place = place.map_err(|_| Error::damaged(path, "is read in pieces"))?;
        let Some(place) = place.and_then(|place| bytes.get_mut(place)) else {
            return Ok(());
        };
        if block::is_sealed(place) {
            let open = block::with_key(place, self.key(REDO_SPACE, path)?);
            place.copy_from_slice(&open);
        }
        Ok(())
    }

    /// A block of the redo log, encrypted, in plain, if one of the keys is its own: those of a set may
    /// be older than the log, and who has none of its keys has none of that. Its checksum tells.
    pub(crate) fn plain_redo_block(&self, block: &[u8], at: Lsn) -> Option<[u8; BLOCK_SIZE]> {
        let keys = self.sets.iter().filter_map(|keys| keys.get(&REDO_SPACE));
        let mut plain = keys.filter_map(|key| key.decrypt_redo_block(block).ok());
        plain.find(|plain| {
            let state = classify_block(plain, at);
            matches!(state, BlockState::Full | BlockState::Partial { .. })
        })
    }

    fn key(&self, space: u32, path: &Path) -> Result<&innodb::encryption::TablespaceKey> {
        let mut sets = self.sets.iter();
        sets.find_map(|keys| keys.get(&space)).ok_or_else(|| {
            Error::refused(
                NO_KEY,
                format!("the key of '{}' is sealed, and not known", path.display()),
                "Give the key file by --encryption-key-file.",
            )
        })
    }
}

/// Without the keys.
impl fmt::Debug for Unsealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<usize> = self.sets.iter().map(SpaceKeys::len).collect();
        f.debug_struct("Unsealing").field("keys", &counts).finish()
    }
}

/// The sealed keys of one set.
fn open(set: &BackupSet, key: &EncryptionKey) -> Result<SpaceKeys> {
    let path = set.path().join(SEALED_KEYS);
    let bytes = read_bounded(&path, LIMIT)?;
    let opened =
        SealedKeys::parse(&bytes).and_then(|sealed| sealed.open(key, set.manifest().id.as_str()));
    opened.map_err(|unopened| match unopened {
        Unopened::OtherKey(id) => Error::refused(
            NO_KEY,
            format!(
                "the tablespace keys of '{}' are sealed by key {id}; the key file given has key {}",
                set.path().display(),
                key.id()
            ),
            "Give the file of that key by --encryption-key-file.",
        ),
        unopened => Error::damaged(&path, unopened),
    })
}

fn needed(set: &Path, id: &str) -> Error {
    Error::refused(
        NO_KEY,
        format!(
            "'{}' has encrypted tablespaces, whose keys are sealed by key {id}",
            set.display()
        ),
        "Give the file of that key by --encryption-key-file.",
    )
}

/// Whether a set has encrypted tablespaces.
pub(crate) fn has_encryption(set: &BackupSet) -> bool {
    let spaces = set.manifest().files.iter().filter_map(|file| file.space);
    spaces
        .into_iter()
        .any(|space| SpaceFlags::new(space.flags).is_ok_and(SpaceFlags::is_encrypted))
}

/// "Can't find master key from keyring".
const NO_KEY: u16 = 3185;
/// Larger files are not read: a million keys.
const LIMIT: u64 = 80 << 20;
