//! Clones over the network, beside the server's own `CLONE INSTANCE`: a second server executes that,
//! with `DATA DIRECTORY`, so that nothing is done but to make a clone and to make it durable.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::Context;
use innoclone_testkit::{Innoclone, Io, Result, Server, ServerOptions, measure};

use crate::contest::{Contender, Sample, take_turns};
use crate::ground::Ground;
use crate::report::{Goal, Report, say};
use crate::settings::Settings;

/// Connections that carry data, and whether they have TLS.
const WAYS: [(u32, bool); 4] = [(1, false), (4, false), (1, true), (4, true)];

/// A full backup over the network, plain and compressed.
pub(crate) fn fulls(ground: &Ground, settings: &Settings, report: &mut Report) -> Result<()> {
    let taker = Taker::start(settings)?;
    for (connections, tls) in WAYS {
        let way = way(connections, tls);
        say(&format!(
            "full backup over the network, {way}: innoclone, and CLONE INSTANCE ..."
        ));
        let contenders: Vec<Contender<'_>> = vec![
            (
                "innoclone backup --from",
                Box::new(|_| {
                    ground.ready(&[ground.server.datadir()])?;
                    let sample = backup(ground, connections, tls, &[])?;
                    ground.discard("far")?;
                    Ok(sample)
                }),
            ),
            (
                "CLONE INSTANCE FROM",
                Box::new(|_| {
                    ground.ready(&[ground.server.datadir()])?;
                    let sample = taker.take(ground, &LIVE, ground.server.port(), connections, tls);
                    ground.discard("clone")?;
                    sample
                }),
            ),
        ];
        let all = take_turns(ground.runs, contenders)?;
        if let [ours, stock] = all.as_slice() {
            report.goal(Goal::at_most(
                &format!("full over the network, {way}: time / CLONE INSTANCE"),
                ours.ratio(stock),
                1.0,
            ));
        }
        report.section(&format!("full over the network, {way}"), all);
    }
    compressed(ground, &taker, report)
}

/// There is no stock way to a compressed clone but to compress it afterwards.
fn compressed(ground: &Ground, taker: &Taker, report: &mut Report) -> Result<()> {
    say(
        "compressed full backup over the network: innoclone, and CLONE INSTANCE with zstd after it ...",
    );
    let contenders: Vec<Contender<'_>> = vec![
        (
            "innoclone backup --from --compress zstd",
            Box::new(|_| {
                ground.ready(&[ground.server.datadir()])?;
                let words = ["--compress", "zstd", "--compress-threads", "2"];
                let sample = backup(ground, 4, false, &words)?;
                ground.discard("far")?;
                Ok(sample)
            }),
        ),
        (
            "CLONE INSTANCE FROM, then zstd -1 -T2",
            Box::new(|_| {
                ground.ready(&[ground.server.datadir()])?;
                let clone = taker.take(ground, &LIVE, ground.server.port(), 4, false)?;
                let mut tool = Command::new("sh");
                let script = "find \"$1\" -type f ! -size 0 -exec zstd -q -1 -T2 --rm {} + && sync -f \"$1\"";
                tool.args(["-c", script, "sh"]).arg(ground.path("clone"));
                let packed: Sample = measure(&mut tool)?.success().context("zstd")?.into();
                ground.discard("clone")?;
                Ok(Sample {
                    time: clone.time + packed.time,
                    io: clone.io + packed.io,
                    ..clone
                })
            }),
        ),
    ];
    let all = take_turns(ground.runs, contenders)?;
    if let [ours, stock] = all.as_slice() {
        report.goal(Goal::at_most(
            "full over the network, zstd: time / CLONE INSTANCE, then zstd",
            ours.ratio(stock),
            1.0,
        ));
    }
    report.section("full over the network, zstd", all);
    Ok(())
}

/// `CLONE INSTANCE` from backups, beside the same from the live server.
pub(crate) fn provisioning(
    ground: &Ground,
    settings: &Settings,
    report: &mut Report,
) -> Result<()> {
    say("making the sets that are to be served ...");
    ground
        .server
        .sql("SELECT mysqlbackup_page_track_set(false)")?;
    ground.backup("plain", &["--page-track"])?;
    ground.backup("packed", &["--compress", "zstd"])?;
    ground.change_one_percent(4)?;
    ground.backup("first", &["--based-on", &ground.text("plain")])?;
    ground.change_one_percent(5)?;
    ground.backup("second", &["--based-on", &ground.text("first")])?;
    let taker = Taker::start(settings)?;
    let donors = [
        Serving::start(ground, "plain")?,
        Serving::start(ground, "packed")?,
        Serving::start(ground, "second")?,
    ];
    let names = [
        "from a plain full",
        "from a full in zstd",
        "from a full and 2 increments",
    ];
    let sources: [&[&str]; 3] = [&["plain"], &["packed"], &["plain", "first", "second"]];
    for (connections, tls) in WAYS {
        let way = way(connections, tls);
        say(&format!(
            "CLONE INSTANCE, {way}: from what innoclone serves, and from the live server ..."
        ));
        let mut contenders: Vec<Contender<'_>> = Vec::new();
        for ((donor, name), source) in donors.iter().zip(names).zip(sources) {
            let clone = |_| {
                let paths: Vec<_> = source.iter().map(|name| ground.path(name)).collect();
                ground.ready(&paths.iter().map(AsRef::as_ref).collect::<Vec<_>>())?;
                let sample = taker.take(ground, &SERVED, donor.port, connections, tls);
                ground.discard("clone")?;
                sample
            };
            contenders.push((name, Box::new(clone)));
        }
        contenders.push((
            "from the live server",
            Box::new(|_| {
                ground.ready(&[ground.server.datadir()])?;
                let sample = taker.take(ground, &LIVE, ground.server.port(), connections, tls);
                ground.discard("clone")?;
                sample
            }),
        ));
        let all = take_turns(ground.runs, contenders)?;
        if let [served @ .., live] = all.as_slice() {
            for series in served {
                report.goal(Goal::at_most(
                    &format!(
                        "CLONE INSTANCE {}, {way}: time / from the live server",
                        series.name
                    ),
                    series.ratio(live),
                    1.0,
                ));
            }
        }
        report.section(&format!("CLONE INSTANCE, {way}"), all);
    }
    drop(donors);
    ["plain", "packed", "first", "second"]
        .iter()
        .try_for_each(|name| ground.discard(name))
}

