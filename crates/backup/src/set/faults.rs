//! What must hold of every manifest before anything is done by it.

use super::layout::{CHECKPOINTS, DELTA, META, SEALED_KEYS, VIEW_PROGRESS, VIEW_STATUS, is_safe};
use super::{Content, FileRecord, Manifest, SetKind, SpaceRecord, StoredFile};
use crate::files::FileKind;
use innodb::delta::DeltaLayout;
use innodb::flags::SpaceFlags;
use innodb::geometry::{Geometry, PageSize};
use innodb::lsn::Lsn;
use std::collections::HashSet;

impl Manifest {
    /// Everything in which the manifest contradicts itself, or says what no set is. Digests are
    /// of no help here: a program that went wrong digests what it wrote.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.format != self.format_needed() {
            faults.push(format!(
                "format {}, but what it lists is of format {}",
                self.format,
                self.format_needed()
            ));
        }
        self.name_faults(&mut faults);
        self.lsn_faults(&mut faults);
        if PageSize::new(self.page_size).is_err() {
            faults.push(format!("page size {}", self.page_size));
        }
        for file in &self.files {
            let found = file_fault(file, self.kind, self.page_size);
            faults.extend(found.map(|fault| format!("file {:?}: {fault}", file.name)));
        }
        for own in &self.own_files {
            if own.compressed.is_some() {
                faults.push(format!("{:?} is compressed", own.name));
            }
        }
        for stored in self.stored_files() {
            faults.extend(
                compression_fault(stored).map(|fault| format!("file {:?}: {fault}", stored.name)),
            );
            if blake3::Hash::from_hex(&stored.blake3).is_err() {
                faults.push(format!("no BLAKE3 digest for {:?}", stored.name));
            }
        }
        faults
    }

    fn name_faults(&self, faults: &mut Vec<String>) {
        let mut seen = HashSet::new();
        let names = self.files.iter().map(|file| &file.name);
        for name in names.chain(&self.directories) {
            if !is_safe(name) {
                faults.push(format!("unsafe name {name:?}"));
            }
            if !seen.insert(name.as_str()) {
                faults.push(format!("name {name:?} occurs twice"));
            }
        }
        let mut seen = HashSet::new();
        for stored in self.stored_files() {
            if !is_safe(&stored.name) || !seen.insert(stored.name.as_str()) {
                faults.push(format!("unsafe or repeated name {:?}", stored.name));
            }
        }
        for name in [CHECKPOINTS, VIEW_STATUS, VIEW_PROGRESS] {
            if !self.own_files.iter().any(|own| own.name == name) {
                faults.push(format!("{name:?} is not listed"));
            }
        }
        let listed = self.own_files.iter().any(|own| own.name == SEALED_KEYS);
        if listed != self.keys.is_some() {
            faults.push(format!(
                "{SEALED_KEYS:?} and what the manifest says of sealed keys do not go together"
            ));
        }
        let mut places = HashSet::new();
        for file in &self.files {
            if let Some(space) = &file.space
                && !places.insert((space.id, space.first_page))
            {
                faults.push(format!(
                    "file {:?}: another file has its place in space {}",
                    file.name, space.id
                ));
            }
        }
    }

    fn lsn_faults(&self, faults: &mut Vec<String>) {
        let lsn = &self.lsn;
        if lsn.start.max(lsn.checkpoint).max(lsn.page_track) > lsn.end {
            faults.push(format!("LSNs out of order: {lsn:?}"));
        }
        let of_full = lsn.start == Lsn::ZERO && self.parent.is_none();
        if self.kind == SetKind::Full && !of_full {
            faults.push("a full set does not continue another".into());
        }
        if !self.files.iter().any(|file| file.kind == FileKind::Redo) {
            faults.push("there is no redo".into());
        }
    }
}

