//! The RSA key pair by which a password comes over plain TCP, as `caching_sha2_password` has it.
//!
//! The client asks for the public key, or has it in a file; it sends the password, with a zero byte
//! behind it, XORed with the nonce of the connection and encrypted under OAEP with SHA-1 (RFC 8017).
//! So who only listens learns nothing, and cannot use what was sent again. Nothing proves that a
//! key that was asked for is the server's: who can change what travels can put his own there. That
//! is why clients have to be told to ask, and why other hosts should have to use TLS.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::traits::PublicKeyParts as _;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use sha1::Sha1;

use crate::handshake::NONCE;
use crate::{Error, Secret};

/// A key pair, made when it is needed first or read from a file.
#[derive(Clone, Default)]
pub struct ServerRsa(Arc<OnceLock<Pair>>);

struct Pair {
    private: rsa::PrivateKey,
    /// `SubjectPublicKeyInfo` in PEM, as clients want it.
    public: String,
}

impl fmt::Debug for ServerRsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerRsa")
    }
}

impl ServerRsa {
    /// The private key of a PEM file (PKCS #1 as in a server's `private_key.pem`, or PKCS #8) and
    /// the public key that belongs to it. Keys of 2048 to 8192 bits.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let failed = |reason: String| Error::Auth {
            plugin: super::login::PLUGIN.to_owned(),
            reason: format!("the RSA key {}: {reason}", path.display()),
        };
        let der = PrivateKeyDer::from_pem_file(path).map_err(|error| failed(error.to_string()))?;
        let private = match &der {
            PrivateKeyDer::Pkcs1(der) => {
                rsa::PrivateKey::from_pkcs1_der(der.secret_pkcs1_der()).map_err(|e| e.to_string())
            }
            PrivateKeyDer::Pkcs8(der) => {
                rsa::PrivateKey::from_pkcs8_der(der.secret_pkcs8_der()).map_err(|e| e.to_string())
            }
            _ => Err("this is no RSA key".to_owned()),
        };
        let private = private.map_err(failed)?;
        let bits = 8 * private.size();
        if !BITS.contains(&bits) {
            return Err(failed(format!(
                "{bits} bits; there should be {} to {}",
                BITS.start(),
                BITS.end()
            )));
        }
        let pair = Pair::new(private).map_err(failed)?;
        Ok(Self(Arc::new(OnceLock::from(pair))))
    }

    /// The public key in PEM form.
    pub(super) fn public(&self) -> Result<&str, Error> {
        self.pair().map(|pair| pair.public.as_str())
    }

    /// The password in a block that a client has sent; `None` if it is none that was made with this
    /// key and this nonce. Takes as long for a block that is wrong within as for one that is right.
    pub(super) fn decrypt(
        &self,
        block: &[u8],
        nonce: &[u8; NONCE],
    ) -> Result<Option<Secret>, Error> {
        let private = &self.pair()?.private;
        if block.len() != private.size() {
            return Ok(None);
        }
        // Blinded with random numbers.
        let Ok(mut text) = private.oaep_decrypt::<Sha1>(block) else {
            return Ok(None);
        };
        for (byte, mask) in text.iter_mut().zip(nonce.iter().cycle()) {
            *byte ^= mask;
        }
        let password = text.strip_suffix(&[0]);
        let password = password.and_then(|text| std::str::from_utf8(text).ok());
        Ok(password.map(Secret::new))
    }

    fn pair(&self) -> Result<&Pair, Error> {
        if let Some(pair) = self.0.get() {
            return Ok(pair);
        }
        let made = Pair::generate()?;
        // Of two that come at once one is kept.
        Ok(self.0.get_or_init(|| made))
    }
}

impl Pair {
    fn new(private: rsa::PrivateKey) -> Result<Self, String> {
        let public = private.to_public_key().to_public_key_pem(LineEnding::LF);
        Ok(Self {
            public: public.map_err(|error| error.to_string())?,
            private,
        })
    }

    fn generate() -> Result<Self, Error> {
        let failed = |reason: String| Error::Auth {
            plugin: super::login::PLUGIN.to_owned(),
            reason: format!("make an RSA key: {reason}"),
        };
        let made = rsa::PrivateKey::new(&mut getrandom::SysRng, *BITS.start());
        Self::new(made.map_err(|error| failed(error.to_string()))?).map_err(failed)
    }
}

const BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE_SEEN: [u8; NONCE] = *b"a nonce of 20 bytes.";

    fn sent(key: &ServerRsa, password: &[u8]) -> Vec<u8> {
        let masked: Vec<u8> = password
            .iter()
            .chain(&[0])
            .zip(NONCE_SEEN.iter().cycle())
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        let pem = key.public().unwrap();
        mysql_common::crypto::encrypt(&masked, pem.as_bytes()).unwrap()
    }

    #[test]
    fn what_a_client_encrypts_is_read_with_the_nonce_of_its_connection() {
        let key = ServerRsa::default();
        for password in ["secret", "", "é", &"x".repeat(213)] {
            let block = sent(&key, password.as_bytes());
            let read = |block: &[u8], nonce| key.decrypt(block, nonce).unwrap();
            let found = read(&block, &NONCE_SEEN).unwrap();
            assert_eq!(found.expose(), password);
            let other = read(&block, b"A nonce of 20 bytes.");
            assert!(other.is_none_or(|other| other.expose() != password));
        }
    }

    #[test]
    fn blocks_of_any_other_kind_are_none() {
        let key = ServerRsa::default();
        let block = sent(&key, b"secret");
        let none = |block: &[u8]| key.decrypt(block, &NONCE_SEEN).unwrap().is_none();
        assert!(none(&[]) && none(&[2]) && none(&block[1..]));
        assert!(none(&[0; 256]) && none(&[0xFF; 256]) && none(&[0; 512]));
        assert!(none(&vec![1; 60_000]));
        for at in [0, 100, 255] {
            let mut bad = block.clone();
            bad[at] ^= 1;
            assert!(none(&bad), "{at}");
        }
        assert!(none(&sent(&key, b"\xff\xfe")));
        assert!(none(&sent(&ServerRsa::default(), b"secret")));
    }

    #[test]
    fn keys_come_from_files() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let error = ServerRsa::from_file(&data.join("server_public_key.pem")).unwrap_err();
        assert!(
            error.to_string().contains("server_public_key.pem"),
            "{error}"
        );
        assert!(ServerRsa::from_file(Path::new("/nonexistent")).is_err());
    }
}
