//! Sending a snapshot that is complete: the pages and the log in the spool, to a client that may lose
//! its connections and come back.

use super::From;
use super::block::Block;
use super::flow::{Flow, Known, Stopped};
use super::layout::{Announcement, BLOCK, Layout, Place};
use super::live::LiveFile;
use crate::agent::SnapshotTold;
use crate::donor::remote::Spool;
use crate::files::{FileKind, SpaceInfo};
use crate::keys::block;
use crate::set::LsnRecord;
use crate::{Error, FileDesc, Result, Sealing};
use ::wire::clone::{FileDescriptor, Received, Stage, StageDescriptor, StageExtra};
use innodb::tablespace::EncryptionInfo;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Connections of a client, from where it is: the first ones, or those it came back with.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    flow: Arc<Flow>,
    from: From,
}

impl Turn {
    /// From the begin.
    pub(super) fn begin(flow: Arc<Flow>) -> Self {
        Self {
            flow,
            from: From::default(),
        }
    }

    /// The stage it begins with.
    pub(super) fn stage(&self) -> Stage {
        self.from.stage
    }

    /// What the client has of that stage.
    pub(super) fn received(&self) -> Option<&Received> {
        self.from.received.as_ref()
    }

    /// Whether both are the same connections.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.flow, &other.flow)
    }

    /// From `stage`, of which the client knows and has something.
    pub(crate) fn again(stage: Stage, known: Known, received: Option<Received>) -> Self {
        Self {
            flow: Arc::new(Flow::new(stage, known)),
            from: From { stage, received },
        }
    }

    /// What the connections pull from.
    pub(crate) fn flow(&self) -> Arc<Flow> {
        Arc::clone(&self.flow)
    }
}

/// Where a clone that is being sent, and its client when it comes back, find one another.
#[derive(Debug, Default)]
pub(crate) struct Returning {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    told: Option<Arc<SnapshotTold>>,
    next: Option<Turn>,
    given_up: bool,
    /// As long as the snapshot is not complete nobody may come back.
    bound: bool,
}

impl Returning {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshot is complete.
    pub(super) fn complete(&self, told: SnapshotTold) {
        let mut state = self.lock();
        state.told = Some(Arc::new(told));
        state.bound = false;
    }

    /// Locks of the instance last as long as the client takes: until the snapshot is complete it is
    /// not waited for.
    pub(crate) fn bind(&self) {
        self.lock().bound = true;
    }

    /// Whether the client is not waited for now.
    pub(crate) fn is_bound(&self) -> bool {
        self.lock().bound
    }

    /// What the snapshot is, once it is complete.
    pub(crate) fn told(&self) -> Option<Arc<SnapshotTold>> {
        self.lock().told.clone()
    }

    /// The client is back.
    pub(crate) fn go_on(&self, turn: Turn) {
        self.lock().next = Some(turn);
        self.changed.notify_all();
    }

    /// The client will not come back.
    pub(crate) fn give_up(&self) {
        self.lock().given_up = true;
        self.changed.notify_all();
    }

