//! `apply`: an increment put into a copy of a full backup, in place.
//!
//! This is the procedure of those who keep the full set as a data directory: copy it, apply one
//! increment after the other, start mysqld. (`restore` does the same in one pass and needs no
//! copy.) It differs from a restore in that it changes what is there, and therefore in what it
//! takes care of:
//!
//! * Everything is [checked](check) before anything is changed: the data directory is an
//!   [untouched](inspect) copy of a full set, the increment continues it, and every byte of the
//!   increment is read.
//! * All renames are [planned](plan) from the complete lists.
//! * The [journal] is written first, as the marker that keeps mysqld away. A killed apply is run
//!   again with the same increment and ends with the same bytes; see [work].
//! * The [result] describes itself: the data directory is a full set as of the increment, with a
//!   digest for every byte, to which the next increment links.

mod check;
mod contents;
mod disk;
mod inspect;
mod journal;
mod plan;
mod result;
mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod work;

use self::disk::Disk;
use self::inspect::Lock;
use self::journal::Journal;
use self::plan::Plan;
use self::work::{Work, Written};
use crate::chain::check_link;
use crate::keys::{Unsealing, has_encryption};
use crate::recipient::free_space;
use crate::set::{BackupSet, Manifest, SetKind};
use crate::{EncryptionKey, Error, Job, Result};
use std::path::Path;
use std::sync::atomic::Ordering;

/// What an apply did.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The plan; `None` when there was nothing to do.
    pub plan: Option<Counts>,
    /// Whether sealed keys are back in their places.
    pub gives_keys: bool,
    /// Whether this run went on where a killed one had stopped.
    pub resumed: bool,
    /// The state of the data directory.
    pub manifest: Manifest,
}

/// Numbers of files, and what this run wrote.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub created: u64,
    pub renamed: u64,
    pub removed: u64,
    pub changed: u64,
    pub pages: u64,
    pub bytes: u64,
}

/// Applies the increment in `increment` to the data directory `datadir`.
pub(crate) fn apply(
    datadir: &Path,
    increment: &Path,
    key: Option<&EncryptionKey>,
    job: &Job,
) -> Result<Applied> {
    let (datadir, increment) = inspect::resolve(datadir, increment)?;
    let disk = Disk::new(&datadir)?;
    run(&disk, &increment, key, job).map_err(|error| {
        job.progress.fail();
        job.cause(error)
    })
}

fn run(disk: &Disk, increment: &Path, key: Option<&EncryptionKey>, job: &Job) -> Result<Applied> {
    let datadir = disk.root();
    let _lock = Lock::take(datadir)?;
    if increment == datadir {
        return to_itself(datadir, job);
    }
    let increment = BackupSet::open(increment)?;
    if increment.manifest().kind != SetKind::Increment {
        return Err(Error::refused(
            1105,
            format!("'{}' is a full backup", increment.path().display()),
            "Give the directory of an increment; a full backup is a data directory by itself.",
        ));
    }
    let keys = Unsealing::open(std::iter::once(&increment), key)?;
    let (journal, resumed) = match Journal::read(datadir)? {
        Some(journal) => {
            journal.check_same(&increment, datadir)?;
            (journal, true)
        }
        None => match begin(disk, &increment, &keys, job)? {
            Some(journal) => (journal, false),
            None => {
                return Ok(Applied {
                    plan: None,
                    gives_keys: false,
                    resumed: false,
                    manifest: BackupSet::open(datadir)?.manifest().clone(),
                });
            }
        },
    };
    let counts = counts(&journal.plan);
    tracing::info!(
        increment = %increment.path().display(),
        resumed,
        created = counts.created,
        renamed = counts.renamed,
        removed = counts.removed,
        changed = counts.changed,
        "the data directory is going to be changed"
    );
    let work = Work {
        disk,
        journal: &journal,
        increment: &increment,
        keys: &keys,
        job,
        written: Written::default(),
    };
    work.run()?;
    Ok(Applied {
        plan: Some(Counts {
            pages: work.written.pages.load(Ordering::Relaxed),
            bytes: work.written.bytes.load(Ordering::Relaxed),
            ..counts
        }),
        gives_keys: !keys.is_empty(),
        resumed,
        manifest: BackupSet::open(datadir)?.manifest().clone(),
    })
}

