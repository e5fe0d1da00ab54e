//! Physical backup of InnoDB as a clone from a **donor** to a **recipient**.
//!
//! A [`donor`] yields a snapshot in [stages](Stage); a [`recipient`] consumes it; the [`engine`]
//! between them knows workers, progress, throttling, cancellation and errors, once. Every job of
//! the product is one pair of the two; see `docs/DESIGN.md`.

// Helpers are shared with the tests outside, which know the crate by this name.
#[cfg(test)]
extern crate self as backup;

mod agent;
mod apply;
pub mod archive;
pub mod chain;
pub mod command;
pub mod donor;
pub mod engine;
mod error;
mod files;
mod io;
mod job;
mod keys;
pub mod pitr;
mod progress;
pub mod recipient;
pub mod serve;
pub mod set;
mod stage;

pub use error::{Error, Result};
pub use files::{FileDesc, FileId, FileKind, SpaceInfo};
pub use job::{Job, JobOptions};
pub use keys::{EncryptionKey, SealedKeys, Sealing, SpaceKeys, Unopened};
pub use progress::{Progress, StageSample, StageState};
pub use stage::Stage;