fn way(connections: u32, tls: bool) -> String {
    let plural = if connections == 1 { "" } else { "s" };
    let tls = if tls { ", TLS" } else { "" };
    format!("{connections} connection{plural}{tls}")
}

/// Backs up over the network into `far`.
fn backup(ground: &Ground, connections: u32, tls: bool, more: &[&str]) -> Result<Sample> {
    let donor = format!("root@127.0.0.1:{}", ground.server.port());
    let (to, connections) = (ground.text("far"), connections.to_string());
    let mode = if tls { "required" } else { "disabled" };
    let mut args = vec!["backup", "--from", &donor, "--to", &to];
    args.extend(["--parallel", &connections, "--ssl-mode", mode]);
    args.extend(more);
    ground.innoclone(&args)
}

/// Who to log in as.
struct Login {
    user: &'static str,
    password: &'static str,
}

const LIVE: Login = Login {
    user: "root",
    password: "",
};
const SERVED: Login = Login {
    user: "clone",
    password: "bench",
};

/// The server that executes `CLONE INSTANCE`.
struct Taker(Server);

impl Taker {
    fn start(settings: &Settings) -> Result<Self> {
        Server::start(ServerOptions {
            base: Some(settings.base.clone()),
            ..ServerOptions::default()
        })
        .map(Self)
    }

    /// Takes a clone into `clone`. The counters are those of the server that takes it.
    fn take(
        &self,
        ground: &Ground,
        login: &Login,
        port: u16,
        connections: u32,
        tls: bool,
    ) -> Result<Sample> {
        let server = &self.0;
        server.sql(&format!(
            "SET GLOBAL clone_autotune_concurrency = OFF;
             SET GLOBAL clone_max_concurrency = {connections};
             SET GLOBAL clone_valid_donor_list = '127.0.0.1:{port}'"
        ))?;
        let statement = format!(
            "CLONE INSTANCE FROM '{}'@'127.0.0.1':{port} IDENTIFIED BY '{}' \
             DATA DIRECTORY = '{}' REQUIRE {}SSL",
            login.user,
            login.password,
            ground.text("clone"),
            if tls { "" } else { "NO " },
        );
        let pid = server.pid().context("the server is not running")?;
        let (before, begin) = (Io::of(pid), Instant::now());
        server.sql(&statement)?;
        Ok(Sample {
            time: begin.elapsed(),
            io: Io::of(pid).since(before),
            peak_memory: None,
            answer: serde_json::Value::Null,
        })
    }
}

/// `innoclone serve --donor`, ended when dropped.
struct Serving {
    process: Child,
    port: u16,
}

impl Serving {
    fn start(ground: &Ground, set: &str) -> Result<Self> {
        let program: &Innoclone = ground.program();
        let set = ground.text(set);
        let args = ["serve", "--donor", &set, "--listen", "127.0.0.1:0"];
        let mut process = program
            .command(&args)
            .env("INNOCLONE_SERVE_PASSWORD", SERVED.password)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start innoclone serve")?;
        let log = process.stderr.take();
        let mut serving = Self { process, port: 0 };
        let mut log = BufReader::new(log.context("no log of innoclone serve")?).lines();
        let mut said = String::new();
        for line in log.by_ref() {
            let line = line?;
            if let Some((_, address)) = line.split_once("listening address=") {
                let port = address.trim_matches(['"', ' ']).rsplit_once(':');
                let port = port.and_then(|(_, port)| port.parse().ok());
                serving.port = port.context("port of innoclone serve")?;
                break;
            }
            said.push_str(&line);
            said.push('\n');
        }
        anyhow::ensure!(
            serving.port != 0,
            "innoclone serve does not listen:\n{said}"
        );
        // Somebody has to read what it says, or it waits.
        std::thread::spawn(move || log.for_each(drop));
        Ok(serving)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Fails where it has ended, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
