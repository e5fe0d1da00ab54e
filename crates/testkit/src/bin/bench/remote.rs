//! Backups over the network.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use innoclone_testkit::{Result, show};

use crate::contest::Spread;
use crate::ground::Ground;
use crate::report::{Goal, Report, say};

/// Bytes on the wire of an increment with one percent of the pages changed, all at the end of one
/// of eight tables, by each means that there is.
pub(crate) fn increments(ground: &Ground, report: &mut Report) -> Result<()> {
    say(
        "increment over the network, 1 % of the pages changed, in one table: bytes on the wire ...",
    );
    let full = run(ground, "far", &["--page-track"])?;
    let agent = Agent::start(ground)?;
    from(ground, agent.port, "near", &["--page-track"])?;
    let base = ground.text("far");
    let rows = ground.change_the_last_percent()?;
    let mut shown = vec![format!("changed: {rows} rows; full {}", show::bytes(full))];
    // The counters of writes come first: they are not used after another clone.
    let means: [(&str, &[&str]); 3] = [
        ("write counters", &[]),
        ("page list", &["--page-track"]),
        ("every page", &["--scan"]),
    ];
    let mut bytes = Vec::new();
    for (name, option) in means {
        let mut args = vec!["--based-on", &base];
        args.extend(option);
        let read = run(ground, "far-incr", &args)?;
        shown.push(format!("{name} {}", show::bytes(read)));
        report.fact(
            &format!("remote_increment_bytes_by_{}", name.replace(' ', "_")),
            read.into(),
        );
        ground.discard("far-incr")?;
        bytes.push(read);
    }
    let near = ground.text("near");
    let read = from(ground, agent.port, "near-incr", &["--based-on", &near])?;
    shown.push(format!("agent {}", show::bytes(read)));
    report.fact("remote_increment_bytes_by_agent", read.into());
    for set in ["near-incr", "near", "far"] {
        ground.discard(set)?;
    }
    drop(agent);
    say(&format!("({})", shown.join("; ")));
    if let [counters, list, all] = bytes[..] {
        for (name, some) in [("write counters", counters), ("page list", list)] {
            report.goal(Goal::at_most(
                &format!("increment over the network: bytes received by {name} / of every page"),
                Spread::of(std::iter::once(some as f64 / all as f64)),
                0.5,
            ));
        }
    }
    Ok(())
}

/// Backs up over the network; the bytes that were received.
fn run(ground: &Ground, name: &str, more: &[&str]) -> Result<u64> {
    from(ground, ground.server.port(), name, more)
}

fn from(ground: &Ground, port: u16, name: &str, more: &[&str]) -> Result<u64> {
    let donor = format!("root@127.0.0.1:{port}");
    let to = ground.text(name);
    let mut args = vec!["backup", "--from", &donor, "--to", &to];
    args.extend(more);
    let sample = ground.innoclone(&args)?;
    let bytes = sample.answer["backup"]["bytes_read"].as_u64();
    bytes.context("the answer has no bytes_read")
}

/// The agent of the server, until it is dropped.
struct Agent {
    port: u16,
    process: Child,
}

impl Agent {
    fn start(ground: &Ground) -> Result<Self> {
        // Free at this moment; nobody else takes ports here.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let (socket, listen) = (
            ground.server.socket().display().to_string(),
            format!("127.0.0.1:{port}"),
        );
        let spool = ground.server.root_dir().display().to_string();
        let mut command = ground.beside(&["serve", "--donor", "instance", "--user", "root"]);
        command.args([
            "--socket",
            &socket,
            "--listen",
            &listen,
            "--spool-dir",
            &spool,
        ]);
        let process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut agent = Self { port, process };
        let begin = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = agent.process.try_wait()?;
            ensure!(
                ended.is_none() && begin.elapsed() < Duration::from_secs(60),
                "the agent does not listen"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
