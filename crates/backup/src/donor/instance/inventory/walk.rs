//! Searching directories for files, and giving each a name in the backup.

use super::super::facts::Facts;
use super::probe::inode;
use super::source::not_utf8;
use crate::files::{FileKind, SERVER_DIRECTORIES, has_extension, is_tablespace_name};
use crate::{Error, Result};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// Extensions of files of non-InnoDB tables and of the dictionary's copies of them.
const PLAIN_EXTENSIONS: &[&str] = &[
    "sdi", "SDI", "MYD", "MYI", "CSV", "CSM", "ARZ", "ARM", "ARN", "MRG", "opt", "frm", "par",
];

/// Names of directories of engines that are not copied.
const FOREIGN_ENGINES: &[&str] = &[".rocksdb", "#rocksdb"];

/// How deep schema directories are searched; mysqld makes one level.
const MAX_DEPTH: usize = 8;

/// Collects names and makes them unique.
pub(super) struct Collector<'a> {
    pub facts: &'a Facts,
    pub found: Vec<(PathBuf, String, FileKind)>,
    pub seen: HashSet<(u64, u64)>,
    pub names: HashSet<String>,
    pub plain: Vec<(PathBuf, String)>,
    pub directories: BTreeSet<String>,
}

impl Collector<'_> {
    /// The files named by `innodb_data_file_path`.
    pub(super) fn system_files(&mut self) -> Result<Vec<(PathBuf, String)>> {
        let mut files = Vec::new();
        for part in self.facts.data_files.split(';') {
            let name = part.split(':').next().unwrap_or_default();
            if name.is_empty() {
                continue;
            }
            let path = self.facts.data_home.join(name);
            self.remember(&path)?;
            let base = Path::new(name).file_name().and_then(|name| name.to_str());
            let base = base.ok_or_else(|| not_utf8(&path))?.to_owned();
            self.names.insert(base.clone());
            files.push((path, base));
        }
        Ok(files)
    }

    /// Notes a file by what it is on disk; `false` when it was noted before.
    fn remember(&mut self, path: &Path) -> Result<bool> {
        Ok(inode(path)?.is_some_and(|inode| self.seen.insert(inode)))
    }

    pub(super) fn walk(&mut self, directory: &Path, prefix: &str, depth: usize) -> Result<()> {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            // A schema dropped while we look.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && depth > 0 => return Ok(()),
            Err(e) => return Err(Error::io("read directory", directory, e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| Error::io("read directory", directory, e))?;
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                if is_tablespace_name(&name.to_string_lossy()) {
                    return Err(not_utf8(&path));
                }
                continue;
            };
            // Schema directories may be symbolic links: what they point to counts.
            let Ok(meta) = std::fs::metadata(&path) else {
                continue;
            };
            let name_here = format!("{prefix}{name}");
            if meta.is_dir() {
                self.directory(&path, name, &name_here, depth)?;
            } else if meta.is_file() {
                self.file(path, name, name_here, depth)?;
            }
        }
        Ok(())
    }

    fn directory(&mut self, path: &Path, name: &str, full: &str, depth: usize) -> Result<()> {
        if FOREIGN_ENGINES.contains(&name) {
            return Err(Error::refused(
                1105,
                format!(
                    "'{}' holds tables of an engine that cannot be backed up",
                    path.display()
                ),
                "Convert the tables to InnoDB, or back them up by the engine's own means.",
            ));
        }
        if (depth == 0 && SERVER_DIRECTORIES.contains(&name)) || depth >= MAX_DEPTH {
            return Ok(());
        }
        // A directory that the server uses for something else may lie within the data directory.
        if depth > 0 && SERVER_DIRECTORIES.contains(&name) {
            return Ok(());
        }
        self.directories.insert(full.to_owned());
        self.walk(path, &format!("{full}/"), depth + 1)
    }

    fn file(&mut self, path: PathBuf, name: &str, full: String, depth: usize) -> Result<()> {
        if is_tablespace_name(name) && name != "ibtmp1" {
            if self.remember(&path)? {
                self.names.insert(full.clone());
                let undo = name.starts_with("undo_") || has_extension(name, "ibu");
                let kind = if undo {
                    FileKind::Undo
                } else {
                    FileKind::Tablespace
                };
                self.found.push((path, full, kind));
            }
            return Ok(());
        }
        let plain = if depth == 0 {
            name == "ib_buffer_pool"
                || name == "mysqld.my"
                || (name.starts_with("component_") && has_extension(name, "cnf"))
        } else {
            PLAIN_EXTENSIONS
                .iter()
                .any(|extension| has_extension(name, extension))
        };
        if plain {
            self.plain.push((path, full));
        }
        Ok(())
    }

    /// A tablespace the server lists; those outside the data directory are given a name within.
    pub(super) fn external(&mut self, path: &Path, kind: FileKind) -> Result<()> {
        if !self.remember(path)? {
            return Ok(());
        }
        let file_name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| not_utf8(path))?;
        // A table with a DATA DIRECTORY lies in a directory named as its schema, wherever that
        // is: mysqld looks for it in the schema's own directory too. Other tablespaces may lie
        // anywhere below the data directory.
        let schema = path
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str());
        let is_schema = |name: &&str| self.facts.datadir.join(name).is_dir();
        let name = match schema
            .filter(is_schema)
            .filter(|_| kind == FileKind::Tablespace)
        {
            Some(schema) => format!("{schema}/{file_name}"),
            None => file_name.to_owned(),
        };
        let mut unique = name.clone();
        let mut number = 0;
        while !self.names.insert(unique.clone()) {
            number += 1;
            unique = format!("innoclone_external_{number}/{file_name}");
        }
        self.found.push((path.to_owned(), unique, kind));
        Ok(())
    }
}
