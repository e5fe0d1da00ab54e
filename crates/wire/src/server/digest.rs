//! Proofs of a password, as `caching_sha2_password` has them.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::Secret;
use crate::handshake::NONCE;

/// SHA-256 of the SHA-256 of a password: enough to check a login in which no password travels.
///
/// With it one can find out weak passwords: keep it secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordDigest([u8; LEN]);

impl fmt::Debug for PasswordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordDigest(***)")
    }
}

impl PasswordDigest {
    /// The digest of `password`.
    pub fn of(password: &Secret) -> Self {
        Self(sha256(&[&sha256(&[password.expose().as_bytes()])]))
    }

    /// Whether `proof` was made with the password and `nonce`. An empty password is proved by
    /// nothing, or by one zero byte.
    pub(super) fn accepts(&self, proof: &[u8], nonce: &[u8; NONCE]) -> bool {
        if matches!(proof, [] | [0]) {
            return *self == Self::of(&Secret::new(""));
        }
        let Ok(proof): Result<[u8; LEN], _> = proof.try_into() else {
            return false;
        };
        // The proof is SHA256(password) XOR SHA256(digest, nonce).
        let mut once = sha256(&[&self.0, nonce]);
        for (byte, proof) in once.iter_mut().zip(proof) {
            *byte ^= proof;
        }
        // What is compared are digests, which a client cannot bring near to each other on purpose.
        sha256(&[&once]) == self.0
    }
}

/// A password as `mysql.user.authentication_string` has it for `caching_sha2_password`:
/// `$A$005$`, 20 bytes of salt, 43 characters of SHA-crypt. It can only be compared with a password
/// in clear.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPassword {
    rounds: usize,
    salt: [u8; SALT],
    hash: [u8; HASH],
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredPassword(***)")
    }
}

impl StoredPassword {
    /// Reads the text of the column; `None` if it is none of this plugin's.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let rest = text.strip_prefix(b"$A$")?;
        let (rounds, rest) = rest.split_at_checked(3)?;
        let rest = rest.strip_prefix(b"$")?;
        let (salt, hash) = rest.split_at_checked(SALT)?;
        // Rounds are counted in thousands, in hexadecimal; the server allows 5 to 4095 of them.
        let rounds = usize::from_str_radix(std::str::from_utf8(rounds).ok()?, 16).ok()?;
        Some(Self {
            rounds: Some(rounds * 1000).filter(|rounds| *rounds > 0)?,
            salt: salt.try_into().ok()?,
            hash: hash.try_into().ok()?,
        })
    }

    /// What a server would store of `password` with this salt. Of each byte of the salt seven bits
    /// are used, and none becomes zero or `$`.
    pub fn new(password: &Secret, salt: [u8; SALT]) -> Self {
        let salt = salt.map(|byte| match byte & 0x7F {
            0 | b'$' => b'.',
            byte => byte,
        });
        let rounds = 5000;
        Self {
            rounds,
            salt,
            hash: sha_crypt(password.expose().as_bytes(), &salt, rounds),
        }
    }

    /// The text of the column, as [`parse`](Self::parse) reads it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = format!("$A${:03X}$", self.rounds / 1000);
        [head.as_bytes(), &self.salt, &self.hash].concat()
    }

    /// Whether this is `password`. Costs some milliseconds, on purpose.
    pub fn is(&self, password: &Secret) -> bool {
        sha_crypt(password.expose().as_bytes(), &self.salt, self.rounds) == self.hash
    }
}

