//! The compressed files below some paths, and the sets they belong to.

use crate::command::Problem;
use crate::set::layout::{CLONE_DIR, IN_PROGRESS, MANIFEST};
use crate::set::{BackupSet, Content, FileRecord, StoredFile, is_half_decompressed};
use crate::{Error, Result};
use frame::Algorithm;
use rustix::fs::FlockOperation;
use std::collections::{BTreeSet, HashMap};
use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A compressed file.
#[derive(Debug)]
pub(super) struct Found {
    /// The compressed file.
    pub stored: PathBuf,
    /// What it is going to be.
    pub original: PathBuf,
    pub algorithm: Algorithm,
    /// Bytes of the compressed file.
    pub length: u64,
    /// The set that lists it, in [`Tree::sets`], and the record there.
    pub listed: Option<(usize, StoredFile)>,
    /// The file of the set that has pages beside this one: they become one file.
    pub layered: Option<FileRecord>,
}

impl Found {
    /// A compressed file of any name.
    pub(super) fn file(from: &Path, to: &Path, algorithm: Algorithm) -> Result<Self> {
        let meta = std::fs::metadata(from).map_err(|e| Error::io("open file", from, e))?;
        Ok(Self {
            stored: from.to_owned(),
            original: to.to_owned(),
            algorithm,
            length: meta.len(),
            listed: None,
            layered: None,
        })
    }
}

/// A set with compressed files. Locked against other work on it.
#[derive(Debug)]
pub(super) struct LockedSet {
    pub set: BackupSet,
    places: HashMap<String, (Option<usize>, usize)>,
    _lock: File,
}

impl LockedSet {
    pub(super) fn root(&self) -> &Path {
        self.set.path()
    }

    /// The name that the set has for a path.
    fn name_of<'p>(&self, path: &'p Path) -> Option<&'p str> {
        path.strip_prefix(self.root()).ok()?.to_str()
    }

    /// What is stored under a path, and, if that has to do with a file that has pages beside it,
    /// the file.
    fn listed(&self, path: &Path) -> Option<(&StoredFile, Option<&FileRecord>)> {
        let (file, number) = *self.places.get(self.name_of(path)?)?;
        let manifest = self.set.manifest();
        let Some(file) = file else {
            return Some((manifest.own_files.get(number)?, None));
        };
        let record = manifest.files.get(file)?;
        let layered = record.content == Content::Full && record.stored.len() > 1;
        Some((record.stored.get(number)?, layered.then_some(record)))
    }
}

/// Where the manifest has each stored file: the number of the file, none for the set's own, and
/// the number in it.
fn places_of(set: &BackupSet) -> HashMap<String, (Option<usize>, usize)> {
    let manifest = set.manifest();
    let files = manifest.files.iter().enumerate();
    let of_files = files.flat_map(|(file, record)| {
        let stored = record.stored.iter().enumerate();
        stored.map(move |(number, stored)| (stored.name.clone(), (Some(file), number)))
    });
    let own = manifest.own_files.iter().enumerate();
    let own = own.map(|(number, stored)| (stored.name.clone(), (None, number)));
    of_files.chain(own).collect()
}

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
        self.sets.push(LockedSet {
            places: places_of(&set),
            set,
            _lock: lock,
        });
        Ok(number)
    }

    /// Finds compressed files that sets list and that are not there.
    fn lacking(&mut self) {
        let beside = self.beside.iter().map(|(_, path)| &**path);
        let files = self.files.iter().map(|file| &*file.stored);
        let there: BTreeSet<&Path> = files.chain(beside).collect();
        let mut lacking = Vec::new();
        for set in self.sets.iter().filter(|_| self.remove) {
            for stored in set.set.manifest().stored_files() {
                let path = set.root().join(&stored.name);
                if original_of(&path).is_some() && !there.contains(&*path) {
                    lacking.push(path);
                }
            }
        }
        for path in lacking {
            self.problem(&path, "is listed by the manifest of its set, and not there");
        }
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

fn is_set(directory: &Path) -> bool {
    directory.join(MANIFEST).symlink_metadata().is_ok() || super::describe::is_unfinished(directory)
}

/// The name of the decompressed file, by the suffix. GreatSQL puts the number of a worker behind
/// it (`t.ibd.delta.zstd3`), where it has another worker's file for the same tablespace.
fn original_of(path: &Path) -> Option<(PathBuf, Algorithm)> {
    let name = path.file_name()?.to_str()?;
    Algorithm::ALL.into_iter().find_map(|algorithm| {
        let (base, number) = name.rsplit_once(algorithm.suffix())?;
        let is_number = number.bytes().all(|digit| digit.is_ascii_digit());
        let original = path.with_file_name(format!("{base}{number}"));
        (is_number && !base.is_empty()).then_some((original, algorithm))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn originals_are_known_by_the_suffix() {
        let of = |name: &str| {
            let (path, algorithm) = original_of(Path::new(name))?;
            Some((path.to_str()?.to_owned(), algorithm))
        };
        let some = |name: &str, algorithm| Some((name.to_owned(), algorithm));
        assert_eq!(of("s/t.ibd.zstd"), some("s/t.ibd", Algorithm::Zstd));
        assert_eq!(of("/a b/t.ibd.lz4"), some("/a b/t.ibd", Algorithm::Lz4));
        assert_eq!(of("undo_001.lz4"), some("undo_001", Algorithm::Lz4));
        let number = some("t.ibd.delta12", Algorithm::Zstd);
        assert_eq!(of("t.ibd.delta.zstd12"), number);
        let number = some("t.ibd.delta3", Algorithm::Lz4);
        assert_eq!(of("t.ibd.delta.lz43"), number);
        for name in [
            "t.ibd", "undo_001", ".zstd", "t.lz", "t.lz5", "t.zst", "123", "",
        ] {
            assert_eq!(of(name), None, "{name}");
        }
    }
}
