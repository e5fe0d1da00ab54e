//! What a verification has found so far.

use crate::{Error, Result};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Problem {
    /// Path of the file, relative to the directory verified; `.` for the directory itself.
    pub path: String,
    /// What is wrong, with the bytes, the page or the LSN at which it is.
    pub detail: String,
}

/// Problems listed for one file; the others are only counted. Neighbouring damage is one problem.
const LISTED: usize = 1000;

/// Problems and counters, shared by the workers.
#[derive(Debug)]
pub(super) struct Findings {
    root: PathBuf,
    problems: Mutex<BTreeMap<String, OfFile>>,
    files: AtomicU64,
    pages: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct OfFile {
    details: Vec<(u64, String)>,
    more: u64,
}

impl Findings {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            problems: Mutex::default(),
            files: AtomicU64::new(0),
            pages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// A problem of a whole file.
    pub(super) fn add(&self, path: &str, detail: impl std::fmt::Display) {
        self.add_at(path, 0, detail);
    }

    /// A problem at byte `offset` of a file.
    pub(super) fn add_at(&self, path: &str, offset: u64, detail: impl std::fmt::Display) {
        let detail = detail.to_string();
        tracing::debug!(path, detail, "problem");
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let of_file = problems.entry(path.to_owned()).or_default();
        if of_file.details.len() < LISTED {
            of_file.details.push((offset, detail));
        } else {
            of_file.more += 1;
        }
    }

    /// A problem that came as an error; it is of `path` where the error names no file in the
    /// directory.
    pub(super) fn add_error(&self, path: &str, error: &Error) {
        let (found, detail) = match error {
            Error::Damaged { path, detail } => (Some(path), detail.clone()),
            Error::BadPage { path, page, detail } => (Some(path), format!("page {page}: {detail}")),
            Error::Io {
                action,
                path,
                source,
            } => (Some(path), format!("{action}: {source}")),
            other => (None, other.to_string()),
        };
        let relative = found
            .and_then(|found| found.strip_prefix(&self.root).ok())
            .and_then(Path::to_str)
            .filter(|relative| !relative.is_empty());
        match relative {
            Some(relative) => self.add(relative, detail),
            None => self.add(path, error),
        }
    }

    /// Turns a failure into a problem of `path`; only cancellation remains one.
    pub(super) fn tolerate<T>(&self, path: &str, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Cancelled) => Err(Error::Cancelled),
            Err(error) => {
                self.add_error(path, &error);
                Ok(None)
            }
        }
    }

    pub(super) fn count_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_pages(&self, pages: u64) {
        self.pages.fetch_add(pages, Ordering::Relaxed);
    }

    pub(super) fn count_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Files, pages and bytes.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        (
            self.files.load(Ordering::Relaxed),
            self.pages.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }

    /// All problems, by file and place in it.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let problems = self
            .problems
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut list = Vec::new();
        for (path, mut of_file) in problems {
            of_file.details.sort();
            let more =
                (of_file.more > 0).then(|| (0, format!("{} further problems", of_file.more)));
            let details = of_file.details.into_iter().chain(more);
            list.extend(details.map(|(_, detail)| Problem {
                path: path.clone(),
                detail,
            }));
        }
        list
    }
}

/// Neighbouring pieces of damage of one kind in one file, told as one problem.
#[derive(Debug, Default)]
pub(super) struct Run {
    range: Range<u64>,
    first: String,
}

impl Run {
    /// Adds `range`; returns the run so far when `range` does not continue it.
    pub(super) fn extend(
        &mut self,
        range: Range<u64>,
        detail: impl FnOnce() -> String,
    ) -> Option<Self> {
        if !self.range.is_empty() && self.range.end == range.start {
            self.range.end = range.end;
            return None;
        }
        let next = Self {
            range,
            first: detail(),
        };
        std::mem::replace(self, next).ended()
    }

    /// The run, if there is one.
    pub(super) fn ended(self) -> Option<Self> {
        (!self.range.is_empty()).then_some(self)
    }

    /// What is damaged: bytes or page numbers.
    pub(super) fn range(&self) -> &Range<u64> {
        &self.range
    }

    /// What is wrong with the first of them.
    pub(super) fn first(&self) -> &str {
        &self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_damage_is_one_problem() {
        let mut run = Run::default();
        assert!(run.extend(3..4, || "a".into()).is_none());
        assert!(run.extend(4..5, || "b".into()).is_none());
        let before = run.extend(9..10, || "c".into()).unwrap();
        assert_eq!((before.range().clone(), before.first()), (3..5, "a"));
        assert_eq!(run.ended().unwrap().range().clone(), 9..10);
        assert!(Run::default().ended().is_none());
    }

    #[test]
    fn problems_are_ordered_by_file_and_place_and_bounded() {
        let findings = Findings::new(Path::new("/set"));
        findings.add_at("b", 20, "later");
        findings.add_at("b", 3, "earlier");
        for _ in 0..=LISTED {
            findings.add("a", "again");
        }
        findings.add_error(".", &Error::damaged(Path::new("/set/c/d"), "bad"));
        findings.add_error(".", &Error::damaged(Path::new("/elsewhere"), "bad"));
        let problems = findings.into_problems();
        assert_eq!(problems.len(), LISTED + 5);
        let told: Vec<_> = problems
            .iter()
            .filter(|problem| problem.path != "a")
            .map(|problem| (problem.path.as_str(), problem.detail.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (".", "'/elsewhere' is damaged: bad"),
                ("b", "earlier"),
                ("b", "later"),
                ("c/d", "bad")
            ]
        );
    }
}
