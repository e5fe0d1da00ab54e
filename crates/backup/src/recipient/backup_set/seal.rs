//! Sealing a set: its description, then the end of the marker.

use super::{BackupSetRecipient, SetFile};
use crate::io::{fsync_dir, values_of, write_new};
use crate::recipient::tree::Part;
use crate::recipient::views::{view_progress, view_status};
use crate::recipient::{Delivery, Snapshot};
use crate::set::layout::{
    CHECKPOINTS, CHUNK_VALUES, CLONE_DIR, MANIFEST, MANIFEST_DIGEST, PERSISTED, SEALED_KEYS,
    VIEW_PROGRESS, VIEW_STATUS,
};
use crate::set::{
    CloneRecord, Content, FileRecord, KeysRecord, Manifest, SetKind, SpaceRecord, StoredFile,
};
use crate::{Error, Result};
use innodb::clone_dir::Checkpoints;
use std::path::Path;

impl BackupSetRecipient {
    /// Records what the snapshot is and takes the marker away.
    pub(super) fn write_seal(&self, snapshot: &Snapshot) -> Result<()> {
        let root = self.target.path();
        let mut clone = self.options.clone.clone();
        clone.end_us = jiff::Timestamp::now().as_microsecond();
        let files = self.all_files();
        let mut records = Vec::with_capacity(files.len());
        let mut values = Vec::new();
        for file in &files {
            records.push(self.record(file)?);
            for part in [Part::Main, Part::Delta, Part::Meta] {
                if self.tree.has((file.desc.id, part)) {
                    values.extend(self.tree.chunk_bytes((file.desc.id, part))?);
                }
            }
        }
        let own_files = self.write_own_files(snapshot, &clone, &mut values)?;
        let mut manifest = Manifest {
            format: Manifest::FORMAT,
            made_by: concat!("innoclone ", env!("CARGO_PKG_VERSION")).to_owned(),
            id: self.options.id.clone(),
            parent: snapshot.parent.as_ref().map(|(id, _)| id.clone()),
            parent_path: snapshot.parent.as_ref().map(|(_, path)| path.clone()),
            kind: snapshot.kind,
            server: snapshot.server.clone(),
            lsn: snapshot.lsn,
            binlog: snapshot.binlog.clone(),
            page_size: snapshot.page_size,
            clone,
            pages_by: snapshot.pages_by,
            means: snapshot.means.clone(),
            keys: sealed_keys(snapshot),
            directories: self.lock_directories().iter().cloned().collect(),
            files: records,
            own_files,
        };
        manifest.format = manifest.format_needed();
        write_new(&root.join(CHUNK_VALUES), &values)?;
        write_manifest(root, &manifest)?;
        // Everything is on disk, the manifest too, before the marker goes.
        self.target.mark_complete()
    }

    /// The record of a file, after the tree has been synced.
    fn record(&self, file: &SetFile) -> Result<FileRecord> {
        let desc = &file.desc;
        let mut stored = Vec::new();
        for part in [Part::Main, Part::Delta, Part::Meta] {
            if self.tree.has((desc.id, part)) {
                stored.push(StoredFile {
                    compressed: self.compressed_part((desc.id, part)),
                    ..self.tree.stored((desc.id, part))?
                });
            }
        }
        let content = match (self.in_delta(desc), &file.delivery) {
            (false, _) => Content::Full,
            (true, Delivery::Whole) => Content::Whole,
            (true, Delivery::Pages(_)) => Content::Delta,
        };
        let pages = match (content, &self.packing) {
            (Content::Full, Some(packing)) => packing.pages_again(desc.id),
            (Content::Full, None) => 0,
            (Content::Delta | Content::Whole, _) => file.pages as u32,
        };
        Ok(FileRecord {
            name: desc.name.clone(),
            kind: desc.kind,
            content,
            length: desc.length,
            allocated: desc.allocated,
            pages,
            space: desc.space.as_ref().map(|space| SpaceRecord {
                id: space.id.get(),
                flags: space.flags.get(),
                page_size: space.geometry.physical() as u32,
                first_page: space.first_page,
            }),
            source: desc.source.clone(),
            stored,
        })
    }

    /// Writes the files in `#clone` that describe the set to others, and returns their records;
    /// adds their chunk values to `values`.
    fn write_own_files(
        &self,
        snapshot: &Snapshot,
        clone: &CloneRecord,
        values: &mut Vec<u8>,
    ) -> Result<Vec<StoredFile>> {
        let mut own = Vec::new();
        let mut put_bytes = |name: &str, bytes: &[u8]| -> Result<()> {
            write_new(&self.target.path().join(name), bytes)?;
            own.push(StoredFile {
                name: name.to_owned(),
                size: bytes.len() as u64,
                blake3: blake3::hash(bytes).to_hex().to_string(),
                compressed: None,
            });
            values.extend(values_of(bytes));
            Ok(())
        };
        if let Some(keys) = snapshot.keys.as_ref().filter(|keys| !keys.is_empty()) {
            put_bytes(SEALED_KEYS, &keys.seal(&self.options.id)?)?;
            // A full looks like a data directory. A server would start on it, and miss the tables
            // whose keys it cannot read.
            if snapshot.kind == SetKind::Full {
                put_bytes(PERSISTED, KEYS_ARE_SEALED)?;
            }
        }
        let mut put = |name: &str, text: &str| put_bytes(name, text.as_bytes());
        let lsn = &snapshot.lsn;
        let checkpoints = Checkpoints {
            start_lsn: lsn.start,
            page_track_lsn: snapshot.next_start(),
            end_lsn: lsn.end,
        };
        put(CHECKPOINTS, &checkpoints.to_text())?;
        put(VIEW_STATUS, &view_status(snapshot, clone).to_text())?;
        put(
            VIEW_PROGRESS,
            &view_progress(&self.progress, clone).to_text(),
        )?;
        Ok(own)
    }
}

fn sealed_keys(snapshot: &Snapshot) -> Option<KeysRecord> {
    let keys = snapshot.keys.as_ref().filter(|keys| !keys.is_empty())?;
    Some(KeysRecord {
        key_id: keys.key_id().to_owned(),
        count: keys.len() as u32,
    })
}

/// mysqld does not start where this is in the place of its persisted variables.
const KEYS_ARE_SEALED: &[u8] = b"The keys of this backup set are sealed. Restore it by 'innoclone \
restore --encryption-key-file'.\n";

fn write_manifest(root: &Path, manifest: &Manifest) -> Result<()> {
    let bytes =
        serde_json::to_vec_pretty(manifest).map_err(|e| Error::damaged(&root.join(MANIFEST), e))?;
    // One that readers refuse must not seal a set.
    Manifest::parse(&root.join(MANIFEST), &bytes)?;
    write_new(
        &root.join(MANIFEST_DIGEST),
        crate::set::digest_line(&bytes).as_bytes(),
    )?;
    write_new(&root.join(MANIFEST), &bytes)?;
    let own = manifest.own_files.iter().map(|own| own.name.as_str());
    for name in own.chain([CHUNK_VALUES, MANIFEST_DIGEST, MANIFEST]) {
        let path = root.join(name);
        let file = std::fs::File::open(&path).map_err(|e| Error::io("open file", &path, e))?;
        crate::io::fsync_file(&file, &path)?;
    }
    fsync_dir(&root.join(CLONE_DIR))
}
