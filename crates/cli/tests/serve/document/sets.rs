//! The files of a set, as the listings of the document have them.

use std::collections::BTreeSet;
use std::path::Path;

/// What a set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A full one: with a suffix every tablespace has a delta beside it.
    Full,
    /// A full one that was compressed and is not any more.
    FullWithPages,
    Increment,
}

/// Checks the names in a set, and the sizes of what is not compressed.
#[track_caller]
pub(super) fn check(set: &Path, kind: Kind, suffix: &str) {
    let names = files(set);
    let dot = if suffix.is_empty() { "" } else { "." };
    let stored = |name: &str| format!("{name}{dot}{suffix}");
    let has_deltas = kind != Kind::Full || !suffix.is_empty();
    let mut expected = BTreeSet::new();
    for space in [
        "ibdata1",
        "mysql.ibd",
        "undo_001",
        "undo_002",
        "sys/sys_config.ibd",
        "test/d.ibd",
    ] {
        if kind != Kind::Increment {
            expected.insert(stored(space));
        }
        if has_deltas {
            expected.insert(stored(&format!("{space}.delta")));
            expected.insert(format!("{space}.meta"));
        }
    }
    expected.insert(stored("#innodb_redo/#ib_redo0"));
    if kind != Kind::Increment {
        expected.insert(stored("ib_buffer_pool"));
    }
    for name in ["#view_status", "#view_progress", "#clone_checkpoints"] {
        expected.insert(format!("#clone/{name}"));
    }
    let of_document = |name: &&String| expected.contains(*name);
    let found: BTreeSet<String> = names.iter().filter(of_document).cloned().collect();
    assert_eq!(found, expected, "{names:?}");
    assert!(!names.contains("#clone/#status_in_progress"));
    for name in &names {
        // A server that applies a set drops the tablespaces that have no delta in it.
        let plain = name.strip_suffix(&stored("")).unwrap_or(name);
        if ends_in(plain, "ibd") || plain.starts_with("undo_") && !plain.contains('.') {
            let pair = [stored(&format!("{plain}.delta")), format!("{plain}.meta")];
            let there = pair.each_ref().map(|name| names.contains(name));
            assert_eq!(there, [has_deltas; 2], "{name}");
        }
        if let Some((space, _)) = name.split_once(".delta") {
            assert!(has_deltas, "{name}");
            assert!(names.contains(&format!("{space}.meta")), "{name}");
        }
        let size = std::fs::metadata(set.join(name)).unwrap().len();
        if ends_in(name, "delta") {
            // Nothing, or a page of numbers in front of the pages.
            assert!(
                size == 0 || size >= 32768 && size.is_multiple_of(16384),
                "{name}: {size}"
            );
        } else if name == "ibdata1.meta" {
            assert_eq!(size, 64, "{name}");
        }
        assert!(kind != Kind::Increment || !ends_in(name, "ibd"), "{name}");
    }
}

/// All files below a directory, by their paths from there.
fn files(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap();
                found.insert(name.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

fn ends_in(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == extension)
}
