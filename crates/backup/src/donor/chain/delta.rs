//! Reading the pages of a delta in the order of their numbers, from any page on.

use crate::io::Original;
use crate::{Error, Result};
use innodb::delta::{DeltaLayout, first_page, parse_header};
use innodb::ids::PageNo;
use std::collections::HashMap;

/// A delta whose pages are sorted, as ours are.
#[derive(Debug)]
pub(crate) struct DeltaReader {
    file: Original,
    layout: DeltaLayout,
    pages: u64,
    clusters: u64,
    /// The cluster whose page numbers are held: its number, and they.
    held: Option<(u64, Vec<PageNo>)>,
    /// First pages of clusters, as far as they have been met: to look for a page costs a whole
    /// chunk, or a whole frame, for each.
    firsts: HashMap<u64, u32>,
}

impl DeltaReader {
    /// A delta of pages of `page_size` bytes; its size must be that of a whole number of pages.
    pub(crate) fn new(file: Original, page_size: usize) -> Result<Self> {
        let layout = DeltaLayout::new(page_size).map_err(|e| Error::damaged(file.path(), e))?;
        let pages = layout
            .page_count(file.size())
            .map_err(|e| Error::damaged(file.path(), e))?;
        let clusters = pages.div_ceil(layout.slots_per_cluster());
        Ok(Self {
            file,
            layout,
            pages,
            clusters,
            held: None,
            firsts: HashMap::new(),
        })
    }

    /// Pages in the delta.
    pub(crate) fn len(&self) -> u64 {
        self.pages
    }

    /// Numbers and positions of the pages in `low..high`, ascending.
    pub(crate) fn find(&mut self, low: u32, high: u32) -> Result<Vec<(u32, u64)>> {
        let mut found = Vec::new();
        let mut cluster = self.cluster_of(low)?;
        let mut before = None;
        while cluster < self.clusters {
            let base = cluster * self.layout.slots_per_cluster();
            let first = self.first_of(cluster)?;
            if before.is_some_and(|before: PageNo| before.get() >= first) {
                let detail = format!("cluster {cluster} does not continue the one before it");
                return Err(Error::damaged(self.path(), detail));
            }
            if first >= high {
                return Ok(found);
            }
            let pages = self.cluster(cluster)?;
            before = pages.last().copied();
            let from = pages.partition_point(|page| page.get() < low);
            for (slot, page) in pages.iter().enumerate().skip(from) {
                if page.get() >= high {
                    return Ok(found);
                }
                found.push((page.get(), base + slot as u64));
            }
            cluster += 1;
        }
        Ok(found)
    }

    /// Reads the image at a position that [`Self::find`] gave.
    pub(crate) fn read(&mut self, position: u64, image: &mut [u8]) -> Result<()> {
        self.file.read_at(self.layout.slot_offset(position), image)
    }

    /// For messages.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.file.path()
    }

    /// The last cluster that begins at or before `page`; the first one if none does.
    fn cluster_of(&mut self, page: u32) -> Result<u64> {
        if let Some((held, pages)) = &self.held {
            let inside = pages.first().is_some_and(|first| first.get() <= page)
                && pages.last().is_some_and(|last| page <= last.get());
            if inside {
                return Ok(*held);
            }
        }
        let (mut low, mut high) = (0, self.clusters);
        while high - low > 1 {
            let middle = u64::midpoint(low, high);
            if self.first_of(middle)? <= page {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn first_of(&mut self, cluster: u64) -> Result<u32> {
        if let Some(first) = self.firsts.get(&cluster) {
            return Ok(*first);
        }
        let mut start = [0; 8];
        self.file
            .read_at(self.layout.header_offset(cluster), &mut start)?;
        match first_page(&start) {
            Ok(Some(page)) => {
                self.firsts.insert(cluster, page.get());
                Ok(page.get())
            }
            Ok(None) => Err(Error::damaged(
                self.path(),
                format!("cluster {cluster} is empty"),
            )),
            Err(e) => Err(Error::damaged(self.path(), e)),
        }
    }

    fn cluster(&mut self, cluster: u64) -> Result<&[PageNo]> {
        if self.held.as_ref().is_none_or(|(held, _)| *held != cluster) {
            let pages = self.read_cluster(cluster)?;
            self.held = Some((cluster, pages));
        }
        Ok(self.held.as_ref().map_or(&[], |(_, pages)| pages))
    }

    fn read_cluster(&mut self, cluster: u64) -> Result<Vec<PageNo>> {
        let mut header = vec![0; self.layout.page_size()];
        self.file
            .read_at(self.layout.header_offset(cluster), &mut header)?;
        let path = self.file.path();
        let parsed = parse_header(self.layout, &header).map_err(|e| Error::damaged(path, e))?;
        let per_cluster = self.layout.slots_per_cluster();
        let expected = (self.pages - cluster * per_cluster).min(per_cluster);
        if parsed.pages.len() as u64 != expected || parsed.last != (cluster + 1 == self.clusters) {
            return Err(Error::damaged(
                path,
                format!(
                    "cluster {cluster} lists {} pages instead of {expected}",
                    parsed.pages.len()
                ),
            ));
        }
        if !parsed.pages.is_sorted_by(|a, b| a < b) {
            return Err(Error::damaged(
                path,
                format!("cluster {cluster} is not sorted"),
            ));
        }
        Ok(parsed.pages)
    }
}
