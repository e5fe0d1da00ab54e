//! PAGE COPY and REDO COPY of an agent: receiving, comparing with what the agent says it sent,
//! delivering.

use super::others::OthersSink;
use super::{AgentDonor, asking};
use crate::agent::{FileTold, SnapshotTold};
use crate::donor::instance::session::Session;
use crate::donor::remote::keys;
use crate::donor::remote::link::protocol;
use crate::donor::remote::out_of_order;
use crate::donor::remote::redo::LogFacts;
use crate::donor::remote::sinks::{self, PageSink};
use crate::recipient::{Delivery, PlannedFile, Recipient, Snapshot, StagePlan};
use crate::set::PagesBy;
use crate::{Error, FileId, Job, Result, Stage};
use innodb::lsn::Lsn;
use innodb::trx_sys::PositionScan;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use wire::clone::Stage as CloneStage;

impl AgentDonor {
    /// Receives everything, lets the agent go, and tells the recipient what there is.
    pub(super) fn begin_page_copy(
        &mut self,
        recipient: &Arc<dyn Recipient>,
        job: &Job,
    ) -> Result<()> {
        let (mut conversation, end) = self.receiving.take()?;
        let begin = conversation.next_stage(end, CloneStage::PageCopy, &mut self.files, job)?;
        job.progress
            .begin(Stage::PageCopy, conversation.connections(), begin.estimate);
        // One connection is enough for what the network's buffers may have room for: the agent lets
        // nobody in when it has nothing left to send.
        if self.base.is_some() && begin.estimate > WORTH_WORKERS {
            conversation.add_workers(job)?;
        } else if self.base.is_none() {
            conversation.complete_workers(job)?;
        }
        let spool = self.receiving.spool()?;
        let sink = PageSink {
            files: &self.files,
            spool,
            progress: &job.progress,
        };
        let end = conversation.receive(CloneStage::PageCopy, &sink, job)?;
        let (pages, received) = (u64::from(begin.files), conversation.blocks());
        if pages != received {
            return Err(protocol(format!("{received} of {pages} pages were sent")));
        }
        tracing::info!(
            pages,
            start = begin.extra.start_lsn,
            "changed pages received"
        );
        let next = conversation.next_stage(end, CloneStage::RedoCopy, &mut self.files, job)?;
        job.progress.expect(Stage::PageCopy, next.estimate);
        let others = OthersSink::new(&self.scratch, self.files.keys().cloned(), job)?;
        let end = conversation.receive(CloneStage::RedoCopy, &others, job)?;
        let clone = conversation.clone_id();
        conversation.finish(end, job)?;
        if conversation.lost > 0 {
            let times = conversation.lost;
            tracing::info!(times, "connections were lost and replaced");
        }
        drop(conversation);
        let whole = self.ask_snapshot(clone)?;
        let said = [
            (begin.extra.start_lsn, whole.lsn.start),
            (begin.extra.page_track_lsn, whole.lsn.page_track),
            (begin.extra.end_lsn, whole.lsn.end),
        ];
        if said.iter().any(|(number, lsn)| *number != lsn.get()) {
            return Err(protocol(format!("LSNs {said:?}")));
        }
        if let Some(base) = &self.base {
            base.check_link(&whole)?;
        } else if whole.pages_by != PagesBy::All {
            return Err(protocol("an increment where a full was asked for"));
        }
        sinks::check_received(&self.files, 0)?;
        let spool = self.receiving.spool()?;
        keys::check(&mut self.files, spool)?;
        let plan = self.plan(&whole, recipient.turn())?;
        self.others = Some(others);
        self.whole = Some(whole);
        recipient.begin(Stage::PageCopy, &plan)
    }

    /// Asks what the clone has become, and that the instance is still the one of the begin. The
    /// session may have been lost with others.
    fn ask_snapshot(&mut self, clone: u64) -> Result<SnapshotTold> {
        let whole = match asking::snapshot(&mut self.session, clone) {
            Ok(whole) => whole,
            Err(Error::Server { .. }) => {
                let options = &self.options;
                self.session = Session::open(&options.connect, options.ddl_timeout)?;
                asking::snapshot(&mut self.session, clone)?
            }
            Err(other) => return Err(other),
        };
        let now = asking::instance(&mut self.session)?;
        let (then, now_record) = (&self.told.server, &now.server);
        if (&then.uuid, &then.process) != (&now_record.uuid, &now_record.process) {
            return Err(Error::refused(
                2013,
                "the server was started again during the backup",
                "Run the backup again.",
            ));
        }
        Ok(whole)
    }

