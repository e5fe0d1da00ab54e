//! Deltas: which page is where, and whether the headers say what the manifest says.

use super::super::pages::PageRules;
use super::bytes::Bytes;
use innodb::delta::{DeltaHeader, DeltaLayout, parse_header};
use innodb::ids::PageNo;
use std::ops::Range;

/// What a delta must hold.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct DeltaRules {
    /// What its pages must be.
    pub pages: PageRules,
    /// Where things are in it.
    pub layout: DeltaLayout,
    /// Pages it has.
    pub count: u64,
    /// Pages of the file when it is restored.
    pub file_pages: u64,
    /// Whether it holds the file's pages from the first one on, without a gap.
    pub whole: bool,
}

impl DeltaRules {
    /// Numbers of the pages that the file has.
    fn numbers(&self) -> Range<u64> {
        let first = u64::from(self.pages.space.first_page);
        first..first + self.file_pages
    }

    /// Slots of a cluster, its header's included.
    fn slots(&self) -> u64 {
        self.layout.slots_per_cluster() + 1
    }
}

/// A delta being read.
pub(super) struct DeltaCheck {
    rules: DeltaRules,
    file: Bytes,
    /// The page numbers of the cluster read last; none where its header cannot be read.
    held: Option<(u64, Vec<PageNo>)>,
}

impl DeltaCheck {
    pub(super) fn new(rules: DeltaRules, file: Bytes) -> Self {
        Self {
            rules,
            file,
            held: None,
        }
    }

    /// The page whose image is at `offset`; `None` for a header, and where the header says nothing.
    pub(super) fn page_at(&mut self, offset: u64) -> Option<u32> {
        let unit = offset / self.rules.layout.page_size() as u64;
        let (cluster, slot) = (unit / self.rules.slots(), unit % self.rules.slots());
        let slot = usize::try_from(slot.checked_sub(1)?).ok()?;
        if self.held.as_ref().is_none_or(|(held, _)| *held != cluster) {
            let pages = self
                .header(cluster)
                .map_or(Vec::new(), |header| header.pages);
            self.held = Some((cluster, pages));
        }
        let (_, pages) = self.held.as_ref()?;
        pages.get(slot).map(|page| page.get())
    }

    fn header(&mut self, cluster: u64) -> Result<DeltaHeader, String> {
        let mut bytes = vec![0; self.rules.layout.page_size()];
        let offset = self.rules.layout.header_offset(cluster);
        let read = self.file.read_at(offset, &mut bytes);
        read.map_err(|e| e.to_string())?;
        parse_header(self.rules.layout, &bytes).map_err(|e| e.to_string())
    }

    /// Checks all headers of a file of `size` bytes; `tell` gets the byte at which a problem is.
    pub(super) fn headers(&mut self, size: u64, tell: impl Fn(u64, String)) {
        let rules = self.rules;
        match rules.layout.page_count(size) {
            Ok(found) if found == rules.count => {}
            Ok(found) => tell(
                size,
                format!("has room for {found} pages instead of {}", rules.count),
            ),
            Err(e) => tell(size, e.to_string()),
        }
        let per_cluster = rules.layout.slots_per_cluster();
        let clusters = rules.count.div_ceil(per_cluster);
        let mut before = None;
        for cluster in 0..clusters {
            let at = rules.layout.header_offset(cluster);
            let header = match self.header(cluster) {
                Ok(header) => header,
                Err(detail) => {
                    tell(at, format!("header of cluster {cluster}: {detail}"));
                    before = None;
                    continue;
                }
            };
            let expected = (rules.count - cluster * per_cluster).min(per_cluster);
            let listed = header.pages.len() as u64;
            if listed != expected || header.last != (cluster + 1 == clusters) {
                tell(
                    at,
                    format!("cluster {cluster} lists {listed} pages instead of {expected}"),
                );
            }
            self.numbers(cluster, &header, &mut before, |detail| tell(at, detail));
        }
    }

    /// Page numbers ascend, occur once, and are those of pages that the file has.
    fn numbers(
        &self,
        cluster: u64,
        header: &DeltaHeader,
        before: &mut Option<u32>,
        tell: impl Fn(String),
    ) {
        let range = self.rules.numbers();
        let first = cluster * self.rules.layout.slots_per_cluster();
        for (index, page) in (first..).zip(&header.pages) {
            let page = page.get();
            let problem = if before.is_some_and(|before| before >= page) {
                "is not in ascending order"
            } else if !range.contains(&page.into()) {
                "is beyond the file"
            } else if self.rules.whole && u64::from(page) != range.start + index {
                "is not the next page of a file that is held whole"
            } else {
                *before = Some(page);
                continue;
            };
            // One is enough: what follows is as wrong.
            tell(format!(
                "cluster {cluster}: page {page} in place {index} {problem}"
            ));
            *before = Some(page);
            return;
        }
    }
}
