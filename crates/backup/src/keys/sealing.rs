//! Taking keys out of what a donor sends.

use super::sealed::{SpaceKeys, seal};
use super::{EncryptionKey, REDO_SPACE};
use crate::set::SetId;
use crate::{Error, Result};
use innodb::encryption::TablespaceKey;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The keys that came with a snapshot, for its set.
pub struct Sealing {
    /// What seals them; without it they are only handed on.
    key: Option<EncryptionKey>,
    found: Mutex<SpaceKeys>,
}

impl Sealing {
    /// None yet; they will be sealed by `key`.
    pub fn new(key: EncryptionKey) -> Self {
        Self {
            key: Some(key),
            found: Mutex::default(),
        }
    }

    /// None yet; they are for somebody else to seal, and are forgotten with this.
    pub(crate) fn handing_on() -> Self {
        Self {
            key: None,
            found: Mutex::default(),
        }
    }

    /// The id of the key that seals.
    pub fn key_id(&self) -> &str {
        self.key.as_ref().map_or("", EncryptionKey::id)
    }

    /// How many keys came.
    pub fn len(&self) -> usize {
        self.found().len()
    }

    /// Whether no key came.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key of a tablespace; the one that came last counts.
    pub(crate) fn add(&self, space: u32, key: TablespaceKey) {
        self.found().insert(space, key);
    }

    pub(crate) fn has(&self, space: u32) -> bool {
        self.found().contains_key(&space)
    }

    /// The key of the redo log.
    pub(crate) fn of_redo(&self) -> Option<TablespaceKey> {
        self.of(REDO_SPACE)
    }

    /// The key of a tablespace.
    pub(crate) fn of(&self, space: u32) -> Option<TablespaceKey> {
        self.found().get(&space).cloned()
    }

    /// Keys of tablespaces that are gone are not kept.
    pub(crate) fn keep(&self, is_there: impl Fn(u32) -> bool) {
        self.found()
            .retain(|space, _| *space == REDO_SPACE || is_there(*space));
    }

    /// The file of the set that holds the keys.
    pub(crate) fn seal(&self, set: &SetId) -> Result<Vec<u8>> {
        let key = self.key.as_ref().ok_or_else(|| {
            Error::refused(
                1105,
                "there is no key that seals the keys",
                "This is a bug.",
            )
        })?;
        seal(&self.found(), key, set.as_str()).map_err(|e| Error::refused(1105, e.to_string(), ""))
    }

    fn found(&self) -> MutexGuard<'_, SpaceKeys> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without the keys.
impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing")
            .field("key", &self.key)
            .field("keys", &self.len())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Sealing {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || {
            let other_keys = other.found().clone();
            self.key == other.key && *self.found() == other_keys
        }
    }
}
