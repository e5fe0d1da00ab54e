//! No damage of a compressed set goes unnoticed: `verify` names the file, and `restore` refuses, or
//! gives what the undamaged sets give.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "the modules are part of the tests"
)]

mod common;
mod compressing;
mod damages;

use backup::command::verify;
use common::{Place, job};
use compressing::Compression;
use damages::{Sets, problems, quick, run, sets, verified};
use frame::Algorithm;

/// The full set with deltas beside its files, the increment compressed otherwise.
fn compressed() -> Sets {
    let full = Compression::layered(Algorithm::Zstd);
    sets().compressed(full, Compression::plain(Algorithm::Lz4))
}

#[test]
fn compressed_chains_are_sound_and_restore_to_the_same() {
    let plain = sets();
    let expected = [
        verified(&plain.path("full")).pages,
        verified(&plain.path("incr")).pages,
    ];
    let [zstd, lz4] = [Algorithm::Zstd, Algorithm::Lz4];
    for (full, incr) in [
        (Compression::plain(zstd), Compression::plain(zstd)),
        (Compression::layered(lz4), Compression::plain(zstd)),
        (Compression::layered(zstd), Compression::plain(lz4)),
    ] {
        let sets = plain.compressed(full, incr);
        let place = Place::new();
        sets.copy_to(place.scratch.path());
        for (name, expected) in ["full", "incr"].into_iter().zip(expected) {
            let report = verified(&place.path(name));
            assert_eq!(report.problems, [], "{full:?} {incr:?} {name}");
            let layered = full.layered && name == "full";
            assert!(layered || report.pages == expected, "{report:?}");
            assert!(report.pages > expected / 2, "{report:?}");
        }
        place.restore("incr", "restored");
        let restored = damages::tree(&place.path("restored"));
        assert!(restored == sets.restored, "{full:?} {incr:?}");
    }
}

#[test]
fn a_quick_look_unpacks_nothing_and_finds_wrong_bytes() {
    let sets = compressed();
    let place = Place::new();
    sets.copy_to(place.scratch.path());
    let request = quick(&place.path("full"));
    let report = verify(&request, &job()).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!(report.pages, 0);
    let stored = verified(&place.path("full")).bytes;
    assert!(report.bytes < stored / 2, "{} of {stored}", report.bytes);
    damages::flip(&place.path("full/ibdata1.zstd"), 30_000);
    let found = verify(&request, &job()).unwrap().problems;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].detail.starts_with("bytes 0 to "), "{found:?}");
    // Unpacking finds the same bytes, and says no more than that.
    let found = problems(&place.path("full"));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn any_flipped_byte_is_found() {
    let sets = compressed();
    run(&sets, &damages::packed_flips(&sets));
}

#[test]
fn cut_longer_and_missing_files_are_found() {
    let sets = compressed();
    run(&sets, &damages::packed_lengths(&sets));
}

#[test]
fn indexes_that_lie_are_found() {
    let sets = compressed();
    run(&sets, &damages::packed_indexes(&sets));
}

#[test]
fn manifests_that_lie_about_compression_are_found() {
    let sets = compressed();
    run(&sets, &damages::packed_manifests(&sets));
}
