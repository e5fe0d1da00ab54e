//! From what was received to what the recipient gets: plans, pages out of the spool, lengths.

use super::base::Base;
use super::files::{Files, RemoteFile};
use super::keys;
use super::link::protocol;
use super::spool::Spool;
use crate::files::FileKind;
use crate::recipient::{Delivery, PlannedFile, Recipient, StagePlan};
use crate::set::layout::STATUS_FIX;
use crate::{FileDesc, FileId, Job, Result};
use innodb::first_page::fresh_first_page;
use innodb::ids::{PageNo, SpaceId};
use innodb::trx_sys::{PositionScan, TRX_SYS_PAGE};
use roaring::RoaringBitmap;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use wire::clone::Stage as CloneStage;

/// Pages delivered at once.
const BATCH: u64 = 64;

/// Delivers the pages of the spool.
#[derive(Debug, Default)]
pub(super) struct Delivering {
    files: Vec<Planned>,
    tasks: Vec<Task>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Planned {
    index: u32,
    pages: RoaringBitmap,
    whole: bool,
}

/// A part of one file.
#[derive(Debug, Clone, Copy)]
struct Task {
    file: usize,
    part: PartOf,
}

#[derive(Debug, Clone, Copy)]
enum PartOf {
    /// Pages, by their positions in the list.
    Pages { first: u64, count: u64 },
    /// Bytes, those that never came too: who compresses a file takes it whole.
    Bytes { from: u64, to: u64 },
}

impl Delivering {
    /// What is delivered out of the spool: of a full, what changed during FILE COPY or came after
    /// it; of an increment, everything.
    ///
    /// `turn` is how many bytes of a file a worker delivers in a row.
    pub(super) fn plan(
        &mut self,
        files: &Files,
        base: Option<&Base>,
        turn: u64,
    ) -> Result<StagePlan> {
        let mut planned = Vec::new();
        let (mut kept, mut sent) = (0, 0);
        for (index, desc) in files.describe()? {
            if desc.space.is_none() {
                continue;
            }
            let file = files.get(index)?;
            let pages = file.found().pages.clone();
            kept += pages.len() * desc.page_size() as u64;
            sent += file.found().bytes;
            let whole = match base {
                None => file.born != CloneStage::FileCopy,
                Some(base) => !base.has(file),
            };
            let delivery = if whole {
                Delivery::Whole
            } else {
                Delivery::Pages(pages.clone())
            };
            let in_bytes = (whole && base.is_none()).then_some((desc.length, turn));
            self.add(index, pages, whole, in_bytes);
            planned.push(PlannedFile { desc, delivery });
        }
        if base.is_some() {
            tracing::info!(
                kept,
                sent,
                "pages kept of those that the donor sent, in bytes"
            );
        }
        Ok(with_directories(planned))
    }

    /// Adds a file of which these pages are in the spool. With a length and the turn of a worker, in
    /// bytes, all of the file is delivered, pages that never came too.
    pub(super) fn add(
        &mut self,
        index: u32,
        pages: RoaringBitmap,
        whole: bool,
        in_bytes: Option<(u64, u64)>,
    ) {
        let parts: Vec<PartOf> = if let Some((length, turn)) = in_bytes {
            let offsets = (0..length).step_by(turn as usize);
            let part = |from| PartOf::Bytes {
                from,
                to: length.min(from + turn),
            };
            offsets.map(part).collect()
        } else {
            let positions = (0..pages.len()).step_by(BATCH as usize);
            let part = |first| PartOf::Pages {
                first,
                count: BATCH.min(pages.len() - first),
            };
            positions.map(part).collect()
        };
        let file = self.files.len();
        let task = |part| Task { file, part };
        self.tasks.extend(parts.into_iter().map(task));
        self.files.push(Planned {
            index,
            pages,
            whole,
        });
    }

    /// Delivers until nothing is left.
    pub(super) fn work(
        &self,
        files: &Files,
        spool: &Spool,
        recipient: &dyn Recipient,
        job: &Job,
    ) -> Result<()> {
        while let Some(task) = self.tasks.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            job.check()?;
            let Some(planned) = self.files.get(task.file) else {
                continue;
            };
            let file = files.get(planned.index)?;
            let Some(space) = file.space else { continue };
            let id = FileId(planned.index);
            let (first, count) = match task.part {
                PartOf::Pages { first, count } => (first, count),
                PartOf::Bytes { mut from, to } => {
                    let mut buffer = vec![0; crate::io::BUFFER];
                    while from < to {
                        let piece = (to - from).min(buffer.len() as u64) as usize;
                        spool.read(planned.index, from, &mut buffer[..piece])?;
                        recipient.write(id, from, &buffer[..piece])?;
                        from += piece as u64;
                    }
                    continue;
                }
            };
            let size = space.geometry.physical();
            let start = planned.pages.select(first as u32).unwrap_or(0);
            let mut pages = planned.pages.iter();
            pages.advance_to(start);
            let pages: Vec<u32> = pages.take(count as usize).collect();
            let offset_of = |page: u32| u64::from(page - space.first_page) * size as u64;
            let mut images = vec![0; pages.len() * size];
            for (page, image) in pages.iter().zip(images.chunks_exact_mut(size)) {
                spool.read(planned.index, offset_of(*page), image)?;
            }
            if planned.whole {
                for (page, image) in pages.iter().zip(images.chunks_exact(size)) {
                    recipient.write(id, offset_of(*page), image)?;
                }
            } else {
                let numbers: Vec<PageNo> = pages.into_iter().map(PageNo::new).collect();
                recipient.write_pages(id, first, &numbers, &images)?;
            }
        }
        Ok(())
    }
}

