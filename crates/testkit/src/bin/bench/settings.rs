//! What the caller wants.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use innoclone_testkit::Result;

/// From environment and arguments.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Data in MiB.
    pub(crate) megabytes: u64,
    /// Rounds of each contest.
    pub(crate) runs: usize,
    /// Empty the page cache before each run.
    pub(crate) cold: bool,
    /// What is measured; all where it is empty.
    only: Vec<Part>,
    /// Where everything is put.
    pub(crate) base: PathBuf,
    /// Where the results are written.
    pub(crate) json: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn take() -> Result<Self> {
        let settings = Self {
            megabytes: from_environment("BENCH_MB")?.unwrap_or(1024),
            runs: from_environment("BENCH_RUNS")?.unwrap_or(3),
            cold: from_environment::<u8>("BENCH_COLD")?.unwrap_or(0) != 0,
            only: parts(&from_environment::<String>("BENCH_ONLY")?.unwrap_or_default())?,
            base: from_environment("BENCH_DIR")?.unwrap_or_else(std::env::temp_dir),
            json: from_arguments(std::env::args().skip(1))?.or(from_environment("BENCH_JSON")?),
        };
        ensure!(settings.runs > 0, "BENCH_RUNS must be at least 1");
        ensure!(settings.megabytes >= 16, "BENCH_MB must be at least 16");
        Ok(settings)
    }

    /// Whether any of some parts is to be measured.
    pub(crate) fn wants(&self, any: &[Part]) -> bool {
        self.only.is_empty() || any.iter().any(|part| self.only.contains(part))
    }
}

/// A part of the bench that can be run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Full backups of an idle server.
    Full,
    /// Full backups under load.
    Load,
    /// Compressed full backups and their restores.
    Compressed,
    /// Increments.
    Increment,
    /// Restores of a chain.
    Restore,
    /// Replay of binary logs.
    Replay,
    /// Full backups over the network.
    Network,
    /// Clones from what innoclone serves.
    Provisioning,
    /// Increments over the network.
    Remote,
    /// Memory at double size.
    Memory,
}

const PARTS: [(&str, Part); 10] = [
    ("full", Part::Full),
    ("load", Part::Load),
    ("compressed", Part::Compressed),
    ("increment", Part::Increment),
    ("restore", Part::Restore),
    ("replay", Part::Replay),
    ("network", Part::Network),
    ("provisioning", Part::Provisioning),
    ("remote", Part::Remote),
    ("memory", Part::Memory),
];

fn parts(list: &str) -> Result<Vec<Part>> {
    let names = list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let part = |name: &str| {
        let found = PARTS.iter().find(|(known, _)| *known == name);
        let known = PARTS.map(|(known, _)| known).join(", ");
        let part = found.map(|(_, part)| *part);
        part.with_context(|| format!("BENCH_ONLY: no part is called {name:?}; there are {known}"))
    };
    names.map(part).collect()
}

fn from_environment<T: FromStr>(name: &str) -> Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => {
            let value = text.parse().with_context(|| format!("{name}={text}"))?;
            Ok(Some(value))
        }
        _ => Ok(None),
    }
}

fn from_arguments(mut args: impl Iterator<Item = String>) -> Result<Option<PathBuf>> {
    let mut file = None;
    while let Some(arg) = args.next() {
        match arg.split_once('=') {
            Some(("--json", path)) => file = Some(PathBuf::from(path)),
            None if arg == "--json" => {
                file = Some(PathBuf::from(args.next().context("--json wants a file")?));
            }
            _ => bail!("unknown argument {arg}; there is only --json FILE"),
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_known_by_name() {
        assert_eq!(parts("").unwrap(), []);
        let some = parts("compressed, full").unwrap();
        assert_eq!(some, [Part::Compressed, Part::Full]);
        assert!(parts("ful").unwrap_err().to_string().contains("memory"));
    }
}