    /// What is delivered out of the spool: what came, if it is what the agent says it sent. `turn` is
    /// how many bytes of a file a worker delivers in a row.
    fn plan(&mut self, whole: &SnapshotTold, turn: u64) -> Result<StagePlan> {
        let mut told: BTreeMap<u32, &FileTold> =
            whole.files.iter().map(|file| (file.index, file)).collect();
        let mut planned = Vec::new();
        for (index, mut desc) in self.files.describe()? {
            let file = self.files.get(index)?;
            let told = told
                .remove(&index)
                .ok_or_else(|| protocol(format!("'{}' is not in the snapshot", desc.name)))?;
            let pages = file.found().pages.clone();
            if pages.len() != told.pages {
                return Err(protocol(format!(
                    "{} of {} pages of '{}' were sent",
                    pages.len(),
                    told.pages,
                    desc.name
                )));
            }
            let size = desc.page_size() as u64;
            let first = desc.space.map_or(0, |space| space.first_page);
            let end = pages.max().map_or(0, |last| u64::from(last - first) + 1);
            if end * size > told.length || told.length > MAX_LENGTH {
                return Err(protocol(format!("the length of '{}'", desc.name)));
            }
            let is_whole = match &self.base {
                None => file.born != CloneStage::FileCopy,
                Some(base) => {
                    if !told.whole && !base.has(file) {
                        return Err(protocol(format!(
                            "the changed pages of '{}', which the base has not",
                            desc.name
                        )));
                    }
                    told.whole
                }
            };
            desc.length = told.length;
            desc.source.clone_from(&told.source);
            let in_bytes = (is_whole && self.base.is_none()).then_some((desc.length, turn));
            self.delivering
                .add(index, pages.clone(), is_whole, in_bytes);
            let delivery = if is_whole {
                Delivery::Whole
            } else {
                Delivery::Pages(pages)
            };
            planned.push(PlannedFile { desc, delivery });
        }
        if let Some(index) = told.keys().next() {
            return Err(protocol(format!("file {index} was never announced")));
        }
        let mut directories = whole.directories.clone();
        if !directories
            .iter()
            .all(|name| crate::set::layout::is_safe(name))
        {
            return Err(protocol("the name of a directory"));
        }
        directories.sort();
        Ok(StagePlan {
            files: planned,
            directories,
        })
    }

    pub(super) fn redo_copy(&mut self, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        job.progress.begin(Stage::RedoCopy, 1, 0);
        let others = self.others.take().ok_or_else(out_of_order)?;
        let whole = self.whole.take().ok_or_else(out_of_order)?;
        let described = self.files.describe()?;
        let names: HashSet<String> = described.into_iter().map(|(_, desc)| desc.name).collect();
        let first_id = self.files.all().len() as u32;
        others.deliver_plain(first_id, names, &**recipient, job)?;
        // The position of the binary log is known.
        let mut positions = PositionScan::new(self.page_size);
        let log = others
            .redo
            .deliver(self.page_size, recipient, &mut positions, job)?;
        check_log(&log, &whole)?;
        for file in &whole.files {
            recipient.set_length(FileId(file.index), file.length)?;
        }
        tracing::info!(checkpoint = %log.checkpoint, end = %log.end, "the log of the clone");
        self.snapshot = Some(Snapshot {
            kind: self.kind(),
            parent: self.base.as_ref().and_then(|base| base.parent.clone()),
            server: self.told.server.clone(),
            lsn: whole.lsn,
            binlog: whole.binlog,
            page_size: self.page_size.get(),
            means: None,
            pages_by: whole.pages_by,
            source: self.source.clone(),
            keys: self.files.keys().cloned(),
        });
        Ok(())
    }
}

/// The log must be that of the snapshot.
fn check_log(log: &LogFacts, whole: &SnapshotTold) -> Result<()> {
    // At the begin of a block the LSN is that behind its header.
    let ends = [log.end, Lsn::new(log.end.get() + BLOCK_HEADER)];
    if log.checkpoint == whole.lsn.checkpoint && ends.contains(&whole.lsn.end) {
        return Ok(());
    }
    Err(protocol(format!(
        "the log is from LSN {} to {}, not from {} to {}",
        log.checkpoint, log.end, whole.lsn.checkpoint, whole.lsn.end
    )))
}

const BLOCK_HEADER: u64 = 12;
/// More than a file of 2^32 pages of 64 KiB is none.
const MAX_LENGTH: u64 = 1 << 48;
/// Bytes of changed pages from which on more than one connection is used.
const WORTH_WORKERS: u64 = 32 << 20;
