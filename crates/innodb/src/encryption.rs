//! Keys of encrypted tablespaces and of an encrypted redo log (`os0enc`, `fil0fil`).
//!
//! A key stands in a block of 111 bytes, see [`EncryptionInfo`]: on page 0 of a tablespace at
//! [`encryption_offset`](crate::tablespace::encryption_offset), in a redo file at
//! [`REDO_KEY_AT`]. Three things protect it, or do not:
//!
//! | master key id | the 64 bytes |
//! |---|---|
//! | 0 | in clear, as the clone protocol sends them |
//! | 0 | AES-256-ECB under the built-in master key, which is the same everywhere |
//! | other | AES-256-ECB under a master key of the server's keyring |
//!
//! A server opens a block of the second form with any keyring, and wraps the key by a master key of
//! its own when it starts. To everybody who reads the file such a key is as good as in clear.

use std::fmt;

use aes::Aes256;
use aes::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, KeyInit,
    KeyIvInit,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::bytes::{array_at, put, u32_at};
use crate::redo::{BLOCK_SIZE, BlockHeader};
use crate::tablespace::EncryptionInfo;

/// Where the block with the key begins in a redo file.
pub const REDO_KEY_AT: usize = 2 * BLOCK_SIZE + 48;

/// Bytes of a key with its initialisation vector.
pub const KEY_LEN: usize = 64;

/// Key and initialisation vector of a tablespace or of the redo log. Overwritten when dropped;
/// never shown.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct TablespaceKey([u8; KEY_LEN]);

impl TablespaceKey {
    /// A key, and its initialisation vector.
    pub fn new(key: &[u8; 32], iv: &[u8; 32]) -> Self {
        let mut bytes = [0; KEY_LEN];
        let (first, second) = bytes.split_at_mut(32);
        first.copy_from_slice(key);
        second.copy_from_slice(iv);
        Self(bytes)
    }

