//! Commands: from the client to the donor. All numbers are little-endian.

use super::{Descriptor, Dialect, INNODB, Locator, StageDescriptor, Version, Wish};
use crate::cursor::{Cursor, Malformed};

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// 1: begin a clone. Answer: parameters, locators.
    Init(Setup),
    /// 2: join a clone with another connection. Answer: locators.
    Attach(Setup),
    /// 3: come back to a clone after a lost connection. Answer: locators.
    Reinit(Setup),
    /// 4: send. Answer: descriptors and data.
    Execute,
    /// 5: on a connection of its own: the end of a stage has been reached, or an error.
    Ack(Ack),
    /// 6: leave the protocol.
    Exit,
}

/// Body of INIT, ATTACH and REINIT.
///
/// | bytes | |
/// |---|---|
/// | 4 | version of the protocol |
/// | 4 | bits 0-30: seconds that DDL may wait; bit 31: no backup lock |
/// | 16 | in GreatSQL's dialect: [`Wish`] |
/// | … | locators: storage engine (1), length (4), [`Locator`] |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The client's version.
    pub version: Version,
    /// How the clone and DDL get on.
    pub ddl: DdlWait,
    /// What MySQL's protocol has no place for, and does not carry.
    pub wish: Wish,
    /// The clone; `None` in an INIT is a new one, as is one whose ids are 0.
    pub locator: Option<Locator>,
}

/// How a clone and DDL on the donor get on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DdlWait {
    /// Seconds that one waits for the other. **0 makes any DDL the end of the clone.** Below 2^31.
    pub seconds: u32,
    /// Keeps DDL out for the whole clone with the backup lock.
    pub blocks_ddl: bool,
}

/// Body of ACK.
///
/// | bytes | |
/// |---|---|
/// | 4 | error number; 0: none |
/// | … | one locator as in [`Setup`] |
/// | 4 | length of the descriptor |
/// | … | descriptor: the end of the stage, acknowledged; empty with an error |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// An error makes the donor end the clone; one of the network makes it wait for REINIT.
    pub error: i32,
    /// The clone.
    pub locator: Locator,
    /// The end of the stage.
    pub stage: Option<StageDescriptor>,
}

impl Command {
    /// The command's number: the first byte of its packet.
    pub fn code(&self) -> u8 {
        match self {
            Self::Init(_) => INIT,
            Self::Attach(_) => ATTACH,
            Self::Reinit(_) => REINIT,
            Self::Execute => EXECUTE,
            Self::Ack(_) => ACK,
            Self::Exit => EXIT,
        }
    }

    /// The rest of its packet.
    pub fn body(&self) -> Vec<u8> {
        self.body_in(Dialect::Stock)
    }

    /// The rest of its packet, in a dialect.
    pub fn body_in(&self, dialect: Dialect) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Init(setup) | Self::Attach(setup) | Self::Reinit(setup) => {
                setup.encode(dialect, &mut out);
            }
            Self::Execute | Self::Exit => {}
            Self::Ack(ack) => ack.encode(dialect, &mut out),
        }
        out
    }

    /// Reads the packet of a command.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        Self::decode_in(Dialect::Stock, packet)
    }

    /// Reads the packet of a command in a dialect.
    pub fn decode_in(dialect: Dialect, packet: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(packet);
        let command = match cursor.u8("number of a command")? {
            INIT => Self::Init(Setup::decode(dialect, &mut cursor)?),
            ATTACH => Self::Attach(Setup::decode(dialect, &mut cursor)?),
            REINIT => Self::Reinit(Setup::decode(dialect, &mut cursor)?),
            EXECUTE => Self::Execute,
            ACK => Self::Ack(Ack::decode(dialect, &mut cursor)?),
            EXIT => Self::Exit,
            _ => {
                return Err(Malformed {
                    what: "number of a command",
                    at: 0,
                });
            }
        };
        if !cursor.is_empty() {
            return Err(Malformed {
                what: "end of a command",
                at: cursor.position(),
            });
        }
        Ok(command)
    }
}