/// SHA-crypt with SHA-256 (Ulrich Drepper's specification), without its limit of 16 bytes of salt,
/// which MySQL does not keep.
fn sha_crypt(password: &[u8], salt: &[u8], rounds: usize) -> [u8; HASH] {
    let alternate = sha256(&[password, salt, password]);
    let mut digest = Sha256::new();
    digest.update(password);
    digest.update(salt);
    update_repeated(&mut digest, &alternate, password.len());
    let mut bits = password.len();
    while bits > 0 {
        if bits & 1 == 1 {
            digest.update(alternate);
        } else {
            digest.update(password);
        }
        bits >>= 1;
    }
    let mut running: [u8; LEN] = digest.finalize().into();

    let mut digest = Sha256::new();
    for _ in 0..password.len() {
        digest.update(password);
    }
    let p = repeated(&digest.finalize().into(), password.len());
    let mut digest = Sha256::new();
    for _ in 0..16 + usize::from(running[0]) {
        digest.update(salt);
    }
    let s = repeated(&digest.finalize().into(), salt.len());

    for round in 0..rounds {
        let mut digest = Sha256::new();
        let odd = round % 2 == 1;
        if odd {
            digest.update(&p);
        } else {
            digest.update(running);
        }
        if round % 3 != 0 {
            digest.update(&s);
        }
        if round % 7 != 0 {
            digest.update(&p);
        }
        if odd {
            digest.update(running);
        } else {
            digest.update(&p);
        }
        running = digest.finalize().into();
    }
    base64(&running)
}

/// The digest in the alphabet and the order of bytes of SHA-crypt.
fn base64(digest: &[u8; LEN]) -> [u8; HASH] {
    let mut text = [0; HASH];
    let mut at = 0;
    let mut put = |group: u32, characters: usize| {
        for character in 0..characters {
            let six = (group >> (6 * character)) & 0x3F;
            text[at] = ALPHABET[six as usize];
            at += 1;
        }
    };
    let (mut a, mut b, mut c) = (0, 10, 20);
    for _ in 0..10 {
        let group = [digest[c], digest[b], digest[a], 0];
        put(u32::from_le_bytes(group), 4);
        (a, b, c) = (c + 1, a + 1, b + 1);
    }
    put(u32::from_le_bytes([digest[30], digest[31], 0, 0]), 3);
    text
}

fn update_repeated(digest: &mut Sha256, block: &[u8; LEN], len: usize) {
    digest.update(repeated(block, len));
}

fn repeated(block: &[u8; LEN], len: usize) -> Vec<u8> {
    block.iter().copied().cycle().take(len).collect()
}

fn sha256(parts: &[&[u8]]) -> [u8; LEN] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

const LEN: usize = 32;
const SALT: usize = 20;
const HASH: usize = 43;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha_crypt_gives_what_its_specification_shows() {
        // `$5$saltstring$…` and `$5$rounds=10000$saltstringsaltst$…` of the specification.
        assert_eq!(
            &sha_crypt(b"Hello world!", b"saltstring", 5000),
            b"5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
        );
        assert_eq!(
            &sha_crypt(b"Hello world!", b"saltstringsaltst", 10_000),
            b"3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"
        );
    }

    #[test]
    fn a_stored_password_is_read_back_and_knows_its_password() {
        let password = Secret::new("hunter2");
        let stored = StoredPassword::new(&password, *b"\0$\xff45678901234567890");
        let read = StoredPassword::parse(&stored.to_bytes()).unwrap();
        assert_eq!(read, stored);
        assert!(read.is(&password) && !read.is(&Secret::new("hunter3")));
        assert!(!stored.salt.contains(&0) && !stored.salt.contains(&b'$'));
    }

    #[test]
    fn an_empty_password_is_proved_by_nothing() {
        let nonce = [1; NONCE];
        let (empty, other) = (Secret::new(""), Secret::new("x"));
        for proof in [&[][..], &[0]] {
            assert!(PasswordDigest::of(&empty).accepts(proof, &nonce));
            assert!(!PasswordDigest::of(&other).accepts(proof, &nonce));
        }
        assert!(!PasswordDigest::of(&other).accepts(&[7; 32], &nonce));
        assert!(!PasswordDigest::of(&other).accepts(&[7; 31], &nonce));
    }

    #[test]
    fn only_texts_of_the_plugin_are_stored_passwords() {
        let good = b"$A$005$12345678901234567890123456789012345678901234567890123456789012a";
        assert!(StoredPassword::parse(good).is_some());
        for len in 0..good.len() {
            assert!(StoredPassword::parse(&good[..len]).is_none(), "{len}");
        }
        assert!(StoredPassword::parse(&good.map(|b| if b == b'5' { b'0' } else { b })).is_none());
        assert!(StoredPassword::parse(b"*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29").is_none());
    }
}
