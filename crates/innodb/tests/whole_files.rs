//! Every page of every tablespace file of a stopped server, on request:
//!
//! ```text
//! INNODB_DATADIR=/path cargo test -p innoclone-innodb --test whole_files -- --ignored --nocapture
//! ```
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use innoclone_innodb::geometry::Geometry;
use innoclone_innodb::ids::PageNo;
use innoclone_innodb::page::PageHeader;
use innoclone_innodb::tablespace::SpaceHeader;
use innoclone_innodb::verify::{PageState, verify_page_at};

fn tablespaces(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('#') {
            tablespaces(&path, found);
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_tablespace = matches!(extension, Some("ibd" | "ibu"))
            || name == "ibdata1"
            || (name.starts_with("undo_") && extension.is_none());
        if is_tablespace && path.is_file() {
            found.push(path);
        }
    }
}

#[test]
#[ignore = "needs INNODB_DATADIR, the data directory of a stopped server"]
fn every_page_of_every_file_verifies() {
    let directory = std::env::var("INNODB_DATADIR").expect("INNODB_DATADIR is not set");
    let mut files = Vec::new();
    tablespaces(Path::new(&directory), &mut files);
    assert!(!files.is_empty(), "no tablespaces in {directory}");
    let (mut bytes, mut time) = (0, Duration::ZERO);
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for path in &files {
        let file = std::fs::read(path).unwrap();
        let header =
            SpaceHeader::parse(&file).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let geometry = Geometry::of(header.flags).unwrap();
        assert!(
            file.len().is_multiple_of(geometry.physical()),
            "{}",
            path.display()
        );
        for (number, page) in file.chunks_exact(geometry.physical()).enumerate() {
            let no = PageNo::new(u32::try_from(number).unwrap());
            let begin = Instant::now();
            let state = verify_page_at(page, geometry, header.space_id, no);
            time += begin.elapsed();
            let state = state.unwrap_or_else(|e| panic!("{} page {no}: {e}", path.display()));
            let page_type = PageHeader::parse(page).unwrap().page_type();
            let named = page_type.name().is_some();
            assert!(
                named || state == PageState::Empty,
                "{} page {no}: {page_type}",
                path.display()
            );
            *kinds.entry(format!("{state:?} {page_type}")).or_default() += 1;
        }
        bytes += file.len();
    }
    println!("{} files, {bytes} bytes, {time:?} to verify", files.len());
    println!("{kinds:#?}");
}
