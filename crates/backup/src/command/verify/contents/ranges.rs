//! What is checked of the bytes of a file, once they are in memory.

use super::super::findings::{Findings, Run};
use super::super::pages::PageRules;
use super::delta::DeltaCheck;
use super::item::Item;
use super::{Body, Contents};
use crate::donor::chain::delta::DeltaReader;
use crate::io::{CHUNK, ChunkDigests, chunk_value, is_zero};
use innodb::meta::SpaceMeta;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// Checks the bytes of one range, and tells neighbouring damage once.
pub(super) struct Ranges<'r> {
    contents: &'r Contents<'r>,
    findings: &'r Findings,
    item: &'r Item<'r>,
    delta: Option<DeltaCheck>,
    /// Whether the bytes are those of the body, and not those of a compressed file.
    bodies: bool,
    chunks: Run,
    pages: Run,
    checked: u64,
}

impl<'r> Ranges<'r> {
    /// `bodies` says that what is going to be shown is what the file holds.
    pub(super) fn new(contents: &'r Contents<'r>, item: &'r Item<'r>, bodies: bool) -> Self {
        let bodies = bodies && !contents.quick;
        let delta = match item.body {
            // That it cannot be opened is told where its headers are checked.
            Body::Delta(rules) if bodies => {
                let file = item.place.open().ok();
                file.map(|file| DeltaCheck::new(rules, file))
            }
            _ => None,
        };
        Self {
            contents,
            findings: contents.findings,
            item,
            delta,
            bodies,
            chunks: Run::default(),
            pages: Run::default(),
            checked: 0,
        }
    }

    pub(super) fn check(&mut self, offset: u64, bytes: &[u8], values: Option<&ChunkDigests>) {
        if let Some(values) = values {
            self.check_chunks(offset, bytes, values);
        }
        if !self.bodies {
            return;
        }
        match self.item.body {
            Body::Plain => {}
            Body::Meta(meta) => self.check_meta(bytes, meta),
            Body::Pages(rules) => {
                let size = rules.space.geometry.physical();
                let first = rules.space.first_page + (offset / size as u64) as u32;
                for (no, page) in (first..).zip(bytes.chunks_exact(size)) {
                    self.page(no, page, &rules);
                }
            }
            Body::Delta(rules) => {
                let size = rules.pages.space.geometry.physical();
                for (index, image) in bytes.chunks_exact(size).enumerate() {
                    let at = offset + (index * size) as u64;
                    let Some(no) = self.delta.as_mut().and_then(|delta| delta.page_at(at)) else {
                        continue;
                    };
                    self.page(no, image, &rules.pages);
                }
            }
        }
    }

    fn check_chunks(&mut self, offset: u64, bytes: &[u8], values: &ChunkDigests) {
        let first = offset / CHUNK as u64;
        for (index, chunk) in (first..).zip(bytes.chunks(CHUNK)) {
            let start = index * CHUNK as u64;
            let len = (self.item.size - start).min(CHUNK as u64);
            // Of a chunk that the file does not hold whole, its length has been told.
            if (chunk.len() as u64) < len || values.get(index) == Some(chunk_value(index, chunk)) {
                continue;
            }
            let ended = self.chunks.extend(start..start + len, String::new);
            self.tell_chunks(ended);
        }
    }

    fn check_meta(&self, bytes: &[u8], expected: SpaceMeta) {
        match SpaceMeta::parse(bytes) {
            Ok(meta) if meta == expected => {}
            Ok(meta) => {
                let meta = meta.to_text().replace('\n', ", ");
                let detail = format!("describes another tablespace than the manifest: {meta}");
                self.findings.add(self.item.name(), detail);
            }
            Err(e) => self.findings.add(self.item.name(), e),
        }
    }

    fn page(&mut self, no: u32, image: &[u8], rules: &PageRules) {
        self.checked += 1;
        if no == 0 {
            self.contents.note_first_page(self.item, !is_zero(image));
        }
        if let Err(detail) = rules.check(no, image)
            && !self.is_overlaid(no, rules)
        {
            let range = u64::from(no)..u64::from(no) + 1;
            let ended = self.pages.extend(range, || detail);
            self.tell_pages(ended);
        }
    }

    /// Whether the delta beside the file has a newer image of a page, so that this one does not
    /// matter.
    fn is_overlaid(&self, no: u32, rules: &PageRules) -> bool {
        let found = || -> Option<bool> {
            let (set, _) = self.item.of_set()?;
            let file = set.open_stored(self.item.overlay?).ok()?;
            let mut delta = DeltaReader::new(file, rules.space.geometry.physical()).ok()?;
            let found = delta.find(no, no.checked_add(1)?).ok()?;
            Some(!found.is_empty())
        };
        found().unwrap_or(false)
    }

    pub(super) fn end(mut self) {
        self.findings.count_pages(self.checked);
        let chunks = std::mem::take(&mut self.chunks).ended();
        self.tell_chunks(chunks);
        let pages = std::mem::take(&mut self.pages).ended();
        self.tell_pages(pages);
    }

    fn tell_chunks(&self, run: Option<Run>) {
        let Some(run) = run else { return };
        self.item.doubts.wrong_bytes.store(true, Ordering::Relaxed);
        let Range { start, end } = *run.range();
        let detail = format!("bytes {start} to {end} are not the bytes that were backed up");
        self.findings.add_at(self.item.name(), start, detail);
    }

    fn tell_pages(&self, run: Option<Run>) {
        let Some(run) = run else { return };
        let Range { start, end } = *run.range();
        let which = if end - start == 1 {
            format!("page {start}")
        } else {
            format!("pages {start} to {}, the first", end - 1)
        };
        let detail = format!("{which}: {}", run.first());
        self.findings.add_at(self.item.name(), start, detail);
    }
}
