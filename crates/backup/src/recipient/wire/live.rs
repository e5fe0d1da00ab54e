//! Recipient: a client of the clone protocol that takes a snapshot of a running instance.
//!
//! Nothing that is done under locks on the instance waits for the client. FILE COPY of a full runs
//! without locks and goes straight to it. All else is kept in a [`Spool`] on this host, at the speed
//! of its disk, and sent when the snapshot is complete and the instance free: see
//! [`sending`](super::sending). By then it is known which files there are, what they are called and
//! how long they are.

use super::flow::Flow;
use super::layout::{self, CHUNK, Layout};
use super::line::Line;
use super::sending::{Outline, Returning};
use crate::agent::{FileTold, SnapshotTold};
use crate::donor::remote::Spool;
use crate::files::FileKind;
use crate::io::is_zero;
use crate::recipient::{Delivery, Recipient, Snapshot, StagePlan};
use crate::{Error, FileDesc, FileId, Job, Result, Sealing, Stage};
use ::wire::clone::{FileDescriptor, FileFlags, Stage as CloneStage};
use innodb::ids::PageNo;
use roaring::RoaringBitmap;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keys of tablespaces, which the protocol carries in clear.
#[derive(Debug, Clone)]
pub(crate) struct Secrets {
    /// Those of the instance. Where the spool has them, a keyring protects them.
    pub(crate) keys: Arc<Sealing>,
    /// Set as soon as something encrypted is to be sent: over TLS only.
    pub(crate) tls_only: Arc<AtomicBool>,
}

impl Secrets {
    fn need_tls(&self) {
        self.tls_only.store(true, Ordering::Release);
    }
}

/// Delivers the snapshot of an instance to the connections of one client.
#[derive(Debug)]
pub(crate) struct LiveRecipient {
    line: Line,
    returning: Arc<Returning>,
    spool: Arc<Spool>,
    /// The base that an increment is on, for its client.
    base: Option<String>,
    secrets: Secrets,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// FILE COPY of a full is being sent.
    copying: Option<Arc<Layout>>,
    /// Data files, by their index in the clone; those of FILE COPY first.
    files: Vec<LiveFile>,
    by_id: HashMap<FileId, usize>,
    /// Files without pages, and redo.
    others: Vec<FileDesc>,
    directories: Vec<String>,
    /// Whether FILE COPY has told the client of the first files.
    is_full: bool,
}

/// A data file.
#[derive(Debug)]
pub(super) struct LiveFile {
    pub(super) desc: FileDesc,
    /// As the client was told of it in FILE COPY.
    pub(super) told: Option<FileDescriptor>,
    /// It is in the snapshot.
    pub(super) live: bool,
    /// All its pages are in the spool; else those that changed.
    pub(super) whole: bool,
    /// Pages in the spool.
    pub(super) pages: RoaringBitmap,
}

