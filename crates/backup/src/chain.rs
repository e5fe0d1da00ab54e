//! Chains: a full set and the increments that connect to it.

use crate::set::{BackupSet, Manifest, PagesBy, SetId, SetKind};
use crate::{Error, Result};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// A full set and its increments, in order. Every link has been checked.
#[derive(Debug)]
pub struct Chain {
    sets: Vec<BackupSet>,
}

impl Chain {
    /// Finds the chain that ends with the set in `last`. Ancestors are looked for where the set
    /// says its parent was, then among the siblings of `last`, then in `more`, which may be sets
    /// or directories of sets.
    pub fn find(last: &Path, more: &[PathBuf]) -> Result<Self> {
        let last = std::path::absolute(last).map_err(|e| Error::io("open backup set", last, e))?;
        let mut sets = vec![BackupSet::open(&last)?];
        let mut library: Option<Library> = None;
        while let Some(child) = sets
            .last()
            .filter(|set| set.manifest().kind == SetKind::Increment)
        {
            let parent = if let Some(parent) = recorded_parent(child) {
                parent
            } else {
                let library = library.get_or_insert_with(|| Library::read(&last, more));
                library.parent_of(child)?
            };
            sets.push(parent);
            if sets.len() > 10_000 {
                return Err(Error::broken_chain(
                    "it does not end at a full backup",
                    "Take a full backup.",
                ));
            }
        }
        sets.reverse();
        Self::link(sets)
    }

    /// A chain of these sets in this order, if that is what they are.
    pub fn link(sets: Vec<BackupSet>) -> Result<Self> {
        let Some(first) = sets.first() else {
            return Err(Error::broken_chain("there is no set", ""));
        };
        if first.manifest().kind != SetKind::Full {
            return Err(Error::broken_chain(
                format!(
                    "'{}' is an increment; a chain begins with a full backup",
                    first.path().display()
                ),
                "Name the full backup first, and all increments up to the last.",
            ));
        }
        for pair in sets.windows(2) {
            if let [parent, child] = pair {
                check_link(parent, child)?;
            }
        }
        Ok(Self { sets })
    }

    /// The sets, the full one first.
    pub fn sets(&self) -> &[BackupSet] {
        &self.sets
    }

    /// The last set: the state that the chain restores.
    pub fn last(&self) -> &BackupSet {
        // `link` refuses an empty chain.
        &self.sets[self.sets.len() - 1]
    }
}

/// What to do about a base that is not of the server that is backed up.
pub(crate) const OTHER_BASE: &str =
    "Name a set of this server by --based-on, or take a full backup.";

/// Checks that `child` continues `parent`.
pub(crate) fn check_link(parent: &BackupSet, child: &BackupSet) -> Result<()> {
    let (p, c) = (parent.manifest(), child.manifest());
    links(p, c).map_err(|reason| {
        Error::broken_chain(
            format!(
                "'{}' does not continue '{}': {reason}",
                child.path().display(),
                parent.path().display()
            ),
            "Every increment follows the set that it is based on, in order; none can be left out.",
        )
    })
}

/// Whether an increment with manifest `child` may follow a set with manifest `parent`.
fn links(parent: &Manifest, child: &Manifest) -> Result<(), String> {
    if child.kind != SetKind::Increment {
        return Err("it is a full backup".into());
    }
    if parent.server.uuid != child.server.uuid {
        return Err(format!(
            "it is of server {}, not {}",
            child.server.uuid, parent.server.uuid
        ));
    }
    if parent.page_size != child.page_size {
        return Err(format!(
            "it has pages of {} bytes, not {}",
            child.page_size, parent.page_size
        ));
    }
    if let Some(id) = &child.parent
        && *id != parent.id
    {
        return Err(format!("it is based on set {id}, this is {}", parent.id));
    }
    // The parent's redo is not used: what its pages do not have, the increment must have. By page
    // tracking that is what was flushed since the parent's start point; by page LSN it is every
    // page changed since the parent's checkpoint.
    let needed = match child.pages_by {
        PagesBy::Tracked => parent.lsn.page_track,
        PagesBy::Scan | PagesBy::All => parent.lsn.checkpoint,
    };
    if child.lsn.start > needed {
        return Err(format!(
            "it has the changes since LSN {}, those since {needed} are needed",
            child.lsn.start
        ));
    }
    if child.lsn.end < parent.lsn.end {
        return Err(format!(
            "it ends at LSN {}, before {}",
            child.lsn.end, parent.lsn.end
        ));
    }
    Ok(())
}

