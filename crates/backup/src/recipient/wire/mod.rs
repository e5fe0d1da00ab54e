//! Recipient: whoever takes a snapshot by the clone protocol, a stock server's `CLONE INSTANCE` above
//! all.
//!
//! The engine pushes: its workers read and merge pages, and write them here. The client pulls: it
//! opens as many connections as it likes, and each of them is sent blocks. A [`Flow`] is what lies
//! between the two. It holds a few blocks for each worker, so that memory does not depend on how slow
//! the client is.
//!
//! Every page of the snapshot is newest already, so FILE COPY carries all of it, PAGE COPY nothing.

mod block;
mod flow;
mod layout;
mod line;
mod live;
mod log_end;
mod pages;
mod sending;

pub(crate) use flow::{Flow, Known, MASTER, Next, Stopped};
pub(crate) use layout::{Announcement, redo_number};
pub(crate) use live::{LiveRecipient, Secrets};
pub(crate) use sending::{Returning, Turn};

use self::layout::{Layout, Place};
use self::log_end::LogEnd;
use super::{Recipient, Snapshot, StagePlan};
use crate::files::FileKind;
use crate::keys::Unsealing;
use crate::set::{BackupSet, BinlogPosition};
use crate::{Error, FileDesc, FileId, Job, Result, Stage};
use ::wire::clone::Received;
use innodb::ids::PageNo;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a clone begins: at its begin, or where a client that comes back has got to.
#[derive(Debug, Clone, Default)]
pub(crate) struct From {
    /// The first stage that is delivered. `None` and `Init` are the begin.
    pub(crate) stage: ::wire::clone::Stage,
    /// What the client has of that stage.
    pub(crate) received: Option<Received>,
}

/// Delivers a snapshot to the connections of one client.
#[derive(Debug)]
pub(crate) struct WireRecipient {
    flow: Arc<Flow>,
    from: From,
    binlog: BinlogPosition,
    /// Of the log, where it can be told by it.
    log_end: Option<LogEnd>,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    /// Files made of pages, and the buffer pool dump.
    data: Vec<FileDesc>,
    redo: Vec<FileDesc>,
    /// Made when the stage opens.
    data_layout: Option<Arc<Layout>>,
    redo_layout: Option<Arc<Layout>>,
}

impl WireRecipient {
    /// A recipient at the other end of `flow`, of the state of `set`, whose keys are among `keys`.
    pub(crate) fn new(
        flow: Arc<Flow>,
        from: From,
        set: &BackupSet,
        keys: &Unsealing,
    ) -> Result<Self> {
        Ok(Self {
            flow,
            from,
            binlog: set.manifest().binlog.clone(),
            log_end: LogEnd::of(set, keys)?,
            plan: Mutex::default(),
        })
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the client has the whole stage, and has said so.
    fn is_past(&self, stage: ::wire::clone::Stage) -> bool {
        stage < self.from.stage
    }

    /// The files of the stage, which is opened for the client with the first of them.
    fn layout(&self, stage: ::wire::clone::Stage) -> Result<Arc<Layout>> {
        let mut plan = self.plan();
        let redo = stage == ::wire::clone::Stage::RedoCopy;
        let made = if redo {
            &plan.redo_layout
        } else {
            &plan.data_layout
        };
        if let Some(layout) = made {
            return Ok(Arc::clone(layout));
        }
        let layout = Arc::new(if redo {
            Layout::of_redo(&plan.redo)?
        } else {
            Layout::of_data(&plan.data)?
        });
        if !self.is_past(stage) {
            self.flow.open(layout.announcement())?;
        }
        let made = if redo {
            &mut plan.redo_layout
        } else {
            &mut plan.data_layout
        };
        Ok(Arc::clone(made.insert(layout)))
    }

    /// The layout that a file is in, if the protocol carries it at all.
    fn layout_of(&self, file: FileId) -> Result<Option<Arc<Layout>>> {
        let stage = {
            let plan = self.plan();
            if plan.redo.iter().any(|desc| desc.id == file) {
                ::wire::clone::Stage::RedoCopy
            } else {
                ::wire::clone::Stage::FileCopy
            }
        };
        let layout = self.layout(stage)?;
        Ok(layout.has(file).then_some(layout))
    }

    fn is_wanted(&self, stage: ::wire::clone::Stage, place: Place) -> bool {
        if self.is_past(stage) {
            return false;
        }
        let received = self
            .from
            .received
            .as_ref()
            .filter(|_| stage == self.from.stage);
        match received.map(|received| received.blocks(place.chunk)) {
            None => true,
            Some(None) => false,
            Some(Some(blocks)) => place.block > blocks,
        }
    }

    fn send(&self, layout: &Layout, file: FileId, offset: u64, bytes: &[u8]) -> Result<()> {
        let Some(placed) = layout.file(file) else {
            return Ok(());
        };
        let place = placed.place(offset, bytes.len())?;
        if !self.is_wanted(layout.stage(), place) {
            return Ok(());
        }
        let mut buffer = self.flow.buffer();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        if let Some(space) = placed.space {
            pages::make_valid(&mut buffer, space, offset);
            pages::put_position(&mut buffer, space, offset, &self.binlog);
        }
        if let Some(end) = &self.log_end {
            end.put(&placed.path, offset, &mut buffer);
        }
        self.flow
            .push(placed.block(place, offset, buffer), place.last)
    }
}

impl Recipient for WireRecipient {
    /// Waits until the client has said that it is ready.
    fn prepare(&self, _job: &Job) -> Result<()> {
        if self.is_past(::wire::clone::Stage::Init) {
            return Ok(());
        }
        self.flow.close(::wire::clone::Stage::Init)
    }

