//! The clone protocol: what `COM_CLONE` makes of a connection. Bytes in, messages out, no IO.
//!
//! A client sends [`COM_CLONE`] and gets an OK packet. From then on it sends [`Command`]s and reads
//! [`Response`]s, until the answer to [`Command::Exit`]. Both roles have both directions: a
//! recipient encodes commands and decodes responses, a donor the other way round.
//!
//! Two layers with two byte orders. Commands and responses are the server's plugin `clone`
//! (`plugin/clone/include/clone.h` and `clone_client.cc`): little-endian. What they carry for
//! InnoDB, [`Descriptor`]s, is the storage engine's (`storage/innobase/include/clone0desc.h`):
//! big-endian. Layouts are those of 8.0.30 and later, and were compared with recorded conversations
//! of a real server. GreatSQL's [`Dialect`] adds to some of them; the plain functions read and write
//! MySQL's, those that take a dialect either.
//!
//! Every decoder is bounded by the packet it is given. It allocates no more than a small multiple
//! of it, and refuses what is cut off or contradicts itself with [`Malformed`].

mod command;
mod data;
mod descriptor;
mod dialect;
mod file;
mod locator;
mod numbers;
mod response;
mod state;

pub use crate::cursor::Malformed;
pub use command::{Ack, Command, DdlWait, Setup};
pub use data::DataDescriptor;
pub use descriptor::Descriptor;
pub use dialect::{Dialect, StageExtra, Wish};
pub use file::{FileDescriptor, FileFlags, SpaceKey};
pub use locator::{Locator, MAX_INCOMPLETE, Received};
pub use response::{Response, Setting};
pub use state::{StageDescriptor, TaskDescriptor};

/// Number of the command that begins the protocol. It has no payload.
pub const COM_CLONE: u8 = 32;

/// Number of the storage engine InnoDB, the only one of which data travel.
pub const INNODB: u8 = 12;

/// Version of the protocol: it decides which parameters the donor lists, and nothing else. The
/// donor answers with the smaller one of the client's and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32);

impl Version {
    /// Plugins by name.
    pub const V1: Self = Self(0x0100);
    /// Plugins with the names of their libraries.
    pub const V2: Self = Self(0x0101);
    /// More settings.
    pub const V3: Self = Self(0x0102);
    /// Settings as one JSON object.
    pub const V4: Self = Self(0x0103);
}

/// A stage of a clone, as the protocol numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Stage {
    /// 0: not begun.
    #[default]
    None,
    /// 1: the donor is asked to begin.
    Init,
    /// 2: the files.
    FileCopy,
    /// 3: pages that changed meanwhile.
    PageCopy,
    /// 4: the redo log.
    RedoCopy,
    /// 5: over.
    Done,
}

impl Stage {
    /// All stages, by their numbers.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Init,
        Self::FileCopy,
        Self::PageCopy,
        Self::RedoCopy,
        Self::Done,
    ];

    /// The stage's number in the protocol.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The stage of this number.
    pub fn of(number: u32) -> Option<Self> {
        let stage = Self::ALL.get(usize::try_from(number).ok()?);
        stage.copied()
    }

    /// The stage after this one.
    pub fn next(self) -> Option<Self> {
        Self::of(u32::from(self.number()) + 1)
    }
}

#[cfg(test)]
mod tests;
