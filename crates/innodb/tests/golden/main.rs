//! Every parser against pieces of real files. `make.sh` says where they come from.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

mod logs;
mod pages;

fn versions() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

fn piece(version: &Path, name: &str) -> Vec<u8> {
    let file = std::fs::File::open(version.join(format!("{name}.zst"))).unwrap();
    zstd::decode_all(file).unwrap()
}

fn facts(version: &Path) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(version.join("facts.tsv")).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    pairs
        .filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?)))
        .collect()
}

#[test]
fn the_versions_are_the_ones_that_were_made() {
    let names: Vec<_> = versions()
        .iter()
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["9.7.4"]);
}
