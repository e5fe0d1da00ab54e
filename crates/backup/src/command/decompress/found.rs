//! A compressed file, and the set that lists it.

use crate::set::{BackupSet, Content, FileRecord, StoredFile};
use crate::{Error, Result};
use frame::Algorithm;
use std::collections::HashMap;
use std::fs::File;
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
    /// Somebody else has decompressed it already, and removed it.
    pub by_hand: bool,
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
            by_hand: false,
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
    /// A set that `lock` is the lock of.
    pub(super) fn new(set: BackupSet, lock: File) -> Self {
        Self {
            places: places_of(&set),
            set,
            _lock: lock,
        }
    }

    pub(super) fn root(&self) -> &Path {
        self.set.path()
    }

    /// The name that the set has for a path.
    fn name_of<'p>(&self, path: &'p Path) -> Option<&'p str> {
        path.strip_prefix(self.root()).ok()?.to_str()
    }

    /// What is stored under a path, and, if that has to do with a file that has pages beside it,
    /// the file.
    pub(super) fn listed(&self, path: &Path) -> Option<(&StoredFile, Option<&FileRecord>)> {
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

/// The name of the decompressed file, by the suffix. GreatSQL puts the number of a worker behind
/// it (`t.ibd.delta.zstd3`), where it has another worker's file for the same tablespace.
pub(super) fn original_of(path: &Path) -> Option<(PathBuf, Algorithm)> {
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
