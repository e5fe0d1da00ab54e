//! Damage that no digest tells: what a program leaves behind that went wrong, and what happens to a
//! data directory.

use super::cases::{MANIFEST, PAGE, REDO, case, swap_pages};
use super::{Case, Sets, change, flip};
use crate::compressing::reseal::{edit, manifest, reseal};
use innodb::checksum::stamp;
use innodb::geometry::{Geometry, PageSize};
use serde_json::Value;
use std::path::Path;

/// The same damage with digests that fit it. Of other files than those made of pages a restore
/// has nothing but the digests to go by.
fn hidden(
    set: &'static str,
    name: &str,
    what: &str,
    damage: impl Fn(&Path) + Sync + 'static,
) -> Case {
    let paged = name.contains(".ibd") || name.starts_with("ibdata");
    let damage = move |root: &Path| {
        damage(root);
        reseal(root);
    };
    Case {
        restore: paged && !name.contains(".meta"),
        ..case(set, name, what, damage)
    }
}

/// Damage that the digests agree with.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(crate) fn resealed(sets: &Sets) -> Vec<Case> {
    let mut cases = vec![
        hidden("full", "zoo/row_dynamic.ibd", "torn page in", |root| {
            change(&root.join("zoo/row_dynamic.ibd"), |bytes| {
                bytes[5 * PAGE + 9000] ^= 1;
            });
        }),
        hidden("full", "zoo/compressed_4k.ibd", "bad page in", |root| {
            change(&root.join("zoo/compressed_4k.ibd"), |bytes| {
                bytes[5 * 4096 + 900] ^= 1;
            });
        }),
        hidden(
            "full",
            "zoo/page_zlib.ibd",
            "bad compressed page in",
            |root| {
                change(&root.join("zoo/page_zlib.ibd"), |bytes| {
                    let compressed = |page: &[u8]| page[24..26] == [0, 14];
                    let at = bytes.chunks(PAGE).position(compressed).unwrap() * PAGE;
                    bytes[at + 100] ^= 1;
                });
            },
        ),
        hidden(
            "full",
            "zoo/row_dynamic.ibd",
            "two pages exchanged in",
            |root| {
                change(&root.join("zoo/row_dynamic.ibd"), |bytes| {
                    swap_pages(bytes, 4, 6);
                });
            },
        ),
        hidden(
            "full",
            "zoo/secret.ibd",
            "two encrypted pages exchanged in",
            |root| {
                change(&root.join("zoo/secret.ibd"), |bytes| {
                    swap_pages(bytes, 4, 6);
                });
            },
        ),
        hidden("full", "ibdata1", "page of another tablespace in", |root| {
            let page = std::fs::read(root.join("mysql.ibd")).unwrap()[4 * PAGE..5 * PAGE].to_vec();
            change(&root.join("ibdata1"), |bytes| {
                bytes[4 * PAGE..5 * PAGE].copy_from_slice(&page);
            });
        }),
        hidden("full", "zoo/row_dynamic.ibd", "cut by a page", |root| {
            let name = "zoo/row_dynamic.ibd";
            change(&root.join(name), |bytes| {
                bytes.truncate(bytes.len() - 16 * PAGE);
            });
            let length = std::fs::metadata(root.join(name)).unwrap().len();
            edit(root, |manifest| {
                record(manifest, name)["length"] = length.into();
            });
        }),
        hidden(
            "incr",
            "zoo/row_dynamic.ibd.delta",
            "page number twice in",
            |root| {
                change(&root.join("zoo/row_dynamic.ibd.delta"), |bytes| {
                    bytes.copy_within(4..8, 8);
                });
            },
        ),
        hidden(
            "incr",
            "zoo/row_dynamic.ibd.delta",
            "pages out of order in",
            |root| {
                change(&root.join("zoo/row_dynamic.ibd.delta"), |bytes| {
                    let (head, images) = bytes.split_at_mut(PAGE);
                    for index in 0..4 {
                        head.swap(4 + index, 8 + index);
                    }
                    let (one, other) = images.split_at_mut(PAGE);
                    one[..PAGE].swap_with_slice(&mut other[..PAGE]);
                });
            },
        ),
        hidden(
            "incr",
            "zoo/row_dynamic.ibd.delta",
            "bad magic in",
            |root| {
                change(&root.join("zoo/row_dynamic.ibd.delta"), |bytes| {
                    bytes[0] = b'X';
                });
            },
        ),
        hidden(
            "incr",
            "zoo/row_dynamic.ibd.delta",
            "header of more clusters in",
            |root| {
                change(&root.join("zoo/row_dynamic.ibd.delta"), |bytes| {
                    bytes[..4].copy_from_slice(b"clon");
                });
            },
        ),
        hidden(
            "incr",
            "zoo/row_dynamic.ibd.meta",
            "another id in",
            |root| {
                change(&root.join("zoo/row_dynamic.ibd.meta"), |bytes| {
                    let text = String::from_utf8(bytes.clone()).unwrap();
                    *bytes = text.replace("space_id = ", "space_id = 1").into_bytes();
                });
            },
        ),
        hidden("incr", REDO, "bad block in", |root| {
            flip(&root.join(REDO), 2048 + 100);
        }),
        hidden("incr", REDO, "no checkpoint in", |root| {
            flip(&root.join(REDO), 520);
        }),
        hidden("full", REDO, "bytes behind the end in", |root| {
            change(&root.join(REDO), |bytes| {
                let last = bytes.len() - 1;
                bytes[last] = 1;
            });
        }),
        hidden(
            "full",
            "#clone/#clone_checkpoints",
            "another LSN in",
            |root| {
                change(&root.join("#clone/#clone_checkpoints"), |bytes| {
                    let at = bytes.len() - 2;
                    bytes[at] = if bytes[at] == b'9' {
                        b'8'
                    } else {
                        bytes[at] + 1
                    };
                });
            },
        ),
        hidden(
            "full",
            "#clone/#view_status",
            "another binary log in",
            |root| {
                change(&root.join("#clone/#view_status"), |bytes| {
                    let text = String::from_utf8(bytes.clone()).unwrap();
                    *bytes = text.replace("binlog.0", "binlog.1").into_bytes();
                });
            },
        ),
    ];
    let end = sets.end;
    let mut future = hidden(
        "incr",
        "zoo/row_dynamic.ibd.delta",
        "page of the future in",
        move |root| {
            change(&root.join("zoo/row_dynamic.ibd.delta"), |bytes| {
                let page = &mut bytes[2 * PAGE..3 * PAGE];
                let lsn = (end + 1).to_be_bytes();
                page[16..24].copy_from_slice(&lsn);
                page[PAGE - 4..].copy_from_slice(&lsn[4..]);
                assert!(stamp(page, Geometry::plain(PageSize::DEFAULT)));
            });
        },
    );
    // A restore has no opinion on how new a page may be.
    future.restore = false;
    cases.push(future);
    cases
}

