//! What of an increment need not travel.
//!
//! The donor is told, when FILE COPY has begun, that chunks have been received which have not: it
//! then does not send them. PAGE COPY and the log travel whole, whatever was left out.
//!
//! A page may be left out when it was not written since the base was made, that is since a moment
//! before the base's last pages were taken, up to a moment when the donor had begun to note down
//! the pages for PAGE COPY of this clone. Who cannot tell lets the pages travel, and the filter by
//! LSN decides.

use super::RemoteDonor;
use super::base::Base;
use super::chunks::Chunks;
use super::counters::{self, Believed, Rows};
use super::files::{Files, RemoteFile};
use super::left_out::LeftOut;
use super::options::RemoteOptions;
use super::page_list::{ListSink, PageList, Pages};
use crate::files::FileKind;
use crate::set::{LeftOutBy, Means, WriteCounters};
use crate::{Job, Result};
use innodb::lsn::Lsn;
use wire::clone::Stage as CloneStage;

/// Less than this is not worth a new connection.
const WORTH: u64 = 1 << 20;

/// What is known of the donor's server, for this increment and for the next one.
#[derive(Debug)]
pub(super) struct Watch {
    /// When the server was started.
    started_at: Believed<i64>,
    /// What clones had done before this one.
    clone_operations: Believed<u64>,
    /// The counters of files before the last pages were taken.
    rows: Believed<Rows>,
    counters: Option<WriteCounters>,
    by: LeftOutBy,
    left_out: u64,
    /// Where a list of pages for the next increment begins; zero without page tracking.
    pub page_track: Lsn,
}

impl Watch {
    /// Asks before the clone begins.
    pub(super) fn begin(session: &mut super::Session) -> Self {
        Self {
            started_at: counters::started_at(session),
            clone_operations: counters::clone_operations(session),
            rows: Err("the end was not reached".to_owned()),
            counters: None,
            by: LeftOutBy::Nothing,
            left_out: 0,
            page_track: Lsn::ZERO,
        }
    }

    /// With page tracking: sees that it is on, and has the list made that an increment needs.
    pub(super) fn prepare(
        &mut self,
        session: &mut super::Session,
        options: &RemoteOptions,
        base: Option<&Base>,
    ) -> Result<Option<PageList>> {
        if !options.page_track {
            return Ok(None);
        }
        let started_at = self.started_at.clone().ok();
        let same_process = |base: &&Base| {
            let means = base.means.as_ref().zip(started_at);
            means.is_some_and(|(means, at)| means.is_same_process(at))
        };
        let base = base.filter(|base| base.page_track > Lsn::ZERO);
        let Some(base) = base.filter(same_process) else {
            // A start point from before a crash is not reliable, and the server may hand it out
            // again. Nothing of ours goes on from the old ones.
            session.tracking_set(false)?;
            session.tracking_set(true)?;
            tracing::info!("page tracking begins anew");
            return Ok(None);
        };
        match PageList::prepare(session, &options.connect, base.page_track.get()) {
            Ok(list) => Ok(Some(list)),
            Err(doubt) => {
                tracing::info!(reason = doubt, "the donor makes no list of changed pages");
                Ok(None)
            }
        }
    }

    /// For the set's manifest.
    pub(super) fn means(&self) -> Means {
        Means {
            by: self.by,
            left_out: self.left_out,
            started_at: self.started_at.clone().ok(),
            counters: self.counters.clone(),
        }
    }
}

