//! What the snapshot is.

use super::RemoteDonor;
use super::executed;
use super::redo::LogFacts;
use crate::recipient::Snapshot;
use crate::set::{LsnRecord, PagesBy};
use crate::{Error, Result};

impl RemoteDonor {
    /// What the snapshot is, once its log is known.
    pub(super) fn describe(&mut self, log: &LogFacts) -> Result<Snapshot> {
        let start = self.start_lsn();
        if start > log.end {
            return Err(Error::NotReached {
                start,
                reason: format!("the donor's log ends at LSN {}", log.end),
            });
        }
        let recorded = self.positions.clone().finish();
        let recorded = recorded.map(|found| {
            // The server writes it as it opened the file, with a directory.
            let file = found.file.rsplit('/').next().unwrap_or_default().to_owned();
            (file, found.position)
        });
        let binlog = executed::position(recorded, &self.executed, &mut self.session);
        tracing::info!(checkpoint = %log.checkpoint, end = %log.end, "the log of the clone");
        Ok(Snapshot {
            kind: self.kind(),
            parent: self.base.as_ref().and_then(|base| base.parent.clone()),
            server: self.facts.record.clone(),
            lsn: LsnRecord {
                start,
                page_track: self.watch.page_track,
                checkpoint: log.checkpoint,
                end: log.end,
            },
            binlog,
            page_size: self.facts.page_size.get(),
            means: Some(self.watch.means()),
            pages_by: match self.base {
                None => PagesBy::All,
                Some(_) => PagesBy::Scan,
            },
            keys: self.files.keys().cloned(),
            source: self.source.clone(),
        })
    }
}
