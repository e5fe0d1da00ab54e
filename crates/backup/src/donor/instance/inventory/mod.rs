//! What files the server has, and what identifies each.

mod probe;
mod source;
mod walk;

pub(super) use source::{SourceFile, open_source};

use self::probe::{Probe, geometry, inode, locate, probe};
use self::source::describe;
use self::walk::Collector;
use super::facts::Facts;
use super::pages::PageReader;
use super::session::{ListedSpace, Session};
use crate::files::{FileKind, SpaceInfo};
use crate::{Error, Job, Result};
use innodb::ids::SpaceId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// All files of the donor at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Inventory {
    /// Files made of pages.
    pub spaces: Vec<SourceFile>,
    /// Others: non-InnoDB tables, the buffer pool dump, component manifests.
    pub plain: Vec<SourceFile>,
    /// Directories below the data directory.
    pub directories: BTreeSet<String>,
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
                // What is being created or dropped is settled under the backup lock.
                Probe::Temporary | Probe::Gone | Probe::Unreadable => {}
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
