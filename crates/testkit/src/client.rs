//! SQL through the stock `mysql` client.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail, ensure};

use crate::{Install, Result};

/// How to reach a server as root over its socket. Cheap to clone and independent of
/// [`crate::Server`], so that threads can use it while the server is stopped, killed or restarted.
#[derive(Debug, Clone)]
pub struct Client {
    install: Install,
    socket: PathBuf,
}

impl Client {
    /// A client of the server behind `socket`.
    pub fn new(install: Install, socket: PathBuf) -> Self {
        Self { install, socket }
    }

    /// The socket file.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A client program of the installation that will connect to this server as root.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.install.command(program);
        command
            .arg(crate::install::option("--socket=", &self.socket))
            .arg("--user=root");
        command
    }

    /// `mysql` in batch mode: no column names, tabs between values, special characters escaped.
    pub(crate) fn batch(&self) -> Command {
        let mut command = self.command("mysql");
        command.args([
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
        ]);
        command.args(["--comments", "--unbuffered"]);
        command
    }

    /// Runs statements (`DELIMITER` works) and returns the rows: values separated by tabs, one row
    /// per line, tab, newline and backslash in values escaped as the client does it.
    ///
    /// # Errors
    /// At the first statement that fails, with the server's error text.
    pub fn sql(&self, statements: &str) -> Result<String> {
        run(self.batch(), statements)
    }

    /// [`Client::sql`] in a schema.
    pub fn sql_in(&self, schema: &str, statements: &str) -> Result<String> {
        let mut command = self.batch();
        command.arg(format!("--database={schema}"));
        run(command, statements)
    }

    /// The rows of a query, values unescaped; NULL is the text `NULL`.
    pub fn sql_rows(&self, query: &str) -> Result<Vec<Vec<String>>> {
        let text = self.sql(query)?;
        Ok(text
            .lines()
            .map(|line| line.split('\t').map(unescape).collect())
            .collect())
    }

    /// The only value of the only row.
    pub fn query_value(&self, query: &str) -> Result<String> {
        let rows = self.sql_rows(query)?;
        match rows.as_slice() {
            [row] if row.len() == 1 => Ok(row[0].clone()),
            // `SELECT ''` prints an empty line.
            [] => bail!("no row from: {query}"),
            _ => bail!("{} rows instead of one value from: {query}", rows.len()),
        }
    }
}

/// Runs a client with `statements` as its input and returns its output.
fn run(command: Command, statements: &str) -> Result<String> {
    let output = feed(command, statements)?;
    ensure!(
        output.status.success(),
        "{}\nin: {}",
        String::from_utf8_lossy(&output.stderr).trim(),
        shorten(statements)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program with a text as its standard input and collects what it prints.
pub(crate) fn feed(mut command: Command, input: &str) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start the client")?;
    let mut stdin = child.stdin.take().context("no pipe to the client")?;
    let text = input.to_owned();
    // Written from a thread: the client answers while it reads, and both pipes could fill up.
    let writer = std::thread::spawn(move || {
        // A client that failed early closes its end; its error text says why.
        let _ = stdin.write_all(text.as_bytes());
    });
    let output = child.wait_with_output().context("run the client")?;
    let _ = writer.join();
    Ok(output)
}

/// `` `name` `` with backticks doubled.
pub(crate) fn quote_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `'text'` as a string literal.
pub(crate) fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn shorten(statements: &str) -> String {
    const LIMIT: usize = 400;
    let mut short: String = statements.chars().take(LIMIT).collect();
    if short.len() < statements.len() {
        short.push('…');
    }
    short
}

fn unescape(value: &str) -> String {
    if !value.contains('\\') {
        return value.to_owned();
    }
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('0') => plain.push('\0'),
            Some(other) => plain.push(other),
            None => plain.push('\\'),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unescaped() {
        assert_eq!(unescape(r"a\tb\nc\\d\0"), "a\tb\nc\\d\0");
        assert_eq!(unescape("plain"), "plain");
    }

    #[test]
    fn names_and_texts_are_quoted() {
        assert_eq!(quote_name("l#g`x"), "`l#g``x`");
        assert_eq!(quote_text(r"l'g\"), r"'l''g\\'");
    }
}
