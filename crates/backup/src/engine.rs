//! The engine: takes a snapshot from a donor to a recipient, stage by stage.

use crate::donor::Donor;
use crate::recipient::{Recipient, Snapshot};
use crate::{Job, Result, Stage};
use std::sync::Arc;

/// Runs a whole clone. On failure the recipient is left as it is: marked incomplete. What the
/// donor holds (locks, a redo log consumer) it gives back when it is dropped.
pub fn run(donor: &mut dyn Donor, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<Snapshot> {
    let result = run_stages(donor, recipient, job);
    if result.is_err() {
        job.progress.fail();
    }
    result.map_err(|error| job.cause(error))
}

fn run_stages(
    donor: &mut dyn Donor,
    recipient: &Arc<dyn Recipient>,
    job: &Job,
) -> Result<Snapshot> {
    job.progress.begin(Stage::DropData, 1, 0);
    recipient.prepare(job)?;
    job.progress.end(Stage::DropData);
    for stage in [Stage::FileCopy, Stage::PageCopy, Stage::RedoCopy] {
        tracing::info!(%stage, "stage begins");
        donor.begin(stage, recipient, job)?;
        loop {
            {
                let donor: &dyn Donor = donor;
                job.in_parallel(|| donor.work(stage, &**recipient, job))?;
            }
            if recipient.has_all(stage)? {
                break;
            }
            donor.again(stage)?;
        }
        recipient.end(stage)?;
        donor.end(stage, recipient, job)?;
        job.progress.end(stage);
    }
    // The donor is free before the slow part of making the copy durable.
    let snapshot = donor.finish(&**recipient, job)?;
    job.progress.begin(Stage::FileSync, job.parallel(), 0);
    recipient.sync(job)?;
    job.check()?;
    recipient.seal(&snapshot)?;
    job.progress.end(Stage::FileSync);
    Ok(snapshot)
}
