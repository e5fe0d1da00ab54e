//! What has to happen to a data directory, worked out from two manifests before anything is done.
//!
//! Renames are planned from the complete lists of both sides, by tablespace and place in it, never
//! by looking at names one after the other: `a -> b` together with `b -> a`, or `a -> a_old` with
//! a new `a`, must come out right in whatever order files are visited.

use crate::set::{Content, Manifest};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

/// A file that keeps its bytes and gets another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Move {
    /// Name in the data directory.
    pub from: String,
    /// Name in the increment.
    pub to: String,
}

/// The steps that make a data directory that of an increment. Names are relative to the data
/// directory; files are positions in the increment's manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Renames. No order among them: all are moved aside before the first gets its name.
    pub moves: Vec<Move>,
    /// Files made anew from what the increment stores: new tablespaces, redo, plain files.
    pub new: Vec<usize>,
    /// Files that get pages, or another length.
    pub changed: Vec<usize>,
    /// Files that are gone and whose name nothing else gets.
    pub remove: Vec<String>,
    /// Every directory of the result, parents first.
    pub directories: Vec<String>,
    /// Directories that are gone, children first.
    pub remove_directories: Vec<String>,
    /// Descriptions of the old set that the result has not.
    pub forget: Vec<String>,
}

/// Where a file of the result comes from: a position in the manifest of the data directory, `None`
/// when it is made anew.
pub(super) type Origin = Option<usize>;

impl Plan {
    /// Plans how `base`, a full set, becomes the state of `increment`. Also returns the origin of
    /// every file of the increment.
    pub(super) fn new(
        base: &Manifest,
        increment: &Manifest,
        path: &Path,
    ) -> Result<(Self, Vec<Origin>)> {
        for name in base.files.iter().chain(&increment.files).map(|f| &f.name) {
            check_place(name, path)?;
        }
        for name in base.directories.iter().chain(&increment.directories) {
            check_place(name, path)?;
        }
        let places: HashMap<(u32, u32), usize> = base
            .files
            .iter()
            .enumerate()
            .filter_map(|(at, file)| Some(((file.space?.id, file.space?.first_page), at)))
            .collect();
        let mut plan = Self::default();
        let mut origins = Vec::with_capacity(increment.files.len());
        let mut kept = HashSet::new();
        for (at, file) in increment.files.iter().enumerate() {
            let place = file.space.map(|space| (space.id, space.first_page));
            let origin = place.and_then(|place| places.get(&place).copied());
            // An increment from an LSN knows no parent: what it has of a tablespace that is new
            // since is every page that was written.
            let is_new = increment.parent.is_none() && origin.is_none();
            if file.content != Content::Delta || is_new {
                plan.new.push(at);
                origins.push(None);
                continue;
            }
            let Some((origin, old)) = origin.and_then(|at| Some((at, base.files.get(at)?))) else {
                return Err(Error::BrokenChain(format!(
                    "'{}' holds changed pages of '{}', which the data directory does not have",
                    path.display(),
                    file.name
                )));
            };
            let page_size = |space: Option<crate::set::SpaceRecord>| space.map(|s| s.page_size);
            if page_size(old.space) != page_size(file.space) {
                return Err(Error::BrokenChain(format!(
                    "'{}' has other pages than '{}' in the data directory",
                    file.name, old.name
                )));
            }
            if !kept.insert(origin) {
                return Err(Error::damaged(
                    path,
                    format!("two files are the tablespace of '{}'", file.name),
                ));
            }
            if old.name != file.name {
                plan.moves.push(Move {
                    from: old.name.clone(),
                    to: file.name.clone(),
                });
            }
            if file.pages > 0 || old.length != file.length {
                plan.changed.push(at);
            }
            origins.push(Some(origin));
        }
        let names: HashSet<&str> = increment.files.iter().map(|f| f.name.as_str()).collect();
        plan.remove = base
            .files
            .iter()
            .enumerate()
            .filter(|(at, file)| !kept.contains(at) && !names.contains(file.name.as_str()))
            .map(|(_, file)| file.name.clone())
            .collect();
        let (old, new) = (directories(base), directories(increment));
        plan.remove_directories = old.difference(&new).cloned().collect();
        plan.remove_directories.reverse();
        plan.directories = new.into_iter().collect();
        Ok((plan, origins))
    }
}

