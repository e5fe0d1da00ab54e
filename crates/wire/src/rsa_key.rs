//! The server's RSA public key, which protects a password on its way over plain TCP.
//!
//! The key comes from the network, and the encryption routine takes well-formed keys only: so a
//! key is checked here, byte by byte, before it is used. Its form is PEM around the DER structure
//! `SubjectPublicKeyInfo` (RFC 5280, RFC 8017).
#![allow(clippy::big_endian_bytes, reason = "DER is big-endian")]

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;

use crate::cursor::{Cursor, Malformed};

/// A key that will do.
#[derive(Debug, Clone)]
pub(crate) struct RsaKey {
    pem: Vec<u8>,
    /// Longest text the key can encrypt, in bytes.
    capacity: usize,
}

impl RsaKey {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let bad = |what| Malformed { what, at: 0 };
        let begin = find(text, BEGIN).ok_or(bad("no public key in PEM form"))?;
        let len = find(&text[begin..], END).ok_or(bad("public key without an end"))? + END.len();
        let pem = &text[begin..begin + len];
        // A second header inside would be read differently by the two decoders of this key.
        if pem[BEGIN.len()..len - END.len()].contains(&b'-') {
            return Err(bad("public key in broken PEM form"));
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem)
            .map_err(|_| bad("public key in broken base64"))?;
        Ok(Self {
            pem: pem.to_vec(),
            capacity: capacity(&der)?,
        })
    }

    /// The key in PEM form, if it can encrypt a password of `len` bytes.
    pub(crate) fn pem_for(&self, len: usize) -> Option<&[u8]> {
        // The password travels with a zero byte behind it.
        (len < self.capacity).then_some(&self.pem)
    }
}

/// How many bytes the key in `der` can encrypt under OAEP with SHA-1.
fn capacity(der: &[u8]) -> Result<usize, Malformed> {
    let mut outer = Cursor::new(der);
    let mut info = Cursor::new(element(&mut outer, SEQUENCE, "public key info")?);
    element(&mut info, SEQUENCE, "key algorithm")?;
    let bits = element(&mut info, BIT_STRING, "key bits")?;
    let (&0, key) = bits.split_first().ok_or(Malformed {
        what: "key bits",
        at: 0,
    })?
    else {
        return Err(Malformed {
            what: "unused key bits",
            at: 0,
        });
    };
    let mut key = Cursor::new(key);
    let mut numbers = Cursor::new(element(&mut key, SEQUENCE, "key")?);
    let modulus = element(&mut numbers, INTEGER, "modulus")?;
    let exponent = element(&mut numbers, INTEGER, "exponent")?;
    if !(outer.is_empty() && info.is_empty() && key.is_empty() && numbers.is_empty()) {
        return Err(Malformed {
            what: "bytes behind the key",
            at: 0,
        });
    }
    let modulus = match modulus {
        [0, rest @ ..] => rest,
        all => all,
    };
    let octets = modulus.len();
    let top_bit = modulus.first().is_some_and(|byte| byte & 0x80 != 0);
    if !(KEY_OCTETS.contains(&octets) && top_bit) {
        return Err(Malformed {
            what: "RSA modulus of an unusual size",
            at: 0,
        });
    }
    if !(1..=8).contains(&exponent.len()) {
        return Err(Malformed {
            what: "RSA exponent of an unusual size",
            at: 0,
        });
    }
    Ok(octets - 2 * SHA1_LEN - 2)
}

/// The contents of the next DER element, which must carry `tag`.
fn element<'a>(
    cursor: &mut Cursor<'a>,
    tag: u8,
    what: &'static str,
) -> Result<&'a [u8], Malformed> {
    let at = cursor.position();
    if cursor.u8(what)? != tag {
        return Err(Malformed { what, at });
    }
    let len = match cursor.u8(what)? {
        short @ ..=0x7F => usize::from(short),
        0x81 => usize::from(cursor.u8(what)?),
        0x82 => usize::from(u16::from_be_bytes(cursor.array(what)?)),
        _ => return Err(Malformed { what, at }),
    };
    cursor.take(len, what)
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

const BEGIN: &[u8] = b"-----BEGIN PUBLIC KEY-----";
const END: &[u8] = b"-----END PUBLIC KEY-----";
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
const SHA1_LEN: usize = 20;
/// 1024 to 16384 bits.
const KEY_OCTETS: std::ops::RangeInclusive<usize> = 128..=2048;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made by MySQL 9.7.4 at initialisation.
    const PEM: &str = include_str!("../tests/data/server_public_key.pem");

    #[test]
    fn the_key_of_a_server_is_accepted() {
        let key = RsaKey::parse(PEM.as_bytes()).unwrap();
        assert_eq!(key.capacity, 256 - 42);
        assert!(key.pem_for(213).is_some());
        assert!(key.pem_for(214).is_none());
    }

    #[test]
    fn the_longest_password_can_be_encrypted() {
        let key = RsaKey::parse(PEM.as_bytes()).unwrap();
        let block = mysql_common::crypto::encrypt(&[b'x'; 214], key.pem_for(213).unwrap());
        assert_eq!(block.unwrap().len(), 256);
    }

    #[test]
    fn a_key_cut_short_is_refused() {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(PEM.as_bytes()).unwrap();
        assert!(capacity(&der).is_ok());
        for len in 0..der.len() {
            assert!(capacity(&der[..len]).is_err(), "{len}");
        }
        assert!(RsaKey::parse(b"no key").is_err());
        let nested = PEM.replace("MIIB", "-----BEGIN RSA PUBLIC KEY-----\nMIIB");
        assert!(RsaKey::parse(nested.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_key_makes_the_encryption_panic(at in 0usize..294, byte in any::<u8>()) {
            let mut der = SubjectPublicKeyInfoDer::from_pem_slice(PEM.as_bytes()).unwrap().to_vec();
            der[at] = byte;
            if capacity(&der).is_ok() {
                let key = mysql_common::crypto::der::parse_pub_key_pkcs8(&der);
                prop_assert!(key.is_ok());
            }
        }
    }
}
