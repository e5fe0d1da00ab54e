//! `#clone/keys.sealed`: the keys of a set's tablespaces, sealed as one.
//!
//! | offset | bytes | |
//! |---:|---:|---|
//! | 0 | 8 | `ICKEYS01` |
//! | 8 | 8 | id of the key that seals |
//! | 16 | 24 | nonce, random |
//! | 40 | 4 | number of keys |
//! | 44 | 68·n | for each key, ascending: tablespace id, 4 bytes; key, 32; initialisation vector, 32 |
//! | end-16 | 16 | tag |
//!
//! Integers are big-endian. Everything from 44 on is XChaCha20-Poly1305 cipher text; what stands
//! before it and the 32 digits of the set's id are authenticated with it. The key is derived from
//! the user's and the set's id. So nothing of the file can be changed, left out, or taken from
//! another set.

use super::key_file::ID_DIGITS;
use super::{EncryptionKey, REDO_SPACE};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use innodb::encryption::{KEY_LEN, TablespaceKey};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The keys of tablespaces by their ids; that of the redo log too.
pub type SpaceKeys = BTreeMap<u32, TablespaceKey>;

/// The parsed file, still sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKeys<'a> {
    bytes: &'a [u8],
    count: usize,
}

/// Why a file of sealed keys is not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// It is no such file.
    #[error("is no file of sealed keys: {0}")]
    Malformed(&'static str),
    /// Another key seals it.
    #[error("is sealed by key {0}")]
    OtherKey(String),
    /// It was changed, or is of another set.
    #[error("was changed, or is of another set")]
    Changed,
}

impl<'a> SealedKeys<'a> {
    /// Reads what stands in clear.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Unopened> {
        if bytes.get(..8) != Some(MAGIC) {
            return Err(Unopened::Malformed("it does not begin as one"));
        }
        let count = bytes.get(COUNT_AT..HEADER);
        let count = count.and_then(|count| count.try_into().ok());
        let count = count.map(u32::from_be_bytes);
        let count = count.ok_or(Unopened::Malformed("it is cut off"))? as usize;
        let length = count.checked_mul(ENTRY);
        let length = length.and_then(|length| length.checked_add(HEADER + TAG));
        if length != Some(bytes.len()) {
            return Err(Unopened::Malformed("it has not the length for its keys"));
        }
        Ok(Self { bytes, count })
    }

    /// The id of the key that seals the file.
    pub fn key_id(&self) -> String {
        let id = self.bytes.get(8..NONCE_AT);
        let id = id.and_then(|id| id.try_into().ok()).unwrap_or_default();
        format!("{:0ID_DIGITS$x}", u64::from_be_bytes(id))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The keys of the set with this id.
    pub fn open(&self, key: &EncryptionKey, set: &str) -> Result<SpaceKeys, Unopened> {
        if self.key_id() != key.id() {
            return Err(Unopened::OtherKey(self.key_id()));
        }
        let (header, rest) = self.bytes.split_at(HEADER.min(self.bytes.len()));
        let (body, tag) = rest.split_at(rest.len().saturating_sub(TAG));
        let nonce: [u8; 24] = header
            .get(NONCE_AT..COUNT_AT)
            .and_then(|nonce| nonce.try_into().ok())
            .ok_or(Unopened::Changed)?;
        let tag: [u8; TAG] = tag.try_into().map_err(|_| Unopened::Changed)?;
        let mut body = Zeroizing::new(body.to_vec());
        cipher(key, set)
            .decrypt_inout_detached(
                &XNonce::from(nonce),
                &bound(header, set),
                body.as_mut_slice().into(),
                &Tag::from(tag),
            )
            .map_err(|_| Unopened::Changed)?;
        let mut keys = SpaceKeys::new();
        for entry in body.chunks_exact(ENTRY) {
            let (space, bytes) = entry.split_at(4);
            let space = space.try_into().map_or(REDO_SPACE, u32::from_be_bytes);
            let bytes: &[u8; KEY_LEN] = bytes.try_into().map_err(|_| Unopened::Changed)?;
            keys.insert(space, TablespaceKey::from_bytes(bytes));
        }
        Ok(keys)
    }
}

/// The bytes of the file with the keys of the set with this id.
pub(super) fn seal(
    keys: &SpaceKeys,
    key: &EncryptionKey,
    set: &str,
) -> Result<Vec<u8>, getrandom::Error> {
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce)?;
    let mut out = Vec::with_capacity(HEADER + keys.len() * ENTRY + TAG);
    out.extend_from_slice(MAGIC);
    let id = u64::from_str_radix(key.id(), 16).unwrap_or_default();
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&(keys.len() as u32).to_be_bytes());
    let header = bound(&out, set);
    for (space, key) in keys {
        out.extend_from_slice(&space.to_be_bytes());
        out.extend_from_slice(key.as_bytes());
    }
    let body = out.get_mut(HEADER..).unwrap_or_default();
    // Fails for more bytes than there are tablespaces.
    let tag = cipher(key, set)
        .encrypt_inout_detached(&XNonce::from(nonce), &header, body.into())
        .unwrap_or_default();
    out.extend_from_slice(&tag);
    Ok(out)
}

fn cipher(key: &EncryptionKey, set: &str) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&(*key.of_set(set)).into())
}

/// What is authenticated with the keys.
fn bound(header: &[u8], set: &str) -> Vec<u8> {
    [header, set.as_bytes()].concat()
}

const MAGIC: &[u8] = b"ICKEYS01";
const NONCE_AT: usize = 16;
const COUNT_AT: usize = 40;
const HEADER: usize = 44;
const ENTRY: usize = 4 + KEY_LEN;
const TAG: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> EncryptionKey {
        EncryptionKey::from_bytes(&[byte; 32]).unwrap()
    }

    fn keys() -> SpaceKeys {
        let of = |byte| TablespaceKey::from_bytes(&[byte; KEY_LEN]);
        [(7, of(1)), (9, of(2)), (REDO_SPACE, of(3))].into()
    }

    const SET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn what_was_sealed_is_opened_by_the_key_for_the_set() {
        let (key, all) = (key(1), keys());
        let bytes = seal(&all, &key, SET).unwrap();
        let sealed = SealedKeys::parse(&bytes).unwrap();
        assert_eq!((sealed.len(), sealed.key_id().as_str()), (3, key.id()));
        assert_eq!(sealed.open(&key, SET), Ok(all.clone()));
        for raw in [[1; 32], [2; 32], [3; 32]] {
            assert!(!bytes.windows(32).any(|window| window == raw));
        }
        assert_ne!(bytes, seal(&all, &key, SET).unwrap());
    }

    #[test]
    fn another_key_another_set_and_any_change_are_noticed() {
        let key_1 = key(1);
        let bytes = seal(&keys(), &key_1, SET).unwrap();
        let sealed = SealedKeys::parse(&bytes).unwrap();
        let other = sealed.open(&key(2), SET);
        assert_eq!(other, Err(Unopened::OtherKey(key_1.id().to_owned())));
        assert_eq!(
            sealed.open(&key_1, &SET.replace('0', "1")),
            Err(Unopened::Changed)
        );
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let opened = SealedKeys::parse(&damaged).and_then(|sealed| sealed.open(&key_1, SET));
            assert!(opened.is_err(), "byte {at}");
        }
        for length in 0..bytes.len() {
            assert!(SealedKeys::parse(&bytes[..length]).is_err(), "{length}");
        }
    }
}
