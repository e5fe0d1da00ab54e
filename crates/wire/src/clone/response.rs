//! Responses: from the donor to the client. All numbers are little-endian.

use super::command::{decode_locator, encode_locator, put_sized, sized};
use super::{Descriptor, Dialect, INNODB, Locator, Version};
use crate::cursor::{Cursor, Malformed};

/// A response; each is one packet.
///
/// INIT is answered by parameters, [`Locators`](Self::Locators), [`Complete`](Self::Complete);
/// ATTACH and REINIT without the parameters; EXECUTE by descriptors, each
/// [`Descriptor::Data`] followed by [`Data`](Self::Data), and `Complete`; ACK and EXIT by
/// `Complete`. Each may end with [`Error`](Self::Error) instead, after which the donor closes the
/// connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response<'a> {
    /// 1: version of the protocol (4), locators as in [`Setup`](super::Setup).
    Locators {
        /// The version both sides have.
        version: Version,
        /// The clone.
        locator: Locator,
    },
    /// 2: storage engine (1), number of the locator (1), descriptor.
    Descriptor(Descriptor),
    /// 3: bytes, as the descriptor before says.
    Data(&'a [u8]),
    /// 4 to 9: something the recipient should know of the donor.
    Setting(Setting),
    /// 99: the end of an answer.
    Complete,
    /// 100: error number (4), message. The end of an answer and of the conversation.
    Error {
        /// MySQL error number.
        code: i32,
        /// The donor's words.
        message: String,
    },
}

/// Something the recipient should know of the donor. Keys and values have their length in four
/// bytes before them, and are utf8mb4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// 4: a plugin (V1).
    Plugin(String),
    /// 5: a variable that must be equal.
    Variable(String, String),
    /// 6: a collation in use.
    Collation(String),
    /// 7: a plugin and its library, empty when it is built in (V2).
    PluginLibrary(String, String),
    /// 8: a variable that need not be equal (V3).
    Extra(String, String),
    /// 9: a JSON object (V4).
    Json(String, String),
}

impl<'a> Response<'a> {
    /// Number of the response that carries data: the first byte of its packet.
    pub const DATA: u8 = 3;

    /// Reads the packet of a response.
    pub fn decode(packet: &'a [u8]) -> Result<Self, Malformed> {
        Self::decode_in(Dialect::Stock, packet)
    }

    /// Reads the packet of a response in a dialect.
    pub fn decode_in(dialect: Dialect, packet: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(packet);
        let response = match cursor.u8("kind of a response")? {
            LOCATORS => {
                let version = Version(cursor.u32("version of the protocol")?);
                let locator = decode_locator(dialect, &mut cursor)?;
                Self::Locators { version, locator }
            }
            DESCRIPTOR => {
                if cursor.u8("storage engine")? != INNODB {
                    let what = "storage engine other than InnoDB";
                    return Err(Malformed { what, at: 1 });
                }
                if cursor.u8("number of a locator")? != 0 {
                    let what = "number of a locator";
                    return Err(Malformed { what, at: 2 });
                }
                Self::Descriptor(Descriptor::decode_in(dialect, cursor.rest())?)
            }
            Self::DATA => Self::Data(cursor.rest()),
            kind @ PLUGIN..=JSON => Self::Setting(Setting::decode(kind, &mut cursor)?),
            COMPLETE => Self::Complete,
            ERROR => Self::Error {
                code: i32::from_le_bytes(cursor.array("number of an error")?),
                message: String::from_utf8_lossy(cursor.rest()).into_owned(),
            },
            _ => {
                return Err(Malformed {
                    what: "kind of a response",
                    at: 0,
                });
            }
        };
        if !cursor.is_empty() {
            return Err(Malformed {
                what: "end of a response",
                at: cursor.position(),
            });
        }
        Ok(response)
    }

    /// Appends the packet of the response.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_in(Dialect::Stock, out);
    }

    /// Appends the packet of the response in a dialect.
    pub fn encode_in(&self, dialect: Dialect, out: &mut Vec<u8>) {
        match self {
            Self::Locators { version, locator } => {
                out.push(LOCATORS);
                out.extend_from_slice(&version.0.to_le_bytes());
                encode_locator(dialect, locator, out);
            }
            Self::Descriptor(descriptor) => {
                out.extend_from_slice(&[DESCRIPTOR, INNODB, 0]);
                descriptor.encode_in(dialect, out);
            }
            Self::Data(bytes) => {
                out.push(Self::DATA);
                out.extend_from_slice(bytes);
            }
            Self::Setting(setting) => setting.encode(out),
            Self::Complete => out.push(COMPLETE),
            Self::Error { code, message } => {
                out.push(ERROR);
                out.extend_from_slice(&code.to_le_bytes());
                out.extend_from_slice(message.as_bytes());
            }
        }
    }

    /// The packet of the response.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes
    }
}

impl Setting {
    fn decode(kind: u8, cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let key = text(cursor, "name of a setting")?;
        let mut value = || text(cursor, "value of a setting");
        Ok(match kind {
            PLUGIN => Self::Plugin(key),
            VARIABLE => Self::Variable(key, value()?),
            COLLATION => Self::Collation(key),
            PLUGIN_LIBRARY => Self::PluginLibrary(key, value()?),
            EXTRA => Self::Extra(key, value()?),
            _ => Self::Json(key, value()?),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (kind, key, value) = match self {
            Self::Plugin(key) => (PLUGIN, key, None),
            Self::Variable(key, value) => (VARIABLE, key, Some(value)),
            Self::Collation(key) => (COLLATION, key, None),
            Self::PluginLibrary(key, value) => (PLUGIN_LIBRARY, key, Some(value)),
            Self::Extra(key, value) => (EXTRA, key, Some(value)),
            Self::Json(key, value) => (JSON, key, Some(value)),
        };
        out.push(kind);
        put_sized(key.as_bytes(), out);
        if let Some(value) = value {
            put_sized(value.as_bytes(), out);
        }
    }
}

fn text(cursor: &mut Cursor<'_>, what: &'static str) -> Result<String, Malformed> {
    let at = cursor.position();
    let text = std::str::from_utf8(sized(cursor, what)?);
    text.map(str::to_owned).map_err(|_| Malformed { what, at })
}

const LOCATORS: u8 = 1;
const DESCRIPTOR: u8 = 2;
const PLUGIN: u8 = 4;
const VARIABLE: u8 = 5;
const COLLATION: u8 = 6;
const PLUGIN_LIBRARY: u8 = 7;
const EXTRA: u8 = 8;
const JSON: u8 = 9;
const COMPLETE: u8 = 99;
const ERROR: u8 = 100;
