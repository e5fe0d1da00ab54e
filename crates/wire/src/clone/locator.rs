//! Which clone a connection belongs to, and what a client that comes back has of it.

use super::numbers::{Put as _, STAGE};
use super::{Dialect, Stage};
use crate::cursor::{Cursor, Malformed};
use std::collections::BTreeMap;

/// Names a clone on the donor. The donor makes it in its answer to INIT; the client gives it back
/// in ATTACH, ACK and REINIT.
///
/// | offset | bytes | |
/// |---|---|---|
/// | 12 | 8 | clone |
/// | 20 | 8 | snapshot |
/// | 28 | 4 | index |
/// | 32 | 1 | stage |
/// | 33 | 1 | 1: the client has the whole list of files |
/// | 34 | … | in REINIT: what the client has received, see [`Received`] |
///
/// In GreatSQL's dialect all of this comes after 16 bytes with the `server_uuid`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Locator {
    /// The donor's `server_uuid`, as 16 bytes; MySQL's protocol does not carry it.
    pub server: [u8; 16],
    /// The clone's id on the donor; 0 asks for a new one.
    pub clone: u64,
    /// The snapshot's id on the donor.
    pub snapshot: u64,
    /// Place in the donor's array of clones.
    pub index: u32,
    /// Where the client is.
    pub stage: Stage,
    /// Whether the client has got the descriptors of all files.
    pub has_files: bool,
    /// What the client has of the stage.
    pub received: Option<Received>,
}

/// The chunks of a stage that a client has.
///
/// | bytes | |
/// |---|---|
/// | 4 | number of chunks received in part; a donor takes 256 at most |
/// | 8 each | chunk, blocks of it that were received |
/// | 4 | number of words |
/// | 4 each | words: chunk `c` is bit `(c-1) mod 32` of word `(c-1) / 32`; 1: do not send |
///
/// The bit of a chunk received in part is set too: the donor goes on with the block after those
/// that were received.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    incomplete: BTreeMap<u32, u32>,
    words: Vec<u32>,
}

/// Chunks received in part that a donor takes note of.
pub const MAX_INCOMPLETE: usize = 256;

impl Received {
    /// Nothing of a stage of `chunks` chunks.
    pub fn none(chunks: u32) -> Self {
        Self {
            incomplete: BTreeMap::new(),
            words: vec![0; chunks.div_ceil(32) as usize],
        }
    }

    /// Marks a chunk as received, to its end. Chunks are numbered from 1; one that the stage does
    /// not have is ignored.
    pub fn complete(&mut self, chunk: u32) {
        if self.mark(chunk) {
            self.incomplete.remove(&chunk);
        }
    }

    /// Marks a chunk of which the first `blocks` blocks were received. Without effect when there
    /// is no room for another one: the chunk is then sent again.
    pub fn partial(&mut self, chunk: u32, blocks: u32) {
        if (self.incomplete.len() < MAX_INCOMPLETE || self.incomplete.contains_key(&chunk))
            && self.mark(chunk)
        {
            self.incomplete.insert(chunk, blocks);
        }
    }

    fn mark(&mut self, chunk: u32) -> bool {
        let Some(bit) = chunk.checked_sub(1) else {
            return false;
        };
        match self.words.get_mut((bit / 32) as usize) {
            Some(word) => {
                *word |= 1 << (bit % 32);
                true
            }
            None => false,
        }
    }

    /// How many blocks of a chunk were received; `None` for all of them.
    pub fn blocks(&self, chunk: u32) -> Option<u32> {
        let bit = chunk.checked_sub(1);
        let word = bit.and_then(|bit| self.words.get((bit / 32) as usize));
        let marked = bit
            .zip(word)
            .is_some_and(|(bit, word)| word >> (bit % 32) & 1 == 1);
        if marked {
            self.incomplete.get(&chunk).copied()
        } else {
            Some(0)
        }
    }

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let count = cursor.be32("number of incomplete chunks")?;
        let mut received = Self::default();
        for _ in 0..count {
            let chunk = cursor.be32("incomplete chunk")?;
            let blocks = cursor.be32("blocks of an incomplete chunk")?;
            if received.incomplete.len() < MAX_INCOMPLETE {
                received.incomplete.insert(chunk, blocks);
            }
        }
        let at = cursor.position();
        let words = cursor.be32("words of received chunks")? as usize;
        let what = "words of received chunks";
        let bytes = words.checked_mul(4).ok_or(Malformed { what, at })?;
        let mut cursor = Cursor::new(cursor.take(bytes, what)?);
        received.words.reserve_exact(words);
        while !cursor.is_empty() {
            received.words.push(cursor.be32(what)?);
        }
        Ok(received)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put32(self.incomplete.len() as u32);
        for (chunk, blocks) in &self.incomplete {
            out.put32(*chunk);
            out.put32(*blocks);
        }
        out.put32(self.words.len() as u32);
        for word in &self.words {
            out.put32(*word);
        }
    }
}

impl Locator {
    /// Whether both name the same clone: only the ids count.
    pub fn is_same_clone(&self, other: &Self) -> bool {
        (self.clone, self.snapshot) == (other.clone, other.snapshot)
    }

    pub(super) fn decode_body(
        dialect: Dialect,
        cursor: &mut Cursor<'_>,
    ) -> Result<Self, Malformed> {
        let server = match dialect {
            Dialect::Stock => [0; 16],
            Dialect::GreatSql => cursor.array("server of a clone")?,
        };
        let clone = cursor.be64("id of a clone")?;
        let snapshot = cursor.be64("id of a snapshot")?;
        let index = cursor.be32("index of a clone")?;
        let at = cursor.position();
        let stage = Stage::of(cursor.u8(STAGE)?.into()).ok_or(Malformed { what: STAGE, at })?;
        let has_files = cursor.u8("state within a stage")? == 1;
        let received = if cursor.is_empty() {
            None
        } else {
            Some(Received::decode(cursor)?)
        };
        Ok(Self {
            server,
            clone,
            snapshot,
            index,
            stage,
            has_files,
            received,
        })
    }

    pub(super) fn encode_body(&self, dialect: Dialect, out: &mut Vec<u8>) {
        if dialect == Dialect::GreatSql {
            out.extend_from_slice(&self.server);
        }
        out.put64(self.clone);
        out.put64(self.snapshot);
        out.put32(self.index);
        out.push(self.stage.number());
        out.push(self.has_files.into());
        if let Some(received) = &self.received {
            received.encode(out);
        }
    }
}
