//! Compressed sets: what is compressed when, out of what.
//!
//! | file | stored as | compressed |
//! |---|---|---|
//! | made of pages, delivered whole to a full | `x.zstd` | as it comes |
//! | its pages copied again, or none | `x.delta.zstd` | at the end, out of an image of the file with only those |
//! | changed pages of an increment | `x.delta.zstd` | at the end, out of the delta |
//! | redo, non-InnoDB tables | `x.zstd` | at the end, out of the file |
//!
//! At the end means when the donor is free: no lock waits for a compressor. What is waiting stands
//! in `#clone/#raw_N` and is removed as soon as it is compressed.

use super::delta::delta_layout;
use super::image::Image;
use super::{BackupSetRecipient, SetFile};
use crate::recipient::Compression;
use crate::recipient::pack::Packer;
use crate::recipient::tree::{Key, Part, Tree};
use crate::set::Compressed;
use crate::{Error, FileDesc, FileId, Job, Result};
use innodb::ids::PageNo;
use roaring::RoaringBitmap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The compressing part of a recipient.
#[derive(Debug)]
pub(super) struct Packing {
    pub packer: Packer,
    /// Pages copied again, of files that are compressed already.
    again: Mutex<HashMap<FileId, RoaringBitmap>>,
}

impl Packing {
    pub(super) fn start(tree: &Arc<Tree>, how: &Compression, job: &Job) -> Result<Self> {
        Ok(Self {
            packer: Packer::start(tree, how, job.stop_flag())?,
            again: Mutex::default(),
        })
    }

    /// What is put behind the names of compressed files.
    pub(super) fn suffix(&self) -> &'static str {
        self.packer.settings().algorithm().suffix()
    }

    /// Pages of a file of a full set that are in a delta beside it.
    pub(super) fn pages_again(&self, file: FileId) -> u32 {
        let pages = self.lock().get(&file).map_or(0, RoaringBitmap::len);
        // The numbers of pages have 32 bits.
        u32::try_from(pages).unwrap_or(u32::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FileId, RoaringBitmap>> {
        self.again.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BackupSetRecipient {
    /// Notes that pages of a file are copied again; the image that takes them.
    pub(super) fn note_again(
        &self,
        packing: &Packing,
        desc: &FileDesc,
        pages: &[PageNo],
    ) -> Result<Key> {
        let mut again = packing.lock();
        if !again.contains_key(&desc.id) {
            self.add_part(desc, Part::Raw)?;
        }
        let noted = again.entry(desc.id).or_default();
        noted.extend(pages.iter().map(|page| page.get()));
        Ok((desc.id, Part::Raw))
    }

    /// Fails if a compressed file holds more than the file has now. InnoDB does not cut files
    /// short; where something else did, nothing copied of the file can be relied on.
    pub(super) fn check_length(&self, desc: &FileDesc) -> Result<()> {
        let packed = self
            .packing
            .as_ref()
            .and_then(|packing| packing.packer.length((desc.id, Part::Main)));
        match packed {
            Some(packed) if packed > desc.length => Err(Error::refused(
                1105,
                format!("'{}' was cut short while it was copied", desc.name),
                "Make the backup again.",
            )),
            _ => Ok(()),
        }
    }

    /// How a part of a file is compressed; after [`Self::pack_rest`].
    pub(super) fn compressed_part(&self, key: Key) -> Option<Compressed> {
        let packer = &self.packing.as_ref()?.packer;
        Some(Compressed {
            algorithm: packer.settings().algorithm(),
            length: packer.length(key)?,
        })
    }

    /// Compresses what could not be compressed as it came.
    pub(super) fn pack_rest(&self, packing: &Packing, job: &Job) -> Result<()> {
        let mut sources = Vec::new();
        for file in self.all_files() {
            if self.tree.has((file.desc.id, Part::Raw)) {
                sources.push(self.open_source(packing, &file)?);
            } else if file.desc.space.is_some() {
                self.add_empty_delta(packing, &file.desc)?;
            }
        }
        let bytes: u64 = sources.iter().map(|source| source.length).sum();
        tracing::info!(bytes, "compressing redo and changed pages");
        let unit = packing.packer.settings().unit();
        // Units of one file after the other, so that few files are half done.
        let units = sources.iter().flat_map(|source| {
            (0..source.length)
                .step_by(unit as usize)
                .map(move |at| (source, at))
        });
        let units = Mutex::new(units);
        job.in_parallel(|| {
            let mut buffer = vec![0; unit as usize];
            loop {
                job.check()?;
                let next = units.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((source, at)) = next else {
                    return Ok(());
                };
                let out = &mut buffer[..(source.length - at).min(unit) as usize];
                source.read(&self.tree, at, out)?;
                packing.packer.write(source.to, at, out)?;
            }
        })?;
        packing.packer.wait()
    }

    /// Puts a delta without pages beside a file of which none was copied again. Whoever takes the
    /// deltas of a set for the list of its tablespaces, as GreatSQL does, finds all of them.
    fn add_empty_delta(&self, packing: &Packing, desc: &FileDesc) -> Result<()> {
        self.add_meta(desc)?;
        self.add_part(desc, Part::Delta)?;
        packing.packer.open((desc.id, Part::Delta), 0, None)
    }

    /// Creates the file that is compressed out of what there is of `file`.
    fn open_source(&self, packing: &Packing, file: &SetFile) -> Result<Source> {
        let desc = &file.desc;
        let from = (desc.id, Part::Raw);
        let pages = packing.lock().get(&desc.id).cloned();
        let part = if desc.space.is_some() {
            Part::Delta
        } else {
            Part::Main
        };
        let (length, image) = match pages {
            Some(pages) => {
                self.add_meta(desc)?;
                let layout = delta_layout(desc)?;
                let first = desc.space.map_or(0, |space| space.first_page);
                // Pages of zeros at the end were not written.
                self.tree
                    .set_length(from, desc.length.max(self.tree.length(from)?))?;
                let length = layout.file_size(pages.len());
                (length, Some(Image::new(pages, first, layout)))
            }
            None => (self.tree.length(from)?, None),
        };
        self.add_part(desc, part)?;
        let to = (desc.id, part);
        packing.packer.open(to, length, Some(from))?;
        Ok(Source {
            from,
            to,
            length,
            image,
        })
    }
}

/// What is compressed at the end.
#[derive(Debug)]
struct Source {
    from: Key,
    to: Key,
    /// Bytes to be compressed.
    length: u64,
    /// Given when they are a delta of pages that are not in a delta yet.
    image: Option<Image>,
}

impl Source {
    /// Reads bytes to be compressed.
    fn read(&self, tree: &Tree, at: u64, out: &mut [u8]) -> Result<()> {
        match &self.image {
            None => tree.read_once(self.from, at, out),
            Some(image) => image.read(tree, self.from, at, out),
        }
    }
}