impl RemoteDonor {
    /// Has the donor leave out what need not travel. At the begin of FILE COPY of an increment,
    /// when all files are announced and nothing has been received; `estimate` is what the donor
    /// would send in bytes.
    pub(super) fn leave_out(&mut self, estimate: u64, job: &Job) -> Result<()> {
        let listed = self.page_list.take();
        // Then the first file is not to be taken for a dump of the buffer pool.
        let has_list = listed.as_ref().is_some_and(|list| list.file().is_some());
        let listed = match listed {
            Some(list) => self.listed(list, job)?,
            None => Err("it was not asked for".to_owned()),
        };
        let (by, mut left_out) = match listed {
            Ok(pages) => (LeftOutBy::PageList, self.without(&pages)),
            Err(doubt) => {
                tracing::info!(reason = doubt, "no list of changed pages is used");
                (LeftOutBy::WriteCounters, self.without_idle_files()?)
            }
        };
        let (bytes, files) = (left_out.bytes(), left_out.files());
        if has_list && self.files.get(0)?.space.is_none() {
            left_out.whole(0, self.files.get(0)?);
        }
        if bytes >= WORTH || has_list {
            let total = self.receiving.conversation()?.chunks_of_stage();
            let chunks = left_out.into_chunks(&self.files, total)?;
            self.receiving.conversation()?.ask_again(chunks, job)?;
        } else {
            self.receiving.conversation()?.add_workers(job)?;
        }
        if bytes < WORTH {
            tracing::info!(
                since = %self.start_lsn(),
                files = self.files.live().count(),
                "the donor sends every page, and those whose LSN is not below the base's checkpoint \
                 are kept: this saves storage, not network"
            );
            return Ok(());
        }
        self.watch.by = by;
        self.watch.left_out = bytes;
        let means = by.label();
        tracing::info!(
            means,
            files,
            bytes,
            of = estimate,
            "bytes of files that were not written since the base do not travel; of what travels \
             the pages whose LSN is not below the base's checkpoint are kept"
        );
        Ok(())
    }

    fn without(&self, pages: &Pages) -> LeftOut {
        let page_size = self.facts.page_size.get();
        let base = self.base.as_ref();
        base.map_or_else(LeftOut::default, |base| {
            LeftOut::without(pages, &self.files, base, page_size)
        })
    }

    fn without_idle_files(&mut self) -> Result<LeftOut> {
        let scan = self.receiving.conversation()?.network.options.scan;
        let idle = match self.idle_files() {
            _ if scan => Vec::new(),
            Ok(idle) => idle,
            Err(doubt) => {
                tracing::info!(
                    reason = doubt,
                    "which files were not written since the base is not certain"
                );
                Vec::new()
            }
        };
        let mut left_out = LeftOut::default();
        for index in idle {
            left_out.whole(index, self.files.get(index)?);
        }
        Ok(left_out)
    }

    /// Receives the list of pages that were written since the base was made. In any case gives the
    /// donor's variables back.
    fn listed(&mut self, list: PageList, job: &Job) -> Result<Believed<Pages>> {
        let Some((least, most)) = list.file() else {
            let attached = list.is_attached();
            list.end(&mut self.session);
            // Nothing need be listed: PAGE COPY goes back to before the end of the base.
            return Ok(if attached {
                Ok(Pages::new())
            } else {
                Err("the donor has written too many pages meanwhile".to_owned())
            });
        };
        let first = self.files.get(0)?;
        let (size, first_chunks) = (first.size, first.chunks);
        let is_list = first.space.is_none() && (least..=most).contains(&size);
        let attached = list.is_attached();
        let mut pages = Err("the donor has written too many pages meanwhile".to_owned());
        if !is_list {
            pages = Err("the donor does not send the list".to_owned());
        } else if attached {
            let conversation = self.receiving.conversation()?;
            let mut chunks = Chunks::new(conversation.chunks_of_stage())?;
            for chunk in 1..=conversation.chunks_of_stage() {
                if !(first_chunks.0..=first_chunks.1).contains(&chunk) {
                    chunks.complete(chunk);
                }
            }
            conversation.ask_again(chunks, job)?;
            let sink = ListSink::default();
            // The end of the stage is not acknowledged: it is begun again.
            conversation.receive(CloneStage::FileCopy, &sink, job)?;
            let (found, received) = sink.into_pages();
            pages = if received == size {
                Ok(found)
            } else {
                Err("the list of pages is not whole".to_owned())
            };
        }
        // A server says that it misses a dump, and not that one is empty.
        self.files.empty_first();
        list.end(&mut self.session);
        Ok(pages)
    }