/// What FILE COPY of a full delivers: every file, whole.
pub(super) fn plan_of_full(files: &Files) -> Result<StagePlan> {
    let described = files.describe()?;
    let spaces = described
        .into_iter()
        .filter(|(_, desc)| desc.space.is_some());
    let planned = spaces.map(|(_, desc)| PlannedFile {
        desc,
        delivery: Delivery::Whole,
    });
    Ok(with_directories(planned.collect()))
}

/// The dump of the buffer pool, which FILE COPY of a full delivers.
pub(super) fn add_buffer_pool(files: &Files, recipient: &dyn Recipient) -> Result<()> {
    for (_, desc) in files.describe()? {
        if desc.kind == FileKind::Plain {
            recipient.add_file(&desc)?;
        }
    }
    Ok(())
}

/// The files without pages: the dump of the buffer pool of an increment, and the file that
/// makes a server create what a clone does not have: empty schemas, and the tables of other
/// storage engines, which come back empty.
pub(super) fn add_plain(
    files: &Files,
    base: Option<&Base>,
    spool: &Spool,
    recipient: &dyn Recipient,
) -> Result<()> {
    if base.is_some() {
        add_buffer_pool(files, recipient)?;
        for (index, file) in files.live().filter(|(_, file)| file.space.is_none()) {
            let mut buffer = vec![0; crate::io::BUFFER];
            let mut offset = 0;
            while offset < file.size {
                let piece = (file.size - offset).min(buffer.len() as u64) as usize;
                spool.read(index, offset, &mut buffer[..piece])?;
                recipient.write(FileId(index), offset, &buffer[..piece])?;
                offset += piece as u64;
            }
        }
    }
    let fix = FileDesc {
        id: FileId(files.all().len() as u32),
        name: STATUS_FIX.to_owned(),
        kind: FileKind::Plain,
        space: None,
        length: 0,
        allocated: 0,
        source: None,
    };
    recipient.add_file(&fix)?;
    recipient.set_length(fix.id, 0)
}

/// The final lengths.
pub(super) fn set_lengths(files: &Files, recipient: &dyn Recipient) -> Result<()> {
    for (index, file) in files.live() {
        recipient.set_length(FileId(index), file.length())?;
    }
    Ok(())
}

/// Adds the directories of the files; the dictionary needs its own, even when it is empty.
fn with_directories(files: Vec<PlannedFile>) -> StagePlan {
    let parents = files
        .iter()
        .filter_map(|file| file.desc.name.rsplit_once('/'));
    let mut directories: BTreeSet<String> = parents.map(|(parent, _)| parent.to_owned()).collect();
    directories.insert("mysql".to_owned());
    StagePlan {
        directories: directories.into_iter().collect(),
        files,
    }
}

/// Files that were created during the clone need a first page: recovery of a clone does not make
/// it from the log. What PAGE COPY sent stays.
pub(super) fn add_first_pages(files: &Files, spool: &Spool, server_version: u32) -> Result<()> {
    for (index, file) in files.live() {
        let Some(space) = file.space.filter(|_| file.born != CloneStage::FileCopy) else {
            continue;
        };
        let mut found = file.found();
        if !found.pages.contains(0) {
            let mut page = fresh_first_page(space.id, space.flags, server_version)
                .map_err(|e| protocol(format!("file {index}: {e}")))?;
            keys::on_fresh_page(files.keys(), &space, &mut page)?;
            spool.write(index, 0, &page)?;
            found.pages.insert(0);
        }
        found.length = found
            .length
            .max(first_length(file, space.geometry.physical()));
    }
    Ok(())
}

/// The length a server gives a tablespace that it creates.
fn first_length(file: &RemoteFile, page: usize) -> u64 {
    match file.kind {
        FileKind::Undo => 16 << 20,
        _ => 7 * page as u64,
    }
}

/// Shows the page with the binary log position, where it was received.
pub(super) fn system_page(
    files: &Files,
    spool: &Spool,
    positions: &mut PositionScan,
) -> Result<()> {
    let system = |file: &RemoteFile| {
        let space = file.space.filter(|space| space.id == SpaceId::SYSTEM);
        space.is_some_and(|space| space.first_page == 0)
    };
    if let Some((index, file)) = files.live().find(|(_, file)| system(file)) {
        let mut page = vec![0; file.page_size()];
        let offset = u64::from(TRX_SYS_PAGE) * page.len() as u64;
        spool.read(index, offset, &mut page)?;
        positions.page(&page);
    }
    Ok(())
}
