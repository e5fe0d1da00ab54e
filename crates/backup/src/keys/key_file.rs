//! The key that the user gives.

use crate::{Error, Result};
use argon2::{Algorithm, Argon2, Params, Version};
use std::fmt;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A key that seals the keys of tablespaces. Comes from a file; never shown.
///
/// What is in the file, random bytes or a long passphrase, goes through Argon2id, so that guessing
/// a passphrase is slow. All that is used is derived from the result: the [id](Self::id), and a key
/// for each set.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptionKey {
    root: Arc<Zeroizing<[u8; 32]>>,
    id: String,
}

impl EncryptionKey {
    /// Reads a key file: at least 32 bytes, which nobody but the owner may read. One line feed at
    /// the end does not count.
    pub fn read(path: &Path) -> Result<Self> {
        let file = std::fs::File::open(path).map_err(|e| Error::io("open key file", path, e))?;
        let meta = file
            .metadata()
            .map_err(|e| Error::io("open key file", path, e))?;
        if !meta.is_file() {
            return Err(unusable(path, "is no file"));
        }
        if meta.mode() & 0o077 != 0 {
            return Err(Error::refused(
                1105,
                format!(
                    "key file '{}' can be read by others than its owner",
                    path.display()
                ),
                "Make it private: chmod 600.",
            ));
        }
        // Never grown, so that nothing of it stays behind in memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 2));
        file.take(LONGEST as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("read key file", path, e))?;
        if bytes.len() > LONGEST {
            return Err(unusable(path, "is longer than 64 KiB"));
        }
        Self::from_bytes(&bytes).ok_or_else(|| unusable(path, "has less than 32 bytes"))
    }

    /// The key of a file with these bytes; `None` when they are too few.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if bytes.len() < SHORTEST {
            return None;
        }
        let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).ok()?;
        let mut root = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(bytes, SALT, &mut *root)
            .ok()?;
        let id = blake3::derive_key(ID_CONTEXT, &*root);
        let id = blake3::Hash::from_bytes(id).to_hex();
        Some(Self {
            root: Arc::new(root),
            id: id.get(..ID_DIGITS)?.to_owned(),
        })
    }

    /// Tells this key from others, and nothing of it: 16 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key for one set, by the set's id.
    pub(super) fn of_set(&self, set: &str) -> Zeroizing<[u8; 32]> {
        let mut hasher = blake3::Hasher::new_derive_key(SET_CONTEXT);
        hasher.update(&**self.root);
        hasher.update(set.as_bytes());
        Zeroizing::new(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::refused(
        1105,
        format!("key file '{}' {why}", path.display()),
        "Make one: (umask 077; openssl rand -base64 48 > FILE). Keep it apart from the backups: \
         without it they cannot be restored.",
    )
}

/// Digits of an id.
pub(super) const ID_DIGITS: usize = 16;
const SHORTEST: usize = 32;
const LONGEST: usize = 64 << 10;
/// 64 MiB, three passes: a tenth of a second.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
/// The same for all: a key has one id, by which sets name it.
const SALT: &[u8] = b"innoclone encryption key, version 1";
const ID_CONTEXT: &str = "innoclone 2026-11 id of an encryption key";
const SET_CONTEXT: &str = "innoclone 2026-11 tablespace keys of a backup set";

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_private_and_long_enough() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let write = |bytes: &[u8], mode| {
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            EncryptionKey::read(&path)
        };
        let key = write(&[7; 32], 0o600).unwrap();
        assert_eq!(key.id().len(), 16);
        assert_eq!(write(&[&[7; 32][..], b"\n"].concat(), 0o400).unwrap(), key);
        assert_ne!(write(&[8; 32], 0o600).unwrap().id(), key.id());
        let short = write(&[7; 31], 0o600).unwrap_err();
        assert!(short.to_string().contains("less than 32"), "{short}");
        let open = write(&[7; 32], 0o640).unwrap_err();
        assert!(open.hint().unwrap().contains("chmod 600"), "{open}");
        assert!(write(&vec![7; 70_000], 0o600).is_err());
        assert!(EncryptionKey::read(dir.path()).is_err());
        assert!(EncryptionKey::read(&dir.path().join("none")).is_err());
        assert!(!format!("{key:?}").contains("root"));
    }

    #[test]
    fn every_set_has_a_key_of_its_own() {
        let key = EncryptionKey::from_bytes(&[7; 40]).unwrap();
        assert_ne!(*key.of_set("a"), *key.of_set("b"));
        assert_eq!(*key.of_set("a"), *key.clone().of_set("a"));
    }
}