/// What is wrong with the record of one file.
fn file_fault(file: &FileRecord, set: SetKind, page_size: u32) -> Option<String> {
    let paged = !matches!(file.kind, FileKind::Redo | FileKind::Plain);
    if paged != file.space.is_some() {
        return Some(format!("kind {:?} does not fit its tablespace", file.kind));
    }
    if let Some(space) = &file.space {
        let geometry = SpaceFlags::new(space.flags)
            .map_err(|e| e.to_string())
            .and_then(|flags| Geometry::of(flags).map_err(|e| e.to_string()));
        let geometry = match geometry {
            Ok(geometry) => geometry,
            Err(fault) => return Some(fault),
        };
        if geometry.physical() != space.page_size as usize
            || geometry.page_size().get() != page_size
        {
            return Some(format!(
                "pages of {} bytes are not those of its flags {:#x} and of the set",
                space.page_size, space.flags
            ));
        }
        if !file.length.is_multiple_of(u64::from(space.page_size)) {
            return Some(format!(
                "length {} is not a whole number of pages",
                file.length
            ));
        }
    }
    if paged && (set == SetKind::Full) != (file.content == Content::Full) {
        return Some(format!("{:?} content in a {set:?} set", file.content));
    }
    match file.content {
        Content::Full => full_fault(file),
        Content::Delta | Content::Whole => delta_fault(file),
    }
}

/// What is wrong with the way a file is compressed.
fn compression_fault(stored: &StoredFile) -> Option<String> {
    let compressed = stored.compressed?;
    let Some(plain) = stored.plain_name() else {
        return Some(format!(
            "compressed with {}, but its name does not end in {:?}",
            compressed.algorithm,
            compressed.algorithm.suffix()
        ));
    };
    if plain.is_empty() || plain.ends_with('/') {
        return Some("a suffix is no name".into());
    }
    ((stored.size == 0) != (compressed.length == 0)).then(|| {
        format!(
            "{} bytes cannot be compressed to {}",
            compressed.length, stored.size
        )
    })
}

fn full_fault(file: &FileRecord) -> Option<String> {
    let base = match (file.stored.as_slice(), &file.space) {
        ([base], _) => base,
        ([base, delta, meta], Some(space)) => {
            if let Some(fault) = pages_fault(file, space, delta, meta) {
                return Some(fault);
            }
            base
        }
        _ => return Some(format!("{} files are stored for it", file.stored.len())),
    };
    if base.plain_name() != Some(file.name.as_str()) {
        return Some(format!("it is stored as {:?}", base.name));
    }
    let layered = file.stored.len() > 1;
    // A server would take it for the whole file.
    if layered && base.compressed.is_none() {
        return Some("pages beside a file that is not compressed".into());
    }
    if !layered && file.pages != 0 {
        return Some(format!("{} pages beside it, and no delta", file.pages));
    }
    let length = base.length();
    // What was copied first may be older than the file's last growth: the rest is in the delta, or
    // was never written.
    if let Some(space) = &file.space
        && base.compressed.is_some()
    {
        return (length > file.length || !length.is_multiple_of(u64::from(space.page_size))).then(
            || {
                format!(
                    "{length} bytes are stored of a file of {} bytes",
                    file.length
                )
            },
        );
    }
    (length != file.length).then(|| format!("{length} of {} bytes are stored", file.length))
}

fn delta_fault(file: &FileRecord) -> Option<String> {
    let [delta, meta] = file.stored.as_slice() else {
        return Some(format!("{} files are stored for it", file.stored.len()));
    };
    match &file.space {
        Some(space) => pages_fault(file, space, delta, meta),
        None => Some("a delta of a file without pages".into()),
    }
}

fn pages_fault(
    file: &FileRecord,
    space: &SpaceRecord,
    delta: &StoredFile,
    meta: &StoredFile,
) -> Option<String> {
    let named = delta.plain_name() == Some(&format!("{}{DELTA}", file.name))
        && meta.name == format!("{}{META}", file.name);
    if !named || meta.compressed.is_some() {
        return Some(format!(
            "it is stored as {:?} and {:?}",
            delta.name, meta.name
        ));
    }
    let pages = u64::from(file.pages);
    let layout = match DeltaLayout::new(space.page_size as usize) {
        Ok(layout) => layout,
        Err(fault) => return Some(fault.to_string()),
    };
    if delta.length() != layout.file_size(pages) {
        return Some(format!(
            "a delta of {pages} pages is not {} bytes long",
            delta.length()
        ));
    }
    (pages > file.length / u64::from(space.page_size)).then(|| {
        format!(
            "{pages} pages are stored of a file of {} bytes",
            file.length
        )
    })
}
