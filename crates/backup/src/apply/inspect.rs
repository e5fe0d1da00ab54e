//! Is this a data directory that an increment may be applied to?
//!
//! It must be what our backup made, file by file, and nobody may have used it: a server that was
//! started on it has recovered it, and pages of an increment put over that would be a mixture of
//! two histories.

use super::journal::APPLY_DIR;
use crate::files::FileKind;
use crate::io::{CHUNK, lock_holder};
use crate::set::layout::{
    CHUNK_VALUES, CLONE_DIR, IN_PROGRESS, MANIFEST, MANIFEST_DIGEST, REDO_DIR,
};
use crate::set::{BackupSet, Manifest, SetKind, StoredFile};
use crate::{Error, Job, Result};
use rustix::fs::FlockOperation;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Keeps other applies away from a data directory. Released when dropped, however we die.
#[derive(Debug)]
pub(super) struct Lock {
    _directory: File,
}

impl Lock {
    pub(super) fn take(datadir: &Path) -> Result<Self> {
        let path = datadir.join(CLONE_DIR);
        let directory = File::open(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::NotASet {
                path: datadir.to_owned(),
                reason: format!("there is no {MANIFEST}"),
            },
            _ => Error::io("open directory", &path, e),
        })?;
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self {
                _directory: directory,
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::refused(
                1105,
                format!("another apply works on '{}'", datadir.display()),
                "Wait for it to end.",
            )),
            Err(e) => Err(Error::io("lock directory", &path, e.into())),
        }
    }
}

/// The two directories, resolved, which may be the same; fails when one lies in the other.
pub(super) fn resolve(datadir: &Path, increment: &Path) -> Result<(PathBuf, PathBuf)> {
    let resolve = |path: &Path| {
        path.canonicalize()
            .map_err(|e| Error::io("open directory", path, e))
    };
    let (datadir, increment) = (resolve(datadir)?, resolve(increment)?);
    if datadir != increment && (datadir.starts_with(&increment) || increment.starts_with(&datadir))
    {
        return Err(Error::refused(
            1105,
            format!(
                "'{}' and '{}' lie one in the other",
                datadir.display(),
                increment.display()
            ),
            "Copy the increment to a directory beside the data directory.",
        ));
    }
    Ok((datadir, increment))
}

/// Fails when the directory holds compressed files.
pub(super) fn check_decompressed(directory: &Path) -> Result<()> {
    walk(directory, "", &mut |entry| {
        check_suffix(directory, &entry.name)?;
        Ok(true)
    })
}

/// Fails when a set is compressed by its manifest.
pub(super) fn check_stored_plain(set: &BackupSet) -> Result<()> {
    let mut stored = set.manifest().stored_files();
    stored.try_for_each(|stored| check_suffix(set.path(), &stored.name))
}

fn check_suffix(directory: &Path, name: &str) -> Result<()> {
    if !is_compressed(name) {
        return Ok(());
    }
    Err(Error::refused(
        1105,
        format!("'{}' is compressed: it holds '{name}'", directory.display()),
        "Decompress the copy first, with 'innoclone decompress --remove-original'.",
    ))
}