/// Names under `#clone` are ours, whatever a manifest says: but for the file that sets from over the
/// network have for the server.
fn check_place(name: &str, path: &Path) -> Result<()> {
    if name == crate::set::layout::STATUS_FIX {
        return Ok(());
    }
    if name.split('/').next() == Some(crate::set::layout::CLONE_DIR) {
        let detail = format!("its manifest lists '{name}' among the files of the server");
        return Err(Error::damaged(path, detail));
    }
    Ok(())
}

/// Every directory that a manifest names or needs; parents sort before children.
fn directories(manifest: &Manifest) -> BTreeSet<String> {
    let parents = manifest
        .files
        .iter()
        .filter_map(|file| Some(file.name.rsplit_once('/')?.0));
    let mut all = BTreeSet::new();
    for name in parents.chain(manifest.directories.iter().map(String::as_str)) {
        let mut rest = Some(name);
        while let Some(name) = rest {
            all.insert(name.to_owned());
            rest = name.rsplit_once('/').map(|(parent, _)| parent);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::testing::{delta, full_file, manifest, whole};
    use super::*;
    use crate::set::SetKind;

    fn plan(base: &Manifest, increment: &Manifest) -> Plan {
        Plan::new(base, increment, Path::new("/i")).unwrap().0
    }

    fn moves(plan: &Plan) -> Vec<(&str, &str)> {
        let pairs = plan.moves.iter();
        pairs.map(|m| (m.from.as_str(), m.to.as_str())).collect()
    }

    #[test]
    fn names_are_followed_by_tablespace() {
        let base = manifest(
            SetKind::Full,
            vec![
                full_file("s/a.ibd", 5),
                full_file("s/b.ibd", 6),
                full_file("s/c.ibd", 7),
                full_file("t/d.ibd", 8),
            ],
        );
        // A swap of a and b; c is truncated (same name, new id); d moves to a new schema.
        let increment = manifest(
            SetKind::Increment,
            vec![
                delta("s/a.ibd", 6, 0),
                delta("s/b.ibd", 5, 1),
                whole("s/c.ibd", 9),
                delta("u/d.ibd", 8, 0),
            ],
        );
        let plan = plan(&base, &increment);
        assert_eq!(
            moves(&plan),
            [
                ("s/b.ibd", "s/a.ibd"),
                ("s/a.ibd", "s/b.ibd"),
                ("t/d.ibd", "u/d.ibd")
            ]
        );
        assert_eq!((plan.new, plan.changed), (vec![2], vec![1]));
        assert_eq!(
            plan.remove,
            Vec::<String>::new(),
            "c is replaced under its name"
        );
        assert_eq!(plan.directories, ["s", "u"]);
        assert_eq!(plan.remove_directories, ["t"]);
    }

    #[test]
    fn the_swap_of_online_schema_changes_keeps_the_old_table() {
        let base = manifest(SetKind::Full, vec![full_file("s/t.ibd", 5)]);
        let files = vec![whole("s/t.ibd", 9), delta("s/t_old.ibd", 5, 3)];
        let plan = plan(&base, &manifest(SetKind::Increment, files));
        assert_eq!(moves(&plan), [("s/t.ibd", "s/t_old.ibd")]);
        assert_eq!((plan.new, plan.changed), (vec![0], vec![1]));
    }

    #[test]
    fn a_delta_without_its_tablespace_is_a_broken_chain() {
        let base = manifest(SetKind::Full, vec![full_file("s/t.ibd", 5)]);
        let mut increment = manifest(SetKind::Increment, vec![delta("s/t.ibd", 6, 1)]);
        increment.parent = Some(base.id.clone());
        let error = Plan::new(&base, &increment, Path::new("/i")).unwrap_err();
        assert!(matches!(error, Error::BrokenChain(_)), "{error}");
        // An increment from an LSN has all pages of what is new since.
        increment.parent = None;
        let plan = plan(&base, &increment);
        assert_eq!(plan.new, [0]);
    }

    #[test]
    fn a_manifest_cannot_write_into_our_directory() {
        let base = manifest(SetKind::Full, vec![]);
        let increment = manifest(SetKind::Increment, vec![whole("#clone/manifest.json", 6)]);
        assert!(Plan::new(&base, &increment, Path::new("/i")).is_err());
    }
}
