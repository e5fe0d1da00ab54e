//! Restores, and whether their result is right.

use std::path::PathBuf;

use anyhow::ensure;
use innoclone_testkit::{Result, Server, check_tables, scan_error_log, show, snapshot};

use crate::contest::{Contender, Sample, take_turns};
use crate::full::CP;
use crate::ground::Ground;
use crate::report::{Goal, Report, say};

/// A full backup with three increments: restored in one pass, restored increment by increment, and
/// copied as it is. Leaves `restored`.
pub(crate) fn contest(ground: &Ground, report: &mut Report) -> Result<()> {
    say(
        "restore of a full backup with 3 increments: in one pass, and one by one; and cp -r of the result ...",
    );
    let sets = SETS.map(|name| ground.path(name));
    let sets = sets.each_ref().map(PathBuf::as_path);
    let last = ground.text("incr3");
    let restore = |name: &str| {
        ground.discard(name)?;
        ground.ready(&sets)?;
        ground.innoclone(&["restore", &last, "--to", &ground.text(name)])
    };
    // What cp copies.
    restore("restored")?;
    let contenders: Vec<Contender<'_>> = vec![
        ("innoclone restore", Box::new(|_| restore("restored"))),
        (
            "cp of the full + 3 x apply",
            Box::new(|_| {
                ground.ready(&sets)?;
                let sample = one_by_one(ground)?;
                ground.discard("applied")?;
                Ok(sample)
            }),
        ),
        (
            CP,
            Box::new(|_| {
                ground.ready(&[&ground.path("restored")])?;
                let sample = ground.copy("restored", "copy")?;
                ground.discard("copy")?;
                Ok(sample)
            }),
        ),
    ];
    let all = take_turns(ground.runs, contenders)?;
    if let [ours, applied, copy] = all.as_slice() {
        report.goal(Goal::at_most(
            "restore of the chain: time / cp of the result",
            ours.ratio(copy),
            1.3,
        ));
        report.goal(Goal::at_most(
            "restore of the chain: time / cp and 3 x apply",
            ours.ratio(applied),
            1.0,
        ));
    }
    report.restore = all.first().cloned();
    report.section("restore of full + 3 increments", all);

    say("verify of two sets and of the restored directory ...");
    let verify = |name: &str, path: &str| -> Result<_> {
        ground.ready(&sets)?;
        let sample = ground.innoclone(&["verify", path])?;
        Ok(crate::contest::Series::new(name, vec![sample]))
    };
    let verified = vec![
        verify("innoclone verify of the full set", &ground.text("full"))?,
        verify("innoclone verify of an increment", &last)?,
        verify("innoclone verify of the result", &ground.text("restored"))?,
    ];
    report.list("verify", verified);
    Ok(())
}

fn one_by_one(ground: &Ground) -> Result<Sample> {
    let mut sum = ground.copy("full", "applied")?;
    let datadir = ground.text("applied");
    for name in ["incr1", "incr2", "incr3"] {
        let set = ground.text(name);
        let next = ground.innoclone(&[
            "apply",
            "--datadir",
            &datadir,
            "--clone-incremental-dir",
            &set,
        ])?;
        sum.time += next.time;
        sum.io = sum.io + next.io;
        sum.peak_memory = sum.peak_memory.max(next.peak_memory);
    }
    Ok(sum)
}

/// Boots the restored directory and compares it with the server, which nobody has changed since the
/// last increment.
pub(crate) fn prove(ground: &Ground, report: &mut Report) -> Result<()> {
    say("booting the restored directory and comparing every table ...");
    let restored = Server::start_on(&ground.path("restored"), &[])?;
    check_tables(&restored)?;
    let complaints = scan_error_log(&restored.error_log());
    ensure!(
        complaints.is_empty(),
        "the restored server complains:\n{}",
        complaints.join("\n")
    );
    // Numbers that the server reserved for a statement and did not use are forgotten at any crash.
    let take = |server| Ok::<_, anyhow::Error>(snapshot(server)?.ignoring_auto_increment());
    let (left, right) = (take(&ground.server)?, take(&restored)?);
    let differences = left.differences(&right);
    ensure!(
        differences.is_empty(),
        "the restored server differs:\n{}",
        differences.join("\n")
    );
    let rows = left.tables.values().filter_map(|table| table.rows).sum();
    say(&format!(
        "identical: {} tables with {} rows, and the GTID set",
        left.tables.len(),
        show::number(rows)
    ));
    report.fact("restored_is_identical", true.into());
    restored.shutdown()
}

/// Removes the chain and what was restored of it.
pub(crate) fn discard(ground: &Ground) -> Result<()> {
    let mut names = SETS.iter().chain(&["restored"]);
    names.try_for_each(|name| ground.discard(name))
}

const SETS: [&str; 4] = ["full", "incr1", "incr2", "incr3"];
