//! The commands of `docs/guide.md`, run in their order against a real server.
//!
//! In a block marked `console` a line `$ command` begins a step, lines `> …` continue the command,
//! and what follows is its output: `...` as a line stands for any lines, `[..]` for any characters.
//! A step without output is only expected to succeed, as all are.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod common;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use testkit::{FreePort, Scratch, Server, ServerOptions};

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide.md");
    let steps = steps(&std::fs::read_to_string(path).unwrap());
    assert!(steps.len() > 30, "the guide has {} commands", steps.len());
    let server = Server::start(ServerOptions {
        plugins: false,
        ..ServerOptions::default()
    });
    let server = server.unwrap();
    // A reader's host has these ports free; this one need not.
    let ports = PORTS.map(|named| (named, FreePort::new().unwrap()));
    let mut shell = Shell::start(&server);
    for step in &steps {
        let mut command = step.command.clone();
        for (named, port) in &ports {
            command = command.replace(named, &port.number().to_string());
        }
        let (status, output) = shell.run(&command);
        let told = format!(
            "docs/guide.md:{}: $ {}\nstatus {status}, output:\n{output}",
            step.line, step.command
        );
        assert_eq!(status, 0, "{told}");
        let found: Vec<&str> = output.lines().collect();
        let wanted: Vec<&str> = step.output.iter().map(String::as_str).collect();
        let as_told = wanted.is_empty() || lines_match(&wanted, &found);
        assert!(as_told, "{told}\nthe guide says:\n{}", wanted.join("\n"));
    }
}

/// A command with the output that the guide shows.
#[derive(Debug, PartialEq)]
struct Step {
    line: usize,
    command: String,
    output: Vec<String>,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with("```") {
            inside = text == "```console";
        } else if !inside {
        } else if let Some(command) = text.strip_prefix("$ ") {
            let command = command.to_owned();
            let output = Vec::new();
            steps.push(Step {
                line,
                command,
                output,
            });
        } else if let Some(step) = steps.last_mut() {
            match text.strip_prefix("> ") {
                Some(more) => {
                    let _ = write!(step.command, "\n{more}");
                }
                None => step.output.push(text.to_owned()),
            }
        }
    }
    steps
}

fn lines_match(wanted: &[&str], found: &[&str]) -> bool {
    match wanted {
        [] => found.is_empty(),
        ["...", rest @ ..] => (0..=found.len()).any(|skip| lines_match(rest, &found[skip..])),
        [first, rest @ ..] => match found {
            [line, more @ ..] => line_matches(first, line) && lines_match(rest, more),
            [] => false,
        },
    }
}

fn line_matches(wanted: &str, found: &str) -> bool {
    let Some((head, tail)) = wanted.split_once("[..]") else {
        return wanted.trim_end() == found.trim_end();
    };
    let Some(rest) = found.strip_prefix(head) else {
        return false;
    };
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.into_iter().any(|at| line_matches(tail, &rest[at..]))
}

/// One shell for all commands, with MySQL's programs and ours in its `PATH`. It takes all that it
/// has started with it.
struct Shell {
    process: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    dir: Scratch,
}

impl Shell {
    fn start(server: &Server) -> Self {
        let dir = Scratch::new().unwrap();
        let bin = dir.join("bin");
        for name in ["bin", "home", "b", "r"] {
            std::fs::create_dir(dir.join(name)).unwrap();
        }
        for program in ["mysql", "mysqladmin", "mysqlbinlog", "mysqld"] {
            server
                .install()
                .script(program, &bin.join(program))
                .unwrap();
        }
        let innoclone = bin.join("innoclone");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_innoclone"), innoclone).unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        common::forget_environment(&mut command);
        let mut process = command
            .args(["--noprofile", "--norc"])
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("HOME", dir.join("home"))
            .env_remove("XDG_STATE_HOME")
            .env("INNOCLONE_STATE_DIR", dir.join("state"))
            .env("SOCKET", server.socket())
            .env("PORT", server.port().to_string())
            .env("DATADIR", server.datadir())
            .env("BACKUPS", dir.join("b"))
            .env("RESTORED", dir.join("r"))
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            process,
            input,
            lines,
            dir,
        }
    }

    /// Status and output of a command, errors among it.
    fn run(&mut self, command: &str) -> (i32, String) {
        // From a file: a command cannot then take the next one for its input.
        let file = self.dir.join("step");
        std::fs::write(&file, format!("{command}\n")).unwrap();
        let file = file.display();
        let step = format!(". {file} < /dev/null 2>&1; printf '\\n%s %s\\n' {END} $?\n");
        self.input.write_all(step.as_bytes()).unwrap();
        let mut output = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("{error}: $ {command}\n{output}"));
            if let Some(status) = line.strip_prefix(END) {
                // The line break before the mark ended the last line, or is one too many.
                let output = output.strip_suffix("\n\n").unwrap_or(&output).to_owned();
                return (status.trim().parse().unwrap(), output);
            }
            output.push_str(&line);
            output.push('\n');
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.process.wait();
    }
}

const END: &str = "--end-of-step--";
/// The ports that the guide's programs listen at.
const PORTS: [&str; 2] = ["33067", "33068"];
/// Before a command is taken for hanging.
const PATIENCE: Duration = Duration::from_secs(900);

#[test]
fn steps_are_found_with_their_output() {
    let text = "a\n```console\n$ one\n> two\nout\n$ three\n```\n$ no\n```sh\n$ no\n```\n";
    let step = |line, command: &str, output: &[&str]| Step {
        line,
        command: command.to_owned(),
        output: output.iter().map(ToString::to_string).collect(),
    };
    let expected = [step(3, "one\ntwo", &["out"]), step(6, "three", &[])];
    assert_eq!(steps(text), expected);
}

#[test]
fn wildcards_stand_for_any_lines_and_any_characters() {
    let matches = |wanted: &str, found: &str| {
        let (wanted, found): (Vec<_>, Vec<_>) = (wanted.lines().collect(), found.lines().collect());
        lines_match(&wanted, &found)
    };
    assert!(matches("...\nb[..]d\n...", "a\nbcd\ne"));
    assert!(matches("...\na", "a"));
    assert!(matches("a[..]", "a"));
    assert!(!matches("a", "a\nb"));
    assert!(!matches("...\nb", "a"));
    assert!(!matches("a[..]c", "abd"));
}
