//! Pages in deltas: where they go, and the headers that list them.

use super::{BackupSetRecipient, SetFile};
use crate::recipient::Delivery;
use crate::{Error, FileDesc, Result};
use innodb::delta::{DeltaLayout, encode_header};
use innodb::ids::PageNo;

impl BackupSetRecipient {
    /// Writes the cluster headers of a delta, and gives it its length.
    pub(super) fn finish_delta(&self, file: &SetFile) -> Result<()> {
        let layout = delta_layout(&file.desc)?;
        let key = (file.desc.id, self.delta_part());
        let pages = file.pages;
        let per_cluster = layout.slots_per_cluster();
        let clusters = pages.div_ceil(per_cluster);
        let mut page_numbers: Box<dyn Iterator<Item = u32>> = match &file.delivery {
            Delivery::Whole => {
                let first = file.desc.space.map_or(0, |space| space.first_page);
                let count = u32::try_from(pages).unwrap_or(u32::MAX);
                Box::new(first..first.saturating_add(count))
            }
            Delivery::Pages(pages) => Box::new(pages.iter()),
        };
        let mut header = vec![0; file.desc.page_size()];
        for cluster in 0..clusters {
            let here: Vec<PageNo> = page_numbers
                .by_ref()
                .take(per_cluster as usize)
                .map(PageNo::new)
                .collect();
            encode_header(layout, &here, cluster + 1 == clusters, &mut header)
                .map_err(|e| Error::refused(1105, e.to_string(), "This is a bug."))?;
            self.tree
                .write(key, layout.header_offset(cluster), &header)?;
        }
        self.tree.set_length(key, layout.file_size(pages))
    }

    /// Writes images of pages with consecutive positions in the delta.
    pub(super) fn write_slots(&self, file: &SetFile, first: u64, images: &[u8]) -> Result<()> {
        let layout = delta_layout(&file.desc)?;
        let (page_size, key) = (file.desc.page_size(), (file.desc.id, self.delta_part()));
        let mut index = first;
        let mut rest = images;
        while !rest.is_empty() {
            // Up to the next cluster header the slots are contiguous.
            let room = layout.slots_per_cluster() - index % layout.slots_per_cluster();
            let take = (room as usize).saturating_mul(page_size).min(rest.len());
            let (now, later) = rest.split_at(take);
            self.tree.write(key, layout.slot_offset(index), now)?;
            index += (take / page_size) as u64;
            rest = later;
        }
        Ok(())
    }
}

pub(super) fn delta_layout(desc: &FileDesc) -> Result<DeltaLayout> {
    DeltaLayout::new(desc.page_size())
        .map_err(|e| Error::refused(1105, e.to_string(), "This is a bug."))
}

/// Cuts a list of pages with their images into runs of consecutive numbers.
pub(super) fn neighbours<'a>(
    pages: &'a [PageNo],
    images: &'a [u8],
    page_size: usize,
) -> impl Iterator<Item = (PageNo, &'a [u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = *pages.get(at)?;
        let mut len = 1;
        while pages
            .get(at + len)
            .is_some_and(|page| page.get() - first.get() == len as u32)
        {
            len += 1;
        }
        let bytes = &images[at * page_size..(at + len) * page_size];
        at += len;
        Some((first, bytes))
    })
}
