//! Where the original of a compressed file goes.

use super::found::Found;
use crate::io::{create_new, remove_file};
use crate::{Error, Result};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What the name of a file ends with while it is not whole.
const UNFINISHED: &str = ".decompress-unfinished";

/// Where the original goes.
#[derive(Debug)]
pub(super) enum Target {
    /// To a new file, which has this name until it is whole.
    New { file: File, path: PathBuf },
    /// Nowhere: there is a file, which must have the same content.
    Existing { file: File, length: u64 },
    /// To what is no file: a pipe, a device.
    Stream(File),
}

/// Opens it: a new file, unless there is one, or something that is none and may be written to.
pub(super) fn open_target(found: &Found, replace: bool) -> Result<Target> {
    let original = &found.original;
    let there = match std::fs::metadata(original) {
        Ok(meta) => Some(meta),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(Error::io("open file", original, e)),
    };
    match there {
        Some(meta) if replace && !meta.is_file() => {
            let file = File::options().write(true).open(original);
            Ok(Target::Stream(
                file.map_err(|e| Error::io("open file", original, e))?,
            ))
        }
        Some(meta) if !replace => {
            if !meta.is_file() {
                return Err(exists(original));
            }
            let file = File::open(original).map_err(|e| Error::io("open file", original, e))?;
            let length = meta.len();
            Ok(Target::Existing { file, length })
        }
        _ => new_target(original),
    }
}

/// A new file, under a name of its own until it is whole.
pub(super) fn new_target(original: &Path) -> Result<Target> {
    let mut name = original.as_os_str().to_owned();
    name.push(UNFINISHED);
    let path = PathBuf::from(name);
    remove_file(&path)?;
    let file = create_new(&path)?;
    Ok(Target::New { file, path })
}

/// There is something else in its place.
pub(super) fn exists(path: &Path) -> Error {
    Error::refused(
        1086,
        format!(
            "'{}' exists, and is not what the compressed file holds",
            path.display()
        ),
        "Remove one of the two.",
    )
}
