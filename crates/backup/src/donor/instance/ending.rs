//! The end of a snapshot: what has to be of one moment, taken under the backup lock.

use super::base::Method;
use super::inventory::{self, SourceFile};
use super::{InstanceDonor, description};
use crate::recipient::{Recipient, Snapshot};
use crate::set::{LsnRecord, PagesBy};
use crate::{Error, Job, Result, Stage};
use std::sync::Arc;
use std::time::Duration;

impl InstanceDonor {
    /// The end: non-InnoDB files, the end LSN with its binary log position, redo up to it, the
    /// final lengths; then the lock goes.
    pub(super) fn redo_copy(&mut self, recipient: &Arc<dyn Recipient>, job: &Job) -> Result<()> {
        job.progress.begin(Stage::RedoCopy, 1, 0);
        let plain = std::mem::take(&mut self.plain);
        let tables = plain.iter().any(|file| is_user_table(&file.name));
        if tables {
            self.session().lock_tables()?;
        }
        for file in &plain {
            self.copy_plain(file, recipient, job)?;
        }
        self.session().flush_logs()?;
        if let Some(follower) = &self.follower {
            follower.hold(job)?;
        }
        let status = self.session().log_status()?;
        // What the row counts may still be in the log buffer.
        self.session().flush_logs()?;
        if tables {
            self.session().unlock_tables()?;
        }
        let mut follower = self.follower.take().ok_or_else(|| {
            Error::refused(1105, "the redo log was not followed", "This is a bug.")
        })?;
        let bytes = follower.finish(status.lsn, job)?;
        job.progress.expect(Stage::RedoCopy, bytes);
        self.record_lengths(recipient)?;
        self.check_keys_are_whole(job)?;
        let facts = self.facts.clone();
        self.session().unlock()?;
        self.locked = false;
        self.locked_for = self.locked_at.map_or(Duration::ZERO, |at| at.elapsed());
        tracing::info!(end = %status.lsn, "backup lock released");
        self.snapshot = Some(Snapshot {
            kind: self.kind(),
            parent: self.base.as_ref().and_then(|base| base.parent.clone()),
            server: facts.record(),
            lsn: LsnRecord {
                start: self.start_lsn(),
                page_track: self.next_start,
                checkpoint: follower.checkpoint,
                end: status.lsn,
            },
            binlog: status.binlog,
            page_size: facts.page_size.get(),
            means: None,
            pages_by: match self.base.as_ref().map(|base| base.method) {
                None => PagesBy::All,
                Some(Method::Tracked) => PagesBy::Tracked,
                Some(Method::Scan) => PagesBy::Scan,
            },
            keys: None,
            source: "LOCAL INSTANCE".to_owned(),
        });
        Ok(())
    }

    pub(super) fn copy_plain(
        &mut self,
        source: &SourceFile,
        recipient: &Arc<dyn Recipient>,
        job: &Job,
    ) -> Result<()> {
        use std::io::Read;
        let Some((mut file, _)) = inventory::open_source(&source.path)? else {
            // Only a log table can be rotated away while DDL is blocked.
            return Ok(());
        };
        let id = self.new_id();
        recipient.add_file(&description(id, source))?;
        let mut buffer = vec![0; crate::io::BUFFER];
        let mut offset = 0;
        loop {
            let mut len = 0;
            while len < buffer.len() {
                let read = file
                    .read(&mut buffer[len..])
                    .map_err(|e| Error::io("read file", &source.path, e))?;
                if read == 0 {
                    break;
                }
                len += read;
            }
            if len == 0 {
                break;
            }
            job.throttle(len as u64)?;
            job.progress.count_read(len as u64);
            recipient.write(id, offset, &buffer[..len])?;
            offset += len as u64;
        }
        recipient.set_length(id, offset)
    }

    /// Files may have grown since they were listed; the redo may hold nothing of that.
    pub(super) fn record_lengths(&mut self, recipient: &Arc<dyn Recipient>) -> Result<()> {
        for (id, file) in &self.settled {
            let length = std::fs::metadata(&file.path)
                .map_err(|e| Error::io("read attributes of", &file.path, e))?
                .len();
            let page = file.space.map_or(1, |space| space.geometry.physical()) as u64;
            recipient.set_length(*id, (length - length % page).max(file.length))?;
        }
        Ok(())
    }
}

/// Whether a file belongs to a non-InnoDB table that users write to.
fn is_user_table(name: &str) -> bool {
    let schema = name.split('/').next().unwrap_or_default();
    name.contains('/')
        && !matches!(schema, "mysql" | "sys" | "performance_schema")
        && !name.to_ascii_lowercase().ends_with(".sdi")
}