    /// The files that were surely not written since the base was made.
    fn idle_files(&mut self) -> Believed<Vec<u32>> {
        let base = self.base.as_ref().ok_or("there is no base")?;
        let means = base.means.as_ref();
        let means = means.ok_or("the base was not made over the network")?;
        let then = means.counters.as_ref().ok_or("the base has no counters")?;
        if !means.is_same_process(self.watch.started_at.clone()?) {
            return Err("the server was started again since the base".to_owned());
        }
        if self.watch.clone_operations.clone()? != then.clone_operations {
            return Err("another clone was made since the base".to_owned());
        }
        counters::check_settings(&mut self.session)?;
        // The donor notes down pages by now. Once the counts agree every write that began before
        // is counted by file, too.
        let totals = counters::totals(&mut self.session)?;
        if totals.writes < then.writes || totals.apart != then.apart {
            return Err("writes were missed, or the counters were emptied".to_owned());
        }
        let rows = Rows::ask(&mut self.session)?;
        let idle = countable(&self.files).filter(|(_, file, space, name)| {
            let before = then.files.get(space);
            base.has(file)
                && before.is_some_and(|before| counters::is_idle(&rows, name, file.size, before))
        });
        Ok(idle.map(|(index, ..)| index).collect())
    }

    /// Reads the counters of files, for the next increment. Before the end of FILE COPY is
    /// acknowledged: up to then the donor notes down every page that is written, and sends it.
    pub(super) fn count_files(&mut self) -> Result<()> {
        let page_track = self.receiving.conversation()?.network.options.page_track;
        // What the donor would write soon after is better written before. Where there is no such
        // function, fewer files are left out next time.
        if let Err(error) = self.session.sharp_checkpoint() {
            tracing::debug!(%error, "no checkpoint before the counters are read");
        }
        if page_track {
            // Before the last pages are taken. One that began before is as good.
            match self.session.tracking_set(true) {
                Ok(lsn) => self.watch.page_track = lsn,
                Err(error) => {
                    tracing::warn!(%error, "the next increment cannot use a list of pages");
                }
            }
        }
        let settings = counters::check_settings(&mut self.session);
        self.watch.rows = settings.and_then(|()| Rows::ask(&mut self.session));
        Ok(())
    }

    /// Reads what the server counted, for the next increment. After the clone.
    pub(super) fn count_writes(&mut self) {
        self.watch.counters = match self.counters() {
            Ok(counters) => Some(counters),
            Err(doubt) => {
                tracing::info!(
                    reason = doubt,
                    "the server's counters of writes are not recorded: the next increment cannot \
                     leave out files by them"
                );
                None
            }
        };
    }

    fn counters(&mut self) -> Believed<WriteCounters> {
        let rows = self.watch.rows.as_ref().map_err(Clone::clone)?;
        let started_at = self.watch.started_at.clone()?;
        let now = counters::started_at(&mut self.session)?;
        if now.abs_diff(started_at) > 1 {
            return Err("the server's clock was set".to_owned());
        }
        counters::check_settings(&mut self.session)?;
        let totals = counters::totals(&mut self.session)?;
        let clone_operations = counters::clone_operations(&mut self.session)?;
        let later = Rows::ask(&mut self.session)?;
        rows.check_not_emptied(&later)?;
        let files = countable(&self.files).map(|(_, file, space, name)| (space, name, file.size));
        Ok(WriteCounters {
            writes: totals.writes,
            apart: totals.apart,
            clone_operations,
            files: counters::record(rows, &later, files),
        })
    }
}

/// Files whose counters say something: tablespaces of one file below the data directory, which
/// FILE COPY sends. The server's own tablespaces are written all the time.
fn countable(files: &Files) -> impl Iterator<Item = (u32, &RemoteFile, u32, &str)> {
    files.live().filter_map(|(index, file)| {
        let fits = file.kind == FileKind::Tablespace && file.born == CloneStage::FileCopy;
        let space = file.space.filter(|_| fits)?;
        Some((index, file, space.id.get(), file.name_inside()?))
    })
}
