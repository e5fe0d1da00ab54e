//! The manifest of a set whose files are plain from now on.
//!
//! It is the same set: same identity, same files of the server, same place in its chain. Only what
//! is stored for the files has other names, sizes and digests, and these are of bytes that were
//! decompressed from files that fitted their old digests.
//!
//! A manifest has two companions, and no file system replaces three files at once. So the three are
//! made ready in a directory of their own; once that has its final name, which is one step, they
//! are the set's, and moving them to their places is finished by whoever comes next. So is the
//! removal of what the new one does not list any more, which cannot be told from it: pages that
//! stood beside a file are in it now.

use super::find::Tree;
use super::found::LockedSet;
use super::work::Work;
use crate::io::{fsync_dir, fsync_file, read_bounded, remove_file, rename, write_new};
use crate::set::layout::{
    CHUNK_VALUES, CLONE_DIR, DECOMPRESSING, IN_PROGRESS, MANIFEST, MANIFEST_DIGEST, is_safe,
};
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

/// Where the mark is made.
const MARKING: &str = "#clone/#decompress_mark";

/// The list of files that are no longer of the set, beside them.
const REMOVE: &str = "remove.json";
/// Larger lists are not read: 1 KiB for each of a million files.
const LIST_LIMIT: u64 = 1 << 30;

/// The manifest and its companions; the manifest last, for it makes the others count.
const DESCRIPTION: [&str; 3] = [CHUNK_VALUES, MANIFEST_DIGEST, MANIFEST];

/// Whether a directory has a new description that is not yet in its place.
pub(super) fn is_unfinished(root: &Path) -> bool {
    root.join(READY).symlink_metadata().is_ok()
}

/// Finishes what a killed run had begun. Returns how many files of the old set were removed.
pub(super) fn finish(root: &Path) -> Result<u64> {
    let mut removed = 0;
    let ready = root.join(READY);
    if is_unfinished(root) {
        for name in DESCRIPTION {
            let from = ready.join(base(name));
            if from.symlink_metadata().is_ok() {
                rename(&from, &root.join(name))?;
            }
        }
        fsync_dir(&root.join(CLONE_DIR))?;
        let list = ready.join(REMOVE);
        if list.symlink_metadata().is_ok() {
            removed = remove_listed(root, &list)?;
        }
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
    fsync_dir(&root.join(CLONE_DIR))?;
    Ok(removed)
}

/// Gives the set a manifest of plain files, and removes the compressed ones. Everything it lists
/// must have been decompressed. Returns how many files were removed; `None` when there was nothing
/// to do.
pub(super) fn rewrite(set: &LockedSet, work: &Work<'_>, tree: &Tree) -> Result<Option<u64>> {
    let set = &set.set;
    let root = set.path();
    let mut manifest = set.manifest().clone();
    let mut values = Vec::new();
    let mut changed = false;
    for file in &mut manifest.files {
        let base = file.base().map(|base| root.join(&base.name));
        if file.stored.len() > 1 && base.is_some_and(|base| work.plain(&base, |_| {})) {
            // Its pages are in the file now.
            file.stored.truncate(1);
            file.pages = 0;
        }
    }
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
        return Ok(None);
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
    let gone = serde_json::to_vec(&gone(set, tree)).map_err(|e| Error::damaged(&path, e))?;
    for (name, like, bytes) in [
        (base(CHUNK_VALUES), CHUNK_VALUES, &*values),
        (base(MANIFEST_DIGEST), MANIFEST_DIGEST, line.as_bytes()),
        (base(MANIFEST), MANIFEST, &bytes),
        (REMOVE, MANIFEST, &gone),
    ] {
        let path = making.join(name);
        write_new(&path, bytes)?;
        let file = File::open(&path).map_err(|e| Error::io("open file", &path, e))?;
        keep_owner(&root.join(like), &file, &path)?;
        fsync_file(&file, &path)?;
    }
    fsync_dir(&making)?;
    rename(&making, &root.join(READY))?;
    fsync_dir(&root.join(CLONE_DIR))?;
    finish(root).map(Some)
}

/// The compressed files that the set lists, and what stands beside them, by their names in the set.
fn gone<'t>(set: &BackupSet, tree: &'t Tree) -> Vec<&'t str> {
    let listed = tree.files.iter().filter(|found| found.listed.is_some());
    let listed = listed.map(|found| found.stored.as_path());
    let beside = tree.beside.iter().map(|(_, path)| path.as_path());
    let names = listed
        .chain(beside)
        .filter_map(|path| path.strip_prefix(set.path()).ok()?.to_str());
    names.collect()
}

/// Marks the set as half decompressed: neither mysqld nor any command of ours takes it.
pub(super) fn mark(set: &LockedSet) -> Result<()> {
    let root = set.root();
    // An empty mark would be that of an unfinished backup.
    let path = root.join(MARKING);
    remove_file(&path)?;
    write_new(&path, DECOMPRESSING)?;
    let file = File::open(&path).map_err(|e| Error::io("open file", &path, e))?;
    keep_owner(&root.join(MANIFEST), &file, &path)?;
    fsync_file(&file, &path)?;
    rename(&path, &root.join(IN_PROGRESS))?;
    fsync_dir(&root.join(CLONE_DIR))
}

/// Removes the mark, if there is one: the set is what its manifest says.
pub(super) fn unmark(set: &LockedSet) -> Result<()> {
    remove_file(&set.root().join(IN_PROGRESS))?;
    fsync_dir(&set.root().join(CLONE_DIR))
}

/// Removes what the set does not list any more. Returns how many files.
fn remove_listed(root: &Path, list: &Path) -> Result<u64> {
    let names = read_bounded(list, LIST_LIMIT)?;
    let names: Vec<String> = serde_json::from_slice(&names).map_err(|e| Error::damaged(list, e))?;
    if let Some(name) = names.iter().find(|name| !is_safe(name)) {
        return Err(Error::damaged(list, format!("unsafe name {name:?}")));
    }
    let mut directories = BTreeSet::new();
    let mut removed = 0;
    for path in names.iter().map(|name| root.join(name)) {
        removed += u64::from(path.symlink_metadata().is_ok());
        remove_file(&path)?;
        directories.insert(super::parent(&path).to_owned());
    }
    directories.iter().try_for_each(|path| fsync_dir(path))?;
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
