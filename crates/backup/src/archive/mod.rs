//! A continuous archive of a server's binary logs, streamed as a replica streams them.
//!
//! The archive is a directory with byte-identical copies of the server's closed files, the file
//! that is under way as `NAME.part`, and `archive.json`, which says whose logs they are. Finished
//! files may be stored compressed, as `NAME.zstd`. See `docs/FORMAT.md`.
//!
//! What makes it continuous is the *tail*: the last event that the archive has. Every stream begins
//! with that event, not behind it, and the server must send it again with the same position,
//! header and checksum before anything is appended. A server that was reset, restored, or is
//! another one does not pass.

mod archiver;
mod arriving;
mod attach;
mod directory;
mod follow;
mod name;
mod packed;
mod part;
mod scan;
mod state;
mod stream;
mod track;

pub use directory::{ArchivedLog, Storage, list};
pub(crate) use directory::{server_of, stored_in};
pub use follow::{ArchiveReport, ArchiveRequest, archive};
pub use name::LogName;
