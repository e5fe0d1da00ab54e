//! The files of an archive.

use super::name::LogName;
use super::packed;
use super::state::State;
use crate::io::{create_dir_all, fsync_dir, remove_file};
use crate::{Error, Result};
use rustix::fs::FlockOperation;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How a log is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As the server's file is.
    Plain,
    /// Compressed, `NAME.zstd`.
    Zstd,
    /// Not whole yet, `NAME.part`: as the server's file is, up to some event.
    Part,
}

/// A binary log in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedLog {
    /// The server's name of it.
    pub name: LogName,
    /// Where it is.
    pub path: PathBuf,
    /// How it is stored.
    pub storage: Storage,
}

impl ArchivedLog {
    /// What a file holds by its name; `None` if that is no binary log's.
    pub(crate) fn stored_as(path: &Path) -> Option<Self> {
        let stored = path.file_name()?.to_str()?;
        let (name, storage) = if let Some(name) = stored.strip_suffix(PART) {
            (name, Storage::Part)
        } else if let Some(name) = stored.strip_suffix(ZSTD) {
            (name, Storage::Zstd)
        } else {
            (stored, Storage::Plain)
        };
        Some(Self {
            name: name.parse().ok()?,
            path: path.to_owned(),
            storage,
        })
    }

    /// Of a part: the finished log, if it is there by now.
    pub(crate) fn finished(&self) -> Result<Option<Self>> {
        if self.storage != Storage::Part {
            return Ok(None);
        }
        for (suffix, storage) in [("", Storage::Plain), (ZSTD, Storage::Zstd)] {
            let path = self.path.with_file_name(format!("{}{suffix}", self.name));
            let there = path.try_exists();
            if there.map_err(|e| Error::io("open file", &path, e))? {
                return Ok(Some(Self {
                    name: self.name.clone(),
                    path,
                    storage,
                }));
            }
        }
        Ok(None)
    }

    /// The log's bytes, as the server has them, from front to end.
    ///
    /// # Errors
    /// When the file cannot be opened. What is damaged in a compressed one is an error of the read.
    pub fn open(&self) -> Result<Box<dyn Read + Send>> {
        let file = File::open(&self.path).map_err(|e| Error::io("open file", &self.path, e))?;
        Ok(match self.storage {
            Storage::Plain | Storage::Part => Box::new(file),
            Storage::Zstd => Box::new(packed::Reader::new(file, &self.path)?),
        })
    }
}

/// Behind the name of a log that is not whole.
pub(super) const PART: &str = ".part";
/// Behind the name of a log that is compressed.
pub(super) const ZSTD: &str = ".zstd";
/// Behind the name of a compressed log that is not whole.
pub(super) const UNFINISHED: &str = ".zstd.tmp";

/// The logs in an archive, in their order. May be asked for while an archiver works there.
///
/// # Errors
/// When the directory is no archive; when a log is missing between two others, or logs have
/// different base names.
pub fn list(directory: &Path) -> Result<Vec<ArchivedLog>> {
    if State::read(directory)?.is_none() {
        return Err(Error::refused(
            1105,
            format!("'{}' is no archive of binary logs", directory.display()),
            "Name a directory that 'innoclone binlog archive' has made.",
        ));
    }
    logs(directory)
}

/// The same, of a directory that is known to be one.
fn logs(directory: &Path) -> Result<Vec<ArchivedLog>> {
    let found = stored_in(directory)?;
    for pair in found.windows(2) {
        if let [one, other] = pair {
            if one.name.next() != other.name {
                let detail = format!("{} is not followed by {}", one.name, other.name);
                return Err(Error::damaged(directory, detail));
            }
            if one.storage == Storage::Part {
                return Err(Error::damaged(&one.path, "it is not the last log"));
            }
        }
    }
    Ok(found)
}

