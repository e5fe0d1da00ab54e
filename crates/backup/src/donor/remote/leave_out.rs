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
use super::chunks::Chunks;
use super::counters::{self, Believed, Rows};
use super::files::{Files, RemoteFile};
use crate::files::FileKind;
use crate::set::{LeftOutBy, Means, WriteCounters};
use crate::{Job, Result};
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
        let scan = self.conversation()?.network.options.scan;
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
        let sizes = idle.iter().map(|index| self.files.get(*index));
        let bytes = sizes.map(|file| Ok(file?.size)).sum::<Result<u64>>()?;
        if bytes < WORTH {
            self.conversation()?.add_workers(job)?;
            tracing::info!(
                since = %self.start_lsn(),
                files = self.files.live().count(),
                "the donor sends every page, and those whose LSN is not below the base's checkpoint \
                 are kept: this saves storage, not network"
            );
            return Ok(());
        }
        let mut chunks = Chunks::new(self.conversation()?.chunks_of_stage())?;
        for index in &idle {
            let file = self.files.get(*index)?;
            for chunk in file.chunks.0..=file.chunks.1 {
                chunks.complete(chunk);
            }
            file.found().left_out = file.size;
        }
        self.conversation()?.ask_again(chunks, job)?;
        self.watch.by = LeftOutBy::WriteCounters;
        self.watch.left_out = bytes;
        tracing::info!(
            files = idle.len(),
            bytes,
            of = estimate,
            "files of which the server counted no write since the base do not travel; of the \
             others the pages whose LSN is not below the base's checkpoint are kept"
        );
        Ok(())
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
    pub(super) fn count_files(&mut self) {
        // What the donor would write soon after is better written before. Where there is no such
        // function, fewer files are left out next time.
        if let Err(error) = self.session.sharp_checkpoint() {
            tracing::debug!(%error, "no checkpoint before the counters are read");
        }
        let settings = counters::check_settings(&mut self.session);
        self.watch.rows = settings.and_then(|()| Rows::ask(&mut self.session));
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