impl LiveRecipient {
    /// A recipient at the other end of `flow`, which keeps in `directory` what is sent later.
    pub(crate) fn new(
        flow: Arc<Flow>,
        returning: Arc<Returning>,
        directory: &Path,
        base: Option<String>,
        secrets: Secrets,
    ) -> Result<Self> {
        let name = format!("innoclone-agent-{}", std::process::id());
        Ok(Self {
            line: Line::new(flow, Arc::clone(&returning)),
            returning,
            spool: Arc::new(Spool::new(directory, &name)?),
            base,
            secrets,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a block of FILE COPY.
    fn send(&self, layout: &Layout, file: FileId, offset: u64, bytes: &[u8]) -> Result<()> {
        let Some(placed) = layout.file(file) else {
            return Ok(());
        };
        let place = placed.place(offset, bytes.len())?;
        self.line.push(placed, place, offset, bytes)
    }

    /// Keeps the pages of a file that are not zeros.
    fn keep_pages(&self, file: &FileDesc, offset: u64, bytes: &[u8]) -> Result<RoaringBitmap> {
        let mut kept = RoaringBitmap::new();
        let Some(space) = file.space else {
            return Ok(kept);
        };
        let size = space.geometry.physical();
        let first = u64::from(space.first_page) + offset / size as u64;
        for (no, page) in (first..).zip(bytes.chunks_exact(size)) {
            if is_zero(page) && no != u64::from(space.first_page) {
                continue;
            }
            // A page's number has four bytes, so a file has no page beyond.
            kept.insert(no as u32);
            let at = (no - u64::from(space.first_page)) * size as u64;
            self.spool.write(file.id.0, at, page)?;
        }
        Ok(kept)
    }

    /// What has become of the files, for the client.
    fn told(&self, state: &State, snapshot: &Snapshot) -> SnapshotTold {
        let files = (0..).zip(&state.files).filter(|(_, file)| file.live);
        SnapshotTold {
            lsn: snapshot.lsn,
            binlog: snapshot.binlog.clone(),
            pages_by: snapshot.pages_by,
            base: self.base.clone(),
            directories: state.directories.clone(),
            files: files
                .map(|(index, file)| FileTold {
                    index,
                    whole: file.whole,
                    pages: file.pages.len(),
                    length: file.desc.length,
                    source: file.desc.source.clone(),
                })
                .collect(),
        }
    }
}

impl Recipient for LiveRecipient {
    /// Waits until the client has said that it is ready.
    fn prepare(&self, _job: &Job) -> Result<()> {
        self.line.end_init()
    }

    fn begin(&self, stage: Stage, plan: &StagePlan) -> Result<()> {
        let spaces = || plan.files.iter().filter_map(|file| file.desc.space);
        if spaces().any(|space| space.flags.is_encrypted()) {
            self.secrets.need_tls();
        }
        let mut state = self.state();
        if stage != Stage::FileCopy {
            state.settle(plan);
            return Ok(());
        }
        let descs: Vec<FileDesc> = plan.files.iter().map(|file| file.desc.clone()).collect();
        let layout = Arc::new(Layout::of_data(&descs)?);
        let mut descs: HashMap<_, _> = descs.into_iter().map(|desc| (desc.id, desc)).collect();
        for (id, placed) in layout.files() {
            let Some(desc) = descs.remove(&id) else {
                continue;
            };
            let at = state.files.len();
            state.by_id.insert(id, at);
            state.files.push(LiveFile {
                desc,
                told: Some(placed.descriptor.clone()),
                live: true,
                whole: false,
                pages: RoaringBitmap::new(),
            });
        }
        state.is_full = true;
        state.copying = Some(Arc::clone(&layout));
        drop(state);
        self.line.open(layout.announcement())
    }

    fn add_file(&self, desc: &FileDesc) -> Result<()> {
        let mut state = self.state();
        let length = 0;
        state.others.push(FileDesc {
            length,
            ..desc.clone()
        });
        Ok(())
    }

    /// A chunk travels on one connection in order, so one worker brings all of it.
    fn turn(&self) -> u64 {
        CHUNK
    }

    fn abandon(&self, file: FileId) {
        let layout = self.state().copying.clone();
        let placed = layout.as_ref().and_then(|layout| layout.file(file));
        if let Some(placed) = placed {
            let descriptor = &placed.descriptor;
            self.line
                .abandon(descriptor.first_chunk..=descriptor.last_chunk);
        }
    }

    fn write(&self, file: FileId, offset: u64, bytes: &[u8]) -> Result<()> {
        let (copying, desc) = {
            let mut state = self.state();
            let known = state.by_id.get(&file).copied();
            let desc = known.and_then(|at| state.files.get(at));
            let desc = desc.map(|file| file.desc.clone());
            if desc.is_none() {
                let end = offset.saturating_add(bytes.len() as u64);
                let other = state.others.iter_mut().find(|desc| desc.id == file);
                let other = other.ok_or_else(unknown_file)?;
                other.length = other.length.max(end);
            }
            (state.copying.clone(), desc)
        };
        let Some(desc) = desc else {
            return self.spool.write(file.0, offset, bytes);
        };
        if let Some(layout) = copying {
            return self.send(&layout, file, offset, bytes);
        }
        let kept = self.keep_pages(&desc, offset, bytes)?;
        let mut state = self.state();
        state.file_mut(file)?.pages |= kept;
        Ok(())
    }

    fn write_pages(&self, file: FileId, _: u64, pages: &[PageNo], images: &[u8]) -> Result<()> {
        let desc = self.state().file_mut(file)?.desc.clone();
        let space = desc.space.ok_or_else(unknown_file)?;
        let size = space.geometry.physical();
        for (page, image) in pages.iter().zip(images.chunks_exact(size)) {
            let no = u64::from(page.get().saturating_sub(space.first_page));
            self.spool.write(file.0, no * size as u64, image)?;
        }
        let numbers = pages.iter().map(|page| page.get());
        self.state().file_mut(file)?.pages.extend(numbers);
        Ok(())
    }

    fn set_length(&self, file: FileId, length: u64) -> Result<()> {
        let mut state = self.state();
        if let Some(other) = state.others.iter_mut().find(|desc| desc.id == file) {
            other.length = length;
            return Ok(());
        }
        state.file_mut(file)?.desc.length = length;
        Ok(())
    }

    /// What the client has by now, or lacks of what was lost on the way, decides.
    fn wants(&self, file: FileId, offset: u64) -> bool {
        let copying = self.state().copying.clone();
        let placed = copying.as_ref().and_then(|layout| layout.file(file));
        placed.is_none_or(|placed| {
            let mut places = placed.places_from(offset);
            places.any(|place| self.line.wants(place))
        })
    }

    /// The end of FILE COPY of a full waits for the client.
    fn has_all(&self, stage: Stage) -> Result<bool> {
        if stage != Stage::FileCopy || self.state().copying.is_none() {
            return Ok(true);
        }
        self.line.settle()
    }

    fn end(&self, stage: Stage) -> Result<()> {
        if stage == Stage::FileCopy {
            self.state().copying = None;
        }
        Ok(())
    }

    fn sync(&self, _job: &Job) -> Result<()> {
        Ok(())
    }

    /// Sends what is in the spool. The instance is free by now.
    fn seal(&self, snapshot: &Snapshot) -> Result<()> {
        if !self.secrets.keys.is_empty() {
            self.secrets.need_tls();
        }
        let outline = {
            let mut state = self.state();
            self.returning.complete(self.told(&state, snapshot));
            let others = std::mem::take(&mut state.others);
            let is_full = state.is_full;
            let files = std::mem::take(&mut state.files);
            Outline::new(
                files,
                others,
                is_full,
                snapshot.lsn,
                Arc::clone(&self.spool),
                Arc::clone(&self.secrets.keys),
            )?
        };
        let mut turn = self.line.turn();
        loop {
            match outline.send(&turn) {
                // The connections are gone. The client may come back.
                Err(Error::Cancelled) => match self.returning.wait(&turn) {
                    Some(next) => turn = next,
                    None => return Err(Error::Cancelled),
                },
                sent => return sent,
            }
        }
    }
}

impl State {
    fn file_mut(&mut self, file: FileId) -> Result<&mut LiveFile> {
        let at = self.by_id.get(&file).copied();
        let found = at.and_then(|at| self.files.get_mut(at));
        found.ok_or_else(unknown_file)
    }

    /// The files as they are in the snapshot.
    fn settle(&mut self, plan: &StagePlan) {
        self.directories.clone_from(&plan.directories);
        for file in &mut self.files {
            file.live = false;
        }
        // The files of the system tablespace one after the other, before all others.
        let mut planned: Vec<_> = plan.files.iter().collect();
        planned.sort_by_key(|file| match (file.desc.kind, file.desc.space) {
            (FileKind::System, Some(space)) => (0, space.first_page),
            _ => (1, 0),
        });
        for file in planned {
            let whole = file.delivery == Delivery::Whole;
            if let Ok(known) = self.file_mut(file.desc.id) {
                known.desc = file.desc.clone();
                known.live = true;
                continue;
            }
            self.by_id.insert(file.desc.id, self.files.len());
            self.files.push(LiveFile {
                desc: file.desc.clone(),
                told: None,
                live: true,
                whole,
                pages: RoaringBitmap::new(),
            });
        }
    }
}

impl LiveFile {
    /// What the client is told of the file for PAGE COPY.
    pub(super) fn descriptor(&self, index: u32) -> FileDescriptor {
        FileDescriptor {
            stage: CloneStage::PageCopy,
            index,
            ..layout::data_descriptor(&self.desc)
        }
    }

    /// What has become of a file that the client knows; `None` if nothing has.
    pub(super) fn change(&self, index: u32) -> Option<FileDescriptor> {
        let told = self.told.as_ref()?;
        let now = self.descriptor(index);
        let flags = match self.live {
            false => FileFlags::DELETED | FileFlags::RENAMED,
            true if now.name != told.name => FileFlags::RENAMED,
            true => return None,
        };
        Some(FileDescriptor { flags, ..now })
    }
}

fn unknown_file() -> Error {
    Error::refused(1105, "a file that was not announced", "This is a bug.")
}
