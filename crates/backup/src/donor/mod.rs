//! Donors: what yields a snapshot.

pub mod chain;
mod connecting;
pub mod instance;
mod redo_files;
pub mod remote;
mod server;

use crate::recipient::{Recipient, Snapshot};
use crate::{Job, Result, Stage};
use std::sync::Arc;

/// Yields a snapshot in stages. For each stage the engine calls [`Self::begin`], then
/// [`Self::work`] from every worker at once, then [`Self::end`].
pub trait Donor: Send + Sync + std::fmt::Debug {
    /// Plans a stage and announces it to the recipient.
    fn begin(&mut self, stage: Stage, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()>;

    /// Delivers parts of the stage until there are none left.
    fn work(&self, stage: Stage, recipient: &dyn Recipient, job: &Job) -> Result<()>;

    /// The recipient has lost some of what was delivered in this stage: [`Self::work`] is called
    /// again, for the pieces that it [wants](Recipient::wants).
    fn again(&mut self, stage: Stage) -> Result<()> {
        Err(crate::Error::refused(
            1105,
            format!("{stage} cannot be delivered a second time"),
            "This is a bug.",
        ))
    }

    /// Ends a stage, after all of it has been delivered.
    fn end(&mut self, stage: Stage, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()>;

    /// Lets go of the source and says what the snapshot is.
    fn finish(&mut self, recipient: &dyn Recipient, job: &Job) -> Result<Snapshot>;
}
