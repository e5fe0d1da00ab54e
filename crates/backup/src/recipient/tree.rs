//! A directory tree under construction: the files that a set or a data directory is made of.

use crate::io::{
    BUFFER, CHUNK, ChunkDigests, Digest, Handles, Layout, Writeback, chunk_value, create_dir_all,
    create_new, digest_of, drop_cache, fsync_dir, fsync_file, open_rw, overwrite, remove_file,
    rename, sync_filesystem, syncs_as_a_whole, write_fresh,
};
use crate::set::StoredFile;
use crate::{Error, FileDesc, FileId, FileKind, Job, Result, Stage};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// Which of the stored files of a snapshot's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    /// The file itself.
    Main,
    /// Its changed pages.
    Delta,
    /// Its page size, id and flags.
    Meta,
    /// What is compressed into one of the others when it is complete. Gone by then.
    Raw,
}

/// A stored file.
pub(super) type Key = (FileId, Part);

/// Syncing more files than this one by one waits for as many journal commits; the whole file system
/// is synced instead, where that is the same.
const MANY_FILES: usize = 16;

/// Most files open at once.
const OPEN_FILES: usize = 200;

/// What the bytes of a snapshot's file are made of.
pub(super) fn layout_of(desc: &FileDesc) -> Layout {
    Layout {
        page: desc.page_size(),
        innodb: desc.kind != FileKind::Plain && desc.space.is_some(),
    }
}

#[derive(Debug)]
struct Entry {
    layout: Layout,
    /// Whether the file gets a digest.
    digesting: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    name: String,
    length: u64,
    digests: ChunkDigests,
    /// Bytes written since the file was last handed to write-back.
    dirty: u64,
    digest: Option<Digest>,
}

/// The files of a tree.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    entries: RwLock<HashMap<Key, Arc<Entry>>>,
    directories: Mutex<BTreeSet<PathBuf>>,
    handles: Handles<Key>,
    writeback: Writeback,
    /// The root, open since before anything was written.
    opened: OnceLock<File>,
    /// Whether stored files get digests.
    digesting: bool,
    owner: Option<(u32, u32)>,
}

impl Tree {
    pub(super) fn new(root: &Path, digesting: bool, owner: Option<(u32, u32)>) -> Self {
        Self {
            root: root.to_owned(),
            entries: RwLock::default(),
            directories: Mutex::default(),
            handles: Handles::new(OPEN_FILES),
            writeback: Writeback::start(),
            opened: OnceLock::new(),
            digesting,
            owner,
        }
    }

    /// To be called when the root exists and before anything else is created.
    pub(super) fn begin(&self) -> Result<()> {
        let root =
            File::open(&self.root).map_err(|e| Error::io("open directory", &self.root, e))?;
        self.opened.get_or_init(|| root);
        Ok(())
    }

    /// Creates a directory below the root and those above it.
    pub(super) fn add_directory(&self, name: &str) -> Result<()> {
        let path = self.root.join(name);
        let mut known = self
            .directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let missing: Vec<PathBuf> = path
            .ancestors()
            .take_while(|path| *path != self.root && !known.contains(*path))
            .map(Path::to_owned)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        create_dir_all(&path)?;
        for path in missing {
            self.own(&path)?;
            known.insert(path);
        }
        Ok(())
    }

    /// Removes a directory below the root if it has become empty.
    pub(super) fn remove_directory(&self, name: &str) -> Result<()> {
        let path = self.root.join(name);
        let mut known = self
            .directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match std::fs::remove_dir(&path) {
            Ok(()) => {
                known.remove(&path);
                Ok(())
            }
            Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
            Err(e) => Err(Error::io("remove directory", &path, e)),
        }
    }

    /// Where something can be kept that gets no name in the end, on the file system of the tree.
    pub(super) fn unnamed(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Creates an empty file. One for [`Part::Raw`] gets no digest.
    pub(super) fn add(&self, key: Key, name: &str, layout: Layout) -> Result<()> {
        if !crate::set::layout::is_safe(name) {
            return Err(Error::damaged(
                Path::new(name),
                "is not a name within the directory",
            ));
        }
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.add_directory(parent)?;
        }
        let path = self.root.join(name);
        create_new(&path)?;
        self.own(&path)?;
        let state = State {
            name: name.to_owned(),
            length: 0,
            digests: ChunkDigests::default(),
            dirty: 0,
            digest: None,
        };
        let entry = Arc::new(Entry {
            layout,
            digesting: self.digesting && key.1 != Part::Raw,
            state: Mutex::new(state),
        });
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.insert(key, entry);
        Ok(())
    }

    /// Gives the root itself to the owner of the tree.
    pub(super) fn adopt_root(&self) -> Result<()> {
        self.own(&self.root)
    }

    /// Gives `path` to the owner of the tree.
    pub(super) fn adopt(&self, path: &Path) -> Result<()> {
        self.own(path)
    }

    fn own(&self, path: &Path) -> Result<()> {
        if let Some((user, group)) = self.owner {
            std::os::unix::fs::chown(path, Some(user), Some(group))
                .map_err(|e| Error::io("change owner of", path, e))?;
        }
        Ok(())
    }

