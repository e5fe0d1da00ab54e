//! What can happen to files.

use super::{Case, Sets, change, files, flip};
use std::path::Path;
use testkit::Random;

pub(crate) const MANIFEST: &str = "#clone/manifest.json";
const DIGEST: &str = "#clone/manifest.json.b3";
const CHUNKS: &str = "#clone/chunks.b3";
pub(crate) const REDO: &str = "#innodb_redo/#ib_redo0";
pub(crate) const PAGE: usize = 16384;

/// One file of every kind that a full set has.
const FULL: &[&str] = &[
    "ibdata1",
    "mysql.ibd",
    "undo_001",
    "zoo_undo.ibu",
    "zoo_general.ibd",
    "zoo/row_dynamic.ibd",
    "zoo/compressed_1k.ibd",
    "zoo/page_zlib.ibd",
    "zoo/secret.ibd",
    "zoo/engine_myisam.MYD",
    "zoo/engine_csv.CSV",
    REDO,
    MANIFEST,
    DIGEST,
    CHUNKS,
    "#clone/#clone_checkpoints",
    "#clone/#view_status",
    "#clone/#view_progress",
];

/// One file of every kind that an increment has.
const INCREMENT: &[&str] = &[
    "ibdata1.delta",
    "ibdata1.meta",
    "undo_001.delta",
    "zoo/row_dynamic.ibd.delta",
    "zoo/row_compact.ibd.delta",
    "zoo/compressed_4k.ibd.delta",
    "zoo/compressed_4k.ibd.meta",
    "zoo/page_lz4.ibd.delta",
    "zoo/secret.ibd.delta",
    "zoo/engine_myisam.MYI",
    REDO,
    MANIFEST,
    CHUNKS,
    "#clone/#view_status",
];

fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    let full = FULL.iter().map(|name| ("full", *name));
    full.chain(INCREMENT.iter().map(|name| ("incr", *name)))
}

pub(crate) fn case(
    set: &'static str,
    name: &str,
    what: &str,
    damage: impl Fn(&Path) + Sync + 'static,
) -> Case {
    let mut paths = vec![name.to_owned()];
    if name == DIGEST {
        // What is wrong then is the file that it is of.
        paths.push(MANIFEST.to_owned());
    }
    Case {
        name: format!("{what} {set}/{name}"),
        set,
        paths,
        restore: true,
        harmless: false,
        damage: Box::new(damage),
    }
}

/// Bits anywhere.
pub(crate) fn flips(sets: &Sets) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut random = Random::new(42);
    let mut add = |set: &'static str, name: &str, at: u64| {
        let file = name.to_owned();
        cases.push(case(set, name, &format!("byte {at} of"), move |root| {
            flip(&root.join(&file), at as usize);
        }));
    };
    for (set, name) in kinds() {
        let size = size(sets, set, name);
        assert!(size > 0, "{set}/{name} is empty");
        add(set, name, random.below(size));
    }
    for set in ["full", "incr"] {
        let all = files(&sets.path(set));
        let mut added = 0;
        while added < 20 {
            let name = &all[random.below(all.len() as u64) as usize];
            let size = size(sets, set, name);
            if size > 0 {
                add(set, name, random.below(size));
                added += 1;
            }
        }
    }
    for at in [0, 26, 38, 16383, 16384 + 34] {
        add("full", "zoo/row_dynamic.ibd", at);
    }
    // The magic, the first number, the terminator's place, behind it; the first image.
    for at in [0, 4, 2000, 16383, 16384] {
        add("incr", "zoo/row_dynamic.ibd.delta", at);
    }
    for at in [0, 512, 1100, 1536, 2048, 2048 + 511] {
        add("incr", REDO, at);
    }
    let last = size(sets, "incr", REDO) - 1;
    add("incr", REDO, last);
    cases
}

