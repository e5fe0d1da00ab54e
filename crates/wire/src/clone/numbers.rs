//! Big-endian numbers of the descriptors.
#![allow(
    clippy::big_endian_bytes,
    reason = "InnoDB's numbers are big-endian, those of the protocol around them are not"
)]

use super::Stage;
use crate::cursor::{Cursor, Malformed};

impl Cursor<'_> {
    pub(super) fn be16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.array(what).map(u16::from_be_bytes)
    }

    pub(super) fn be32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(super) fn be64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// A stage in four bytes.
    pub(super) fn stage(&mut self) -> Result<Stage, Malformed> {
        let at = self.position();
        let number = self.be32(STAGE)?;
        Stage::of(number).ok_or(Malformed { what: STAGE, at })
    }
}

/// Appends numbers to a descriptor.
pub(super) trait Put {
    fn put16(&mut self, value: u16);
    fn put32(&mut self, value: u32);
    fn put64(&mut self, value: u64);
}

impl Put for Vec<u8> {
    fn put16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }
}

pub(super) const STAGE: &str = "number of a stage";
