//! Damaging, verifying and restoring.

use super::{Case, Sets, tree};
use crate::common::{Place, job};
use backup::Error;
use backup::command::{Problem, VerifyReport, VerifyRequest, verify};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) fn verified(path: &Path) -> VerifyReport {
    let request = VerifyRequest {
        only_this: true,
        ..VerifyRequest::new(path)
    };
    verify(&request, &job()).unwrap()
}

/// A look at this set alone that unpacks nothing.
pub(crate) fn quick(path: &Path) -> VerifyRequest {
    VerifyRequest {
        quick: true,
        only_this: true,
        ..VerifyRequest::new(path)
    }
}

pub(crate) fn problems(path: &Path) -> Vec<Problem> {
    verified(path).problems
}

/// Runs cases on all processors: each on its own copy of the sets.
pub(crate) fn run(sets: &Sets, cases: &[Case]) {
    let next = AtomicUsize::new(0);
    let worker = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            run_case(sets, case);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        scope.spawn(worker);
    });
}

fn run_case(sets: &Sets, case: &Case) {
    let place = Place::new();
    sets.copy_to(place.scratch.path());
    let set = place.path(case.set);
    (case.damage)(&set);
    let found = problems(&set);
    let named = |problem: &Problem| case.paths.contains(&problem.path);
    let harmless = case.harmless && found.is_empty();
    assert!(
        harmless || found.iter().any(named),
        "{}: {:?} expected, found: {found:?}",
        case.name,
        case.paths
    );
    if !case.restore {
        return;
    }
    if let Err(error) = place.try_restore(&place.path("incr"), "restored") {
        let unrelated = matches!(error, Error::Cancelled | Error::NoSpace { .. });
        assert!(!unrelated && !harmless, "{}: {error}", case.name);
        return;
    }
    let restored = tree(&place.path("restored"));
    let same = |(name, digest): &(&String, &String)| restored.get(*name) == Some(digest);
    let differing = sets.restored.iter().find(|file| !same(file));
    assert_eq!(differing, None, "{}: restored, but not the same", case.name);
    assert_eq!(restored.len(), sets.restored.len(), "{}", case.name);
}