    /// Waits for the client to come back; `None` when it does not.
    pub(super) fn wait(&self, turn: &Turn) -> Option<Turn> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lock();
        loop {
            if let Some(next) = state.next.take() {
                return Some(next);
            }
            let failed = matches!(turn.flow.stopped(), Some(Stopped::Failed { .. }));
            let left = deadline.saturating_duration_since(Instant::now());
            if failed || state.given_up || left.is_zero() {
                return None;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A snapshot that is complete, as it is sent.
#[derive(Debug)]
pub(super) struct Outline {
    spool: Arc<Spool>,
    /// Put in place as they are sent.
    keys: Arc<Sealing>,
    files: Vec<LiveFile>,
    /// Every page, by file and number, in the order of the chunks.
    pages: Vec<(u32, u32)>,
    page_copy: Announcement,
    redo: Layout,
    redo_copy: Announcement,
}

impl Outline {
    pub(super) fn new(
        files: Vec<LiveFile>,
        others: Vec<FileDesc>,
        is_full: bool,
        lsn: LsnRecord,
        spool: Arc<Spool>,
        keys: Arc<Sealing>,
    ) -> Result<Self> {
        let mut pages = Vec::new();
        let mut bytes = 0;
        for (index, file) in (0..).zip(&files).filter(|(_, file)| file.live) {
            pages.extend(file.pages.iter().map(|page| (index, page)));
            bytes += file.pages.len() * file.desc.page_size() as u64;
        }
        let live = files.iter().filter(|file| file.live).count();
        let too_many = |_| Error::refused(1105, "too many pages for the clone protocol", "");
        let extra = StageExtra {
            data_files: live as u32,
            start_lsn: lsn.start.get(),
            page_track_lsn: lsn.page_track.get(),
            end_lsn: lsn.end.get(),
            compression: 0,
        };
        let mut page_copy = Announcement::empty(Stage::PageCopy);
        page_copy.stage = StageDescriptor {
            chunks: pages.len().div_ceil(CHUNK_PAGES) as u32,
            files: u32::try_from(pages.len()).map_err(too_many)?,
            estimate: bytes,
            extra,
            ..page_copy.stage
        };
        let indexed = || (0..).zip(&files);
        if is_full {
            // What is gone first: other files may have its tablespace.
            let changes = indexed().filter_map(|(index, file)| file.change(index));
            let (gone, renamed): (Vec<_>, Vec<_>) =
                changes.partition(|file| file.flags.has(::wire::clone::FileFlags::DELETED));
            let new = indexed().filter(|(_, file)| file.told.is_none());
            let new = new.map(|(index, file)| file.descriptor(index));
            page_copy.before = gone.into_iter().chain(renamed).chain(new).collect();
        } else {
            let all = indexed().map(|(index, file)| file.descriptor(index));
            page_copy.files = all.collect();
        }
        let (redo, plain): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|desc| desc.kind == FileKind::Redo);
        let redo = Layout::of_redo_and_plain(&redo, &plain)?;
        let mut redo_copy = redo.announcement();
        redo_copy.stage.extra = extra;
        Ok(Self {
            spool,
            keys,
            files,
            pages,
            page_copy,
            redo,
            redo_copy,
        })
    }

    /// Sends everything, from where the client is; fails with [`Error::Cancelled`] when the
    /// connections are gone.
    pub(super) fn send(&self, turn: &Turn) -> Result<()> {
        let (flow, from) = (&turn.flow, &turn.from);
        let received = |stage| from.received.as_ref().filter(|_| from.stage == stage);
        if from.stage <= Stage::PageCopy {
            flow.open(self.page_copy.clone())?;
            self.send_pages(flow, received(Stage::PageCopy))?;
            flow.close(Stage::PageCopy)?;
        }
        if from.stage <= Stage::RedoCopy {
            flow.open(self.redo_copy.clone())?;
            self.send_redo(flow, received(Stage::RedoCopy))?;
            flow.close(Stage::RedoCopy)?;
        }
        flow.open(Announcement::empty(Stage::Done))
    }

    fn send_pages(&self, flow: &Flow, received: Option<&Received>) -> Result<()> {
        let next = AtomicU32::new(0);
        let work = || loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            let begin = chunk as usize * CHUNK_PAGES;
            let Some(rest) = self.pages.get(begin..).filter(|rest| !rest.is_empty()) else {
                return Ok(());
            };
            let pages = &rest[..rest.len().min(CHUNK_PAGES)];
            self.send_chunk(flow, chunk + 1, pages, received)?;
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..SENDERS).map(|_| scope.spawn(work)).collect();
            let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            // A panic there would already have ended the process.
            joined.filter_map(Result::ok).collect()
        })
    }

    fn send_chunk(
        &self,
        flow: &Flow,
        chunk: u32,
        pages: &[(u32, u32)],
        received: Option<&Received>,
    ) -> Result<()> {
        for (block, (index, page)) in (1..).zip(pages) {
            if is_there(received, chunk, block) {
                continue;
            }
            let Some(file) = self.files.get(*index as usize) else {
                continue;
            };
            let size = file.desc.page_size();
            let first = file.desc.space.map_or(0, |space| space.first_page);
            let offset = u64::from(page.saturating_sub(first)) * size as u64;
            let mut bytes = flow.buffer();
            bytes.resize(size, 0);
            self.spool.read(file.desc.id.0, offset, &mut bytes)?;
            if let Some(space) = file.desc.space.filter(|_| *page == 0) {
                self.put_key(&space, &mut bytes);
            }
            let place = Place {
                chunk,
                block,
                last: block as usize == pages.len(),
            };
            let of = (*index, file.desc.length);
            let block = Block::new(Stage::PageCopy, of, place, offset, bytes);
            flow.push(block, place.last)?;
        }
        Ok(())
    }

    /// The key of a tablespace on its first page, for every keyring to open.
    fn put_key(&self, space: &SpaceInfo, page: &mut [u8]) {
        let key = self.keys.of(space.id.get());
        let found = block::of_page(space, page).filter(|found| is_key(found));
        if let (Some(key), Some(found)) = (key, found) {
            let open = block::with_key(found, &key);
            block::put_on_page(space, page, &open);
        }
    }

    /// The same for the log, whose head is sent as one block.
    fn put_key_of_redo(&self, offset: u64, bytes: &mut [u8]) {
        let place = block::in_redo(offset, bytes.len()).ok().flatten();
        let place = place.and_then(|place| bytes.get_mut(place));
        if let (Some(key), Some(place)) = (self.keys.of_redo(), place)
            && is_key(place)
        {
            let open = block::with_key(place, &key);
            place.copy_from_slice(&open);
        }
    }

    fn send_redo(&self, flow: &Flow, received: Option<&Received>) -> Result<()> {
        for (id, placed) in self.redo.files() {
            let size = placed.descriptor.size;
            let mut offset = 0;
            while offset < size {
                let head = self.redo.head(id, offset) as u64;
                let end = match head {
                    0 => (offset - offset % BLOCK + BLOCK).min(size),
                    head => (offset + head).min(size),
                };
                let place = placed.place(offset, (end - offset) as usize)?;
                if !is_there(received, place.chunk, place.block) {
                    let mut bytes = flow.buffer();
                    bytes.resize((end - offset) as usize, 0);
                    self.spool.read(id.0, offset, &mut bytes)?;
                    if placed.descriptor.space == FileDescriptor::REDO {
                        self.put_key_of_redo(offset, &mut bytes);
                    }
                    flow.push(placed.block(place, offset, bytes), place.last)?;
                }
                offset = end;
            }
        }
        Ok(())
    }
}

fn is_key(block: &[u8]) -> bool {
    EncryptionInfo::read(block, 0).is_some()
}

/// Whether a client that came back has a block.
fn is_there(received: Option<&Received>, chunk: u32, block: u32) -> bool {
    match received.map(|received| received.blocks(chunk)) {
        None => false,
        Some(None) => true,
        Some(Some(blocks)) => block <= blocks,
    }
}

/// Pages of a chunk of PAGE COPY, as with a stock donor.
const CHUNK_PAGES: usize = 4096;
/// Chunks that are sent at the same time, if there are connections for them.
const SENDERS: usize = 8;
/// How long a client may be away.
const PATIENCE: Duration = Duration::from_secs(300);