/// A full set applied to itself, as the procedure for compressed ones demands after they have been
/// decompressed. [Decompressing](crate::command::decompress) has put the pages in their places, so
/// that all there is to do is to see that they are.
fn to_itself(datadir: &Path, job: &Job) -> Result<Applied> {
    if let Some(journal) = Journal::read(datadir)? {
        return Err(journal.in_the_way(datadir));
    }
    let set = BackupSet::open(datadir)?;
    if set.manifest().keys.is_some() {
        return Err(Error::refused(
            3185,
            format!("the tablespace keys of '{}' are sealed", datadir.display()),
            "Use 'innoclone restore --encryption-key-file' on the set, or apply an increment.",
        ));
    }
    if set.manifest().kind != SetKind::Full {
        return Err(Error::refused(
            1105,
            format!("'{}' is an increment", datadir.display()),
            "Only a full backup can be applied to itself. Name the data directory that the \
             increment is to be applied to.",
        ));
    }
    inspect::check_decompressed(datadir)?;
    inspect::check_stored_plain(&set)?;
    inspect::check_untouched(&set, set.manifest(), job)?;
    Ok(Applied {
        plan: None,
        gives_keys: false,
        resumed: false,
        manifest: set.manifest().clone(),
    })
}

/// All checks, then the journal: the first thing that is written. `None` when the increment has
/// been applied already.
fn begin(
    disk: &Disk,
    increment: &BackupSet,
    keys: &Unsealing,
    job: &Job,
) -> Result<Option<Journal>> {
    let base = BackupSet::open(disk.root())?;
    inspect::check_decompressed(disk.root())?;
    inspect::check_stored_plain(&base)?;
    inspect::check_untouched(&base, increment.manifest(), job)?;
    if base.manifest().id == increment.manifest().id {
        return Ok(None);
    }
    check_link(&base, increment)?;
    check_keys(&base, increment)?;
    let (mut plan, origins) = Plan::new(base.manifest(), increment.manifest(), increment.path())?;
    let need = check::growth(&base, increment, &origins, job)?;
    let free = free_space(base.path())?;
    if need > free {
        return Err(Error::NoSpace { need, free });
    }
    check_writable(disk, &base, &plan, &origins)?;
    let planned = check::check(&base, increment, &origins, keys, job)?;
    // What a run left here that was killed before its journal was in place.
    work::clear(disk)?;
    let result_digest = result::stage(disk, increment, &planned)?;
    plan.forget = forgotten(base.manifest());
    let journal = Journal::new(increment, result_digest, plan)?;
    journal.write(disk)?;
    Ok(Some(journal))
}

/// Keys that are sealed in the data directory come anew with an increment that was taken over the
/// network, and with no other.
fn check_keys(base: &BackupSet, increment: &BackupSet) -> Result<()> {
    let sealed = base.manifest().keys.is_some() && increment.manifest().keys.is_none();
    if !(sealed && has_encryption(increment)) {
        return Ok(());
    }
    Err(Error::refused(
        3185,
        format!(
            "the tablespace keys of '{}' are sealed, and '{}' does not bring them anew",
            base.path().display(),
            increment.path().display()
        ),
        "Use 'innoclone restore' on the increment, with --encryption-key-file.",
    ))
}

/// Opens every file that is going to be changed, so that a missing permission is found first.
fn check_writable(
    disk: &Disk,
    base: &BackupSet,
    plan: &Plan,
    origins: &[plan::Origin],
) -> Result<()> {
    for file in &plan.changed {
        let origin = origins.get(*file).copied().flatten();
        if let Some(old) = origin.and_then(|at| base.manifest().files.get(at)) {
            disk.open(&old.name)?;
        }
    }
    Ok(())
}

/// Files that describe the old set and that the result has no other version of.
fn forgotten(base: &Manifest) -> Vec<String> {
    let own = base.own_files.iter().map(|own| own.name.clone());
    own.filter(|name| !result::DESCRIPTION.contains(&name.as_str()))
        .collect()
}

fn counts(plan: &Plan) -> Counts {
    Counts {
        created: plan.new.len() as u64,
        renamed: plan.moves.len() as u64,
        removed: plan.remove.len() as u64,
        changed: plan.changed.len() as u64,
        ..Counts::default()
    }
}
