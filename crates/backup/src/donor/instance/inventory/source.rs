//! A file of the donor and what identifies it.

use crate::files::{FileKind, SpaceInfo};
use crate::set::SourceIdentity;
use crate::{Error, Result};
use innodb::ids::SpaceId;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file of the donor.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct SourceFile {
    pub path: PathBuf,
    /// Name in the backup.
    pub name: String,
    pub kind: FileKind,
    pub space: Option<SpaceInfo>,
    pub length: u64,
    pub allocated: u64,
    pub identity: SourceIdentity,
}

impl SourceFile {
    /// The tablespace and the place in it: what a page number belongs to.
    pub(in super::super) fn place(&self) -> Option<(SpaceId, u32)> {
        self.space.map(|space| (space.id, space.first_page))
    }

    /// Whether `other` is the same file of the same tablespace, whatever it is called. Inode
    /// numbers are used again quickly, space ids survive an import, so it takes all of them.
    pub(in super::super) fn is_same_as(&self, other: &Self) -> bool {
        let same_pages = match (&self.space, &other.space) {
            (Some(a), Some(b)) => {
                (a.id, a.first_page) == (b.id, b.first_page) && a.geometry == b.geometry
            }
            (None, None) => true,
            _ => false,
        };
        same_pages
            && self.identity.inode == other.identity.inode
            && self.identity.birth == other.identity.birth
    }
}

impl SourceFile {
    /// The same with its present length; `None` when another file has its name or none.
    pub(in super::super) fn measured_again(&self) -> Result<Option<Self>> {
        let Some((file, _)) = open_source(&self.path)? else {
            return Ok(None);
        };
        let measured = describe(&self.path, &self.name, self.kind, self.space, &file)?;
        Ok((measured.identity == self.identity).then_some(measured))
    }
}

/// Opens a file of the donor; `None` when it is gone.
pub(in super::super) fn open_source(path: &Path) -> Result<Option<(File, u64)>> {
    match File::open(path) {
        Ok(file) => {
            let length = file
                .metadata()
                .map_err(|e| Error::io("read attributes of", path, e))?
                .len();
            Ok(Some((file, length)))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("open file", path, e)),
    }
}

pub(super) fn describe(
    path: &Path,
    name: &str,
    kind: FileKind,
    space: Option<SpaceInfo>,
    file: &File,
) -> Result<SourceFile> {
    let meta = file
        .metadata()
        .map_err(|e| Error::io("read attributes of", path, e))?;
    let mut length = meta.len();
    if let Some(space) = &space {
        // A file being extended may end within a page; what is behind the last whole page was
        // never written.
        length -= length % space.geometry.physical() as u64;
    }
    Ok(SourceFile {
        path: path.to_owned(),
        name: name.to_owned(),
        kind,
        space,
        length,
        allocated: meta.blocks() * 512,
        identity: SourceIdentity {
            path: path.to_str().ok_or_else(|| not_utf8(path))?.to_owned(),
            inode: meta.ino(),
            birth: birth_time(file),
        },
    })
}

/// When the file was created, in nanoseconds since 1970; `None` where the file system keeps no
/// such time.
fn birth_time(file: &File) -> Option<i64> {
    let created = file.metadata().ok()?.created().ok()?;
    let since = created.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok()
}

pub(super) fn not_utf8(path: &Path) -> Error {
    Error::refused(
        1105,
        format!("the name of '{}' is not UTF-8", path.display()),
        "Rename the file, or the tablespace it belongs to.",
    )
}
