//! Memory does not grow with the database.

use innoclone_testkit::Result;

use crate::contest::{Series, Spread};
use crate::ground::Ground;
use crate::report::{Goal, Report, say};

/// Backs up and restores twice the data, once.
pub(crate) fn at_double_size(ground: &Ground, report: &mut Report) -> Result<()> {
    say("loading the same amount again, for memory at double size ...");
    ground.put_aside()?;
    ground.load()?;
    let backup = ground.backup("full", &["--page-track"])?;
    let full = ground.text("full");
    let restore = ground.innoclone(&["restore", &full, "--to", &ground.text("restored")])?;
    let backup = Series::new("innoclone backup --page-track", vec![backup]);
    let restore = Series::new("innoclone restore", vec![restore]);
    let growth = |now: &Series, before: Option<&Series>| {
        let before = before.and_then(Series::peak_memory).unwrap_or(1);
        Spread::of(std::iter::once(
            now.peak_memory().unwrap_or(0) as f64 / before as f64,
        ))
    };
    report.goal(Goal::at_most(
        "peak memory of a full backup: double size / single",
        growth(&backup, report.full.as_ref()),
        1.25,
    ));
    report.goal(Goal::at_most(
        "peak memory of a restore: double size / single",
        growth(&restore, report.restore.as_ref()),
        1.25,
    ));
    report.list("double size", vec![backup, restore]);
    ground.discard("full")?;
    ground.discard("restored")
}
