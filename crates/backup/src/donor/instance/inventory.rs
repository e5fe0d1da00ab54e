//! What files the server has, and what identifies each.

use super::pages::PageReader;
use super::session::{Facts, ListedSpace, Session};
use crate::files::{FileKind, SERVER_DIRECTORIES, SpaceInfo, has_extension, is_tablespace_name};
use crate::set::SourceIdentity;
use crate::{Error, Job, Result};
use innodb::flags::SpaceFlags;
use innodb::geometry::Geometry;
use innodb::ids::SpaceId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file of the donor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SourceFile {
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
    pub(super) fn place(&self) -> Option<(SpaceId, u32)> {
        self.space.map(|space| (space.id, space.first_page))
    }

    /// Whether `other` is the same file of the same tablespace, whatever it is called. Inode
    /// numbers are used again quickly, space ids survive an import, so it takes all of them.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
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
    pub(super) fn measured_again(&self) -> Result<Option<Self>> {
        let Some((file, _)) = open_source(&self.path)? else {
            return Ok(None);
        };
        let measured = describe(&self.path, &self.name, self.kind, self.space, &file)?;
        Ok((measured.identity == self.identity).then_some(measured))
    }
}

/// All files of the donor at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Inventory {
    /// Files made of pages.
    pub spaces: Vec<SourceFile>,
    /// Others: non-InnoDB tables, the buffer pool dump, component manifests.
    pub plain: Vec<SourceFile>,
    /// Directories below the data directory.
    pub directories: BTreeSet<String>,
    /// Files made of pages whose first page could not be read: being created or dropped.
    pub unsettled: Vec<(PathBuf, String)>,
}

/// Extensions of files of non-InnoDB tables and of the dictionary's copies of them.
const PLAIN_EXTENSIONS: &[&str] = &[
    "sdi", "SDI", "MYD", "MYI", "CSV", "CSM", "ARZ", "ARM", "ARN", "MRG", "opt", "frm", "par",
];

/// Names of directories of engines that are not copied.
const FOREIGN_ENGINES: &[&str] = &[".rocksdb", "#rocksdb"];

/// How deep schema directories are searched; mysqld makes one level.
const MAX_DEPTH: usize = 8;

/// Collects names and makes them unique.
struct Collector<'a> {
    facts: &'a Facts,
    found: Vec<(PathBuf, String, FileKind)>,
    seen: HashSet<(u64, u64)>,
    names: HashSet<String>,
    plain: Vec<(PathBuf, String)>,
    directories: BTreeSet<String>,
}

impl Inventory {
    /// Takes stock. `job` only for cancellation; `settled` when the backup lock is held, so that
    /// every file must have a readable first page.
    pub(super) fn take(
        session: &mut Session,
        facts: &Facts,
        job: &Job,
        settled: bool,
    ) -> Result<Self> {
        let listed = session.tablespaces()?;
        let mut known = HashMap::new();
        for space in &listed {
            if let Some((_, inode)) = locate(facts, &space.path)? {
                known.insert(inode, space);
            }
        }
        let mut collector = Collector {
            facts,
            found: Vec::new(),
            seen: HashSet::new(),
            names: HashSet::new(),
            plain: Vec::new(),
            directories: BTreeSet::new(),
        };
        let system = collector.system_files()?;
        collector.walk(&facts.datadir, "", 0)?;
        for space in &listed {
            let kind = if space.is_undo {
                FileKind::Undo
            } else {
                FileKind::Tablespace
            };
            if let Some((path, _)) = locate(facts, &space.path)? {
                collector.external(&path, kind)?;
            }
        }
        let mut inventory = Self {
            directories: std::mem::take(&mut collector.directories),
            ..Self::default()
        };
        inventory.add_system(facts, system, job)?;
        let system_names: HashSet<String> = inventory
            .spaces
            .iter()
            .map(|file| file.name.clone())
            .collect();
        for (path, name, kind) in collector.found {
            if system_names.contains(&name) {
                continue;
            }
            job.check()?;
            let listed = inode(&path)?.and_then(|inode| known.get(&inode).copied());
            match probe(&path, &name, kind, facts, listed, settled)? {
                Probe::Space(file) => inventory.spaces.push(*file),
                Probe::Temporary | Probe::Gone => {}
                Probe::Unreadable => inventory.unsettled.push((path, name)),
            }
        }
        for (path, name) in collector.plain {
            if let Some((file, _)) = open_source(&path)? {
                inventory
                    .plain
                    .push(describe(&path, &name, FileKind::Plain, None, &file)?);
            }
        }
        if facts.data_home != facts.datadir {
            inventory.add_buffer_pool_dump(&facts.data_home)?;
        }
        if settled {
            // While DDL runs a file may be met under its old name and under its new one.
            inventory.check_unique()?;
            inventory.check_complete(&listed)?;
        }
        Ok(inventory)
    }