    /// Key, then initialisation vector.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
        Self(*bytes)
    }

    /// Key, then initialisation vector.
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The key in a block that everybody can read: in clear, or wrapped by the built-in master key.
    /// `None`: there is no key, or a keyring protects it.
    pub fn unprotected(block: &[u8]) -> Result<Option<Self>, KeyBlockError> {
        let Some(info) = EncryptionInfo::read(block, 0) else {
            return Ok(None);
        };
        if &info.magic != b"lCC" {
            return match info.master_key_id {
                0 => Err(KeyBlockError::Layout(info.magic)),
                _ => Ok(None),
            };
        }
        let (Some(bytes), Some(sum)) = (array_at(block, KEY_AT), u32_at(block, SUM_AT)) else {
            return Ok(None);
        };
        // Both are on the stack of whoever asks, too.
        let mut found = Self(bytes);
        if crc32c::crc32c(&found.0) == sum {
            return Ok(Some(found));
        }
        if info.master_key_id != 0 {
            return Ok(None);
        }
        let master = Aes256::new(&Array(DEFAULT_MASTER_KEY));
        for block in found.0.chunks_exact_mut(16) {
            if let Ok(block) = <&mut Array<u8, _>>::try_from(block) {
                master.decrypt_block(block);
            }
        }
        if crc32c::crc32c(&found.0) == sum {
            Ok(Some(found))
        } else {
            Err(KeyBlockError::Sum)
        }
    }

    /// The block that holds this key wrapped by the built-in master key: what every server with a
    /// keyring opens. `server_uuid` is that of the server that made the key, at most 36 bytes.
    pub fn block(&self, server_uuid: &[u8]) -> [u8; EncryptionInfo::LEN] {
        let mut block = [0; EncryptionInfo::LEN];
        let mut wrapped = Zeroizing::new(self.0);
        let master = Aes256::new(&Array(DEFAULT_MASTER_KEY));
        for block in wrapped.chunks_exact_mut(16) {
            if let Ok(block) = <&mut Array<u8, _>>::try_from(block) {
                master.encrypt_block(block);
            }
        }
        // All of this is within the block, which is longer than its parts.
        let _ = put(&mut block, 0, b"lCC");
        let uuid = server_uuid.get(..UUID_LEN).unwrap_or(server_uuid);
        let _ = put(&mut block, UUID_AT, uuid);
        let _ = put(&mut block, KEY_AT, &*wrapped);
        let _ = put(&mut block, SUM_AT, &crc32c::crc32c(&self.0).to_be_bytes());
        block
    }

    /// An encrypted block of the redo log in plain; one that is not encrypted as it is. Whether the
    /// key is the right one, the checksum of the result tells.
    ///
    /// All behind the 12 bytes of the header is AES-256-CBC of whole cipher blocks. What does not
    /// fill one is covered by encrypting the last 32 bytes once more.
    pub fn decrypt_redo_block(&self, block: &[u8]) -> Result<[u8; BLOCK_SIZE], KeyBlockError> {
        let mut plain: [u8; BLOCK_SIZE] = array_at(block, 0).ok_or(KeyBlockError::NoRedoBlock)?;
        if block.len() != BLOCK_SIZE {
            return Err(KeyBlockError::NoRedoBlock);
        }
        if !BlockHeader::parse(block).is_ok_and(|header| header.encrypted) {
            return Ok(plain);
        }
        let body = plain.get_mut(REDO_HEADER..).unwrap_or_default();
        let whole = body.len() - body.len() % 16;
        let end = body.len();
        self.decrypt_cbc(body.get_mut(end - 32..).unwrap_or_default());
        self.decrypt_cbc(body.get_mut(..whole).unwrap_or_default());
        // The mark goes: what is left is a block as it is without encryption.
        if let Some(byte) = plain.get_mut(4) {
            *byte &= 0x7F;
        }
        Ok(plain)
    }

    /// A plain block of the redo log encrypted: what [`Self::decrypt_redo_block`] makes plain again.
    pub fn encrypt_redo_block(&self, block: &[u8]) -> Result<[u8; BLOCK_SIZE], KeyBlockError> {
        let mut sealed: [u8; BLOCK_SIZE] = array_at(block, 0).ok_or(KeyBlockError::NoRedoBlock)?;
        if block.len() != BLOCK_SIZE {
            return Err(KeyBlockError::NoRedoBlock);
        }
        let body = sealed.get_mut(REDO_HEADER..).unwrap_or_default();
        let (end, whole) = (body.len(), body.len() - body.len() % 16);
        self.encrypt_cbc(body.get_mut(..whole).unwrap_or_default());
        self.encrypt_cbc(body.get_mut(end - 32..).unwrap_or_default());
        if let Some(byte) = sealed.get_mut(4) {
            *byte |= 0x80;
        }
        Ok(sealed)
    }

    fn encrypt_cbc(&self, bytes: &mut [u8]) {
        let key: Option<[u8; 32]> = array_at(&self.0, 0);
        let iv: Option<[u8; 16]> = array_at(&self.0, 32);
        let (Some(key), Some(iv)) = (key.map(Zeroizing::new), iv) else {
            return;
        };
        let mut cipher = cbc::Encryptor::<Aes256>::new(&Array(*key), &Array(iv));
        for block in bytes.chunks_exact_mut(16) {
            if let Ok(block) = <&mut Array<u8, _>>::try_from(block) {
                cipher.encrypt_block(block);
            }
        }
    }

    fn decrypt_cbc(&self, bytes: &mut [u8]) {
        let key: Option<[u8; 32]> = array_at(&self.0, 0);
        let iv: Option<[u8; 16]> = array_at(&self.0, 32);
        let (Some(key), Some(iv)) = (key.map(Zeroizing::new), iv) else {
            return;
        };
        let mut cipher = cbc::Decryptor::<Aes256>::new(&Array(*key), &Array(iv));
        for block in bytes.chunks_exact_mut(16) {
            if let Ok(block) = <&mut Array<u8, _>>::try_from(block) {
                cipher.decrypt_block(block);
            }
        }
    }
}