    /// Writes where the file has only a hole.
    pub(super) fn write(&self, key: Key, offset: u64, bytes: &[u8]) -> Result<()> {
        self.put(key, offset, bytes, write_fresh)
    }

    /// Writes over whatever is there.
    pub(super) fn overwrite(&self, key: Key, offset: u64, bytes: &[u8]) -> Result<()> {
        self.put(key, offset, bytes, overwrite)
    }

    fn put(
        &self,
        key: Key,
        offset: u64,
        bytes: &[u8],
        how: fn(&File, u64, &[u8], Layout) -> std::io::Result<()>,
    ) -> Result<()> {
        let entry = self.entry(key)?;
        let file = self.file(key, &entry)?;
        how(&file, offset, bytes, entry.layout)
            .map_err(|e| Error::io("write file", &self.path_of(&entry), e))?;
        let values = entry.values(offset, bytes);
        let mut state = entry.state();
        let (old, end) = (state.length, offset + bytes.len() as u64);
        if end > old && !old.is_multiple_of(CHUNK as u64) {
            state.digests.forget(old, 1);
        }
        state.length = old.max(end);
        state.digests.forget(offset, bytes.len() as u64);
        for (index, value) in values {
            // Part of a chunk has a value only when it is the file's end.
            if (index + 1) * CHUNK as u64 <= end || end == state.length {
                state.digests.set(index, value);
            }
        }
        state.dirty += bytes.len() as u64;
        if state.dirty >= crate::io::WINDOW {
            state.dirty = 0;
            drop(state);
            self.writeback.push(&file);
        }
        Ok(())
    }

    /// Sets the length of a file: what is beyond goes, what is missing is a hole.
    pub(super) fn set_length(&self, key: Key, length: u64) -> Result<()> {
        let entry = self.entry(key)?;
        let file = self.file(key, &entry)?;
        file.set_len(length)
            .map_err(|e| Error::io("extend file", &self.path_of(&entry), e))?;
        let mut state = entry.state();
        let (low, high) = (state.length.min(length), state.length.max(length));
        if low != high {
            // The chunk in which the old end or the new one lies has other bytes than before.
            state
                .digests
                .forget(low - low % CHUNK as u64, high - (low - low % CHUNK as u64));
            state.digests.truncate(length);
        }
        state.length = length;
        Ok(())
    }

    /// Renames files, also in circles: all are moved aside first.
    pub(super) fn rename(&self, renames: &[(Key, String)]) -> Result<()> {
        for ((file, part), _) in renames {
            let entry = self.entry((*file, *part))?;
            let parked = format!("#clone/#moving_{}_{}", file.0, *part as u8);
            rename(&self.path_of(&entry), &self.root.join(&parked))?;
            entry.state().name = parked;
        }
        for (key, name) in renames {
            if let Some((parent, _)) = name.rsplit_once('/') {
                self.add_directory(parent)?;
            }
            let (entry, path) = (self.entry(*key)?, self.root.join(name));
            if path.exists() {
                return Err(Error::damaged(
                    &path,
                    "two files of the snapshot have this name",
                ));
            }
            rename(&self.path_of(&entry), &path)?;
            entry.state().name.clone_from(name);
        }
        Ok(())
    }

