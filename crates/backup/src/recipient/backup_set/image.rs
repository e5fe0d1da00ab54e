//! A delta that is read out of an image of its file, page by page, without being written.

use crate::recipient::tree::{Key, Tree};
use crate::{Error, Result};
use innodb::delta::{DeltaLayout, encode_header};
use innodb::ids::PageNo;
use roaring::RoaringBitmap;

/// A file with holes, of which some pages are to be in a delta.
#[derive(Debug)]
pub(super) struct Image {
    pages: RoaringBitmap,
    /// Number of the file's first page.
    first: u32,
    layout: DeltaLayout,
}

impl Image {
    /// The delta with `pages` of a file whose first page has number `first`.
    pub(super) fn new(pages: RoaringBitmap, first: u32, layout: DeltaLayout) -> Self {
        Self {
            pages,
            first,
            layout,
        }
    }

    /// Reads part of the delta: whole slots.
    pub(super) fn read(&self, tree: &Tree, key: Key, at: u64, out: &mut [u8]) -> Result<()> {
        let size = self.layout.page_size();
        let cluster_slots = self.layout.slots_per_cluster() + 1;
        let mut slot = at / size as u64;
        let mut rest = out;
        while !rest.is_empty() {
            let (cluster, within) = (slot / cluster_slots, slot % cluster_slots);
            let index = cluster * self.layout.slots_per_cluster() + within.saturating_sub(1);
            let taken = if within == 0 {
                self.header(cluster, index, &mut rest[..size])?;
                1
            } else {
                let room = (cluster_slots - within).min((rest.len() / size) as u64);
                let (page, count) = self.run(index, room as usize).ok_or_else(|| {
                    Error::refused(
                        1105,
                        "a delta has fewer pages than planned",
                        "This is a bug.",
                    )
                })?;
                let offset = u64::from(page - self.first) * size as u64;
                tree.read_once(key, offset, &mut rest[..count * size])?;
                count
            };
            slot += taken as u64;
            rest = &mut rest[taken * size..];
        }
        Ok(())
    }

    /// The header of a cluster whose first page has position `index`.
    fn header(&self, cluster: u64, index: u64, out: &mut [u8]) -> Result<()> {
        let count = self.layout.slots_per_cluster();
        let here: Vec<PageNo> = self
            .from(index)
            .take(count as usize)
            .map(PageNo::new)
            .collect();
        let last = (cluster + 1) * count >= self.pages.len();
        encode_header(self.layout, &here, last, out)
            .map_err(|e| Error::refused(1105, e.to_string(), "This is a bug."))
    }

    /// First page and number of the pages from position `index` on that are neighbours in the file
    /// too, at most `room`.
    fn run(&self, index: u64, room: usize) -> Option<(u32, usize)> {
        let first = self.from(index).next()?;
        let neighbours = (first..).zip(self.from(index).take(room));
        Some((
            first,
            neighbours.take_while(|(no, page)| no == page).count(),
        ))
    }

    /// The pages from position `index` on.
    fn from(&self, index: u64) -> roaring::bitmap::Iter<'_> {
        let mut pages = self.pages.iter();
        let page = u32::try_from(index).ok();
        // Behind the last page there is none: numbers end before this one.
        pages.advance_to(
            page.and_then(|at| self.pages.select(at))
                .unwrap_or(u32::MAX),
        );
        pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileId;
    use crate::io::Layout;
    use crate::recipient::tree::Part;
    use innodb::delta::parse_header;

    const PAGE: usize = 4096;

    /// A page that tells its number.
    fn page(no: u32) -> Vec<u8> {
        no.wrapping_mul(2_654_435_761)
            .to_le_bytes()
            .repeat(PAGE / 4)
    }

    /// The delta of `pages`, read in pieces of `piece` bytes.
    fn delta(pages: &[u32], first: u32, piece: usize) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(dir.path(), true, None);
        let key = (FileId(0), Part::Raw);
        let holes = Layout {
            page: PAGE,
            innodb: true,
        };
        tree.add(key, "raw", holes).unwrap();
        // As they come: in any order, and some of them twice.
        for no in pages.iter().rev().chain(pages.iter().step_by(7)) {
            let offset = u64::from(no - first) * PAGE as u64;
            tree.overwrite(key, offset, &page(*no)).unwrap();
        }
        // Page 0 is all zeros, which are not written.
        let length = u64::from(pages[pages.len() - 1] - first + 1) * PAGE as u64;
        tree.set_length(key, length).unwrap();
        let layout = DeltaLayout::new(PAGE).unwrap();
        let image = Image::new(pages.iter().copied().collect(), first, layout);
        let mut bytes = vec![0; layout.file_size(pages.len() as u64) as usize];
        for (number, piece_of) in bytes.chunks_mut(piece).enumerate() {
            image
                .read(&tree, key, (number * piece) as u64, piece_of)
                .unwrap();
        }
        bytes
    }

    /// The pages in a delta, as readers find them.
    fn pages_of(delta: &[u8]) -> Vec<u32> {
        let layout = DeltaLayout::new(PAGE).unwrap();
        let mut found = Vec::new();
        let clusters: Vec<&[u8]> = delta.chunks(layout.cluster_size() as usize).collect();
        for (number, cluster) in clusters.iter().enumerate() {
            let header = parse_header(layout, &cluster[..PAGE]).unwrap();
            assert_eq!(header.last, number + 1 == clusters.len());
            assert_eq!(cluster.len(), (header.pages.len() + 1) * PAGE);
            for (slot, no) in (1..).zip(&header.pages) {
                assert!(
                    cluster[slot * PAGE..][..PAGE] == page(no.get()),
                    "page {no}"
                );
                found.push(no.get());
            }
        }
        found
    }

    #[test]
    fn every_page_is_in_its_slot_over_several_clusters() {
        // 1023 pages fill a cluster.
        for count in [1, 2, 1022, 1023, 1024, 2047] {
            for (distance, first) in [(1, 0), (3, 0), (2, 768)] {
                let pages: Vec<u32> = (0..count).map(|n| first + n * distance).collect();
                for piece in [16 * PAGE, 1 << 20] {
                    assert_eq!(pages_of(&delta(&pages, first, piece)), pages);
                }
            }
        }
    }

    #[test]
    fn runs_and_gaps_are_read_as_they_lie() {
        let pages: Vec<u32> = (0..5000).filter(|no| no % 17 < 11 || no % 5 == 0).collect();
        assert_eq!(pages_of(&delta(&pages, 0, 1 << 20)), pages);
    }
}
