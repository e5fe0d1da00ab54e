//! Names of the donor's files in the backup.
//!
//! The donor's names are not trusted. Whatever they say, a file lies below the data directory, and
//! not where something else belongs.

use super::link::protocol;
use crate::files::{FileKind, SERVER_DIRECTORIES, has_extension, is_tablespace_name};
use crate::set::layout::is_safe;
use crate::{Error, Result};
use std::collections::HashSet;

/// A donor's name of a file: where it is in a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// Relative to the data directory.
    Inside(String),
    /// Elsewhere: the last directory, if it may count, and the name.
    Outside(Option<String>, String),
}

impl Name {
    /// Reads the donor's name of a file of this kind. `own_table`: the file of one table, which
    /// lies in a directory named as its schema.
    pub(super) fn parse(name: &[u8], kind: FileKind, own_table: bool) -> Result<Self> {
        let unusable = |why: &str| {
            let shown = String::from_utf8_lossy(name).into_owned();
            protocol(format!("file name {shown:?} {why}"))
        };
        let text = std::str::from_utf8(name).map_err(|_| unusable("is not UTF-8"))?;
        let mut path = text;
        while let Some(rest) = path.strip_prefix("./") {
            path = rest.trim_start_matches('/');
        }
        let (directory, file) = match path.rsplit_once('/') {
            Some((directory, file)) => (Some(directory), file),
            None => (None, path),
        };
        if !is_safe(file) {
            return Err(unusable("names no file"));
        }
        let fits = match kind {
            FileKind::System => directory.is_none() && !file.starts_with('#'),
            FileKind::Undo => is_tablespace_name(file) || directory.is_none(),
            FileKind::Tablespace => has_extension(file, "ibd"),
            FileKind::Redo | FileKind::Plain => directory.is_none(),
        };
        let first = path.split('/').next().unwrap_or_default();
        if !fits || file.starts_with("#clone") || SERVER_DIRECTORIES.contains(&file) {
            return Err(unusable("is not one of such a file"));
        }
        if !path.starts_with('/') && is_safe(path) {
            if directory.is_some() && SERVER_DIRECTORIES.contains(&first) {
                return Err(unusable("is in a directory of the server's own"));
            }
            return Ok(Self::Inside(path.to_owned()));
        }
        let last = directory.and_then(|directory| directory.rsplit('/').next());
        let last =
            last.filter(|last| own_table && is_safe(last) && !SERVER_DIRECTORIES.contains(last));
        Ok(Self::Outside(last.map(str::to_owned), file.to_owned()))
    }
}

/// The names of all files in the backup. Those outside the donor's data directory get names within
/// it: a table's in its schema, others in the root; mysqld finds them by their space ids.
pub(super) fn place(names: &[Name]) -> Result<Vec<String>> {
    let mut taken = HashSet::new();
    for name in names {
        if let Name::Inside(path) = name
            && !taken.insert(path.clone())
        {
            return Err(twice(path));
        }
    }
    let mut number = 0;
    let placed = names.iter().map(|name| {
        let (directory, file) = match name {
            Name::Inside(path) => return path.clone(),
            Name::Outside(directory, file) => (directory, file),
        };
        let mut path = match directory {
            Some(directory) => format!("{directory}/{file}"),
            None => file.clone(),
        };
        while !taken.insert(path.clone()) {
            number += 1;
            path = format!("innoclone_external_{number}/{file}");
        }
        path
    });
    Ok(placed.collect())
}

/// As the server's own clone refuses undo tablespaces of the same name in two directories.
fn twice(path: &str) -> Error {
    Error::refused(
        3869,
        format!("the donor has two files that would both be '{path}' in the backup"),
        "Undo tablespaces in different directories must have different names.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, kind: FileKind) -> Result<Name> {
        Name::parse(name.as_bytes(), kind, true)
    }

    #[test]
    fn names_below_the_data_directory_are_kept() {
        for (name, kind, path) in [
            ("./a/t.ibd", FileKind::Tablespace, "a/t.ibd"),
            (
                "a@0020b/t#p#p0.ibd",
                FileKind::Tablespace,
                "a@0020b/t#p#p0.ibd",
            ),
            (
                "./a/#sql-ib1-2.ibd",
                FileKind::Tablespace,
                "a/#sql-ib1-2.ibd",
            ),
            ("mysql.ibd", FileKind::Tablespace, "mysql.ibd"),
            ("undo_001", FileKind::Undo, "undo_001"),
            ("u.ibu", FileKind::Undo, "u.ibu"),
            ("ibdata1", FileKind::System, "ibdata1"),
        ] {
            assert_eq!(parse(name, kind).unwrap(), Name::Inside(path.into()));
        }
    }

    #[test]
    fn names_elsewhere_are_brought_inside() {
        let outside = |name: &str, own| Name::parse(name.as_bytes(), FileKind::Tablespace, own);
        let table = outside("/data2/shop/t.ibd", true).unwrap();
        assert_eq!(table, Name::Outside(Some("shop".into()), "t.ibd".into()));
        let general = outside("/data2/shop/t.ibd", false).unwrap();
        assert_eq!(general, Name::Outside(None, "t.ibd".into()));
        let up = outside("../../etc/t.ibd", true).unwrap();
        assert_eq!(up, Name::Outside(Some("etc".into()), "t.ibd".into()));
        let inside = Name::Inside("shop/t.ibd".into());
        let placed = place(&[table, general.clone(), general, inside]).unwrap();
        assert_eq!(
            placed,
            [
                "innoclone_external_1/t.ibd",
                "t.ibd",
                "innoclone_external_2/t.ibd",
                "shop/t.ibd"
            ]
        );
    }

    #[test]
    fn names_that_belong_to_something_else_are_refused() {
        for (name, kind) in [
            ("", FileKind::Tablespace),
            ("./a/..", FileKind::Tablespace),
            ("a/t.txt", FileKind::Tablespace),
            ("#clone/x.ibd", FileKind::Tablespace),
            ("./#innodb_redo/x.ibd", FileKind::Tablespace),
            ("x/ibdata1", FileKind::System),
            ("#clone", FileKind::System),
            ("#innodb_redo", FileKind::System),
            ("..", FileKind::System),
        ] {
            assert_eq!(parse(name, kind).unwrap_err().code(), 3863, "{name}");
        }
        assert!(Name::parse(b"a/\xFF.ibd", FileKind::Tablespace, true).is_err());
        let same = Name::Inside("undo_001".into());
        assert_eq!(place(&[same.clone(), same]).unwrap_err().code(), 3869);
    }
}
