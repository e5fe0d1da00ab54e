//! Keys of encrypted tablespaces in sets that were taken over the network.
//!
//! The clone protocol sends these keys in clear. No byte of them reaches a disk like that:
//! [`Sealing`] takes them out of the pages and the redo log as they come and leaves
//! [blocks](block) that no server opens in their places. The set has them in a
//! [file of its own](sealed), sealed by a [key that the user gives](EncryptionKey). Who gives the
//! data back has that key too, and [`Unsealing`] puts the keys where they were.

pub(crate) mod block;
mod key_file;
mod sealed;
mod sealing;
mod unsealing;

pub use key_file::EncryptionKey;
pub use sealed::{SealedKeys, SpaceKeys, Unopened};
pub use sealing::Sealing;
pub(crate) use unsealing::{Unsealing, has_encryption};

/// The number under which the key of the redo log is kept: that of its tablespace (`dict0dict.h`).
pub(crate) const REDO_SPACE: u32 = 0xFFFF_FFF0;
