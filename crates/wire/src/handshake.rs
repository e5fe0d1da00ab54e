//! The first two packets of a login: the server's greeting and our response.

use std::fmt;

use crate::Error;
use crate::cursor::{Cursor, put_lenenc_bytes};
use crate::reply::text;

/// Capability flags, as both sides announce them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capabilities(pub(crate) u32);

impl Capabilities {
    pub(crate) const LONG_PASSWORD: Self = Self(1);
    pub(crate) const FOUND_ROWS: Self = Self(1 << 1);
    pub(crate) const LONG_FLAG: Self = Self(1 << 2);
    pub(crate) const CONNECT_WITH_DB: Self = Self(1 << 3);
    pub(crate) const IGNORE_SPACE: Self = Self(1 << 8);
    pub(crate) const PROTOCOL_41: Self = Self(1 << 9);
    pub(crate) const INTERACTIVE: Self = Self(1 << 10);
    pub(crate) const SSL: Self = Self(1 << 11);
    pub(crate) const TRANSACTIONS: Self = Self(1 << 13);
    pub(crate) const SECURE_CONNECTION: Self = Self(1 << 15);
    pub(crate) const MULTI_RESULTS: Self = Self(1 << 17);
    pub(crate) const PLUGIN_AUTH: Self = Self(1 << 19);
    pub(crate) const CONNECT_ATTRS: Self = Self(1 << 20);
    pub(crate) const PLUGIN_AUTH_LENENC: Self = Self(1 << 21);
    pub(crate) const DEPRECATE_EOF: Self = Self(1 << 24);

    /// What every server since MySQL 5.7 has and the login relies on.
    pub(crate) const NEEDED: Self = Self(
        Self::PROTOCOL_41.0
            | Self::SECURE_CONNECTION.0
            | Self::PLUGIN_AUTH.0
            | Self::PLUGIN_AUTH_LENENC.0,
    );

    /// What we use where the server has it. Not among them: several statements in one query (they
    /// make injections worse) and local files (the server could ask for any).
    const WANTED: Self = Self(
        Self::NEEDED.0
            | Self::LONG_PASSWORD.0
            | Self::LONG_FLAG.0
            | Self::TRANSACTIONS.0
            | Self::MULTI_RESULTS.0
            | Self::CONNECT_ATTRS.0
            | Self::DEPRECATE_EOF.0,
    );

    pub(crate) fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

/// The server's first packet.
#[derive(Clone)]
pub(crate) struct Greeting {
    pub(crate) server_version: String,
    pub(crate) connection_id: u32,
    pub(crate) capabilities: Capabilities,
    pub(crate) nonce: [u8; NONCE],
    pub(crate) auth_plugin: String,
}

impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Greeting")
            .field("server_version", &self.server_version)
            .field("connection_id", &self.connection_id)
            .field("capabilities", &self.capabilities)
            .field("auth_plugin", &self.auth_plugin)
            .finish_non_exhaustive()
    }
}

impl Greeting {
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, Error> {
        if let Some(refusal) = Error::from_packet(packet) {
            return Err(refusal);
        }
        let mut cursor = Cursor::new(packet);
        let version = cursor.u8("protocol version")?;
        if version != 10 {
            return Err(Error::protocol(format!(
                "protocol version {version}, expected 10"
            )));
        }
        let server_version = text(cursor.until_nul("server version")?);
        let connection_id = cursor.u32("connection id")?;
        let mut nonce = [0; NONCE];
        nonce[..8].copy_from_slice(cursor.take(8, "first part of the nonce")?);
        cursor.take(1, "filler")?;
        let low = cursor.u16("capabilities")?;
        cursor.take(3, "collation and status")?;
        let high = cursor.u16("capabilities, upper half")?;
        let capabilities = Capabilities(u32::from(low) | u32::from(high) << 16);
        if !capabilities.has(Capabilities::NEEDED) {
            return Err(Error::protocol(format!(
                "{server_version} is too old: no plugin login"
            )));
        }
        let nonce_len = usize::from(cursor.u8("length of the nonce")?);
        cursor.take(10, "reserved bytes")?;
        let second = cursor.take(nonce_len.saturating_sub(8).max(13), "rest of the nonce")?;
        nonce[8..].copy_from_slice(&second[..NONCE - 8]);
        let auth_plugin = text(
            cursor
                .rest()
                .split(|byte| *byte == 0)
                .next()
                .unwrap_or_default(),
        );
        Ok(Self {
            server_version,
            connection_id,
            capabilities,
            nonce,
            auth_plugin,
        })
    }
}

