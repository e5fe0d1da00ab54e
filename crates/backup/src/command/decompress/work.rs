//! The threads: every one takes the next part of some file, the parts of one file before those of
//! the next, and who does the last part of a file finishes it.

use super::file::{Buffers, Open};
use super::find::Tree;
use super::found::LockedSet;
use crate::command::Problem;
use crate::io::{Digest, fsync_dir, remove_file};
use crate::{Error, Job, Result, Stage};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a listed file is when it is plain.
#[derive(Debug)]
pub(super) struct Plain {
    pub length: u64,
    pub digest: Digest,
    /// Chunk values as they are stored.
    pub values: Vec<u8>,
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub files: AtomicU64,
    pub already: AtomicU64,
    pub removed: AtomicU64,
    pub stored: AtomicU64,
    pub original: AtomicU64,
}

/// Files to decompress.
#[derive(Debug)]
pub(super) struct Work<'a> {
    pub counts: Counts,
    tree: &'a Tree,
    remove: bool,
    replace: bool,
    queue: Mutex<Queue<'a>>,
    /// Files of sets by their path.
    plain: Mutex<HashMap<&'a Path, Plain>>,
    errors: Mutex<Vec<(&'a Path, Error)>>,
}

#[derive(Debug, Default)]
struct Queue<'a> {
    /// Files not yet opened begin here.
    next: usize,
    /// The file opened last, and its parts not yet taken.
    current: Option<(Arc<Open<'a>>, Range<usize>)>,
    /// Files not yet finished.
    open: Vec<Arc<Open<'a>>>,
}

impl<'a> Work<'a> {
    /// `remove` compressed files that no set lists as soon as they are decompressed; `replace`
    /// files that are there.
    pub(super) fn new(tree: &'a Tree, remove: bool, replace: bool) -> Self {
        Self {
            counts: Counts::default(),
            tree,
            remove,
            replace,
            queue: Mutex::default(),
            plain: Mutex::default(),
            errors: Mutex::default(),
        }
    }

    /// Works until nothing is left. Every thread of the job calls this.
    pub(super) fn run(&self, job: &Job) -> Result<()> {
        let mut buffers = Buffers::default();
        while let Some((open, part)) = self.next(job)? {
            match open.part(part, &mut buffers, job) {
                Ok(read) => {
                    self.counts.stored.fetch_add(read, Ordering::Relaxed);
                    job.progress.advance(Stage::FileCopy, read);
                }
                Err(error) => {
                    open.give_up();
                    self.note(&open.found.stored, error)?;
                }
            }
            if open.part_done() {
                self.end(&open)?;
            }
        }
        Ok(())
    }

    fn next(&self, job: &Job) -> Result<Option<(Arc<Open<'a>>, usize)>> {
        let mut queue = lock(&self.queue);
        loop {
            job.check()?;
            if let Some((open, parts)) = &mut queue.current
                && let Some(part) = parts.next()
            {
                return Ok(Some((Arc::clone(open), part)));
            }
            let Some(found) = self.tree.files.get(queue.next) else {
                return Ok(None);
            };
            queue.next += 1;
            match Open::new(self.tree, found, self.replace) {
                Ok(open) => {
                    let open = Arc::new(open);
                    let parts = 0..open.parts();
                    queue.open.push(Arc::clone(&open));
                    queue.current = Some((open, parts));
                }
                Err(error) => self.note(&found.stored, error)?,
            }
        }
    }

    /// Ends a file, all parts of which are done.
    fn end(&self, open: &Arc<Open<'a>>) -> Result<()> {
        let finished = if open.is_bad() {
            Ok(None)
        } else {
            open.finish().map(Some)
        };
        if !matches!(finished, Ok(Some(_))) {
            open.abandon();
        }
        lock(&self.queue)
            .open
            .retain(|other| !Arc::ptr_eq(other, open));
        match finished {
            Ok(None) => Ok(()),
            Ok(Some(length)) => self.finished(open, length),
            Err(error) => self.note(&open.found.stored, error),
        }
    }

    fn finished(&self, open: &Open<'a>, length: u64) -> Result<()> {
        let found = open.found;
        let listed = found
            .listed
            .as_ref()
            .and_then(|(_, stored)| stored.compressed);
        if let Some(listed) =
            listed.filter(|listed| found.layered.is_none() && listed.length != length)
        {
            let detail = format!(
                "holds {length} bytes, the manifest tells of {}",
                listed.length
            );
            return self.note(&found.stored, Error::damaged(&found.stored, detail));
        }
        let counter = if open.was_there() {
            &self.counts.already
        } else {
            &self.counts.files
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.counts.original.fetch_add(length, Ordering::Relaxed);
        if let Some(digests) = &open.digests {
            let (digest, values) = digests.finish(length).ok_or_else(|| {
                Error::damaged(&found.stored, "not all of the original has been seen")
            })?;
            let plain = Plain {
                length,
                digest,
                values,
            };
            lock(&self.plain).insert(&found.stored, plain);
        } else if self.remove {
            fsync_dir(super::parent(&found.original))?;
            remove_file(&found.stored)?;
            self.counts.removed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Removes what was begun and is not going to be finished.
    pub(super) fn abandon(&self) {
        for open in lock(&self.queue).open.drain(..) {
            open.abandon();
        }
    }

    /// What the compressed file `stored` holds, if a set lists it and it was decompressed.
    pub(super) fn plain(&self, stored: &Path, then: impl FnOnce(&Plain)) -> bool {
        let plain = lock(&self.plain);
        let found = plain.get(stored);
        found.map(then).is_some()
    }

    /// Whether something below a set's directory went wrong.
    pub(super) fn has_problems_in(&self, set: &LockedSet) -> bool {
        let found = self
            .tree
            .problems
            .iter()
            .map(|problem| Path::new(&problem.path));
        let errors = lock(&self.errors);
        let met = errors.iter().map(|(path, _)| *path);
        met.chain(found).any(|path| path.starts_with(set.root()))
    }

    /// The first error of any file, for who has only one.
    pub(super) fn first_error(&self) -> Result<()> {
        let mut errors = lock(&self.errors);
        if errors.is_empty() {
            return Ok(());
        }
        Err(errors.swap_remove(0).1)
    }

    /// Everything that went wrong, with what was found before.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.tree.problems.clone();
        let errors = self.errors.into_inner();
        for (path, error) in errors.unwrap_or_else(PoisonError::into_inner) {
            problems.push(Problem {
                path: path.display().to_string(),
                detail: match error {
                    Error::Damaged { path: of, detail } if of == path => detail,
                    error => error.to_string(),
                },
            });
        }
        problems.sort();
        problems
    }

    /// Keeps the error of one file, unless it is one of all.
    fn note(&self, path: &'a Path, error: Error) -> Result<()> {
        let of_one = match &error {
            Error::Damaged { .. } | Error::Refused { .. } => true,
            Error::Io { action, .. } => matches!(*action, "open file" | "read file"),
            _ => false,
        };
        if !of_one {
            return Err(error);
        }
        tracing::debug!(path = %path.display(), %error, "problem");
        let mut errors = lock(&self.errors);
        // Several threads may find the same file damaged in several places: one place will do.
        let known: HashSet<&Path> = errors.iter().map(|(path, _)| *path).collect();
        if !known.contains(path) {
            errors.push((path, error));
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
