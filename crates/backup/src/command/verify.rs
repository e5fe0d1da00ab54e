//! `verify`: is every byte of a set, or of a data directory, what it must be?
//!
//! A set is compared with its manifest: names, sizes, digests, and then what no digest can tell,
//! because a program that goes wrong digests what it wrote: whether pages are whole, in their
//! place and not newer than the set, whether deltas, redo and the files in `#clone` say what the
//! manifest says, and whether the ancestors are there; and then the same of each ancestor. A data directory has no digests; its pages
//! and its redo log are checked against each other. Damage is never an error here but an answer,
//! and all of it is given.

mod contents;
mod directory;
mod findings;
mod pages;
mod redo;
mod set;

use self::findings::Findings;
use crate::chain::Chain;
use crate::set::layout::{CHUNK_VALUES, IN_PROGRESS, MANIFEST, MANIFEST_DIGEST, REPLAYING};
use crate::set::{SetId, is_half_decompressed};
use crate::{Error, Job, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use self::findings::Problem;

/// What to verify.
#[derive(Debug, Clone)]
pub struct VerifyRequest {
    /// A set, or the data directory of a stopped server.
    pub path: PathBuf,
    /// Sets, or directories of sets, in which ancestors may be found.
    pub chain: Vec<PathBuf>,
    /// Only digests and small files: no pages, no redo blocks.
    pub quick: bool,
    /// Only this set, not the ancestors that a restore of it would read as well.
    pub only_this: bool,
}

impl VerifyRequest {
    /// All that can be verified of a set with its ancestors, or of a data directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            chain: Vec::new(),
            quick: false,
            only_this: false,
        }
    }
}

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifiedKind {
    /// A backup set, full or increment.
    Set,
    /// A data directory without a manifest.
    DataDirectory,
}

/// What was found.
#[derive(Debug, Clone, serde::Serialize)]
pub struct VerifyReport {
    /// The directory.
    pub path: PathBuf,
    /// Set or data directory.
    pub kind: VerifiedKind,
    /// The set, if its manifest can be read.
    pub set_id: Option<SetId>,
    /// The set with its ancestors, the full one first; only the set where they are not complete.
    pub chain: Vec<SetId>,
    /// Everything that is wrong, ordered by file; empty when nothing is. Paths within ancestors
    /// are absolute, others relative.
    pub problems: Vec<Problem>,
    /// Files read.
    pub files: u64,
    /// Pages checked.
    pub pages: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Seconds it took.
    pub seconds: f64,
}

/// Verifies a directory and, of a set, everything that a restore would read. Fails only when that
/// cannot be done at all: not a directory, in use by a server, cancelled.
///
/// Of encrypted pages and redo only the digests and headers can be checked. In a data directory
/// nothing tells that a page which was never written should have been, and pages that were torn
/// when a server crashed are reported although its recovery may repair them.
pub fn verify(request: &VerifyRequest, job: &Job) -> Result<VerifyReport> {
    let begin = Instant::now();
    let path = std::path::absolute(&request.path)
        .map_err(|e| Error::io("open directory", &request.path, e))?;
    let mut report = verify_directory(path, request, job)?;
    if report.kind == VerifiedKind::Set && !request.only_this {
        for ancestor in ancestors(&report.path, &request.chain) {
            report.add(verify_directory(ancestor, request, job)?);
        }
    }
    report.seconds = begin.elapsed().as_secs_f64();
    Ok(report)
}

/// The directories of the sets that a restore reads besides this one. That one is missing has been
/// found with the set itself.
fn ancestors(path: &Path, more: &[PathBuf]) -> Vec<PathBuf> {
    let Ok(chain) = Chain::find(path, more) else {
        return Vec::new();
    };
    let sets = chain.sets().iter().map(|set| set.path().to_owned());
    sets.filter(|set| set != path).collect()
}

impl VerifyReport {
    /// Adds what was found in an ancestor.
    fn add(&mut self, ancestor: Self) {
        let root = ancestor.path;
        self.problems
            .extend(ancestor.problems.into_iter().map(|problem| Problem {
                path: root.join(&problem.path).display().to_string(),
                ..problem
            }));
        self.files += ancestor.files;
        self.pages += ancestor.pages;
        self.bytes += ancestor.bytes;
    }
}

fn verify_directory(path: PathBuf, request: &VerifyRequest, job: &Job) -> Result<VerifyReport> {
    let begin = Instant::now();
    let meta = std::fs::metadata(&path).map_err(|e| Error::io("open directory", &path, e))?;
    if !meta.is_dir() {
        let error = std::io::ErrorKind::NotADirectory.into();
        return Err(Error::io("open directory", &path, error));
    }
    let findings = Findings::new(&path);
    let unfinished = "marks a directory that was never completed, or still is under construction";
    let half = is_half_decompressed(&path);
    if half {
        let detail = "marks a directory that is half decompressed: run 'innoclone decompress \
                      --remove-original' on it again";
        findings.add(IN_PROGRESS, detail);
    } else if path.join(IN_PROGRESS).exists() {
        findings.add(IN_PROGRESS, unfinished);
    }
    if path.join(REPLAYING).exists() {
        findings.add(REPLAYING, unfinished);
    }
    let kind = if is_set(&path) {
        VerifiedKind::Set
    } else {
        VerifiedKind::DataDirectory
    };
    let result = match kind {
        // Nothing else can be said of it.
        _ if half => Ok(set::Identity::default()),
        VerifiedKind::Set => set::verify(&path, request, &findings, job),
        VerifiedKind::DataDirectory => directory::verify(&path, request.quick, &findings, job)
            .map(|()| set::Identity::default()),
    };
    if result.is_err() {
        job.progress.fail();
    }
    let identity = result.map_err(|error| job.cause(error))?;
    let (files, pages, bytes) = findings.counts();
    Ok(VerifyReport {
        kind,
        set_id: identity.id,
        chain: identity.chain,
        problems: findings.into_problems(),
        files,
        pages,
        bytes,
        seconds: begin.elapsed().as_secs_f64(),
        path,
    })
}

/// Whether the directory is, or was, a set: one that has lost its manifest still is.
fn is_set(path: &Path) -> bool {
    [MANIFEST, MANIFEST_DIGEST, CHUNK_VALUES]
        .iter()
        .any(|name| path.join(name).symlink_metadata().is_ok())
}
