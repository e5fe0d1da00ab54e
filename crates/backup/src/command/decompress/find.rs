//! The compressed files below some paths, and the sets they belong to.

use super::found::{Found, LockedSet, original_of};
use crate::command::Problem;
use crate::set::layout::{CLONE_DIR, IN_PROGRESS, MANIFEST};
use crate::set::{BackupSet, Content, is_half_decompressed};
use crate::{Error, Result};
use frame::Algorithm;
use rustix::fs::FlockOperation;
use std::collections::{BTreeSet, HashMap};
use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Everything found.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The files, the largest first: so the last ones to be worked on are short.
    pub files: Vec<Found>,
    /// The sets they belong to.
    pub sets: Vec<LockedSet>,
    /// Deltas of full sets with what describes them, which have no original of their own: set and
    /// path.
    pub beside: Vec<(usize, PathBuf)>,
    pub problems: Vec<Problem>,
    remove: bool,
}

impl Tree {
    /// Looks at every path.
    pub(super) fn find(paths: &[PathBuf], remove: bool) -> Result<Self> {
        let mut tree = Self {
            remove,
            ..Self::default()
        };
        for path in paths {
            let path = &resolved(path)?;
            let within = tree.surroundings(path)?;
            let meta = std::fs::metadata(path).map_err(|e| Error::io("open file", path, e))?;
            if meta.is_dir() {
                tree.walk(path, within)?;
            } else if let Some((original, algorithm)) = original_of(path) {
                tree.add(path.clone(), original, algorithm, &meta, within);
            } else {
                return Err(Error::refused(
                    1105,
                    format!("'{}' is not named as a compressed file", path.display()),
                    "Give directories, or files whose names end in .zstd or .lz4.",
                ));
            }
        }
        tree.lacking();
        tree.settle_duplicates();
        tree.files
            .sort_by(|a, b| (b.length, &a.stored).cmp(&(a.length, &b.stored)));
        Ok(tree)
    }

    pub(super) fn of_file(found: Found) -> Self {
        Self {
            files: vec![found],
            ..Self::default()
        }
    }

    pub(super) fn stored_bytes(&self) -> u64 {
        self.files.iter().map(|found| found.length).sum()
    }

    /// The set that a path is a part of, if it is; refuses to take it away from the set.
    fn surroundings(&mut self, path: &Path) -> Result<Option<usize>> {
        let within = path.ancestors().skip(1).find(|up| is_set(up));
        match within {
            Some(set) if self.remove => Err(Error::refused(
                1105,
                format!(
                    "'{}' belongs to the set '{}'",
                    path.display(),
                    set.display()
                ),
                "Give the directory of the set: its manifest must be changed with its files. Or \
                 leave --remove-original out.",
            )),
            Some(set) => self.open_set(set).map(Some),
            None => Ok(None),
        }
    }