    fn begin(&self, _stage: Stage, plan: &StagePlan) -> Result<()> {
        let files = plan.files.iter().map(|file| file.desc.clone());
        self.plan().data.extend(files);
        Ok(())
    }

    fn add_file(&self, desc: &FileDesc) -> Result<()> {
        let mut plan = self.plan();
        match desc.kind {
            FileKind::Redo => plan.redo.push(desc.clone()),
            _ if layout::is_carried(desc) => plan.data.push(desc.clone()),
            // The protocol knows no other files, and recipients make them anew, empty.
            _ => {}
        }
        Ok(())
    }

    fn wants(&self, file: FileId, offset: u64) -> bool {
        match self.layout_of(file) {
            Ok(None) => false,
            Ok(Some(layout)) => layout.file(file).is_some_and(|placed| {
                let mut places = placed.places_from(offset);
                places.any(|place| self.is_wanted(layout.stage(), place))
            }),
            // The write will fail with the same error, and can say so.
            Err(_) => true,
        }
    }

    fn write(&self, file: FileId, offset: u64, bytes: &[u8]) -> Result<()> {
        let Some(layout) = self.layout_of(file)? else {
            return Ok(());
        };
        let head = layout.head(file, offset).min(bytes.len());
        let (head, rest) = bytes.split_at(head);
        if !head.is_empty() {
            self.send(&layout, file, offset, head)?;
        }
        if rest.is_empty() {
            return Ok(());
        }
        self.send(&layout, file, offset + head.len() as u64, rest)
    }

    fn write_pages(&self, _: FileId, _: u64, _: &[PageNo], _: &[u8]) -> Result<()> {
        Err(Error::refused(
            1105,
            "the clone protocol takes whole files only",
            "This is a bug.",
        ))
    }

    fn set_length(&self, _file: FileId, _length: u64) -> Result<()> {
        Ok(())
    }

    /// Waits until the client has got, and acknowledged, all of the stage.
    fn end(&self, stage: Stage) -> Result<()> {
        let stage = match stage {
            Stage::FileCopy => ::wire::clone::Stage::FileCopy,
            Stage::PageCopy => ::wire::clone::Stage::PageCopy,
            Stage::RedoCopy => ::wire::clone::Stage::RedoCopy,
            Stage::DropData | Stage::FileSync => return Ok(()),
        };
        if self.is_past(stage) {
            return Ok(());
        }
        if stage == ::wire::clone::Stage::PageCopy {
            self.flow.open(Announcement::empty(stage))?;
        } else {
            self.layout(stage)?;
        }
        self.flow.close(stage)
    }

    fn sync(&self, _job: &Job) -> Result<()> {
        Ok(())
    }

    /// Tells the client that this is all. Making it durable is the client's.
    fn seal(&self, _snapshot: &Snapshot) -> Result<()> {
        self.flow
            .open(Announcement::empty(::wire::clone::Stage::Done))
    }
}