fn is_compressed(name: &str) -> bool {
    [".zstd", ".lz4"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
}

/// Fails unless `base` is a full set on which nobody has worked, and nobody works.
pub(super) fn check_untouched(base: &BackupSet, increment: &Manifest, job: &Job) -> Result<()> {
    if base.manifest().kind != SetKind::Full {
        return Err(Error::refused(
            1105,
            format!("'{}' is an increment", base.path().display()),
            "The data directory must be a copy of a full backup.",
        ));
    }
    check_stopped(base)?;
    let found = check_names(base, increment)?;
    for stored in base.manifest().stored_files() {
        job.check()?;
        let Some(size) = found.get(&stored.name) else {
            return Err(missing(base, &stored.name));
        };
        if *size != stored.size {
            return Err(changed(
                base,
                &format!("'{}' has {size} bytes, not {}", stored.name, stored.size),
            ));
        }
    }
    for stored in telling_files(base.manifest()) {
        let mut file = base.open_stored(stored)?;
        let mut start = vec![0; stored.size.min(CHUNK as u64) as usize];
        // What was read must be what was backed up: a server writes to all of these on its start.
        match file.read_at(0, &mut start) {
            Err(Error::Damaged { .. }) => {
                let what = format!("'{}' is not what it was", stored.name);
                return Err(changed(base, &what));
            }
            other => other?,
        }
    }
    Ok(())
}

/// Fails when a process holds a lock on one of the files that mysqld locks.
fn check_stopped(base: &BackupSet) -> Result<()> {
    for record in &base.manifest().files {
        if record.kind == FileKind::Plain {
            continue;
        }
        let path = base.path().join(&record.name);
        if path.exists()
            && let Some(pid) = lock_holder(&path)?
        {
            return Err(Error::refused(
                1105,
                format!(
                    "'{}' is in use: process {pid} holds '{}'",
                    base.path().display(),
                    record.name
                ),
                "An increment is applied to a copy of a full backup before any server is started \
                 on it.",
            ));
        }
    }
    Ok(())
}

/// Files that no server leaves as they are.
fn telling_files(manifest: &Manifest) -> impl Iterator<Item = &StoredFile> {
    let files = manifest.files.iter();
    let files = files.filter(|file| matches!(file.kind, FileKind::System | FileKind::Redo));
    files
        .flat_map(|file| &file.stored)
        .chain(&manifest.own_files)
}

/// Compares the names in the directory with those of the manifest. Returns the size of every
/// regular file.
fn check_names(base: &BackupSet, increment: &Manifest) -> Result<HashMap<String, u64>> {
    let root = base.path();
    let device = |path: &Path| {
        path.symlink_metadata()
            .map(|meta| meta.dev())
            .map_err(|e| Error::io("open directory", path, e))
    };
    let own = device(root)?;
    let known: HashSet<&str> = base
        .manifest()
        .stored_files()
        .map(|stored| stored.name.as_str())
        .chain([MANIFEST, MANIFEST_DIGEST, CHUNK_VALUES])
        .collect();
    let wanted: HashSet<&str> = increment.files.iter().map(|f| f.name.as_str()).collect();
    let wanted_directories: HashSet<&str> =
        increment.directories.iter().map(String::as_str).collect();
    let mut found = HashMap::new();
    walk(root, "", &mut |entry| {
        let name = entry.name.as_str();
        if entry.is_dir {
            if name == APPLY_DIR || name == "lost+found" {
                return Ok(false);
            }
            if is_of_server(name) {
                return Err(changed(base, &format!("there is '{name}'")));
            }
            if wanted.contains(name) {
                return Err(foreign(base, name));
            }
            if device(&root.join(name))? != own {
                return Err(foreign(base, name));
            }
            return Ok(true);
        }
        if known.contains(name) {
            if !entry.is_file {
                return Err(foreign(base, name));
            }
            found.insert(entry.name, entry.size);
            return Ok(false);
        }
        if is_of_server(name) {
            return Err(changed(base, &format!("there is '{name}'")));
        }
        // A my.cnf or a log is none of our business, as long as it is not in the way.
        if is_data(name) || wanted.contains(name) || wanted_directories.contains(name) {
            return Err(foreign(base, name));
        }
        Ok(false)
    })?;
    Ok(found)
}

/// Whether mysqld makes a file or directory of this name when it is started.
fn is_of_server(name: &str) -> bool {
    let base = name.rsplit_once('/').map_or(name, |(_, base)| base);
    let in_redo = name
        .strip_prefix(REDO_DIR)
        .is_some_and(|rest| rest.starts_with('/'));
    let names = [
        "auto.cnf",
        "ibtmp1",
        "#innodb_temp",
        "#ib_archive",
        "mysql_upgrade_history",
        "#status_recovery",
    ];
    in_redo
        || names.contains(&base)
        || (base.starts_with("#ib_") && base.ends_with("dblwr"))
        || (base.starts_with("undo_") && base.ends_with("_trunc.log"))
}

/// Whether a file of this name would be taken for data by a server, or by us.
fn is_data(name: &str) -> bool {
    let base = name.rsplit_once('/').map_or(name, |(_, base)| base);
    let suffixes = [".ibd", ".ibu", ".delta", ".meta", ".zstd", ".lz4"];
    suffixes.iter().any(|suffix| base.ends_with(suffix))
        || base.starts_with("ibdata")
        || (base.starts_with("undo_") && !base.contains('.'))
        || (name.starts_with(CLONE_DIR) && name != IN_PROGRESS)
}

fn changed(base: &BackupSet, what: &str) -> Error {
    Error::refused(
        1105,
        format!(
            "'{}' is not an untouched copy of a full backup: {what}",
            base.path().display()
        ),
        "A server that is started on a copy recovers it, and no increment fits any more. Copy the \
         full backup again, and apply all increments before the first start.",
    )
}

fn missing(base: &BackupSet, name: &str) -> Error {
    Error::refused(
        1105,
        format!("'{}' lacks '{name}'", base.path().display()),
        "Copy the full backup again, as a whole.",
    )
}

fn foreign(base: &BackupSet, name: &str) -> Error {
    Error::refused(
        1105,
        format!(
            "'{}' has '{name}', which is not of the full backup",
            base.path().display()
        ),
        "Give a directory that holds a copy of a full backup and nothing else.",
    )
}

struct Entry {
    name: String,
    is_dir: bool,
    is_file: bool,
    size: u64,
}

/// Visits everything below `root`, links not followed; `visit` says whether to go into a directory.
fn walk(root: &Path, prefix: &str, visit: &mut dyn FnMut(Entry) -> Result<bool>) -> Result<()> {
    let directory = root.join(prefix);
    let read = |e| Error::io("read directory", &directory, e);
    for entry in std::fs::read_dir(&directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        let base = entry.file_name();
        let name = match (base.to_str(), prefix) {
            // Our names are UTF-8: this one is not of a set.
            (None, _) => continue,
            (Some(base), "") => base.to_owned(),
            (Some(base), _) => format!("{prefix}/{base}"),
        };
        let meta = entry.path().symlink_metadata().map_err(read)?;
        let inside = visit(Entry {
            name: name.clone(),
            is_dir: meta.is_dir(),
            is_file: meta.is_file(),
            size: meta.len(),
        })?;
        if inside && meta.is_dir() {
            walk(root, &name, visit)?;
        }
    }
    Ok(())
}
