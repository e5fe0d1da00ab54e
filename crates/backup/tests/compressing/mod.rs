//! Compressed sets out of plain ones.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

pub mod reseal;

use backup::set::{Compressed, Content, FileRecord, Manifest, SpaceRecord, StoredFile};
use frame::{Algorithm, Compressor, Index, Settings};
use innodb::delta::{DeltaLayout, encode_header};
use innodb::ids::{PageNo, SpaceId};
use innodb::meta::SpaceMeta;
use std::path::Path;

const MANIFEST: &str = "#clone/manifest.json";

/// How a set is compressed.
#[derive(Debug, Clone, Copy)]
pub struct Compression {
    pub algorithm: Algorithm,
    /// Whether tablespaces of a full set get a delta: some pages, and the end of the file, are in
    /// it and not in the file.
    pub layered: bool,
}

impl Compression {
    pub fn plain(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            layered: false,
        }
    }

    pub fn layered(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            layered: true,
        }
    }
}

/// Makes a sealed plain set the same set, compressed.
pub fn compress_set(set: &Path, how: Compression) {
    let path = set.join(MANIFEST);
    let mut manifest = Manifest::parse(&path, &std::fs::read(&path).unwrap()).unwrap();
    for file in &mut manifest.files {
        let layered = how.layered && file.content == Content::Full;
        if let Some(space) = file.space.filter(|_| layered) {
            split(set, file, space);
        }
        for stored in &mut file.stored {
            let is_meta = stored.name == format!("{}.meta", file.name);
            if !is_meta {
                compress_file(set, stored, how.algorithm);
            }
        }
    }
    manifest.format = manifest.format_needed();
    replace(&path, &serde_json::to_vec(&manifest).unwrap());
    reseal::reseal(set);
    let bytes = std::fs::read(&path).unwrap();
    Manifest::parse(&path, &bytes).unwrap();
}

/// Puts another file in place of one that may have other links.
fn replace(path: &Path, bytes: &[u8]) {
    let _ = std::fs::remove_file(path);
    std::fs::write(path, bytes).unwrap();
}

fn compress_file(set: &Path, stored: &mut StoredFile, algorithm: Algorithm) {
    let from = set.join(&stored.name);
    let original = std::fs::read(&from).unwrap();
    stored.name += algorithm.suffix();
    stored.compressed = Some(Compressed {
        algorithm,
        length: original.len() as u64,
    });
    replace(&set.join(&stored.name), &compress(&original, algorithm));
    let mode = std::fs::metadata(&from).unwrap().permissions();
    std::fs::set_permissions(set.join(&stored.name), mode).unwrap();
    std::fs::remove_file(from).unwrap();
}

/// A compressed file that holds `original`.
pub fn compress(original: &[u8], algorithm: Algorithm) -> Vec<u8> {
    let settings = Settings::of(algorithm);
    let mut compressor = Compressor::new(&settings).unwrap();
    let (mut out, mut frames) = (Vec::new(), Vec::new());
    for unit in original.chunks(settings.unit() as usize) {
        let before = out.len();
        compressor.compress(unit, &mut out).unwrap();
        frames.push((out.len() - before) as u32);
    }
    let index = Index::new(settings.unit(), original.len() as u64, &frames).unwrap();
    out.extend(index.encode());
    out
}

/// Takes pages out of a tablespace into a delta: every third one that is not zero, and all of the
/// last quarter, which the file then does not have.
fn split(set: &Path, file: &mut FileRecord, space: SpaceRecord) {
    let size = space.page_size as usize;
    let path = set.join(&file.name);
    let mut bytes = std::fs::read(&path).unwrap();
    let pages = bytes.len() / size;
    let keep = pages - pages / 4;
    let is_zero = |page: &[u8]| page.iter().all(|byte| *byte == 0);
    let mut taken: Vec<(PageNo, Vec<u8>)> = Vec::new();
    for (no, page) in bytes.chunks_exact_mut(size).enumerate() {
        if !is_zero(page) && (no % 3 == 1 || no >= keep) {
            taken.push((PageNo::new(space.first_page + no as u32), page.to_vec()));
            page.fill(0);
        }
    }
    bytes.truncate(keep * size);
    replace(&path, &bytes);
    let layout = DeltaLayout::new(size).unwrap();
    let mut delta = Vec::new();
    let clusters = taken.chunks(layout.slots_per_cluster() as usize);
    let last = clusters.len();
    for (number, cluster) in clusters.enumerate() {
        let numbers: Vec<PageNo> = cluster.iter().map(|(no, _)| *no).collect();
        let mut header = vec![0; size];
        encode_header(layout, &numbers, number + 1 == last, &mut header).unwrap();
        delta.extend(header);
        delta.extend(cluster.iter().flat_map(|(_, page)| page));
    }
    let flags = innodb::flags::SpaceFlags::new(space.flags).unwrap();
    let geometry = innodb::geometry::Geometry::of(flags).unwrap();
    let meta = SpaceMeta {
        page_size: space.page_size,
        zip_size: if geometry.is_zip() {
            space.page_size
        } else {
            0
        },
        space_id: SpaceId::new(space.id),
        space_flags: flags,
    };
    file.pages = taken.len() as u32;
    for (suffix, bytes) in [(".delta", delta), (".meta", meta.to_text().into_bytes())] {
        let name = format!("{}{suffix}", file.name);
        std::fs::write(set.join(&name), bytes).unwrap();
        // The rest is filled in when the set is sealed again.
        file.stored.push(StoredFile {
            name,
            size: 0,
            blake3: String::new(),
            compressed: None,
        });
    }
}
