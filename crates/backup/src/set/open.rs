//! Opening a sealed set: nothing of it is believed that its digests do not confirm.

use super::layout::{CHUNK_VALUES, DECOMPRESSING, IN_PROGRESS, MANIFEST, MANIFEST_DIGEST};
use super::{Manifest, StoredFile};
use crate::io::{
    CHUNK, CheckedFile, ChunkDigests, Digest, Original, Unpacked, digest_of, read_bounded,
    read_index,
};
use crate::{Error, Result};
use frame::Index;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A manifest larger than this is not read: 1 KiB for each of a million files.
const MANIFEST_LIMIT: u64 = 1 << 30;

/// A sealed backup set. Never modified by anything that holds one.
#[derive(Debug)]
pub struct BackupSet {
    path: PathBuf,
    manifest: Manifest,
    /// Offset in the chunk value file by the stored file's name.
    values_at: HashMap<String, u64>,
    /// Chunk values read last: a large file is opened once for every part of it that is read.
    recent: Mutex<VecDeque<(String, Arc<ChunkDigests>)>>,
    /// Likewise the indexes of compressed files.
    indexes: Mutex<VecDeque<(String, Arc<Index>)>>,
}

/// Files whose chunk values and indexes are kept: some more than workers.
const RECENT: usize = 16;

impl BackupSet {
    /// Opens the set in directory `path`.
    pub fn open(path: &Path) -> Result<Self> {
        if is_half_decompressed(path) {
            return Err(Error::refused(
                1105,
                format!("'{}' is half decompressed", path.display()),
                "Run 'innoclone decompress --remove-original' on it again; it goes on where it \
                 was.",
            ));
        }
        if path.join(IN_PROGRESS).exists() {
            return Err(Error::NotASet {
                path: path.to_owned(),
                reason: format!(
                    "it carries {IN_PROGRESS}: the backup was killed or is still running"
                ),
            });
        }
        Self::open_marked(path)
    }

    /// Opens the set in directory `path`, whatever marks it: for who has marked it.
    pub(crate) fn open_marked(path: &Path) -> Result<Self> {
        let not_a_set = |reason: String| Error::NotASet {
            path: path.to_owned(),
            reason,
        };
        let meta = std::fs::metadata(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => not_a_set("there is no such directory".into()),
            _ => Error::io("open backup set", path, e),
        })?;
        if !meta.is_dir() {
            return Err(not_a_set("not a directory".into()));
        }
        let file = path.join(MANIFEST);
        let missing = |e: &std::io::Error| e.kind() == std::io::ErrorKind::NotFound;
        match std::fs::metadata(&file) {
            Err(e) if missing(&e) => return Err(not_a_set(format!("there is no {MANIFEST}"))),
            Err(e) => return Err(Error::io("open file", &file, e)),
            Ok(_) => {}
        }
        let bytes = read_bounded(&file, MANIFEST_LIMIT)?;
        check_digest(path, &bytes)?;
        Ok(Self::new(path, Manifest::parse(&file, &bytes)?))
    }

    /// Reads as much as can be read of a set that may be damaged, and says what is wrong with its
    /// description. For telling what is damaged, never for using the set.
    pub(crate) fn examine(path: &Path) -> (Option<Self>, Vec<Error>) {
        let file = path.join(MANIFEST);
        let bytes = match read_bounded(&file, MANIFEST_LIMIT) {
            Ok(bytes) => bytes,
            Err(error) => return (None, vec![error]),
        };
        let mut errors: Vec<Error> = check_digest(path, &bytes).err().into_iter().collect();
        match parse(&file, &bytes) {
            Ok(manifest) => {
                let faults = manifest.faults();
                let usable = faults.is_empty();
                errors.extend(faults.into_iter().map(|fault| Error::damaged(&file, fault)));
                (usable.then(|| Self::new(path, manifest)), errors)
            }
            Err(error) => {
                errors.push(error);
                (None, errors)
            }
        }
    }

    fn new(path: &Path, manifest: Manifest) -> Self {
        let mut values_at = HashMap::new();
        let mut offset = 0;
        for stored in manifest.stored_files() {
            values_at.insert(stored.name.clone(), offset);
            offset += value_count(stored.size) * 32;
        }
        Self {
            path: path.to_owned(),
            manifest,
            values_at,
            recent: Mutex::default(),
            indexes: Mutex::default(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Bytes of the chunk values of all stored files.
    pub(crate) fn chunk_values_len(&self) -> u64 {
        let stored = self.manifest.stored_files();
        stored.map(|stored| value_count(stored.size) * 32).sum()
    }

    /// The chunk values of a stored file; confirmed to merge into its digest.
    pub(crate) fn chunk_values(&self, stored: &StoredFile) -> Result<Arc<ChunkDigests>> {
        let count = value_count(stored.size);
        if count == 0 {
            return Ok(Arc::default());
        }
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, values)) = recent.iter().find(|(name, _)| *name == stored.name) {
            return Ok(Arc::clone(values));
        }
        let values = Arc::new(self.read_chunk_values(stored, count)?);
        recent.truncate(RECENT - 1);
        recent.push_front((stored.name.clone(), Arc::clone(&values)));
        Ok(values)
    }

    fn read_chunk_values(&self, stored: &StoredFile, count: u64) -> Result<ChunkDigests> {
        let path = self.path.join(CHUNK_VALUES);
        let offset = self
            .values_at
            .get(&stored.name)
            .copied()
            .unwrap_or(u64::MAX / 2);
        let mut bytes = vec![0; (count * 32) as usize];
        let file = File::open(&path).map_err(|e| Error::io("open file", &path, e))?;
        file.read_exact_at(&mut bytes, offset)
            .map_err(|e| Error::io("read file", &path, e))?;
        let values: Vec<[u8; 32]> = bytes
            .chunks_exact(32)
            .filter_map(|value| value.try_into().ok())
            .collect();
        let chunks = ChunkDigests::from_values(&values);
        if chunks.root() != Some(self.digest(stored)?) {
            let detail = format!(
                "the chunk values of '{}' do not fit its digest",
                stored.name
            );
            return Err(Error::damaged(&path, detail));
        }
        Ok(chunks)
    }

    /// Opens a stored file for checked reading of what it holds: the original.
    pub(crate) fn open_stored(&self, stored: &StoredFile) -> Result<Original> {
        let mut file = self.open_bytes(stored)?;
        let Some(compressed) = stored.compressed else {
            return Ok(Original::Plain(file));
        };
        let index = self.index(stored, &mut file, compressed.length)?;
        let unpacked = Unpacked::new(file, index, compressed.algorithm);
        Ok(Original::Unpacked(unpacked))
    }

    /// The index of a compressed file.
    fn index(
        &self,
        stored: &StoredFile,
        file: &mut CheckedFile,
        length: u64,
    ) -> Result<Arc<Index>> {
        let recent = || self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, index)) = recent().iter().find(|(name, _)| *name == stored.name) {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(read_index(file, length)?);
        let mut recent = recent();
        recent.truncate(RECENT - 1);
        recent.push_front((stored.name.clone(), Arc::clone(&index)));
        Ok(index)
    }

    /// Opens a stored file for checked reading of its bytes as they are stored.
    pub(crate) fn open_bytes(&self, stored: &StoredFile) -> Result<CheckedFile> {
        let path = self.path.join(&stored.name);
        let file = File::open(&path).map_err(|e| Error::io("open file", &path, e))?;
        let found = file
            .metadata()
            .map_err(|e| Error::io("open file", &path, e))?
            .len();
        if found != stored.size {
            let detail = format!("{found} bytes long instead of {}", stored.size);
            return Err(Error::damaged(&path, detail));
        }
        let chunks = self.chunk_values(stored)?;
        Ok(CheckedFile::new(
            Arc::new(file),
            &path,
            stored.size,
            self.digest(stored)?,
            chunks,
        ))
    }

    /// The digest the manifest has for a stored file.
    pub(crate) fn digest(&self, stored: &StoredFile) -> Result<Digest> {
        blake3::Hash::from_hex(&stored.blake3)
            .map(|hash| *hash.as_bytes())
            .map_err(|_| {
                let detail = format!("no BLAKE3 digest for '{}'", stored.name);
                Error::damaged(&self.path.join(MANIFEST), detail)
            })
    }
}

