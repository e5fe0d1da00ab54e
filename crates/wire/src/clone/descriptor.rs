//! What the protocol carries for InnoDB. All numbers are big-endian.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | version of the descriptors: 100 |
//! | 4 | 4 | length of the descriptor, with this header |
//! | 8 | 4 | kind: 1 locator, 2 task, 3 stage, 4 file, 5 data |

use super::numbers::Put as _;
use super::{DataDescriptor, Dialect, FileDescriptor, Locator, StageDescriptor, TaskDescriptor};
use crate::cursor::{Cursor, Malformed};

/// A descriptor of InnoDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Descriptor {
    /// Which clone this is.
    Locator(Locator),
    /// Which task of the donor serves this connection.
    Task(TaskDescriptor),
    /// A stage begins or ends.
    Stage(StageDescriptor),
    /// A file, or what happened to one.
    File(FileDescriptor),
    /// What the next packet's bytes are.
    Data(DataDescriptor),
}

impl Descriptor {
    /// Reads one descriptor. Bytes after its own length are ignored: stock clients send their
    /// locators in a buffer of fixed size.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::decode_in(Dialect::Stock, bytes)
    }

    /// As [`decode`](Self::decode), in a dialect.
    pub fn decode_in(dialect: Dialect, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let version = cursor.be32("version of a descriptor")?;
        if version != VERSION {
            return Err(Malformed {
                what: "version of a descriptor",
                at: 0,
            });
        }
        let length = cursor.be32("length of a descriptor")?;
        let kind = cursor.be32("kind of a descriptor")?;
        let whole = usize::try_from(length)
            .ok()
            .filter(|length| *length >= HEADER)
            .and_then(|length| bytes.get(..length));
        let whole = whole.ok_or(Malformed {
            what: "length of a descriptor",
            at: 4,
        })?;
        let mut body = Cursor::new(whole);
        body.take(HEADER, "header of a descriptor")?;
        match kind {
            LOCATOR => Locator::decode_body(dialect, &mut body).map(Self::Locator),
            TASK => TaskDescriptor::decode_body(&mut body).map(Self::Task),
            STAGE => StageDescriptor::decode_body(dialect, &mut body).map(Self::Stage),
            FILE => FileDescriptor::decode_body(&mut body).map(Self::File),
            DATA => DataDescriptor::decode_body(&mut body).map(Self::Data),
            _ => Err(Malformed {
                what: "kind of a descriptor",
                at: 8,
            }),
        }
    }

    /// Appends the descriptor's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_in(Dialect::Stock, out);
    }

    /// Appends the descriptor's bytes in a dialect.
    pub fn encode_in(&self, dialect: Dialect, out: &mut Vec<u8>) {
        let begin = out.len();
        out.put32(VERSION);
        out.put32(0);
        match self {
            Self::Locator(locator) => {
                out.put32(LOCATOR);
                locator.encode_body(dialect, out);
            }
            Self::Task(task) => {
                out.put32(TASK);
                task.encode_body(out);
            }
            Self::Stage(stage) => {
                out.put32(STAGE);
                stage.encode_body(dialect, out);
            }
            Self::File(file) => {
                out.put32(FILE);
                file.encode_body(out);
            }
            Self::Data(data) => {
                out.put32(DATA);
                data.encode_body(out);
            }
        }
        let mut length = Vec::with_capacity(4);
        length.put32((out.len() - begin) as u32);
        out[begin + 4..begin + 8].copy_from_slice(&length);
    }

    /// The descriptor's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes
    }
}

/// Bytes of the header.
const HEADER: usize = 12;
const VERSION: u32 = 100;

const LOCATOR: u32 = 1;
const TASK: u32 = 2;
const STAGE: u32 = 3;
const FILE: u32 = 4;
const DATA: u32 = 5;
