//! Damage of compressed sets: the full one has deltas beside its files and is compressed with zstd,
//! the increment with lz4.

use super::cases::{MANIFEST, case, size};
use super::{Case, Sets, change, files, flip};
use crate::compressing::reseal::{edit, reseal_file};
use frame::Index;
use serde_json::Value;
use std::path::Path;
use testkit::Random;

/// One file of every kind that such a full set has.
const FULL: &[&str] = &[
    "ibdata1.zstd",
    "ibdata1.delta.zstd",
    "ibdata1.meta",
    "undo_001.zstd",
    "zoo/row_dynamic.ibd.zstd",
    "zoo/row_dynamic.ibd.delta.zstd",
    "zoo/compressed_1k.ibd.delta.zstd",
    "zoo/secret.ibd.zstd",
    "zoo/engine_myisam.MYD.zstd",
    "#innodb_redo/#ib_redo0.zstd",
    MANIFEST,
    "#clone/chunks.b3",
];

/// One file of every kind that such an increment has.
const INCREMENT: &[&str] = &[
    "ibdata1.delta.lz4",
    "zoo/row_dynamic.ibd.delta.lz4",
    "zoo/compressed_4k.ibd.delta.lz4",
    "zoo/compressed_4k.ibd.meta",
    "zoo/engine_myisam.MYI.lz4",
    "#innodb_redo/#ib_redo0.lz4",
    MANIFEST,
];

fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    let full = FULL.iter().map(|name| ("full", *name));
    full.chain(INCREMENT.iter().map(|name| ("incr", *name)))
}

fn compressed() -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_compressed = |(_, name): &(_, &str)| {
        name.rsplit('.')
            .next()
            .is_some_and(|end| "zstd lz4".contains(end))
    };
    kinds().filter(is_compressed)
}

/// Bits anywhere: at the beginning, at the end, in between.
pub(crate) fn packed_flips(sets: &Sets) -> Vec<Case> {
    let mut random = Random::new(43);
    let mut cases = Vec::new();
    let mut places = Vec::new();
    for (set, name) in kinds() {
        let size = size(sets, set, name);
        assert!(size > 0, "{set}/{name} is empty");
        for at in [5, size / 2, size.saturating_sub(30), random.below(size)] {
            places.push((set, name.to_owned(), at.min(size - 1)));
        }
    }
    for set in ["full", "incr"] {
        let all = files(&sets.path(set));
        for _ in 0..20 {
            let name = &all[random.below(all.len() as u64) as usize];
            let size = size(sets, set, name);
            if size > 0 {
                places.push((set, name.clone(), random.below(size)));
            }
        }
    }
    for (set, name, at) in places {
        let file = name.clone();
        cases.push(case(set, &name, &format!("byte {at} of"), move |root| {
            flip(&root.join(&file), at as usize);
        }));
        let file = name.clone();
        if name.contains(".zstd") || name.contains(".lz4") {
            let what = format!("byte {at}, digests fit, of");
            let paged = name.contains(".ibd") || name.starts_with("ibdata");
            cases.push(Case {
                // A frame has bits that mean nothing.
                harmless: true,
                restore: paged,
                ..case(set, &name, &what, move |root| {
                    flip(&root.join(&file), at as usize);
                    reseal_file(root, &file);
                })
            });
        }
    }
    cases
}

