//! What the data directory says of itself when the apply is done: it is a full set, as of the
//! increment.
//!
//! Its manifest has the increment's identity, so that the next increment links to it, and digests
//! of what its files are going to hold; see [`super::check`]. The files wait in
//! [`RESULT`](super::journal::RESULT), laid out as the `#clone` of a set.

use super::check::Planned;
use super::disk::Disk;
use super::journal::{APPLY_DIR, RESULT};
use super::source::read_all;
use crate::io::{CHUNK, ChunkDigests, Layout, chunk_value, digest_of, write_fresh};
use crate::set::layout::{
    CHECKPOINTS, CHUNK_VALUES, CLONE_DIR, MANIFEST, MANIFEST_DIGEST, VIEW_PROGRESS, VIEW_STATUS,
};
use crate::set::{
    BackupSet, Content, FileRecord, LeftOutBy, Manifest, PagesBy, SetKind, StoredFile,
};
use crate::{Error, Result};
use innodb::clone_dir::Checkpoints;
use innodb::lsn::Lsn;

/// Names that are moved from the staged description to that of the data directory, in this order:
/// the manifest makes the others count.
pub(super) const DESCRIPTION: [&str; 6] = [
    CHECKPOINTS,
    VIEW_STATUS,
    VIEW_PROGRESS,
    CHUNK_VALUES,
    MANIFEST_DIGEST,
    MANIFEST,
];

/// Writes the description of the result aside, durably. Returns the digest line of its manifest.
pub(super) fn stage(disk: &Disk, increment: &BackupSet, planned: &[Planned]) -> Result<String> {
    for directory in [APPLY_DIR, RESULT, &format!("{RESULT}/{CLONE_DIR}")] {
        disk.create_directory(directory)?;
    }
    let mut own_files = Vec::new();
    let mut own_values = Vec::new();
    for (name, bytes) in own_files_of(increment)? {
        disk.put(&format!("{RESULT}/{name}"), &bytes)?;
        own_files.push(StoredFile {
            name: name.to_owned(),
            size: bytes.len() as u64,
            blake3: blake3::Hash::from_bytes(digest_of(&bytes))
                .to_hex()
                .to_string(),
            compressed: None,
        });
        own_values.push(values_of(&bytes));
    }
    let values = planned.iter().map(|planned| &planned.values);
    write_values(disk, values.chain(&own_values))?;
    let manifest = manifest_of(increment.manifest(), planned, own_files);
    let bytes = serde_json::to_vec_pretty(&manifest)
        .map_err(|e| Error::damaged(&disk.path(MANIFEST), e))?;
    let line = crate::set::digest_line(&bytes);
    disk.put(&format!("{RESULT}/{MANIFEST_DIGEST}"), line.as_bytes())?;
    disk.put(&format!("{RESULT}/{MANIFEST}"), &bytes)?;
    disk.sync_directory(RESULT)?;
    disk.sync_directory(APPLY_DIR)?;
    disk.sync_directory(CLONE_DIR)?;
    Ok(line)
}

/// The manifest of a full set with the increment's state.
fn manifest_of(increment: &Manifest, planned: &[Planned], own_files: Vec<StoredFile>) -> Manifest {
    let files = increment.files.iter().zip(planned);
    let files = files.map(|(record, planned)| FileRecord {
        content: Content::Full,
        pages: 0,
        stored: vec![planned.stored.clone()],
        ..record.clone()
    });
    let mut manifest = increment.clone();
    manifest.files = files.collect();
    concat!("innoclone ", env!("CARGO_PKG_VERSION"), " (apply)").clone_into(&mut manifest.made_by);
    manifest.kind = SetKind::Full;
    manifest.parent = None;
    manifest.parent_path = None;
    // They are back in their places.
    manifest.keys = None;
    manifest.lsn.start = Lsn::ZERO;
    manifest.pages_by = PagesBy::All;
    if let Some(means) = &mut manifest.means {
        means.by = LeftOutBy::Nothing;
        means.left_out = 0;
    }
    manifest.own_files = own_files;
    manifest.format = manifest.format_needed();
    manifest
}

/// The small files of the result. The server shows the increment, hence its views, by which
/// `clone_status` has its binary log position and GTID set.
fn own_files_of(increment: &BackupSet) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let lsn = &increment.manifest().lsn;
    let checkpoints = Checkpoints {
        start_lsn: Lsn::ZERO,
        page_track_lsn: increment.manifest().next_start(),
        end_lsn: lsn.end,
    };
    let mut files = vec![(CHECKPOINTS, checkpoints.to_text().into_bytes())];
    for name in [VIEW_STATUS, VIEW_PROGRESS] {
        let own = &increment.manifest().own_files;
        let stored = own.iter().find(|stored| stored.name == name);
        let stored =
            stored.ok_or_else(|| Error::damaged(increment.path(), format!("has no '{name}'")))?;
        let mut bytes = Vec::new();
        read_all(increment.open_stored(stored)?, |_, part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        files.push((name, bytes));
    }
    Ok(files)
}

fn values_of(bytes: &[u8]) -> ChunkDigests {
    let mut values = ChunkDigests::default();
    if bytes.len() > CHUNK {
        for (index, chunk) in (0..).zip(bytes.chunks(CHUNK)) {
            values.set(index, chunk_value(index, chunk));
        }
    }
    values
}

fn write_values<'a>(disk: &Disk, values: impl Iterator<Item = &'a ChunkDigests>) -> Result<()> {
    let name = format!("{RESULT}/{CHUNK_VALUES}");
    let file = disk.create(&name)?;
    let layout = Layout {
        page: 4096,
        innodb: false,
    };
    let mut at = 0;
    for values in values {
        let complete = values
            .complete()
            .ok_or_else(|| Error::damaged(&disk.path(&name), "is not complete"))?;
        let bytes = complete.concat();
        if !bytes.is_empty() {
            disk.write(&file, &name, (at, &bytes), layout, write_fresh)?;
        }
        at += bytes.len() as u64;
    }
    // A value that is all zero would have been left out as a hole.
    disk.set_length(&file, &name, at)?;
    disk.sync(&file, &name)
}
