//! The files of a snapshot, as donors describe them and recipients know them.

use crate::set::SourceIdentity;
use innodb::flags::SpaceFlags;
use innodb::geometry::Geometry;
use innodb::ids::SpaceId;

/// A file of one snapshot: an index that donor and recipient share for the length of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// What a file is to InnoDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A file of the system tablespace (`ibdata1` …).
    System,
    /// An undo tablespace.
    Undo,
    /// Any other tablespace: file-per-table, general, `mysql.ibd`.
    Tablespace,
    /// A redo log file built for the snapshot.
    Redo,
    /// A file that is not made of pages: a non-InnoDB table, the buffer pool dump, a component
    /// manifest.
    Plain,
}

/// What page 0 says of a tablespace, and where this file starts in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceInfo {
    /// The tablespace.
    pub id: SpaceId,
    /// The FSP flags.
    pub flags: SpaceFlags,
    /// Page sizes that follow from the flags.
    pub geometry: Geometry,
    /// Number of the file's first page: 0 but for the second and later files of the system
    /// tablespace.
    pub first_page: u32,
}

/// One file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDesc {
    /// The file's identity in this job.
    pub id: FileId,
    /// Path relative to the data directory, `/` separated, never leaving it.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// The tablespace, for files made of pages.
    pub space: Option<SpaceInfo>,
    /// Length in bytes.
    pub length: u64,
    /// Bytes it takes on the donor's disk, holes not counted.
    pub allocated: u64,
    /// What tells the donor's file from later ones; unknown to donors that are no instances.
    pub source: Option<SourceIdentity>,
}

impl FileDesc {
    /// Physical page size in bytes; 4096 for files without pages, which only matters for holes.
    pub fn page_size(&self) -> usize {
        self.space.map_or(4096, |space| space.geometry.physical())
    }
}

/// Directories of a data directory that hold no tables: they are rebuilt or made anew.
pub(crate) const SERVER_DIRECTORIES: &[&str] = &[
    "#innodb_redo",
    "#innodb_temp",
    "#ib_archive",
    "#meb",
    "#clone",
    "lost+found",
    "#file_purge",
];

/// Whether a name is that of a file made of pages. Undo tablespaces made by the server are
/// `undo_NNN`; files of the system tablespace are known by configuration.
pub(crate) fn is_tablespace_name(name: &str) -> bool {
    let is_undo = name
        .strip_prefix("undo_")
        .is_some_and(|number| number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit()));
    has_extension(name, "ibd") || has_extension(name, "ibu") || is_undo
}

/// Whether a file name has this extension.
pub(crate) fn has_extension(name: &str, extension: &str) -> bool {
    std::path::Path::new(name)
        .extension()
        .is_some_and(|found| found == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tablespaces_are_known_by_name() {
        for name in ["t.ibd", "a.b#c.ibd", "undo_001", "u.ibu"] {
            assert!(is_tablespace_name(name), "{name}");
        }
        for name in [
            "undo_1_trunc.log",
            "undo_001_trunc.log",
            "ibdata1",
            "t.ibd.bak",
            "t.cfg",
            "ibd",
        ] {
            assert!(!is_tablespace_name(name), "{name}");
        }
    }
}