/// The record of a file in a manifest.
fn record<'m>(manifest: &'m mut Value, name: &str) -> &'m mut Value {
    let files = manifest["files"].as_array_mut().unwrap();
    files.iter_mut().find(|file| file["name"] == name).unwrap()
}

/// Manifests that say what is not so, with digests that fit.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(crate) fn manifests(sets: &Sets) -> Vec<Case> {
    let wrong = |set: &'static str, what: &str, paths: &[&str], how: fn(&mut Value)| Case {
        paths: paths.iter().map(ToString::to_string).collect(),
        ..case(set, MANIFEST, what, move |root| edit(root, how))
    };
    let table = "zoo/row_dynamic.ibd";
    let delta = "zoo/row_dynamic.ibd.delta";
    assert!(
        manifest(&sets.path("incr"))["files"]
            .as_array()
            .unwrap()
            .len()
            > 50
    );
    let mut cases = vec![
        wrong("full", "length", &[MANIFEST], |m| {
            record(m, "zoo/row_dynamic.ibd")["length"] = 16384.into();
        }),
        wrong("full", "length of a plain file", &[MANIFEST], |m| {
            record(m, "zoo/engine_csv.CSV")["length"] = 1.into();
        }),
        wrong("full", "kind of a set", &[MANIFEST], |m| {
            m["kind"] = "increment".into();
        }),
        wrong("incr", "kind of a set", &[MANIFEST], |m| {
            m["kind"] = "full".into();
        }),
        wrong("full", "kind of a file", &[MANIFEST], |m| {
            record(m, "zoo/row_dynamic.ibd")["kind"] = "plain".into();
        }),
        wrong("full", "format", &[MANIFEST], |m| m["format"] = 2.into()),
        wrong("full", "page size", &[MANIFEST], |m| {
            m["page_size"] = 8192.into();
        }),
        wrong("full", "unsafe name", &[MANIFEST], |m| {
            let record = record(m, "zoo/row_dynamic.ibd");
            record["name"] = "../row_dynamic.ibd".into();
            record["stored"][0]["name"] = "../row_dynamic.ibd".into();
        }),
        wrong("full", "another name", &[MANIFEST], |m| {
            record(m, "zoo/row_dynamic.ibd")["name"] = "zoo/other.ibd".into();
        }),
        wrong("full", "name twice", &[MANIFEST], |m| {
            record(m, "zoo/row_dynamic.ibd")["name"] = "zoo/seed.ibd".into();
        }),
        wrong("full", "digest", &[table], |m| {
            let other = record(m, "zoo/seed.ibd")["stored"][0]["blake3"].clone();
            record(m, "zoo/row_dynamic.ibd")["stored"][0]["blake3"] = other;
        }),
        wrong("full", "no digest", &[MANIFEST], |m| {
            record(m, "zoo/row_dynamic.ibd")["stored"][0]["blake3"] = "none".into();
        }),
        wrong("full", "space id", &[table], |m| {
            record(m, "zoo/row_dynamic.ibd")["space"]["id"] = 999_999.into();
        }),
        wrong("incr", "space id", &[delta, "."], |m| {
            record(m, "zoo/row_dynamic.ibd")["space"]["id"] = 999_999.into();
        }),
        wrong("incr", "content", &[delta], |m| {
            record(m, "zoo/row_dynamic.ibd")["content"] = "whole".into();
        }),
        wrong("incr", "page count", &[MANIFEST], |m| {
            record(m, "zoo/row_dynamic.ibd")["pages"] = 3.into();
        }),
        wrong("incr", "length", &[delta, MANIFEST], |m| {
            record(m, "zoo/row_dynamic.ibd")["length"] = (4 * 16384).into();
        }),
        wrong("incr", "server", &["."], |m| {
            m["server"]["uuid"] = "other".into();
        }),
        wrong("incr", "parent", &["."], |m| {
            m["parent"] = "0".repeat(32).into();
        }),
        wrong("incr", "LSNs out of order", &[MANIFEST], |m| {
            m["lsn"]["page_track"] = u64::MAX.into();
        }),
    ];
    // What a restore cannot know, verify finds by comparing.
    let mut found = vec![
        wrong("incr", "end LSN", &[REDO], |m| {
            m["lsn"]["end"] = (m["lsn"]["end"].as_u64().unwrap() + 1).into();
        }),
        wrong(
            "incr",
            "binary log position",
            &["#clone/#view_status"],
            |m| {
                m["binlog"]["position"] = 4.into();
            },
        ),
        wrong("incr", "GTID set", &["#clone/#view_status"], |m| {
            m["binlog"]["gtid_executed"] = "".into();
        }),
        wrong("full", "file left out", &[table], |m| {
            let files = m["files"].as_array_mut().unwrap();
            files.retain(|file| file["name"] != "zoo/row_dynamic.ibd");
        }),
        wrong("full", "directory left out", &["zoo_empty"], |m| {
            let directories = m["directories"].as_array_mut().unwrap();
            directories.retain(|name| name != "zoo_empty");
        }),
    ];
    for case in &mut found {
        case.restore = false;
    }
    cases.extend(found);
    cases
}