/// Compressed files cut, grown, emptied, gone, with digests that fit and without.
pub(crate) fn packed_lengths(_: &Sets) -> Vec<Case> {
    type How = (&'static str, fn(&mut Vec<u8>));
    let ways: [How; 6] = [
        ("last byte cut from", |bytes| {
            bytes.truncate(bytes.len() - 1);
        }),
        ("half of", |bytes| bytes.truncate(bytes.len() / 2)),
        ("a byte behind", |bytes| bytes.push(0)),
        ("an empty frame behind", |bytes| {
            bytes.extend([0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0]);
        }),
        ("itself behind", |bytes| bytes.extend_from_within(..)),
        ("nothing in", |bytes| bytes.clear()),
    ];
    let mut cases = Vec::new();
    for (index, (set, name)) in compressed().enumerate() {
        cases.push(case(set, name, "no", move |root| {
            std::fs::remove_file(root.join(name)).unwrap();
        }));
        // One of the ways for every file where the digests tell, all of them where they do not.
        let (what, how) = ways[index % ways.len()];
        cases.push(case(set, name, what, move |root| {
            change(&root.join(name), how);
        }));
        for (what, how) in ways {
            let what = format!("digests fit, {what}");
            let mut case = case(set, name, &what, move |root| {
                change(&root.join(name), how);
                reseal_file(root, name);
            });
            case.paths.push(MANIFEST.into());
            cases.push(case);
        }
    }
    cases
}

/// Where the frames of a file are.
fn index_of(bytes: &[u8]) -> Index {
    let read = |at: u64, out: &mut [u8]| {
        out.copy_from_slice(&bytes[at as usize..at as usize + out.len()]);
        Ok(())
    };
    Index::read(bytes.len() as u64, read).unwrap().unwrap()
}

/// Changes the words of the index: stored bytes and bytes of the original, by frame.
fn change_index(bytes: &mut Vec<u8>, how: impl FnOnce(&mut Vec<[u32; 2]>)) {
    let index = index_of(bytes);
    bytes.truncate(index.offset(index.frames()) as usize);
    let places = (0..index.frames()).map(|number| index.place(number).unwrap());
    let mut words: Vec<[u32; 2]> = places
        .map(|place| {
            [
                (place.stored.end - place.stored.start) as u32,
                (place.original.end - place.original.start) as u32,
            ]
        })
        .collect();
    how(&mut words);
    bytes.extend(0x184D_2A5E_u32.to_le_bytes());
    bytes.extend((words.len() as u32 * 8 + 9).to_le_bytes());
    bytes.extend(words.iter().flatten().flat_map(|word| word.to_le_bytes()));
    bytes.extend((words.len() as u32).to_le_bytes());
    bytes.push(0);
    bytes.extend(0x8F92_EAB1_u32.to_le_bytes());
}

/// Indexes that are missing or lie, and files that others would have made; the digests fit.
pub(crate) fn packed_indexes(_: &Sets) -> Vec<Case> {
    type How = (&'static str, fn(&mut Vec<u8>));
    let ways: [How; 6] = [
        ("no index in", |bytes| {
            let index = index_of(bytes);
            bytes.truncate(index.offset(index.frames()) as usize);
        }),
        ("an index that tells too much in", |bytes| {
            change_index(bytes, |words| words[0][1] += 1);
        }),
        ("an index of shifted frames in", |bytes| {
            change_index(bytes, |words| {
                if let [first, second, ..] = &mut words[..] {
                    first[0] += 1;
                    second[0] -= 1;
                } else {
                    words[0][0] -= 1;
                }
            });
        }),
        ("an index without the last frame in", |bytes| {
            change_index(bytes, |words| words.truncate(words.len() - 1));
        }),
        ("exchanged frames in", |bytes| {
            let index = index_of(bytes);
            let Some(second) = index.place(1) else {
                // Of one frame: what is in it is not what it was.
                return bytes[20] ^= 1;
            };
            let first = index.place(0).unwrap();
            let end = second.stored.end as usize;
            bytes[..end].rotate_left(first.stored.end as usize);
            change_index(bytes, |words| {
                let stored = words[0][0];
                words[0][0] = words[1][0];
                words[1][0] = stored;
            });
        }),
        ("no frame at all in", |bytes| {
            let end = index_of(bytes).offset(1) as usize;
            bytes[..end].fill(0x55);
        }),
    ];
    let mut cases = Vec::new();
    for (set, name) in compressed() {
        for (what, how) in ways {
            let redo = name.contains("#ib_redo") || name.contains("engine");
            cases.push(Case {
                // What was compressed wrongly, or in the wrong place, is only known by its pages.
                harmless: what.starts_with("exchanged") && name.contains("engine"),
                restore: !(redo && what.starts_with("exchanged")),
                ..case(set, name, what, move |root| {
                    change(&root.join(name), how);
                    reseal_file(root, name);
                })
            });
        }
    }
    cases
}

fn record<'m>(manifest: &'m mut Value, name: &str) -> &'m mut Value {
    let files = manifest["files"].as_array_mut().unwrap();
    files.iter_mut().find(|file| file["name"] == name).unwrap()
}

