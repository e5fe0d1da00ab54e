//! `decompress`: compressed files, or those below a directory, back to what they were, in place.
//!
//! A restore needs none of this; it reads compressed sets as they are. This is for those who bring
//! a copy of a set back by hand: copy, decompress, apply, start mysqld.
//!
//! `x.zstd` becomes `x` beside it, under another name until it is whole, checked and durable. So a
//! killed run leaves nothing half-written under a final name, and is simply run again. An `x` that
//! is there already must be what `x.zstd` holds, else it is a problem; nothing is written over.
//! With a problem in one file the others are decompressed all the same, and all problems are told.
//!
//! # What becomes of a sealed set
//!
//! Its manifest lists the compressed files. As long as these stay, they are still the set, and what
//! is beside them is nothing of it. When they are to be removed, the whole set is decompressed
//! first, each file against its digest in the manifest; then the set gets a [manifest](describe)
//! of what it is now, the same set with its files stored plain; then the compressed files go. Any
//! problem within a set, and all of it stays what it was. As long as this lasts the set is marked,
//! so that nothing takes it for whole: not mysqld, and no other command.
//!
//! A file of a full set that has pages beside it (`x.zstd`, `x.delta.zstd`, `x.meta`) becomes one
//! file, its pages in their places. So there is no moment at which the directory looks like a data
//! directory and has old pages in it, as there is when they are put in place by a later step.

mod describe;
mod file;
mod find;
mod found;
mod sink;
mod source;
mod target;
mod work;

use self::find::Tree;
use self::found::Found;
use self::work::Work;
use super::Problem;
use crate::{Error, Job, Result, Stage};
use frame::Algorithm;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What to decompress.
#[derive(Debug, Clone)]
pub struct DecompressRequest {
    /// Compressed files, and directories with such files at any depth.
    pub paths: Vec<PathBuf>,
    /// Remove every compressed file once the decompressed one is durable.
    pub remove_original: bool,
}

/// What was decompressed.
#[derive(Debug, Clone, serde::Serialize)]
pub struct DecompressReport {
    /// Files decompressed.
    pub files: u64,
    /// Files found decompressed already, and whole; not among the others.
    pub files_already_there: u64,
    /// Compressed files removed.
    pub files_removed: u64,
    /// Bytes of the compressed files that were read.
    pub bytes_read: u64,
    /// Bytes that they hold.
    pub bytes: u64,
    /// Sets whose manifest describes plain files from now on.
    pub sets_rewritten: Vec<PathBuf>,
    /// Everything that could not be decompressed, ordered by file; empty when nothing.
    pub problems: Vec<Problem>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Decompresses. Damage, and files that are in the way, are not errors but problems in the report;
/// what keeps all of it from going on is an error. Progress: FILE COPY, in bytes of the compressed
/// files.
pub fn decompress(request: &DecompressRequest, job: &Job) -> Result<DecompressReport> {
    let begin = Instant::now();
    run(request, begin, job).map_err(|error| {
        job.progress.fail();
        job.cause(error)
    })
}

fn run(request: &DecompressRequest, begin: Instant, job: &Job) -> Result<DecompressReport> {
    let tree = Tree::find(&request.paths, request.remove_original)?;
    for set in tree.sets.iter().filter(|_| request.remove_original) {
        describe::mark(set)?;
    }
    let work = Work::new(&tree, request.remove_original, false);
    job.progress
        .begin(Stage::FileCopy, job.parallel(), tree.stored_bytes());
    let in_parallel = job.in_parallel(|| work.run(job));
    // What was not finished is removed before the error is told.
    work.abandon();
    in_parallel?;
    job.progress.end(Stage::FileCopy);
    job.progress.begin(Stage::FileSync, 1, 0);
    let mut removed = work.counts.removed.load(Ordering::Relaxed);
    let mut sets_rewritten = Vec::new();
    sync_directories(&tree.files)?;
    for set in tree.sets.iter().filter(|_| request.remove_original) {
        job.check()?;
        if work.has_problems_in(set) {
            tracing::warn!(set = %set.root().display(), "left as it is: it has problems");
            continue;
        }
        if let Some(files) = describe::rewrite(set, &work, &tree)? {
            sets_rewritten.push(set.root().to_owned());
            removed += files;
        }
    }
    for set in &tree.sets {
        describe::unmark(set)?;
    }
    job.progress.end(Stage::FileSync);
    Ok(DecompressReport {
        files: work.counts.files.load(Ordering::Relaxed),
        files_already_there: work.counts.already.load(Ordering::Relaxed),
        files_removed: removed,
        bytes_read: work.counts.stored.load(Ordering::Relaxed),
        bytes: work.counts.original.load(Ordering::Relaxed),
        sets_rewritten,
        problems: work.into_problems(),
        seconds: begin.elapsed().as_secs_f64(),
    })
}

/// Makes a set of a directory in which somebody has decompressed one file after the other, as
/// GreatSQL's manual does, or finishes that: pages beside files go into them, and the manifest is
/// of what is there now. Of the bytes nothing is known but what the tool has checked, and what
/// pages say of themselves. Does nothing for any other directory.
pub(super) fn adopt(directory: &Path, job: &Job) -> Result<()> {
    if !find::is_by_hand(directory) {
        return Ok(());
    }
    tracing::info!(
        directory = %directory.display(),
        "has been decompressed file by file: its manifest is going to be of the plain files"
    );
    let request = DecompressRequest {
        paths: vec![directory.to_owned()],
        remove_original: true,
    };
    match decompress(&request, job)?.problems.first() {
        None => Ok(()),
        Some(problem) => Err(Error::damaged(Path::new(&problem.path), &problem.detail)),
    }
}

fn sync_directories(files: &[Found]) -> Result<()> {
    let directories: BTreeSet<&Path> = files.iter().map(|found| parent(&found.original)).collect();
    directories.into_iter().try_for_each(crate::io::fsync_dir)
}

/// The directory of a file; the current one for a bare name.
fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Decompresses one file to another, which is replaced if it exists; `algorithm` is that of `from`
/// whatever its name is. This is what the tools `zstd_decompress` and `lz4_decompress` do.
pub fn decompress_file(from: &Path, to: &Path, algorithm: Algorithm, job: &Job) -> Result<()> {
    let tree = Tree::of_file(Found::file(from, to, algorithm)?);
    let work = Work::new(&tree, false, true);
    let in_parallel = job.in_parallel(|| work.run(job));
    work.abandon();
    in_parallel?;
    work.first_error()?;
    // /dev/stdout and the like are in no directory of ours.
    if to.is_file() {
        sync_directories(&tree.files)?;
    }
    Ok(())
}
