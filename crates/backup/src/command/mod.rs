//! The commands of the product, for faces: each checks its request, builds a donor and a
//! recipient, and hands them to the engine.

mod apply;
mod backup;
mod decompress;
mod history;
mod restore;
mod verify;

pub use apply::{ApplyReport, ApplyRequest, apply};
pub use backup::{BackupReport, BackupRequest, RemoteBackupRequest, backup, backup_remote};
pub use decompress::{DecompressReport, DecompressRequest, decompress, decompress_file};
pub use history::rebuild_history;
pub use restore::{RestoreReport, RestoreRequest, restore};
pub use verify::{Problem, VerifiedKind, VerifyReport, VerifyRequest, verify};
