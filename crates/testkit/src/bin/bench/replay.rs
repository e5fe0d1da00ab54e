//! Replays of binary logs.

use std::time::Instant;

use anyhow::Context;
use innoclone_testkit::{Io, Result, Server, replay_binlog, show};
use serde_json::Value;

use crate::contest::{Contender, Sample, take_turns};
use crate::ground::Ground;
use crate::report::{Goal, Report, say};

/// The same binary logs replayed into the same restored set: by `innoclone restore --until latest`,
/// and by `mysqlbinlog | mysql`. Both with the start and the clean end of mysqld, without the
/// restore.
pub(crate) fn contest(ground: &Ground, report: &mut Report) -> Result<()> {
    let set = ground.text("replay-set");
    let answer = ground.backup("replay-set", &[])?.answer;
    let binlog = &answer["backup"]["binlog"];
    let file = binlog["file"].as_str().context("no binary log position")?;
    let position = binlog["position"]
        .as_u64()
        .context("no binary log position")?;
    let bytes = ground.write_binlog(file, position)?;
    say(&format!(
        "replay of {} of binary logs ...",
        show::bytes(bytes)
    ));
    let mysqld = ground.text("mysqld");
    ground
        .server
        .install()
        .script("mysqld", &ground.path("mysqld"))?;
    let options = ground.text("replay.cnf");
    fs_err::write(
        &options,
        format!("[mysqld]\ninnodb_buffer_pool_size={POOL}\n"),
    )?;
    let logs = ground.server.datadir().display().to_string();
    let ours = |_| {
        let to = ground.text("replayed");
        let mut sample = ground.innoclone(&[
            "restore",
            &set,
            "--to",
            &to,
            "--until",
            "latest",
            "--binlogs",
            &logs,
            "--mysqld",
            &mysqld,
            "--mysqld-defaults",
            &options,
        ])?;
        let seconds = sample.answer["restore"]["point_in_time"]["seconds"].as_f64();
        sample.time = std::time::Duration::from_secs_f64(seconds.context("no answer")?);
        ground.discard("replayed")?;
        Ok(sample)
    };
    let theirs = |_| {
        ground.innoclone(&["restore", &set, "--to", &ground.text("by-hand")])?;
        let begin = Instant::now();
        let pool = format!("--innodb-buffer-pool-size={POOL}");
        let args = [
            pool.as_str(),
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=OFF",
        ];
        let server = Server::start_on(&ground.path("by-hand"), &args)?;
        replay_binlog(&ground.server, &server, file, position)?;
        server.shutdown()?;
        let sample = Sample {
            time: begin.elapsed(),
            io: Io::default(),
            peak_memory: None,
            answer: Value::Null,
        };
        ground.discard("by-hand")?;
        Ok(sample)
    };
    let contenders: Vec<Contender<'_>> = vec![
        ("innoclone restore --until", Box::new(ours)),
        ("mysqlbinlog | mysql", Box::new(theirs)),
    ];
    let all = take_turns(ground.runs, contenders)?;
    if let [ours, theirs] = all.as_slice() {
        report.goal(Goal::at_most(
            "replay: time / mysqlbinlog | mysql",
            ours.ratio(theirs),
            1.0,
        ));
    }
    report.fact("replayed_bytes_of_binlog", bytes.into());
    report.section("replay of binary logs", all);
    ground.discard("replay-set")
}

/// Of both servers.
const POOL: &str = "1G";