/// Manifests that lie about compression.
pub(crate) fn packed_manifests(_: &Sets) -> Vec<Case> {
    let table = "zoo/row_dynamic.ibd";
    let wrong = |set: &'static str, what: &str, name: &str, how: fn(&mut Value)| {
        let mut case = case(set, name, what, move |root| edit(root, how));
        case.paths.push(MANIFEST.into());
        case
    };
    let mut cases = Vec::new();
    for (set, main) in [
        ("full", "zoo/row_dynamic.ibd.zstd"),
        ("incr", "zoo/row_dynamic.ibd.delta.lz4"),
    ] {
        cases.extend([
            wrong(set, "format 1 of", MANIFEST, |m| m["format"] = 1.into()),
            wrong(set, "format 3 of", MANIFEST, |m| m["format"] = 3.into()),
            wrong(set, "an unknown algorithm in", MANIFEST, |m| {
                record(m, "zoo/row_dynamic.ibd")["stored"][0]["compressed"]["algorithm"] =
                    "gzip".into();
            }),
            wrong(set, "the other algorithm in", MANIFEST, |m| {
                let compressed =
                    &mut record(m, "zoo/row_dynamic.ibd")["stored"][0]["compressed"]["algorithm"];
                let other = if *compressed == "lz4" { "zstd" } else { "lz4" };
                *compressed = other.into();
            }),
            wrong(set, "no compression in", MANIFEST, |m| {
                let stored = &mut record(m, "zoo/row_dynamic.ibd")["stored"][0];
                stored.as_object_mut().unwrap().remove("compressed");
            }),
            wrong(set, "a longer original in", main, |m| {
                let length =
                    &mut record(m, "zoo/row_dynamic.ibd")["stored"][0]["compressed"]["length"];
                *length = (length.as_u64().unwrap() + 16384).into();
            }),
            wrong(set, "an original of nothing in", MANIFEST, |m| {
                record(m, "zoo/row_dynamic.ibd")["stored"][0]["compressed"]["length"] = 0.into();
            }),
            wrong(set, "more pages in", MANIFEST, |m| {
                let pages = &mut record(m, "zoo/row_dynamic.ibd")["pages"];
                *pages = (pages.as_u64().unwrap() + 1).into();
            }),
            wrong(set, "a compressed description in", MANIFEST, |m| {
                m["own_files"][0]["compressed"] =
                    serde_json::json!({"algorithm": "zstd", "length": 1});
            }),
        ]);
    }
    // A length that fits everything but the file.
    let base = format!("{table}.zstd");
    cases.push(wrong("full", "a shorter original in", &base, |m| {
        let length = &mut record(m, "zoo/row_dynamic.ibd")["stored"][0]["compressed"]["length"];
        *length = (length.as_u64().unwrap() - 16384).into();
    }));
    // A file that is called the other algorithm's, by everybody.
    let renamed = format!("{table}.lz4");
    cases.push(wrong("full", "zstd in", &renamed, |_| {}));
    let last = cases.len() - 1;
    cases[last].damage = Box::new(|root: &Path| {
        let name = |suffix| format!("zoo/row_dynamic.ibd.{suffix}");
        std::fs::rename(root.join(name("zstd")), root.join(name("lz4"))).unwrap();
        edit(root, |m| {
            let stored = &mut record(m, "zoo/row_dynamic.ibd")["stored"][0];
            stored["name"] = name("lz4").into();
            stored["compressed"]["algorithm"] = "lz4".into();
        });
    });
    // Only the file is called so.
    let mut only = case("full", &base, "wrong suffix of", |root| {
        let name = |suffix| root.join(format!("zoo/row_dynamic.ibd.{suffix}"));
        std::fs::rename(name("zstd"), name("lz4")).unwrap();
    });
    only.paths.push(renamed);
    cases.push(only);
    cases
}