/// Whether a decompression of the set in directory `path` has not come to its end.
pub(crate) fn is_half_decompressed(path: &Path) -> bool {
    let limit = DECOMPRESSING.len() as u64;
    let marker = read_bounded(&path.join(IN_PROGRESS), limit);
    marker.is_ok_and(|marker| marker == DECOMPRESSING)
}

/// Chunk values kept for a file of `size` bytes: none when its digest says it all.
pub(crate) fn value_count(size: u64) -> u64 {
    if size <= CHUNK as u64 {
        0
    } else {
        size.div_ceil(CHUNK as u64)
    }
}

/// The text of [`MANIFEST_DIGEST`] for a manifest.
pub(crate) fn digest_line(manifest: &[u8]) -> String {
    format!(
        "{}  manifest.json\n",
        blake3::Hash::from_bytes(digest_of(manifest)).to_hex()
    )
}

fn check_digest(set: &Path, manifest: &[u8]) -> Result<()> {
    let path = set.join(MANIFEST_DIGEST);
    let line = read_bounded(&path, 4096)?;
    if line == digest_line(manifest).as_bytes() {
        return Ok(());
    }
    Err(Error::damaged(
        &set.join(MANIFEST),
        format!("its digest is not the one in {MANIFEST_DIGEST}"),
    ))
}

impl Manifest {
    /// Reads the text of a manifest and refuses one that contradicts itself; `path` is for
    /// messages.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let manifest = parse(path, bytes)?;
        match manifest.faults().into_iter().next() {
            Some(fault) => Err(Error::damaged(path, fault)),
            None => Ok(manifest),
        }
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Manifest> {
    #[derive(serde::Deserialize)]
    struct Version {
        format: u32,
    }
    let version: Version = serde_json::from_slice(bytes).map_err(|e| Error::damaged(path, e))?;
    if !(Manifest::FORMAT..=Manifest::NEWEST).contains(&version.format) {
        return Err(Error::refused(
            1105,
            format!(
                "'{}' has format {}, known are {} to {}",
                path.display(),
                version.format,
                Manifest::FORMAT,
                Manifest::NEWEST
            ),
            "Use a version of innoclone that knows this format.",
        ));
    }
    serde_json::from_slice(bytes).map_err(|e| Error::damaged(path, e))
}