/// Files cut, grown, emptied, gone.
pub(crate) fn lengths(_: &Sets) -> Vec<Case> {
    type How = (&'static str, fn(&mut Vec<u8>));
    let ways: [How; 5] = [
        ("last byte cut from", |bytes| {
            bytes.truncate(bytes.len() - 1);
        }),
        ("half of", |bytes| bytes.truncate(bytes.len() / 2)),
        ("a byte behind", |bytes| bytes.push(0)),
        ("a page behind", |bytes| bytes.resize(bytes.len() + PAGE, 0)),
        ("nothing in", |bytes| bytes.clear()),
    ];
    let mut cases = Vec::new();
    for (index, (set, name)) in kinds().enumerate() {
        let file = name.to_owned();
        cases.push(case(set, name, "no", move |root| {
            std::fs::remove_file(root.join(&file)).unwrap();
        }));
        // Two of the ways for every file, all of them over all files.
        for (what, how) in [ways[index % 5], ways[(index + 2) % 5]] {
            let file = name.to_owned();
            cases.push(case(set, name, what, move |root| {
                change(&root.join(&file), how);
            }));
        }
    }
    cases
}

/// Pages and files exchanged, pages zeroed.
pub(crate) fn places(_: &Sets) -> Vec<Case> {
    let mut cases = Vec::new();
    for (set, name) in [
        ("full", "ibdata1"),
        ("full", "zoo/row_dynamic.ibd"),
        ("full", "zoo/secret.ibd"),
        ("incr", "zoo/row_dynamic.ibd.delta"),
    ] {
        cases.push(case(set, name, "two pages exchanged in", move |root| {
            change(&root.join(name), |bytes| swap_pages(bytes, 1, 3));
        }));
        cases.push(case(set, name, "a page of zeros in", move |root| {
            change(&root.join(name), |bytes| bytes[3 * PAGE..4 * PAGE].fill(0));
        }));
    }
    for (set, one, other) in [
        ("full", "zoo/row_dynamic.ibd", "zoo/row_compact.ibd"),
        ("full", "undo_001", "undo_002"),
        (
            "incr",
            "zoo/row_dynamic.ibd.delta",
            "zoo/row_compact.ibd.delta",
        ),
        (
            "incr",
            "zoo/row_dynamic.ibd.meta",
            "zoo/row_compact.ibd.meta",
        ),
    ] {
        cases.push(case(set, one, "exchanged with another", move |root| {
            let (one, other, aside) = (root.join(one), root.join(other), root.join("aside"));
            std::fs::rename(&one, &aside).unwrap();
            std::fs::rename(&other, &one).unwrap();
            std::fs::rename(&aside, &other).unwrap();
        }));
    }
    cases.push(case("incr", REDO, "that of the full set as", |root| {
        std::fs::remove_file(root.join(REDO)).unwrap();
        std::fs::hard_link(root.join("../full").join(REDO), root.join(REDO)).unwrap();
    }));
    cases
}

/// Files, directories and markers too many, directories too few.
pub(crate) fn entries(_: &Sets) -> Vec<Case> {
    let mut cases = Vec::new();
    for set in ["full", "incr"] {
        for name in [
            "stray",
            "zoo/stray.ibd",
            "#clone/stray",
            "#innodb_redo/#ib_redo1",
        ] {
            cases.push(case(set, name, "extra file", move |root| {
                std::fs::write(root.join(name), "x").unwrap();
            }));
        }
        cases.push(case(set, "zoo_other", "extra directory", |root| {
            std::fs::create_dir(root.join("zoo_other")).unwrap();
        }));
        cases.push(case(set, "zoo_empty", "no directory", |root| {
            std::fs::remove_dir_all(root.join("zoo_empty")).unwrap();
        }));
        let marker = "#clone/#status_in_progress";
        cases.push(case(set, marker, "left", move |root| {
            std::fs::write(root.join(marker), "").unwrap();
        }));
        cases.push(case(set, "zoo/seed.ibd", "a directory as", move |root| {
            let name = if set == "full" {
                "zoo/seed.ibd"
            } else {
                "zoo/seed.ibd.delta"
            };
            std::fs::remove_file(root.join(name)).unwrap();
            std::fs::create_dir(root.join(name)).unwrap();
        }));
    }
    let last = cases.len() - 1;
    cases[last].paths = vec!["zoo/seed.ibd.delta".into()];
    cases
}

pub(crate) fn swap_pages(bytes: &mut [u8], one: usize, other: usize) {
    let (low, high) = bytes.split_at_mut(other * PAGE);
    assert_ne!(low[one * PAGE..(one + 1) * PAGE], high[..PAGE]);
    low[one * PAGE..(one + 1) * PAGE].swap_with_slice(&mut high[..PAGE]);
}

pub(crate) fn size(sets: &Sets, set: &str, name: &str) -> u64 {
    let path = sets.path(set).join(name);
    std::fs::metadata(&path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .len()
}
