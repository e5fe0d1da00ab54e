//! Compressed full backups and their restores, beside the tools of the two algorithms.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use innoclone_testkit::{Result, measure, show};
use serde_json::Value;

use crate::contest::{Contender, Sample, Series, Spread, take_turns};
use crate::ground::Ground;
use crate::report::{Goal, Report, say};

/// An algorithm, and what is expected of it.
struct Case {
    algorithm: &'static str,
    backup: &'static str,
    restore: &'static str,
    pack: &'static str,
    unpack: &'static str,
    /// Of the tool: compresses standard input to standard output, or back.
    pack_command: &'static str,
    unpack_command: &'static str,
    /// Bytes of the original for a stored byte.
    ratio: f64,
}

const CASES: [Case; 2] = [
    Case {
        algorithm: "zstd",
        backup: "innoclone backup --compress zstd",
        restore: "innoclone restore (zstd)",
        pack: "zstd -1 -T4 of each file + sync",
        unpack: "zstd -d of each file + sync",
        pack_command: "zstd -q -1 -T4 -c",
        unpack_command: "zstd -q -d -c",
        ratio: 2.40,
    },
    Case {
        algorithm: "lz4",
        backup: "innoclone backup --compress lz4",
        restore: "innoclone restore (lz4)",
        pack: "lz4 -1 of each file + sync",
        unpack: "lz4 -d of each file + sync",
        pack_command: "lz4 -q -1 -c",
        unpack_command: "lz4 -q -d -c",
        ratio: 1.43,
    },
];

/// Both algorithms.
pub(crate) fn contest(ground: &Ground, report: &mut Report) -> Result<()> {
    // What the tools compress: the files of a full backup, no more and no less.
    ground.backup("same", &["--page-track"])?;
    CASES
        .iter()
        .try_for_each(|case| one(ground, report, case))?;
    ground.discard("same")
}

fn one(ground: &Ground, report: &mut Report, case: &Case) -> Result<()> {
    let Case { algorithm, .. } = case;
    say(&format!(
        "compressed full backup: innoclone, and {algorithm} of the same files ..."
    ));
    let words = ["--page-track", "--compress", algorithm];
    let contenders: Vec<Contender<'_>> = vec![
        (
            case.backup,
            Box::new(|_| {
                ground.discard("packed")?;
                ground.ready(&[ground.server.datadir()])?;
                ground.backup("packed", &words)
            }),
        ),
        (
            case.pack,
            Box::new(|_| {
                ground.ready(&[&ground.path("same")])?;
                let sample = by_tool(ground, "same", "tool", case.pack_command)?;
                ground.discard("tool")?;
                Ok(sample)
            }),
        ),
    ];
    let all = take_turns(ground.runs, contenders)?;
    judge(report, case, &all, &ground.path("packed"))?;
    report.section(&format!("full backup, {algorithm}"), all);

    say(&format!(
        "restore of it: innoclone, and {algorithm} -d of the same files ..."
    ));
    let packed = ground.text("packed");
    let contenders: Vec<Contender<'_>> = vec![
        (
            case.restore,
            Box::new(|_| {
                ground.ready(&[packed.as_ref()])?;
                let sample =
                    ground.innoclone(&["restore", &packed, "--to", &ground.text("unpacked")])?;
                ground.discard("unpacked")?;
                Ok(sample)
            }),
        ),
        (
            case.unpack,
            Box::new(|_| {
                ground.ready(&[packed.as_ref()])?;
                let sample = by_tool(ground, "packed", "tool", case.unpack_command)?;
                ground.discard("tool")?;
                Ok(sample)
            }),
        ),
    ];
    let all = take_turns(ground.runs, contenders)?;
    if let [ours, tool] = all.as_slice() {
        report.goal(Goal::at_most(
            &format!("restore, {algorithm}: time / {algorithm} -d"),
            ours.ratio(tool),
            1.0,
        ));
    }
    report.section(&format!("restore, {algorithm}"), all);
    ground.discard("packed")
}

fn judge(report: &mut Report, case: &Case, all: &[Series], set: &Path) -> Result<()> {
    let Case { algorithm, .. } = case;
    let [ours, tool] = all else {
        return Ok(());
    };
    report.goal(Goal::at_most(
        &format!("full backup, {algorithm}: time / the tool"),
        ours.ratio(tool),
        1.1,
    ));
    let (original, stored) = sizes(set)?;
    let ratio = original as f64 / stored as f64;
    say(&format!(
        "(tables of {} are stored in {})",
        show::bytes(original),
        show::bytes(stored)
    ));
    report.goal(Goal::at_least(
        &format!("full backup, {algorithm}: ratio, tables"),
        Spread::of(std::iter::once(ratio)),
        case.ratio,
    ));
    let peak = ours.peak_memory().unwrap_or(0) as f64 / f64::from(1 << 20);
    report.goal(Goal::at_most(
        &format!("full backup, {algorithm}: peak memory, MiB"),
        Spread::of(std::iter::once(peak)),
        64.0,
    ));
    Ok(())
}

/// Bytes of the tables of `sbtest`, as they were and as they are stored, deltas included.
fn sizes(set: &Path) -> Result<(u64, u64)> {
    let manifest = fs_err::read(set.join("#clone/manifest.json"))?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let files = manifest["files"].as_array().context("no list of files")?;
    let mut sum = (0, 0);
    for file in files {
        let name = file["name"].as_str().unwrap_or_default();
        if !name.starts_with("sbtest/") {
            continue;
        }
        sum.0 += file["length"].as_u64().unwrap_or(0);
        let stored = file["stored"].as_array().into_iter().flatten();
        sum.1 += stored
            .filter_map(|stored| stored["size"].as_u64())
            .sum::<u64>();
    }
    Ok(sum)
}

/// Runs a tool on every file below `from`, one after the other, and makes the result durable.
fn by_tool(ground: &Ground, from: &str, to: &str, tool: &str) -> Result<Sample> {
    let (from, to) = (ground.path(from), ground.path(to));
    // Files of a set that are never compressed are passed over.
    let script = "mkdir \"$2\" && cd \"$1\" && find . -mindepth 1 -type d -exec mkdir \"$2/{}\" \\; && \
                  find . -type f ! -path './#clone/*' ! -name '*.meta' ! -size 0 | \
                  while IFS= read -r file; do $3 < \"$file\" > \"$2/$file\" || exit 1; done && sync -f \"$2\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .args([&from, &to])
        .arg(tool);
    let run = measure(&mut command)?.success().context("the tool")?;
    Ok(Sample {
        // The shell's, which is none of the tool's.
        peak_memory: None,
        ..run.into()
    })
}
