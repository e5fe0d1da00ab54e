//! What a file found is.

use super::super::facts::Facts;
use super::super::pages::PageReader;
use super::super::session::ListedSpace;
use super::source::{SourceFile, describe, open_source};
use crate::files::{FileKind, SpaceInfo};
use crate::{Error, Result};
use innodb::flags::SpaceFlags;
use innodb::geometry::Geometry;
use innodb::ids::SpaceId;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(super) enum Probe {
    Space(Box<SourceFile>),
    /// A temporary tablespace: not part of a backup.
    Temporary,
    /// Vanished in the meantime.
    Gone,
    /// Empty, or its first page does not verify.
    Unreadable,
}

pub(super) fn probe(
    path: &Path,
    name: &str,
    kind: FileKind,
    facts: &Facts,
    listed: Option<&ListedSpace>,
    settled: bool,
) -> Result<Probe> {
    let Some((file, length)) = open_source(path)? else {
        return Ok(Probe::Gone);
    };
    let header = if length == 0 {
        None
    } else {
        PageReader::probe(&file, path, facts.page_size)?
    };
    let (id, flags) = match (header, listed) {
        (Some(header), _) => (header.space_id, header.flags),
        // The first page of a new tablespace may be in the redo only.
        (
            None,
            Some(ListedSpace {
                id,
                flags: Some(flags),
                ..
            }),
        ) => (*id, *flags),
        (None, _) if settled => {
            return Err(Error::damaged(
                path,
                "page 0 does not describe a tablespace",
            ));
        }
        (None, _) => return Ok(Probe::Unreadable),
    };
    if flags.is_temporary() || id == SpaceId::TEMPORARY {
        return Ok(Probe::Temporary);
    }
    let space = SpaceInfo {
        id,
        flags,
        geometry: geometry(path, flags)?,
        first_page: 0,
    };
    let kind = if id.is_undo() { FileKind::Undo } else { kind };
    Ok(Probe::Space(Box::new(describe(
        path,
        name,
        kind,
        Some(space),
        &file,
    )?)))
}

/// Where a file that the server lists is, with device and inode number. It leaves out the
/// directory of undo and system tablespaces. `None` when the file is gone.
pub(super) fn locate(facts: &Facts, listed: &str) -> Result<Option<(PathBuf, (u64, u64))>> {
    for directory in [&facts.datadir, &facts.undo_dir, &facts.data_home] {
        let path = directory.join(listed);
        if let Some(inode) = inode(&path)? {
            return Ok(Some((path, inode)));
        }
    }
    Ok(None)
}

/// Device and inode number; `None` when the file is gone.
pub(super) fn inode(path: &Path) -> Result<Option<(u64, u64)>> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read attributes of", path, e)),
    }
}

pub(super) fn geometry(path: &Path, flags: SpaceFlags) -> Result<Geometry> {
    Geometry::of(flags).map_err(|e| Error::damaged(path, e))
}
