//! Commands: from the client to the donor. All numbers are little-endian.

use super::{Descriptor, INNODB, Locator, StageDescriptor, Version};
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
/// | … | locators: storage engine (1), length (4), [`Locator`] |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The client's version.
    pub version: Version,
    /// How the clone and DDL get on.
    pub ddl: DdlWait,
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
        let mut out = Vec::new();
        match self {
            Self::Init(setup) | Self::Attach(setup) | Self::Reinit(setup) => setup.encode(&mut out),
            Self::Execute | Self::Exit => {}
            Self::Ack(ack) => ack.encode(&mut out),
        }
        out
    }

    /// Reads the packet of a command.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(packet);
        let command = match cursor.u8("number of a command")? {
            INIT => Self::Init(Setup::decode(&mut cursor)?),
            ATTACH => Self::Attach(Setup::decode(&mut cursor)?),
            REINIT => Self::Reinit(Setup::decode(&mut cursor)?),
            EXECUTE => Self::Execute,
            ACK => Self::Ack(Ack::decode(&mut cursor)?),
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
    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let version = Version(cursor.u32("version of the protocol")?);
        let ddl = cursor.u32("wait of DDL")?;
        let mut locator = None;
        while !cursor.is_empty() {
            let at = cursor.position();
            let found = decode_locator(cursor)?;
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
            locator,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.0.to_le_bytes());
        let lock = if self.ddl.blocks_ddl {
            0
        } else {
            NO_BACKUP_LOCK
        };
        let ddl = self.ddl.seconds & !NO_BACKUP_LOCK | lock;
        out.extend_from_slice(&ddl.to_le_bytes());
        if let Some(locator) = &self.locator {
            encode_locator(locator, out);
        }
    }
}

impl Ack {
    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let error = i32::from_le_bytes(cursor.array("error of an acknowledgement")?);
        let locator = decode_locator(cursor)?;
        let at = cursor.position();
        let bytes = sized(cursor, "descriptor of an acknowledgement")?;
        let stage = if bytes.is_empty() {
            None
        } else if let Descriptor::Stage(stage) = Descriptor::decode(bytes)? {
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

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.error.to_le_bytes());
        encode_locator(&self.locator, out);
        let stage = self.stage.map(Descriptor::Stage);
        let bytes = stage.map_or_else(Vec::new, |stage| stage.to_bytes());
        put_sized(&bytes, out);
    }
}

/// Reads a storage engine and its locator. Only InnoDB clones.
pub(super) fn decode_locator(cursor: &mut Cursor<'_>) -> Result<Locator, Malformed> {
    let at = cursor.position();
    if cursor.u8("storage engine")? != INNODB {
        let what = "storage engine other than InnoDB";
        return Err(Malformed { what, at });
    }
    let at = cursor.position();
    match Descriptor::decode(sized(cursor, "locator")?)? {
        Descriptor::Locator(locator) => Ok(locator),
        _ => Err(Malformed {
            what: "locator",
            at,
        }),
    }
}

pub(super) fn encode_locator(locator: &Locator, out: &mut Vec<u8>) {
    out.push(INNODB);
    put_sized(&Descriptor::Locator(locator.clone()).to_bytes(), out);
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
