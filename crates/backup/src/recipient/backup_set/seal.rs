//! Sealing a set: its description, then the end of the marker.

use super::{BackupSetRecipient, SetFile};
use crate::io::{fsync_dir, values_of, write_new};
use crate::recipient::tree::Part;
use crate::recipient::views::{view_progress, view_status};
use crate::recipient::{Delivery, Snapshot};
use crate::set::layout::{
    CHECKPOINTS, CHUNK_VALUES, CLONE_DIR, MANIFEST, MANIFEST_DIGEST, VIEW_PROGRESS, VIEW_STATUS,
};
use crate::set::{CloneRecord, Content, FileRecord, Manifest, SpaceRecord, StoredFile};
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
        let mut put = |name: &str, text: &str| -> Result<()> {
            write_new(&self.target.path().join(name), text.as_bytes())?;
            own.push(StoredFile {
                name: name.to_owned(),
                size: text.len() as u64,
                blake3: blake3::hash(text.as_bytes()).to_hex().to_string(),
                compressed: None,
            });
            values.extend(values_of(text.as_bytes()));
            Ok(())
        };
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
    for name in [
        CHECKPOINTS,
        VIEW_STATUS,
        VIEW_PROGRESS,
        CHUNK_VALUES,
        MANIFEST_DIGEST,
        MANIFEST,
    ] {
        let path = root.join(name);
        let file = std::fs::File::open(&path).map_err(|e| Error::io("open file", &path, e))?;
        crate::io::fsync_file(&file, &path)?;
    }
    fsync_dir(&root.join(CLONE_DIR))
}
