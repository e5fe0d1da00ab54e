//! The manifest of a set whose files are plain from now on.
//!
//! It is the same set: same identity, same files of the server, same place in its chain. Only what
//! is stored for the files has other names, sizes and digests, and these are of bytes that were
//! decompressed from files that fitted their old digests.
//!
//! A manifest has two companions, and no file system replaces three files at once. So the three are
//! made ready in a directory of their own; once that has its final name, which is one step, they
//! are the set's, and moving them to their places is finished by whoever comes next.

use super::find::{Found, LockedSet};
use super::work::Work;
use crate::io::{fsync_dir, fsync_file, remove_file, rename, write_new};
use crate::set::layout::{CHUNK_VALUES, CLONE_DIR, MANIFEST, MANIFEST_DIGEST};
use crate::set::{BackupSet, StoredFile};
use crate::{Error, Result};
use frame::Algorithm;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

/// Where the three are made ready.
const MAKING: &str = "#clone/#decompress_making";
/// Where they are ready.
const READY: &str = "#clone/#decompress_ready";

/// The manifest and its companions; the manifest last, for it makes the others count.
const DESCRIPTION: [&str; 3] = [CHUNK_VALUES, MANIFEST_DIGEST, MANIFEST];

/// Whether a directory has a new description that is not yet in its place.
pub(super) fn is_unfinished(root: &Path) -> bool {
    root.join(READY).symlink_metadata().is_ok()
}

/// Finishes what a killed run had begun.
pub(super) fn finish(root: &Path) -> Result<()> {
    let ready = root.join(READY);
    if is_unfinished(root) {
        for name in DESCRIPTION {
            let from = ready.join(base(name));
            if from.symlink_metadata().is_ok() {
                rename(&from, &root.join(name))?;
            }
        }
        fsync_dir(&root.join(CLONE_DIR))?;
    }
    for name in [MAKING, READY] {
        let directory = root.join(name);
        match std::fs::remove_dir_all(&directory) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(Error::io("remove directory", &directory, e));
            }
            _ => {}
        }
    }
    fsync_dir(&root.join(CLONE_DIR))
}

/// Gives the set a manifest of plain files. Everything it lists must have been decompressed. Whether
/// there was anything to do.
pub(super) fn rewrite(set: &LockedSet, work: &Work<'_>) -> Result<bool> {
    let set = &set.set;
    let root = set.path();
    let mut manifest = set.manifest().clone();
    let mut values = Vec::new();
    let mut changed = false;
    let stored = manifest.files.iter_mut().flat_map(|file| &mut file.stored);
    for stored in stored.chain(&mut manifest.own_files) {
        let path = root.join(&stored.name);
        let known = work.plain(&path, |plain| {
            values.extend_from_slice(&plain.values);
            stored.size = plain.length;
            stored.blake3 = blake3::Hash::from_bytes(plain.digest).to_hex().to_string();
        });
        if !known {
            values.extend(values_of(set, stored)?);
            continue;
        }
        changed = true;
        if let Some((plain, _)) = Algorithm::of_name(&stored.name) {
            stored.name = plain.to_owned();
        }
        stored.compressed = None;
    }
    manifest.format = manifest.format_needed();
    if !changed {
        return Ok(false);
    }
    concat!("innoclone ", env!("CARGO_PKG_VERSION"), " (decompress)")
        .clone_into(&mut manifest.made_by);
    let path = root.join(MANIFEST);
    let bytes = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::damaged(&path, e))?;
    // What could not be opened again must not replace what can.
    crate::set::Manifest::parse(&path, &bytes)?;
    let making = root.join(MAKING);
    std::fs::create_dir(&making).map_err(|e| Error::io("create directory", &making, e))?;
    let line = crate::set::digest_line(&bytes);
    for (name, bytes) in [
        (CHUNK_VALUES, &*values),
        (MANIFEST_DIGEST, line.as_bytes()),
        (MANIFEST, &bytes),
    ] {
        let path = making.join(base(name));
        write_new(&path, bytes)?;
        let file = File::open(&path).map_err(|e| Error::io("open file", &path, e))?;
        keep_owner(&root.join(name), &file, &path)?;
        fsync_file(&file, &path)?;
    }
    fsync_dir(&making)?;
    rename(&making, &root.join(READY))?;
    fsync_dir(&root.join(CLONE_DIR))?;
    finish(root)?;
    Ok(true)
}

/// Removes the compressed files that the set listed. Returns how many.
pub(super) fn remove_compressed(set: &LockedSet, files: &[Found]) -> Result<u64> {
    let mut directories = BTreeSet::new();
    let mut removed = 0;
    let listed = files.iter().filter(|found| found.listed.is_some());
    for found in listed.filter(|found| found.stored.starts_with(set.root())) {
        remove_file(&found.stored)?;
        directories.insert(super::parent(&found.stored));
        removed += 1;
    }
    directories.into_iter().try_for_each(fsync_dir)?;
    Ok(removed)
}

/// The chunk values of a file that stays what it is.
fn values_of(set: &BackupSet, stored: &StoredFile) -> Result<Vec<u8>> {
    let values = set.chunk_values(stored)?;
    let values = values.complete().ok_or_else(|| {
        let path = set.path().join(CHUNK_VALUES);
        Error::damaged(&path, format!("nothing for '{}'", stored.name))
    })?;
    Ok(values.concat())
}

fn keep_owner(like: &Path, file: &File, path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = std::fs::metadata(like).map_err(|e| Error::io("open file", like, e))?;
    match std::os::unix::fs::fchown(file, Some(meta.uid()), Some(meta.gid())) {
        Err(e) if e.kind() != ErrorKind::PermissionDenied => {
            Err(Error::io("change owner of", path, e))
        }
        _ => Ok(()),
    }
}

fn base(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, base)| base)
}
