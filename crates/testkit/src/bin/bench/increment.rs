//! Increments.

use innoclone_testkit::{Result, show};
use serde_json::Value;

use crate::contest::{Contender, Sample, Series, Spread, take_turns};
use crate::ground::Ground;
use crate::report::{Goal, Report, say};

/// One percent of the pages changed: by page tracking, and by a scan. Leaves a chain of `full`,
/// `incr1`, `incr2`, `incr3` whose last set is the state of the server.
pub(crate) fn contest(ground: &Ground, report: &mut Report) -> Result<()> {
    say("increment with 1 % of the pages changed: by page tracking, and by a scan ...");
    // Tracking begins anew: what the load changed before is none of the increment's business.
    ground
        .server
        .sql("SELECT mysqlbackup_page_track_set(false)")?;
    let base = ground.backup("full", &["--page-track"])?;
    let rows = ground.change_one_percent(1)?;
    let full = ground.text("full");
    let run = |name: &str, more: &[&str]| {
        ground.discard(name)?;
        ground.ready(&[ground.server.datadir()])?;
        let mut args = vec!["--based-on", &full];
        args.extend(more);
        ground.backup(name, &args)
    };
    let contenders: Vec<Contender<'_>> = vec![
        (
            "innoclone backup --based-on",
            Box::new(|_| run("incr1", &[])),
        ),
        (
            "the same with --scan",
            Box::new(|_| run("scanned", &["--scan"])),
        ),
    ];
    let all = take_turns(ground.runs, contenders)?;
    ground.discard("scanned")?;
    if let [tracked, _] = all.as_slice() {
        judge(ground, report, tracked, rows, &base)?;
    }
    report.section("increment, 1 % of the pages changed", all);

    ground.change_one_percent(2)?;
    ground.backup("incr2", &["--based-on", &ground.text("incr1")])?;
    ground.change_one_percent(3)?;
    ground.backup("incr3", &["--based-on", &ground.text("incr2")])?;
    Ok(())
}

fn judge(
    ground: &Ground,
    report: &mut Report,
    tracked: &Series,
    rows: u64,
    base: &Sample,
) -> Result<()> {
    let told = |sample: &Sample| sample.answer["backup"]["bytes_read"].as_u64().unwrap_or(0);
    let start = tracked
        .samples
        .last()
        .map(|sample| &sample.answer["backup"]["lsn"]["start"]);
    let start = start.and_then(Value::as_u64).unwrap_or(0);
    // What the server itself says was flushed; negative when it cannot tell.
    let count = ground.server.query_value(&format!(
        "SELECT mysqlbackup_page_track_get_changed_page_count({start}, 0)"
    ))?;
    let pages = count.parse().unwrap_or(0).max(rows);
    let read = tracked.samples.last().map_or(0, told);
    let io = tracked.io();
    say(&format!(
        "(changed: {rows} rows on as many pages; by the server's count {count} pages, with undo and system pages;\n \
         innoclone says it read {}; the kernel counts {}, {} of its own output and other files among them;\n \
         the full backup says it read {})",
        show::bytes(read),
        show::bytes(io.read),
        show::bytes(io.read.saturating_sub(read)),
        show::bytes(told(base)),
    ));
    report.fact("increment_pages_changed", pages.into());
    report.fact("increment_bytes_read_as_told", read.into());
    report.fact("increment_bytes_read_by_kernel", io.read.into());
    let changed = (pages * 16384) as f64;
    report.goal(Goal::at_most(
        "increment: bytes read / bytes of changed pages",
        Spread::of(std::iter::once(read as f64 / changed)),
        2.0,
    ));
    if let Some(full) = report.full.clone() {
        let faster = full.ratio(tracked);
        report.goal(Goal::at_least(
            "increment: times faster than the full backup (goal for 4096 MiB)",
            faster,
            20.0,
        ));
    }
    Ok(())
}