impl Setup {
    fn decode(dialect: Dialect, cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let version = Version(cursor.u32("version of the protocol")?);
        let ddl = cursor.u32("wait of DDL")?;
        let wish = match dialect {
            Dialect::Stock => Wish::default(),
            Dialect::GreatSql => Wish::decode(cursor)?,
        };
        let mut locator = None;
        while !cursor.is_empty() {
            let at = cursor.position();
            let found = decode_locator(dialect, cursor)?;
            if locator.replace(found).is_some() {
                let what = "second locator of a storage engine";
                return Err(Malformed { what, at });
            }
        }
        Ok(Self {
            version,
            ddl: DdlWait {
                seconds: ddl & !NO_BACKUP_LOCK,
                blocks_ddl: ddl & NO_BACKUP_LOCK == 0,
            },
            wish,
            locator,
        })
    }

    fn encode(&self, dialect: Dialect, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.0.to_le_bytes());
        let lock = if self.ddl.blocks_ddl {
            0
        } else {
            NO_BACKUP_LOCK
        };
        let ddl = self.ddl.seconds & !NO_BACKUP_LOCK | lock;
        out.extend_from_slice(&ddl.to_le_bytes());
        if dialect == Dialect::GreatSql {
            self.wish.encode(out);
        }
        if let Some(locator) = &self.locator {
            encode_locator(dialect, locator, out);
        }
    }
}

impl Ack {
    fn decode(dialect: Dialect, cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let error = i32::from_le_bytes(cursor.array("error of an acknowledgement")?);
        let locator = decode_locator(dialect, cursor)?;
        let at = cursor.position();
        let bytes = sized(cursor, "descriptor of an acknowledgement")?;
        let stage = if bytes.is_empty() {
            None
        } else if let Descriptor::Stage(stage) = Descriptor::decode_in(dialect, bytes)? {
            Some(stage)
        } else {
            let what = "descriptor of an acknowledgement";
            return Err(Malformed { what, at });
        };
        Ok(Self {
            error,
            locator,
            stage,
        })
    }

    fn encode(&self, dialect: Dialect, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.error.to_le_bytes());
        encode_locator(dialect, &self.locator, out);
        let mut bytes = Vec::new();
        if let Some(stage) = self.stage {
            Descriptor::Stage(stage).encode_in(dialect, &mut bytes);
        }
        put_sized(&bytes, out);
    }
}

/// Reads a storage engine and its locator. Only InnoDB clones.
pub(super) fn decode_locator(
    dialect: Dialect,
    cursor: &mut Cursor<'_>,
) -> Result<Locator, Malformed> {
    let at = cursor.position();
    if cursor.u8("storage engine")? != INNODB {
        let what = "storage engine other than InnoDB";
        return Err(Malformed { what, at });
    }
    let at = cursor.position();
    match Descriptor::decode_in(dialect, sized(cursor, "locator")?)? {
        Descriptor::Locator(locator) => Ok(locator),
        _ => Err(Malformed {
            what: "locator",
            at,
        }),
    }
}

pub(super) fn encode_locator(dialect: Dialect, locator: &Locator, out: &mut Vec<u8>) {
    let mut bytes = Vec::new();
    Descriptor::Locator(locator.clone()).encode_in(dialect, &mut bytes);
    out.push(INNODB);
    put_sized(&bytes, out);
}

/// Bytes after their length in four bytes.
pub(super) fn sized<'a>(
    cursor: &mut Cursor<'a>,
    what: &'static str,
) -> Result<&'a [u8], Malformed> {
    let length = cursor.u32(what)?;
    cursor.take(length as usize, what)
}

pub(super) fn put_sized(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

const NO_BACKUP_LOCK: u32 = 1 << 31;

const INIT: u8 = 1;
const ATTACH: u8 = 2;
const REINIT: u8 = 3;
const EXECUTE: u8 = 4;
const ACK: u8 = 5;
const EXIT: u8 = 6;