    /// Adds the compressed files below `directory`, which lies in the set `set`.
    fn walk(&mut self, directory: &Path, mut set: Option<usize>) -> Result<()> {
        let marked = directory.join(IN_PROGRESS).symlink_metadata().is_ok();
        if marked && !is_half_decompressed(directory) {
            return Err(Error::NotASet {
                path: directory.to_owned(),
                reason: format!(
                    "it carries {IN_PROGRESS}: a backup or an apply was killed or is still running"
                ),
            });
        }
        if is_set(directory) {
            set = Some(self.open_set(directory)?);
        }
        let read = |e| Error::io("read directory", directory, e);
        for entry in std::fs::read_dir(directory).map_err(read)? {
            let path = entry.map_err(read)?.path();
            let meta = path.symlink_metadata().map_err(read)?;
            if meta.is_dir() {
                // What describes a set is never compressed.
                if !path.ends_with(CLONE_DIR) {
                    self.walk(&path, set)?;
                }
            } else if let Some((original, algorithm)) = original_of(&path) {
                self.add(path, original, algorithm, &meta, set);
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        stored: PathBuf,
        original: PathBuf,
        algorithm: Algorithm,
        meta: &Metadata,
        set: Option<usize>,
    ) {
        if !meta.is_file() {
            self.problem(&stored, "is not a regular file");
            return;
        }
        let listed = set.and_then(|number| Some((number, self.sets.get(number)?.listed(&stored)?)));
        if let Some((number, (file, Some(record)))) = listed
            && record.base() != Some(file)
        {
            self.beside.push((number, stored));
            return;
        }
        let layered = listed.and_then(|(_, (_, record))| record.cloned());
        let listed = listed.map(|(number, (file, _))| (number, file.clone()));
        self.files.push(Found {
            stored,
            original,
            algorithm,
            length: meta.len(),
            listed,
            layered,
            by_hand: false,
        });
    }

    fn open_set(&mut self, root: &Path) -> Result<usize> {
        if let Some(known) = self.sets.iter().position(|set| set.root() == root) {
            return Ok(known);
        }
        let path = root.join(CLONE_DIR);
        let lock = File::open(&path).map_err(|e| Error::io("open directory", &path, e))?;
        if let Err(e) = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            return Err(match e {
                rustix::io::Errno::WOULDBLOCK => Error::refused(
                    1105,
                    format!("another command works on '{}'", root.display()),
                    "Wait for it to end.",
                ),
                e => Error::io("lock directory", &path, e.into()),
            });
        }
        super::describe::finish(root)?;
        let set = BackupSet::open_marked(root)?;
        let number = self.sets.len();
        for record in &set.manifest().files {
            if let Some(meta) = record.meta().filter(|_| record.content == Content::Full) {
                self.beside.push((number, root.join(&meta.name)));
            }
        }
        self.sets.push(LockedSet::new(set, lock));
        Ok(number)
    }

    /// Finds compressed files that sets list and that are not there. What they hold may be, if
    /// somebody has decompressed the set file by file.
    fn lacking(&mut self) {
        let beside = self.beside.iter().map(|(_, path)| &**path);
        let files = self.files.iter().map(|file| &*file.stored);
        let there: BTreeSet<&Path> = files.chain(beside).collect();
        let mut lacking = Vec::new();
        for (number, set) in self.sets.iter().enumerate().filter(|_| self.remove) {
            for stored in set.set.manifest().stored_files() {
                let path = set.root().join(&stored.name);
                if original_of(&path).is_some() && !there.contains(&*path) {
                    lacking.push((number, path));
                }
            }
        }
        for (number, path) in lacking {
            match self.by_hand(number, &path) {
                Ok(true) => {}
                Ok(false) => {
                    self.problem(&path, "is listed by the manifest of its set, and not there");
                }
                Err(detail) => self.problem(&path, &detail),
            }
        }
    }

    /// Adds what somebody has made of a compressed file that is gone; whether there is such.
    fn by_hand(&mut self, number: usize, path: &Path) -> std::result::Result<bool, String> {
        let set = self.sets.get(number);
        let listed = set.and_then(|set| Some((set, set.listed(path)?)));
        let Some((set, (stored, layered))) = listed else {
            return Ok(false);
        };
        let (Some(compressed), Some((original, algorithm))) =
            (stored.compressed, original_of(path))
        else {
            return Ok(false);
        };
        let found = match original.symlink_metadata() {
            Ok(meta) if meta.is_file() => meta.len(),
            _ => return Ok(false),
        };
        let root = set.root();
        let started = ["auto.cnf", "#innodb_temp", "ibtmp1"];
        if started
            .iter()
            .any(|name| root.join(name).symlink_metadata().is_ok())
        {
            return Err("is gone, and a server has been started on the directory".into());
        }
        let is_base = layered.is_some_and(|record| record.base() == Some(stored));
        // The pages beside a file may be in it already.
        let merged = layered
            .filter(|_| is_base)
            .is_some_and(|record| record.length == found);
        if found != compressed.length && !merged {
            return Err(format!(
                "is gone, and '{}' has {found} bytes, not the {} that it held",
                original.display(),
                compressed.length
            ));
        }
        if layered.is_some() && !is_base {
            self.beside.push((number, original));
            return Ok(true);
        }
        let found = Found {
            stored: path.to_owned(),
            original,
            algorithm,
            length: 0,
            listed: Some((number, stored.clone())),
            layered: layered.cloned(),
            by_hand: true,
        };
        self.files.push(found);
        Ok(true)
    }

    /// Takes out files that would become the same file, and files that were named twice.
    fn settle_duplicates(&mut self) {
        let mut seen: HashMap<PathBuf, PathBuf> = HashMap::new();
        let mut doubtful: BTreeSet<PathBuf> = BTreeSet::new();
        let mut files = std::mem::take(&mut self.files);
        files.retain(|file| match seen.get(&file.original) {
            Some(stored) if *stored == file.stored => false,
            Some(_) => {
                doubtful.insert(file.original.clone());
                true
            }
            None => {
                seen.insert(file.original.clone(), file.stored.clone());
                true
            }
        });
        files.retain(|file| {
            let keep = !doubtful.contains(&file.original);
            if !keep {
                self.problem(
                    &file.stored,
                    "another compressed file has the same original",
                );
            }
            keep
        });
        self.files = files;
    }

    fn problem(&mut self, path: &Path, detail: &str) {
        self.problems.push(Problem {
            path: path.display().to_string(),
            detail: detail.to_owned(),
        });
    }
}

/// The path as its directory is really called, so that two spellings of it are one; the last part
/// is kept as it is given.
fn resolved(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|e| {
        let action = match e.kind() {
            ErrorKind::NotFound => "open file",
            _ => "resolve path",
        };
        Error::io(action, path, e)
    })
}

/// Whether somebody has decompressed a set file by file, or this has begun to be made good: it
/// lists compressed files, and there are none.
pub(super) fn is_by_hand(root: &Path) -> bool {
    let Ok(set) = BackupSet::open_marked(root) else {
        return super::describe::is_unfinished(root) && !has_compressed(root);
    };
    let mut stored = set.manifest().stored_files();
    let listed = stored.any(|stored| stored.compressed.is_some());
    (listed || is_half_decompressed(root)) && !has_compressed(root)
}

/// Whether there are compressed files below a directory.
fn has_compressed(directory: &Path) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        let is_dir = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        if is_dir {
            has_compressed(&path)
        } else {
            original_of(&path).is_some()
        }
    })
}

fn is_set(directory: &Path) -> bool {
    directory.join(MANIFEST).symlink_metadata().is_ok() || super::describe::is_unfinished(directory)
}