    /// Removes a file.
    pub(super) fn remove(&self, key: Key) -> Result<()> {
        let entry = self.entry(key)?;
        self.handles.forget(key);
        remove_file(&self.path_of(&entry))?;
        self.entries
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key);
        Ok(())
    }

    /// Whether the tree has the file.
    pub(super) fn has(&self, key: Key) -> bool {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&key)
    }

    /// The name of a file.
    pub(super) fn name(&self, key: Key) -> Result<String> {
        Ok(self.entry(key)?.state().name.clone())
    }

    /// Bytes of a file.
    pub(super) fn length(&self, key: Key) -> Result<u64> {
        Ok(self.entry(key)?.state().length)
    }

    /// Reads bytes of a file that goes when all of it has been read.
    pub(super) fn read_once(&self, key: Key, offset: u64, out: &mut [u8]) -> Result<()> {
        let entry = self.entry(key)?;
        let file = self.file(key, &entry)?;
        file.read_exact_at(out, offset)
            .map_err(|e| Error::io("read file", &self.path_of(&entry), e))?;
        // What has not been written to disk yet would be, for nothing: of small files that is all.
        if out.len() >= BUFFER && entry.state().length > crate::io::WINDOW {
            drop_cache(&file, offset, out.len() as u64);
        }
        Ok(())
    }

    /// Where a file is, for messages.
    pub(super) fn path(&self, key: Key) -> Result<PathBuf> {
        Ok(self.path_of(&*self.entry(key)?))
    }

    /// Every file.
    pub(super) fn keys(&self) -> Vec<Key> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<Key> = entries.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// Makes all files and directories durable and, where the tree digests, all digests known.
    pub(super) fn sync(&self, job: &Job) -> Result<()> {
        let keys = self.keys();
        let whole = self.opened.get().filter(|_| keys.len() > MANY_FILES);
        let whole = whole.filter(|_| syncs_as_a_whole(&self.root));
        let next = AtomicUsize::new(0);
        let finish = || -> Result<()> {
            let mut buffer = vec![0; BUFFER];
            while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                job.check()?;
                let length = self.finish(*key, whole.is_none(), &mut buffer)?;
                job.progress.advance(Stage::FileSync, length);
            }
            Ok(())
        };
        job.in_parallel(finish)?;
        self.handles.clear();
        if let Some(root) = whole {
            sync_filesystem(root, &self.root)?;
            self.forget_cached(&keys)?;
        }
        for directory in self
            .directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            fsync_dir(directory)?;
        }
        fsync_dir(&self.root)?;
        if self.writeback.has_failed() {
            let lost = std::io::Error::other("the disk refused data written earlier");
            return Err(Error::io("write file", &self.root, lost));
        }
        Ok(())
    }

    fn finish(&self, key: Key, durable: bool, buffer: &mut [u8]) -> Result<u64> {
        let entry = self.entry(key)?;
        let path = self.path_of(&entry);
        let file = self.file(key, &entry)?;
        let length = entry.state().length;
        if entry.digesting {
            self.digest_missing(&entry, &file, length, buffer)?;
        }
        if durable {
            fsync_file(&file, &path)?;
        }
        drop_cache(&file, 0, 0);
        Ok(length)
    }

    /// Files large enough to matter do not stay in the page cache.
    fn forget_cached(&self, keys: &[Key]) -> Result<()> {
        for key in keys {
            let entry = self.entry(*key)?;
            if entry.state().length >= BUFFER as u64 {
                drop_cache(&*self.file(*key, &entry)?, 0, 0);
            }
        }
        self.handles.clear();
        Ok(())
    }

    /// Computes what could not be computed while writing: chunks written in parts or over, and
    /// files of one chunk.
    fn digest_missing(
        &self,
        entry: &Entry,
        file: &File,
        length: u64,
        buffer: &mut [u8],
    ) -> Result<()> {
        let mut read = |index: u64| -> Result<Vec<u8>> {
            let offset = index * CHUNK as u64;
            let part = &mut buffer[..(length - offset).min(CHUNK as u64) as usize];
            file.read_exact_at(part, offset)
                .map_err(|e| Error::io("read file", &self.path_of(entry), e))?;
            Ok(part.to_vec())
        };
        if length <= CHUNK as u64 {
            let bytes = if length == 0 { Vec::new() } else { read(0)? };
            entry.state().digest = Some(digest_of(&bytes));
            return Ok(());
        }
        let unknown = entry.state().digests.unknown(length);
        for index in unknown {
            let value = chunk_value(index, &read(index)?);
            entry.state().digests.set(index, value);
        }
        let mut state = entry.state();
        state.digest = state.digests.root();
        Ok(())
    }

    /// A file as stored; after [`Self::sync`].
    pub(super) fn stored(&self, key: Key) -> Result<StoredFile> {
        let entry = self.entry(key)?;
        let state = entry.state();
        let digest = state.digest.ok_or_else(|| {
            Error::damaged(
                &self.root.join(&state.name),
                "has no digest; it was not synced",
            )
        })?;
        let blake3 = blake3::Hash::from_bytes(digest).to_hex().to_string();
        Ok(StoredFile {
            name: state.name.clone(),
            size: state.length,
            blake3,
            compressed: None,
        })
    }

    /// The chunk values of a file as bytes; empty for a file of one chunk.
    pub(super) fn chunk_bytes(&self, key: Key) -> Result<Vec<u8>> {
        let entry = self.entry(key)?;
        let state = entry.state();
        if state.length <= CHUNK as u64 {
            return Ok(Vec::new());
        }
        let values = state.digests.complete().ok_or_else(|| {
            Error::damaged(
                &self.root.join(&state.name),
                "has no chunk values; it was not synced",
            )
        })?;
        Ok(values.concat())
    }

    fn entry(&self, key: Key) -> Result<Arc<Entry>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(&key).cloned().ok_or_else(|| {
            Error::refused(
                1105,
                format!("file {key:?} was never announced"),
                "This is a bug.",
            )
        })
    }

    fn file(&self, key: Key, entry: &Entry) -> Result<Arc<File>> {
        self.handles.get(key, || open_rw(&self.path_of(entry)))
    }

    fn path_of(&self, entry: &Entry) -> PathBuf {
        self.root.join(&entry.state().name)
    }
}

impl Entry {
    /// The chunk values that follow from these bytes alone.
    fn values(&self, offset: u64, bytes: &[u8]) -> Vec<(u64, [u8; 32])> {
        if !self.digesting || !offset.is_multiple_of(CHUNK as u64) {
            return Vec::new();
        }
        let first = offset / CHUNK as u64;
        let chunks = (first..).zip(bytes.chunks(CHUNK));
        chunks
            .map(|(index, chunk)| (index, chunk_value(index, chunk)))
            .collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
