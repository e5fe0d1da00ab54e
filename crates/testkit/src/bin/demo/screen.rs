//! What the tour looks like on a terminal, or in a file.

use std::io::{IsTerminal, Stdout, Write};
use std::time::Instant;

use innoclone_testkit::{Result, Run, show};

/// Standard output, with chapters.
#[derive(Debug)]
pub(crate) struct Screen {
    out: Stdout,
    colour: bool,
    chapter: u32,
    begin: Instant,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            out: std::io::stdout(),
            colour: !plain && std::io::stdout().is_terminal(),
            chapter: 0,
            begin: Instant::now(),
        }
    }

    /// A heading.
    pub(crate) fn chapter(&mut self, title: &str) -> Result<()> {
        self.chapter += 1;
        let title = format!("{}. {title}", self.chapter);
        let at = self.begin.elapsed().as_secs();
        let title = self.paint(BOLD, &title);
        self.put(&format!("\n{title}  ({at} s)\n\n"))
    }

    /// Lines of the narrator.
    pub(crate) fn say(&self, text: &str) -> Result<()> {
        let lines = text.lines().map(|line| match line {
            "" => "\n".to_owned(),
            line => format!("   {line}\n"),
        });
        self.put(&lines.collect::<String>())
    }

    /// A command as it could be typed.
    pub(crate) fn command(&self, prompt: &str, text: &str) -> Result<()> {
        let text = self.paint(BOLD, text);
        self.put(&format!("   {prompt} {text}\n"))
    }

    /// What a program printed.
    pub(crate) fn output(&self, text: &str) -> Result<()> {
        let lines = text.lines().map(|line| {
            let line = self.paint(DIM, line);
            format!("   | {line}\n")
        });
        self.put(&lines.collect::<String>())
    }

    /// All that a program printed, its log first.
    pub(crate) fn run(&self, run: &Run) -> Result<()> {
        self.output(&run.stderr)?;
        self.output(&run.stdout)
    }

    /// The last line, when all is well.
    pub(crate) fn success(&self, text: &str) -> Result<()> {
        let text = self.paint(GREEN, text);
        let total = show::seconds(self.begin.elapsed());
        self.put(&format!("\n{text}  ({total} in all)\n"))
    }

    /// The last line otherwise.
    pub(crate) fn failure(&self, text: &str) {
        let text = self.paint(RED, &format!("The demo FAILED: {text}"));
        // Where this cannot be written, the exit status has to do.
        let _ = self.put(&format!("\n{text}\n"));
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("{colour}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    }

    fn put(&self, text: &str) -> Result<()> {
        let mut out = self.out.lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }
}

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[1;32m";
const RED: &str = "\x1b[1;31m";
const PLAIN: &str = "\x1b[0m";
