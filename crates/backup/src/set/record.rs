//! What is stored for a file, by what it is for.
//!
//! | content | stored |
//! |---|---|
//! | full | the base: all bytes, or all that there were at first; then, of tablespaces in a compressed set, the delta that is laid over it, and its meta |
//! | delta, whole | the delta and its meta |

use super::{Content, FileRecord, Manifest, StoredFile};

impl StoredFile {
    /// Bytes of the original: of what is in the frames of a compressed file.
    pub fn length(&self) -> u64 {
        self.compressed
            .map_or(self.size, |compressed| compressed.length)
    }

    /// The name without the suffix of the compression; `None` when it does not have the suffix.
    pub fn plain_name(&self) -> Option<&str> {
        match self.compressed {
            None => Some(&self.name),
            Some(compressed) => self.name.strip_suffix(compressed.algorithm.suffix()),
        }
    }
}

impl FileRecord {
    /// The file below all deltas.
    pub(crate) fn base(&self) -> Option<&StoredFile> {
        let base = self.stored.first();
        base.filter(|_| self.content == Content::Full)
    }

    /// The pages that were copied on their own.
    pub(crate) fn delta(&self) -> Option<&StoredFile> {
        self.stored.get(usize::from(self.content == Content::Full))
    }

    /// What describes the delta.
    pub(crate) fn meta(&self) -> Option<&StoredFile> {
        self.stored
            .get(1 + usize::from(self.content == Content::Full))
    }
}

impl Manifest {
    /// The version of the format that describes this set: 3 when it has sealed keys, 2 when anything
    /// is compressed, else 1, which older programs know.
    pub fn format_needed(&self) -> u32 {
        if self.keys.is_some() {
            3
        } else if self
            .stored_files()
            .any(|stored| stored.compressed.is_some())
        {
            2
        } else {
            1
        }
    }
}
