//! A small chain with everything in it, and everything that can happen to it.
#![allow(
    dead_code,
    unused_imports,
    reason = "every test binary uses a part of it"
)]

mod cases;
mod hidden;
mod packed;
mod run;

pub(crate) use cases::{entries, flips, lengths, places};
pub(crate) use hidden::{directory_damages, manifests, resealed};
pub(crate) use packed::{packed_flips, packed_indexes, packed_lengths, packed_manifests};
pub(crate) use run::{problems, quick, run, verified};

use crate::common::Place;
use crate::compressing::{Compression, compress_set};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use testkit::fixtures::{ZooOptions, change_zoo, zoo};
use testkit::{Scratch, Server, ServerOptions};

/// A full set and an increment of it, and what they restore to.
pub(crate) struct Sets {
    scratch: Scratch,
    /// Digests of the restored files, `#clone` apart, which holds the time of the restore.
    pub(crate) restored: BTreeMap<String, String>,
    /// The log sequence number at which the increment ends.
    pub(crate) end: u64,
}

/// Something done to one of the sets.
pub(crate) struct Case {
    pub(crate) name: String,
    /// `full` or `incr`.
    pub(crate) set: &'static str,
    /// Files of which at least one must be named as damaged.
    pub(crate) paths: Vec<String>,
    /// Whether a restore must refuse, or not be affected.
    pub(crate) restore: bool,
    /// Whether it may be that nothing is wrong; a restore is then as without the damage.
    pub(crate) harmless: bool,
    pub(crate) damage: Box<dyn Fn(&Path) + Sync>,
}

/// The sets, made once for all tests that run at the same time.
pub(crate) fn sets() -> Arc<Sets> {
    static SHARED: Mutex<Weak<Sets>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sets) = shared.upgrade() {
        return sets;
    }
    let sets = Arc::new(make());
    *shared = Arc::downgrade(&sets);
    sets
}

fn make() -> Sets {
    let server = Server::start(ServerOptions {
        keyring: true,
        ..ServerOptions::default()
    })
    .unwrap();
    let options = ZooOptions {
        encrypted: true,
        elsewhere: None,
    };
    zoo(&server, &options).unwrap();
    let place = Place::new();
    // The cases damage pages of all kinds, and those that are changed: they have to be there.
    server.flush_pages().unwrap();
    place.full(&server, "full", true);
    change_zoo(&server, 1).unwrap();
    server.flush_pages().unwrap();
    let report = place.increment(&server, "incr", "full");
    drop(server);
    place.restore("incr", "restored");
    let restored = tree(&place.path("restored"));
    // Elsewhere, so that no case finds an ancestor that it did not damage.
    let scratch = Scratch::new().unwrap();
    for name in ["full", "incr"] {
        std::fs::rename(place.path(name), scratch.join(name)).unwrap();
    }
    Sets {
        scratch,
        restored,
        end: report.lsn.end.get(),
    }
}

impl Sets {
    /// The same sets, compressed.
    pub(crate) fn compressed(&self, full: Compression, incr: Compression) -> Self {
        let scratch = Scratch::new().unwrap();
        self.copy_to(scratch.path());
        compress_set(&scratch.join("full"), full);
        compress_set(&scratch.join("incr"), incr);
        Self {
            scratch,
            restored: self.restored.clone(),
            end: self.end,
        }
    }

    /// Copies both sets into a directory. Their files are shared: damage replaces them.
    pub(crate) fn copy_to(&self, directory: &Path) {
        for name in ["full", "incr"] {
            link_tree(&self.scratch.join(name), &directory.join(name));
        }
    }

    /// A set, not to be damaged.
    pub(crate) fn path(&self, set: &str) -> PathBuf {
        self.scratch.join(set)
    }
}

/// Names of all files below a directory.
pub(crate) fn files(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                names.push(
                    path.strip_prefix(root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    names.sort();
    names
}

/// Copies a directory by links to its files.
pub(crate) fn link_tree(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            link_tree(&entry.path(), &target);
        } else {
            std::fs::hard_link(entry.path(), &target).unwrap();
        }
    }
}

/// Digests of the files below a directory, `#clone` apart; empty directories are names too.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            tree.insert(format!("{name}/"), String::new());
        }
    }
    for name in files(root) {
        if !name.starts_with("#clone/") {
            let digest = blake3::hash(&std::fs::read(root.join(&name)).unwrap());
            tree.insert(name, digest.to_string());
        }
    }
    tree
}

/// Replaces a file by a changed copy of itself: what it is linked with stays.
pub(crate) fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    how(&mut bytes);
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Changes one bit.
pub(crate) fn flip(path: &Path, at: usize) {
    change(path, |bytes| bytes[at] ^= 0x20);
}