/// The parent in the directory that the set recorded, if it is still there.
fn recorded_parent(child: &BackupSet) -> Option<BackupSet> {
    let (id, path) = (
        child.manifest().parent.as_ref()?,
        child.manifest().parent_path.as_ref()?,
    );
    let set = BackupSet::open(Path::new(path)).ok()?;
    (set.manifest().id == *id).then_some(set)
}

/// Sets found in directories, to look ancestors up in.
struct Library {
    sets: Vec<BackupSet>,
    places: Vec<PathBuf>,
    /// Why sets that were found cannot be used.
    damaged: BTreeSet<String>,
}

impl Library {
    fn read(last: &Path, more: &[PathBuf]) -> Self {
        let mut places: Vec<PathBuf> = last.parent().map(Path::to_owned).into_iter().collect();
        places.extend(more.iter().cloned());
        let mut found = HashMap::new();
        let mut damaged = BTreeSet::new();
        for place in &places {
            for path in std::iter::once(place.clone()).chain(subdirectories(place)) {
                match BackupSet::open(&path) {
                    Ok(set) => {
                        found.entry(set.manifest().id.clone()).or_insert(set);
                    }
                    Err(error @ (Error::Damaged { .. } | Error::Refused { .. })) => {
                        damaged.insert(error.to_string());
                    }
                    Err(_) => {}
                }
            }
        }
        Self {
            sets: found.into_values().collect(),
            places,
            damaged,
        }
    }

    /// Takes the parent of `child` out.
    fn parent_of(&mut self, child: &BackupSet) -> Result<BackupSet> {
        let index = match &child.manifest().parent {
            Some(id) => self.sets.iter().position(|set| set.manifest().id == *id),
            None => self.by_lsn(child),
        };
        let Some(index) = index else {
            let wanted = child.manifest().parent.as_ref().map_or_else(
                || format!("a set with the state of LSN {}", child.manifest().lsn.start),
                |id: &SetId| format!("set {id}"),
            );
            let places: Vec<_> = self
                .places
                .iter()
                .map(|p| p.display().to_string())
                .collect();
            let recorded = child.manifest().parent_path.as_deref();
            let mut damaged = self.damaged.clone();
            if let Some(Err(error @ (Error::Damaged { .. } | Error::Refused { .. }))) =
                recorded.map(|path| BackupSet::open(Path::new(path)))
            {
                damaged.insert(error.to_string());
            }
            let mut places = places.join(", ");
            for error in damaged {
                places += "; ";
                places += &error;
            }
            return Err(Error::broken_chain(
                format!(
                    "'{}' is based on {wanted}, which is neither at '{}' nor in {places}",
                    child.path().display(),
                    recorded.unwrap_or("(not recorded)")
                ),
                "Name directories with the missing sets by --chain, or take a full backup.",
            ));
        };
        Ok(self.sets.swap_remove(index))
    }

    /// The newest set that an increment without a recorded parent may follow.
    fn by_lsn(&self, child: &BackupSet) -> Option<usize> {
        let own = &child.manifest().id;
        let fits = |set: &BackupSet| {
            set.manifest().id != *own && links(set.manifest(), child.manifest()).is_ok()
        };
        let candidates = self.sets.iter().enumerate().filter(|(_, set)| fits(set));
        candidates
            .max_by_key(|(_, set)| set.manifest().lsn.end)
            .map(|(index, _)| index)
    }
}

fn subdirectories(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(path).ok().into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_dir())
}
