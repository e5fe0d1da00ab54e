//! The server's greeting and the client's answer to it, from the server's side.

use super::ServerOptions;
use crate::Error;
use crate::cursor::Cursor;
use crate::handshake::{Capabilities, NONCE, UTF8MB4_GENERAL_CI};
use crate::reply::text;

/// What is offered to every client. Not among them: several statements in one packet, local files,
/// compression, query attributes.
pub(super) fn offered(tls: bool) -> Capabilities {
    Capabilities(
        Capabilities::NEEDED.0
            | Capabilities::LONG_PASSWORD.0
            | Capabilities::FOUND_ROWS.0
            | Capabilities::LONG_FLAG.0
            | Capabilities::CONNECT_WITH_DB.0
            | Capabilities::IGNORE_SPACE.0
            | Capabilities::INTERACTIVE.0
            | Capabilities::TRANSACTIONS.0
            | Capabilities::MULTI_RESULTS.0
            | Capabilities::CONNECT_ATTRS.0
            | Capabilities::DEPRECATE_EOF.0
            | if tls { Capabilities::SSL.0 } else { 0 },
    )
}

/// The greeting.
pub(super) fn greeting(options: &ServerOptions, id: u32, nonce: &[u8; NONCE]) -> Vec<u8> {
    let capabilities = offered(options.tls.is_some()).0.to_le_bytes();
    let mut packet = vec![10];
    packet.extend(options.version.bytes().filter(|byte| *byte != 0));
    packet.push(0);
    packet.extend_from_slice(&id.to_le_bytes());
    packet.extend_from_slice(&nonce[..8]);
    packet.push(0);
    packet.extend_from_slice(&capabilities[..2]);
    packet.push(UTF8MB4_GENERAL_CI);
    packet.extend_from_slice(&super::encode::AUTOCOMMIT.to_le_bytes());
    packet.extend_from_slice(&capabilities[2..]);
    packet.push(NONCE as u8 + 1);
    packet.extend_from_slice(&[0; 10]);
    packet.extend_from_slice(&nonce[8..]);
    packet.push(0);
    packet.extend_from_slice(super::login::PLUGIN.as_bytes());
    packet.push(0);
    packet
}

/// Random bytes for a login. Clients take them for text: none is zero, and none is a `$`.
pub(super) fn nonce() -> Result<[u8; NONCE], Error> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|source| Error::Io {
        during: "take random bytes for a login",
        source: std::io::Error::other(source),
    })?;
    for byte in &mut nonce {
        *byte = (*byte & 0x7F).max(1);
        if *byte == b'$' {
            *byte += 1;
        }
    }
    Ok(nonce)
}

/// The client's answer to the greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Go on in TLS; the answer proper comes then.
    Tls,
    /// Who it is.
    Login(LoginRequest),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoginRequest {
    pub(super) capabilities: Capabilities,
    pub(super) user: String,
    pub(super) proof: Vec<u8>,
    pub(super) database: Option<String>,
    pub(super) plugin: Vec<u8>,
}

impl Reply {
    /// Reads an answer. `tls`: the connection has TLS already.
    pub(super) fn parse(packet: &[u8], tls: bool) -> Result<Self, Error> {
        let mut cursor = Cursor::new(packet);
        let capabilities = Capabilities(cursor.u32("capabilities")?);
        if !capabilities.has(Capabilities::PROTOCOL_41) {
            return Err(Error::protocol("client of before MySQL 4.1"));
        }
        cursor.take(4 + 1 + 23, "largest packet and collation")?;
        if cursor.is_empty() && !tls && capabilities.has(Capabilities::SSL) {
            return Ok(Self::Tls);
        }
        let user = text(cursor.until_nul("user name")?);
        let proof = if capabilities.has(Capabilities::PLUGIN_AUTH_LENENC) {
            cursor.lenenc_bytes("proof of the password")?.to_vec()
        } else if capabilities.has(Capabilities::SECURE_CONNECTION) {
            let len = usize::from(cursor.u8("length of the proof")?);
            cursor.take(len, "proof of the password")?.to_vec()
        } else {
            cursor.until_nul("proof of the password")?.to_vec()
        };
        // Some clients announce a schema and end before its name.
        let mut optional = |flag| -> Result<Vec<u8>, Error> {
            if !capabilities.has(flag) || cursor.is_empty() {
                return Ok(Vec::new());
            }
            let mut ahead = cursor.clone();
            if let Ok(name) = ahead.until_nul("name") {
                cursor = ahead;
                return Ok(name.to_vec());
            }
            Ok(cursor.rest().to_vec())
        };
        let database = text(&optional(Capabilities::CONNECT_WITH_DB)?);
        let plugin = optional(Capabilities::PLUGIN_AUTH)?;
        Ok(Self::Login(LoginRequest {
            capabilities,
            user,
            proof,
            database: Some(database).filter(|name| !name.is_empty()),
            plugin,
        }))
    }
}