/// Without the key.
impl fmt::Debug for TablespaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TablespaceKey").finish_non_exhaustive()
    }
}

/// A block whose key cannot be read, although nothing protects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyBlockError {
    /// A layout of servers before MySQL 5.7.12.
    #[error("the key is stored in an older layout: {0:02x?}")]
    Layout([u8; 3]),
    /// Neither in clear nor wrapped.
    #[error("the key does not have its checksum")]
    Sum,
    /// Not 512 bytes.
    #[error("not a block of the redo log")]
    NoRedoBlock,
}

/// The built-in master key, which has id 0.
const DEFAULT_MASTER_KEY: [u8; 32] = *b"DefaultMasterKey\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

// Offsets in the block, see `EncryptionInfo`.
const UUID_AT: usize = 7;
const UUID_LEN: usize = 36;
const KEY_AT: usize = 43;
const SUM_AT: usize = 107;
/// Bytes of a redo block that are never encrypted.
const REDO_HEADER: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> TablespaceKey {
        TablespaceKey::from_bytes(&[0x5A; KEY_LEN].map(|byte| byte + 1))
    }

    const UUID: &[u8] = b"01234567-89ab-cdef-0123-456789abcdef";

    fn in_clear(id: u32) -> [u8; 111] {
        let mut block = key().block(UUID);
        put(&mut block, 3, &id.to_be_bytes()).unwrap();
        put(&mut block, KEY_AT, key().as_bytes()).unwrap();
        block
    }

    #[test]
    fn a_key_in_clear_and_one_wrapped_by_the_built_in_key_are_read() {
        for block in [in_clear(0), in_clear(3), key().block(UUID)] {
            assert_eq!(TablespaceKey::unprotected(&block), Ok(Some(key())));
        }
        let block = key().block(UUID);
        assert_ne!(block[43..107], *key().as_bytes());
        let info = EncryptionInfo::read(&block, 0).unwrap();
        assert_eq!(info.master_key_id, 0);
        assert_eq!(info.server_uuid.as_bytes(), UUID);
    }

    #[test]
    fn a_key_of_a_keyring_is_protected_and_a_damaged_one_an_error() {
        let mut protected = key().block(UUID);
        protected[6] = 4;
        assert_eq!(TablespaceKey::unprotected(&protected), Ok(None));
        assert_eq!(TablespaceKey::unprotected(&[0; 111]), Ok(None));
        assert_eq!(TablespaceKey::unprotected(b"lCC"), Ok(None));
        let mut damaged = key().block(UUID);
        damaged[50] ^= 1;
        assert_eq!(
            TablespaceKey::unprotected(&damaged),
            Err(KeyBlockError::Sum)
        );
        let mut old = in_clear(0);
        old[2] = b'A';
        assert!(TablespaceKey::unprotected(&old).is_err());
    }

    #[test]
    fn an_encrypted_block_of_the_log_becomes_plain_again() {
        let mut plain: [u8; BLOCK_SIZE] = std::array::from_fn(|at| at.to_be_bytes()[7]);
        // A block with 300 bytes in it, not encrypted.
        plain[4..6].copy_from_slice(&300u16.to_be_bytes());
        let sealed = key().encrypt_redo_block(&plain).unwrap();
        assert!(BlockHeader::parse(&sealed).unwrap().encrypted);
        assert_eq!(sealed[..4], plain[..4]);
        assert!(!sealed.windows(16).any(|window| window == &plain[100..116]));
        assert_eq!(key().decrypt_redo_block(&sealed).unwrap(), plain);
        assert!(key().encrypt_redo_block(&plain[..511]).is_err());
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        assert_eq!(format!("{:?}", key()), "TablespaceKey { .. }");
    }
}