/// Damage of a data directory, which has no digests.
pub(crate) fn directory_damages() -> Vec<Case> {
    vec![
        case("full", "zoo/row_dynamic.ibd", "torn page in", |root| {
            flip(&root.join("zoo/row_dynamic.ibd"), 5 * PAGE + 9000);
        }),
        case("full", "zoo/compressed_4k.ibd", "bad page in", |root| {
            flip(&root.join("zoo/compressed_4k.ibd"), 5 * 4096 + 900);
        }),
        case("full", "mysql.ibd", "two pages exchanged in", |root| {
            change(&root.join("mysql.ibd"), |bytes| swap_pages(bytes, 4, 6));
        }),
        case("full", "ibdata1", "bad first page of", |root| {
            flip(&root.join("ibdata1"), 60);
        }),
        case("full", "zoo/seed.ibd", "no first page in", |root| {
            change(&root.join("zoo/seed.ibd"), |bytes| bytes[..PAGE].fill(0));
        }),
        case("full", "zoo/row_compact.ibd", "a byte cut from", |root| {
            change(&root.join("zoo/row_compact.ibd"), |bytes| {
                bytes.truncate(bytes.len() - 1);
            });
        }),
        case("full", "zoo/row_compact.ibd", "pages cut from", |root| {
            change(&root.join("zoo/row_compact.ibd"), |bytes| {
                bytes.truncate(5 * PAGE);
            });
        }),
        case("full", ".", "no system tablespace", |root| {
            std::fs::remove_file(root.join("ibdata1")).unwrap();
        }),
        case("full", "#innodb_redo", "no redo log", |root| {
            std::fs::remove_file(root.join(REDO)).unwrap();
        }),
        case("full", REDO, "bad header of", |root| {
            flip(&root.join(REDO), 20);
        }),
        case("full", "#innodb_redo", "no checkpoint", |root| {
            flip(&root.join(REDO), 520);
            flip(&root.join(REDO), 1544);
        }),
        case(
            "full",
            "zoo/zzz_copy.ibd",
            "a second file of a tablespace",
            |root| {
                std::fs::copy(root.join("zoo/seed.ibd"), root.join("zoo/zzz_copy.ibd")).unwrap();
            },
        ),
        case("full", "#clone/#status_in_progress", "left", |root| {
            std::fs::write(root.join("#clone/#status_in_progress"), "").unwrap();
        }),
        case("full", "mysql.ibd", "page of the future in", |root| {
            change(&root.join("mysql.ibd"), |bytes| {
                let page = &mut bytes[4 * PAGE..5 * PAGE];
                page[16..24].copy_from_slice(&u64::MAX.to_be_bytes());
                page[PAGE - 4..].fill(0xFF);
                assert!(stamp(page, Geometry::plain(PageSize::DEFAULT)));
            });
        }),
    ]
}