/// The binary logs in any directory, in their order, by the rules of an archive: how they are named,
/// and that a finished one counts and not its part. Whether some are missing is not checked.
pub(crate) fn stored_in(directory: &Path) -> Result<Vec<ArchivedLog>> {
    // A file that is renamed while a directory is read may be missed under both its names.
    let mut all = names(directory)?;
    all.extend(names(directory)?);
    let mut found: Vec<ArchivedLog> = all
        .iter()
        .filter_map(|name| ArchivedLog::stored_as(&directory.join(name)))
        .collect();
    // Of a log that was just finished the part may still be there: the finished one counts.
    let rank = |log: &ArchivedLog| match log.storage {
        Storage::Plain => 0,
        Storage::Zstd => 1,
        Storage::Part => 2,
    };
    found.sort_by(|a, b| a.name.cmp(&b.name).then(rank(a).cmp(&rank(b))));
    found.dedup_by(|later, first| {
        later.name == first.name && (later.storage == Storage::Part || later == first)
    });
    Ok(found)
}

/// The uuid of the server whose archive a directory is; `None` if it is no archive.
pub(crate) fn server_of(directory: &Path) -> Result<Option<String>> {
    Ok(State::read(directory)?.map(|state| state.server_uuid))
}

fn names(directory: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::io("read directory", directory, e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        // No file of ours has a name that is no text.
        if let Ok(name) = entry.map_err(failed)?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

/// An archive that this process alone may change.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) state: State,
    /// Its logs, in their order.
    pub(super) logs: Vec<ArchivedLog>,
    /// Released when dropped, however we die.
    _lock: File,
}

impl Directory {
    /// Opens the archive of this server, or begins one in a directory that is empty or missing.
    pub(super) fn open(path: &Path, server_uuid: &str, server_version: &str) -> Result<Self> {
        create_dir_all(path)?;
        let lock = File::open(path).map_err(|e| Error::io("open directory", path, e))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(Error::refused(
                    1105,
                    format!("another process archives into '{}'", path.display()),
                    "There can be one archiver for a directory. Wait for it to end, or end it.",
                ));
            }
            Err(e) => return Err(Error::io("lock directory", path, e.into())),
        }
        let state = match State::read(path)? {
            Some(state) => state,
            None => begin(path, server_uuid, server_version)?,
        };
        check_server(path, &state, server_uuid)?;
        clean(path)?;
        Ok(Self {
            logs: logs(path)?,
            path: path.to_owned(),
            state,
            _lock: lock,
        })
    }
}

/// Fails if the archive is one of another server.
pub(super) fn check_server(path: &Path, state: &State, server_uuid: &str) -> Result<()> {
    if state.server_uuid == server_uuid {
        return Ok(());
    }
    Err(Error::refused(
        1105,
        format!(
            "'{}' is the archive of the server {}, and this is the server {server_uuid}",
            path.display(),
            state.server_uuid
        ),
        "Archive every server into a directory of its own.",
    ))
}

fn begin(path: &Path, server_uuid: &str, server_version: &str) -> Result<State> {
    let ours = |name: &String| State::is_name(name) || name == "lost+found";
    if !names(path)?.iter().all(ours) {
        return Err(Error::refused(
            1007,
            format!(
                "'{}' is no archive of binary logs, and not empty",
                path.display()
            ),
            "Name an archive of this server, or a directory that does not exist or is empty.",
        ));
    }
    let state = State::new(server_uuid, server_version)?;
    state.write(path)?;
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        fsync_dir(parent)?;
    }
    Ok(state)
}

/// Removes what a killed run left: unfinished compressed logs, and parts of finished ones.
fn clean(path: &Path) -> Result<()> {
    let names = names(path)?;
    for name in &names {
        let whole = |base: &str| {
            let stored = format!("{base}{ZSTD}");
            base.parse::<LogName>().is_ok() && names.contains(&stored)
        };
        let left = name.strip_suffix(UNFINISHED);
        if State::is_unfinished(name)
            || left.is_some_and(|base| base.parse::<LogName>().is_ok())
            || name.strip_suffix(PART).is_some_and(whole)
        {
            remove_file(&path.join(name))?;
        }
    }
    fsync_dir(path)
}
