//! The texts that make a server on the restored directory show this backup in
//! `performance_schema.clone_status` and `clone_progress`.

use super::Snapshot;
use crate::StageState;
use crate::set::CloneRecord;
use innodb::clone_dir::{CloneState, StageProgress, ViewProgress, ViewStatus};

/// The text that makes `clone_status` of a server on the restored directory show this backup.
pub(super) fn view_status(snapshot: &Snapshot, clone: &CloneRecord) -> ViewStatus {
    ViewStatus {
        state: CloneState::Completed,
        id: 1,
        begin_us: clone.begin_us.unsigned_abs(),
        end_us: clone.end_us.unsigned_abs(),
        source: snapshot.source.clone(),
        error_no: 0,
        error_message: String::new(),
        binlog_file: snapshot.binlog.file.clone(),
        binlog_position: snapshot.binlog.position,
        gtid_executed: snapshot.binlog.gtid_executed.clone(),
    }
}

/// The same for `clone_progress`. Stages have run one after the other since the job began.
pub(super) fn view_progress(progress: &crate::Progress, clone: &CloneRecord) -> ViewProgress {
    let mut at = clone.begin_us.unsigned_abs();
    let mut stages = [StageProgress::default(); 7];
    for (line, sample) in stages.iter_mut().zip(progress.sample()) {
        if sample.state == StageState::NotStarted {
            continue;
        }
        let begin = at;
        at += sample.elapsed.as_micros() as u64;
        *line = StageProgress {
            state: CloneState::Completed,
            threads: sample.threads,
            begin_us: begin,
            end_us: at,
            estimate: sample.estimate,
            data: sample.data,
            network: sample.network,
        };
    }
    ViewProgress { id: 1, stages }
}
