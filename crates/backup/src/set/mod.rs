//! Backup sets: what a sealed set holds on disk, and how it is opened.
//!
//! The layout is GreatSQL's: a full uncompressed set is a data directory that mysqld boots; an
//! increment has a `.delta` and a `.meta` for every live tablespace. `#clone/manifest.json` makes
//! a set self-describing. `docs/FORMAT.md` has the bytes.

mod faults;
pub mod layout;
mod manifest;
mod means;
mod open;
mod record;

pub use manifest::{
    BinlogPosition, CloneRecord, Compressed, Content, FileRecord, KeysRecord, LsnRecord, Manifest,
    PagesBy, ProcessIdentity, ServerFeatures, ServerRecord, SetId, SetKind, SourceIdentity,
    SpaceRecord, StoredFile,
};
pub use means::{FileCounter, LeftOutBy, Means, WriteCounters};
pub use open::BackupSet;
pub(crate) use open::{digest_line, is_half_decompressed};
