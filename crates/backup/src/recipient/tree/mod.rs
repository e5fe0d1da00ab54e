//! A directory tree under construction: the files that a set or a data directory is made of.

mod entry;
mod seal;

pub(super) use self::entry::{Key, Part, layout_of};

use self::entry::{Entry, State};
use crate::io::{
    BUFFER, CHUNK, ChunkDigests, Handles, Layout, Writeback, create_dir_all, create_new,
    drop_cache, open_rw, overwrite, remove_file, rename, write_fresh,
};
use crate::{Error, Result};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// Most files open at once.
const OPEN_FILES: usize = 200;

/// The files of a tree.
#[derive(Debug)]
pub(in crate::recipient) struct Tree {
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
    pub(in crate::recipient) fn new(
        root: &Path,
        digesting: bool,
        owner: Option<(u32, u32)>,
    ) -> Self {
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
    pub(in crate::recipient) fn begin(&self) -> Result<()> {
        let root =
            File::open(&self.root).map_err(|e| Error::io("open directory", &self.root, e))?;
        self.opened.get_or_init(|| root);
        Ok(())
    }

    /// Creates a directory below the root and those above it.
    pub(in crate::recipient) fn add_directory(&self, name: &str) -> Result<()> {
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
    pub(in crate::recipient) fn remove_directory(&self, name: &str) -> Result<()> {
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
    pub(in crate::recipient) fn add(&self, key: Key, name: &str, layout: Layout) -> Result<()> {
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
    pub(in crate::recipient) fn adopt_root(&self) -> Result<()> {
        self.own(&self.root)
    }

    /// Gives `path` to the owner of the tree.
    pub(in crate::recipient) fn adopt(&self, path: &Path) -> Result<()> {
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
    pub(in crate::recipient) fn write(&self, key: Key, offset: u64, bytes: &[u8]) -> Result<()> {
        self.put(key, offset, bytes, write_fresh)
    }

    /// Writes over whatever is there.
    pub(in crate::recipient) fn overwrite(
        &self,
        key: Key,
        offset: u64,
        bytes: &[u8],
    ) -> Result<()> {
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
    pub(in crate::recipient) fn set_length(&self, key: Key, length: u64) -> Result<()> {
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
    pub(in crate::recipient) fn rename(&self, renames: &[(Key, String)]) -> Result<()> {
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
    pub(in crate::recipient) fn remove(&self, key: Key) -> Result<()> {
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
    pub(in crate::recipient) fn has(&self, key: Key) -> bool {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&key)
    }

    /// The name of a file.
    pub(in crate::recipient) fn name(&self, key: Key) -> Result<String> {
        Ok(self.entry(key)?.state().name.clone())
    }

    /// Bytes of a file.
    pub(in crate::recipient) fn length(&self, key: Key) -> Result<u64> {
        Ok(self.entry(key)?.state().length)
    }

    /// Reads bytes of a file that goes when all of it has been read.
    pub(in crate::recipient) fn read_once(
        &self,
        key: Key,
        offset: u64,
        out: &mut [u8],
    ) -> Result<()> {
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
    pub(in crate::recipient) fn path(&self, key: Key) -> Result<PathBuf> {
        Ok(self.path_of(&*self.entry(key)?))
    }

    /// Every file.
    pub(in crate::recipient) fn keys(&self) -> Vec<Key> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<Key> = entries.keys().copied().collect();
        keys.sort_unstable();
        keys
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