    /// The files of the system tablespace, in order, each with the number of its first page.
    fn add_system(
        &mut self,
        facts: &Facts,
        files: Vec<(PathBuf, String)>,
        job: &Job,
    ) -> Result<()> {
        let mut first_page = 0;
        let mut shared: Option<SpaceInfo> = None;
        for (path, name) in files {
            job.check()?;
            let Some((file, length)) = open_source(&path)? else {
                return Err(Error::io(
                    "open file",
                    &path,
                    std::io::ErrorKind::NotFound.into(),
                ));
            };
            let space = match shared {
                // Only the first file has a header that describes the space.
                Some(space) => SpaceInfo {
                    first_page,
                    ..space
                },
                None => match PageReader::probe(&file, &path, facts.page_size)? {
                    Some(header) => SpaceInfo {
                        id: header.space_id,
                        flags: header.flags,
                        geometry: geometry(&path, header.flags)?,
                        first_page,
                    },
                    None => return Err(Error::damaged(&path, "page 0 cannot be read")),
                },
            };
            shared = Some(space);
            self.spaces.push(describe(
                &path,
                &name,
                FileKind::System,
                Some(space),
                &file,
            )?);
            first_page += u32::try_from(length / space.geometry.physical() as u64)
                .map_err(|_| Error::damaged(&path, "is too long"))?;
        }
        Ok(())
    }

    /// The dump of the buffer pool lies beside the system tablespace.
    fn add_buffer_pool_dump(&mut self, data_home: &Path) -> Result<()> {
        let (path, name) = (data_home.join("ib_buffer_pool"), "ib_buffer_pool");
        if self.plain.iter().all(|file| file.name != name)
            && let Some((file, _)) = open_source(&path)?
        {
            self.plain
                .push(describe(&path, name, FileKind::Plain, None, &file)?);
        }
        Ok(())
    }

    /// Every tablespace that the server knows must have been found.
    fn check_complete(&self, listed: &[ListedSpace]) -> Result<()> {
        let found: HashSet<SpaceId> = self
            .spaces
            .iter()
            .filter_map(|file| Some(file.space?.id))
            .collect();
        match listed
            .iter()
            .find(|space| space.has_file && !found.contains(&space.id))
        {
            Some(missing) => Err(Error::io(
                "open file",
                Path::new(&missing.path),
                std::io::ErrorKind::NotFound.into(),
            )),
            None => Ok(()),
        }
    }

    fn check_unique(&self) -> Result<()> {
        let mut places: BTreeMap<_, &SourceFile> = BTreeMap::new();
        for file in &self.spaces {
            let Some(place) = file.place() else { continue };
            if let Some(other) = places.insert(place, file) {
                return Err(Error::damaged(
                    &file.path,
                    format!("has the space id {} of '{}'", place.0, other.path.display()),
                ));
            }
        }
        Ok(())
    }
}

impl Collector<'_> {
    /// The files named by `innodb_data_file_path`.
    fn system_files(&mut self) -> Result<Vec<(PathBuf, String)>> {
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

    fn walk(&mut self, directory: &Path, prefix: &str, depth: usize) -> Result<()> {
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
    fn external(&mut self, path: &Path, kind: FileKind) -> Result<()> {
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

enum Probe {
    Space(Box<SourceFile>),
    /// A temporary tablespace: not part of a backup.
    Temporary,
    /// Vanished in the meantime.
    Gone,
    /// Empty, or its first page does not verify.
    Unreadable,
}

fn probe(
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
fn locate(facts: &Facts, listed: &str) -> Result<Option<(PathBuf, (u64, u64))>> {
    for directory in [&facts.datadir, &facts.undo_dir, &facts.data_home] {
        let path = directory.join(listed);
        if let Some(inode) = inode(&path)? {
            return Ok(Some((path, inode)));
        }
    }
    Ok(None)
}

/// Device and inode number; `None` when the file is gone.
fn inode(path: &Path) -> Result<Option<(u64, u64)>> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read attributes of", path, e)),
    }
}

fn geometry(path: &Path, flags: SpaceFlags) -> Result<Geometry> {
    Geometry::of(flags).map_err(|e| Error::damaged(path, e))
}

/// Opens a file of the donor; `None` when it is gone.
pub(super) fn open_source(path: &Path) -> Result<Option<(File, u64)>> {
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

fn describe(
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
pub(super) fn birth_time(file: &File) -> Option<i64> {
    let created = file.metadata().ok()?.created().ok()?;
    let since = created.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok()
}

fn not_utf8(path: &Path) -> Error {
    Error::refused(
        1105,
        format!("the name of '{}' is not UTF-8", path.display()),
        "Rename the file, or the tablespace it belongs to.",
    )
}