/// What we answer to a greeting.
#[derive(Debug, Clone)]
pub(crate) struct Response<'a> {
    pub(crate) capabilities: Capabilities,
    pub(crate) max_packet: u32,
    pub(crate) user: &'a str,
    pub(crate) auth_plugin: &'a str,
    pub(crate) attributes: &'a [(&'a str, String)],
}

impl Response<'_> {
    /// The capabilities of a session with a server that offers `server`.
    pub(crate) fn capabilities(server: Capabilities, tls: bool) -> Capabilities {
        let tls = if tls { Capabilities::SSL.0 } else { 0 };
        Capabilities(server.0 & Capabilities::WANTED.0 | tls)
    }

    /// The request to go on in TLS: the response without its secrets.
    pub(crate) fn ssl_request(&self) -> Vec<u8> {
        let mut packet = Vec::with_capacity(32);
        packet.extend_from_slice(&self.capabilities.0.to_le_bytes());
        packet.extend_from_slice(&self.max_packet.to_le_bytes());
        packet.push(UTF8MB4_GENERAL_CI);
        packet.extend_from_slice(&[0; 23]);
        packet
    }

    pub(crate) fn serialise(&self, auth_data: &[u8]) -> Vec<u8> {
        let mut packet = self.ssl_request();
        packet.extend_from_slice(self.user.as_bytes());
        packet.push(0);
        put_lenenc_bytes(&mut packet, auth_data);
        packet.extend_from_slice(self.auth_plugin.as_bytes());
        packet.push(0);
        if self.capabilities.has(Capabilities::CONNECT_ATTRS) {
            let mut attributes = Vec::new();
            for (name, value) in self.attributes {
                put_lenenc_bytes(&mut attributes, name.as_bytes());
                put_lenenc_bytes(&mut attributes, value.as_bytes());
            }
            put_lenenc_bytes(&mut packet, &attributes);
        }
        packet
    }
}

/// Length of the random bytes of a login.
pub(crate) const NONCE: usize = 20;

/// Known to all servers, unlike the default collation of MySQL 8.
pub(crate) const UTF8MB4_GENERAL_CI: u8 = 45;

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A greeting as MySQL 9.7 sends it.
    pub(crate) fn greeting() -> Vec<u8> {
        let mut packet = b"\x0a9.7.4\0".to_vec();
        packet.extend_from_slice(&[9, 0, 0, 0]);
        packet.extend_from_slice(b"abcdefgh\0");
        packet.extend_from_slice(&[0xff, 0xff, 255, 2, 0, 0xff, 0xdf, 21]);
        packet.extend_from_slice(&[0; 10]);
        packet.extend_from_slice(b"ijklmnopqrst\0caching_sha2_password\0");
        packet
    }

    #[test]
    fn a_greeting_of_mysql_9_is_read() {
        let greeting = Greeting::parse(&greeting()).unwrap();
        assert_eq!(greeting.server_version, "9.7.4");
        assert_eq!(greeting.connection_id, 9);
        assert_eq!(&greeting.nonce, b"abcdefghijklmnopqrst");
        assert_eq!(greeting.auth_plugin, "caching_sha2_password");
        assert!(greeting.capabilities.has(Capabilities::SSL));
        assert!(greeting.capabilities.has(Capabilities::DEPRECATE_EOF));
    }

    #[test]
    fn a_full_server_is_reported_in_its_own_words() {
        let error = Greeting::parse(b"\xff\x10\x04Too many connections").unwrap_err();
        assert_eq!(error.code(), Some(1040));
    }

    #[test]
    fn every_truncated_greeting_is_refused() {
        let whole = greeting();
        let name = "caching_sha2_password\0".len();
        for len in 0..whole.len() - name {
            assert!(Greeting::parse(&whole[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn a_response_names_user_plugin_and_attributes() {
        let capabilities = Response::capabilities(Capabilities(u32::MAX), true);
        let attributes = [("program_name", "test".to_owned())];
        let response = Response {
            capabilities,
            max_packet: 1 << 24,
            user: "u",
            auth_plugin: "p",
            attributes: &attributes,
        };
        assert_eq!(response.ssl_request().len(), 32);
        let packet = response.serialise(b"xyz");
        assert_eq!(&packet[32..], b"u\0\x03xyzp\0\x12\x0cprogram_name\x04test");
        assert!(
            !capabilities.has(Capabilities(1 << 7)),
            "local files are never offered"
        );
    }

    proptest! {
        #[test]
        fn no_greeting_makes_the_parser_panic(
            at in 0usize..90, byte in any::<u8>(), len in 0usize..90, noise: Vec<u8>
        ) {
            let mut packet = greeting();
            packet.truncate(len);
            if let Some(target) = packet.get_mut(at) {
                *target = byte;
            }
            let _ = Greeting::parse(&packet);
            let _ = Greeting::parse(&noise);
        }
    }
}
