//! Full backups.

use std::time::Duration;

use innoclone_testkit::{Result, Workload, WorkloadOptions};

use crate::contest::{Contender, take_turns};
use crate::ground::Ground;
use crate::report::{Goal, Report, say};

/// Of an idle server, beside CLONE LOCAL and cp.
pub(crate) fn idle(ground: &Ground, report: &mut Report) -> Result<()> {
    say("full backup of an idle server: innoclone, CLONE LOCAL, and cp -r of the same files ...");
    // What cp copies: the files of a full backup, no more and no less. It also is the first backup,
    // which switches page tracking on.
    ground.backup("same", &["--page-track"])?;
    let mut contenders: Vec<Contender<'_>> = contenders(ground);
    contenders.push((
        CP,
        Box::new(|_| {
            ground.ready(&[&ground.path("same")])?;
            let sample = ground.copy("same", "copy")?;
            ground.discard("copy")?;
            Ok(sample)
        }),
    ));
    let all = take_turns(ground.runs, contenders)?;
    ground.discard("same")?;
    if let [ours, clone, copy] = all.as_slice() {
        report.full = Some(ours.clone());
        report.goal(Goal::at_most(
            "full backup, idle: time / cp",
            ours.ratio(copy),
            1.15,
        ));
        report.goal(Goal::at_most(
            "full backup, idle: time / CLONE LOCAL",
            ours.ratio(clone),
            1.0,
        ));
    }
    report.section("full backup, idle server", all);
    Ok(())
}

/// Of a server with a little load, beside CLONE LOCAL.
pub(crate) fn under_load(ground: &Ground, report: &mut Report) -> Result<()> {
    say("full backup under light load: innoclone and CLONE LOCAL ...");
    let options = WorkloadOptions {
        pause: Duration::from_millis(10),
        ..WorkloadOptions::default()
    };
    let workload = Workload::start(&ground.server, options)?;
    let all = take_turns(ground.runs, contenders(ground))?;
    let stats = workload.stop();
    say(&format!("({} transactions meanwhile)", stats.transactions));
    if let [ours, clone] = all.as_slice() {
        report.goal(Goal::at_most(
            "full backup, light load: time / CLONE LOCAL",
            ours.ratio(clone),
            1.0,
        ));
    }
    report.section("full backup, light load", all);
    ground.settle()
}

fn contenders(ground: &Ground) -> Vec<Contender<'_>> {
    vec![
        (
            "innoclone backup --page-track",
            Box::new(|_| {
                ground.ready(&[ground.server.datadir()])?;
                let sample = ground.backup("set", &["--page-track"])?;
                ground.discard("set")?;
                Ok(sample)
            }),
        ),
        (
            "CLONE LOCAL DATA DIRECTORY",
            Box::new(|_| {
                ground.ready(&[ground.server.datadir()])?;
                let sample = ground.clone_local("clone")?;
                ground.discard("clone")?;
                Ok(sample)
            }),
        ),
    ]
}

/// The name of the simplest contender.
pub(crate) const CP: &str = "cp -r + sync";
