//! The stages of a clone: `clone_progress`.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::catalogue::Catalogue;
use crate::cells::{progress_row, saturated, signed};
use crate::clone::CloneId;
use crate::ending::clone_state;
use crate::error::{Error, Fault, Result};
use crate::row::{ProgressRow, State};
use crate::{sql, times};

/// The stages of every clone, in their order. `RESTART` and `RECOVERY` belong to the first start of
/// a server on the clone and stay `Not Started` in a backup.
pub const STAGES: [&str; 7] = [
    "DROP DATA",
    "FILE COPY",
    "PAGE COPY",
    "REDO COPY",
    "FILE SYNC",
    "RESTART",
    "RECOVERY",
];

/// How a stage stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageUpdate {
    /// State of the stage.
    pub state: State,
    /// Worker threads.
    pub threads: u32,
    /// Bytes the stage is expected to copy.
    pub estimate: u64,
    /// Bytes copied.
    pub data: u64,
    /// Bytes received from the network.
    pub network: u64,
    /// Bytes copied per second, at present.
    pub data_speed: u64,
    /// Bytes received per second, at present.
    pub network_speed: u64,
    /// When the stage began, microseconds since 1970; the time of the call where not given.
    pub begin_us: Option<i64>,
    /// When the stage ended, microseconds since 1970; the time of the call where not given. Only
    /// of a stage that has ended.
    pub end_us: Option<i64>,
}

impl StageUpdate {
    /// A stage in this state that has nothing to count.
    pub fn new(state: State) -> Self {
        Self {
            state,
            threads: 0,
            estimate: 0,
            data: 0,
            network: 0,
            data_speed: 0,
            network_speed: 0,
            begin_us: None,
            end_us: None,
        }
    }
}

impl Catalogue {
    /// Records how a stage of a running clone stands. `BEGIN_TIME` is set when the stage leaves
    /// `Not Started`, `END_TIME` when it is `Completed` or `Failed`. Every call is a durable
    /// transaction: report a running stage about once a second, not once a page.
    ///
    /// # Errors
    /// [`Error::UnknownStage`] for a name not in [`STAGES`], [`Error::NotRunning`] when the clone
    /// has ended.
    pub fn stage(&self, id: CloneId, stage_name: &str, update: &StageUpdate) -> Result<()> {
        let now = times::timestamp6(times::now_us());
        self.write("record progress", |transaction| {
            clone_state(transaction, id)?.must_run(id)?;
            let (begin, end) = stage_times(transaction, id, stage_name)?;
            let begun = update.state != State::NotStarted;
            let given = |us: Option<i64>| us.map_or_else(|| now.clone(), times::timestamp6);
            let begin = begun.then(|| begin.unwrap_or_else(|| given(update.begin_us)));
            let ended = update.state.has_ended();
            let end = ended.then(|| end.unwrap_or_else(|| given(update.end_us)));
            transaction.execute(
                sql::UPDATE_STAGE,
                params![
                    id.get(),
                    stage_name,
                    update.state,
                    begin,
                    end,
                    saturated(u64::from(update.threads)),
                    signed("ESTIMATE", update.estimate)?,
                    signed("DATA", update.data)?,
                    signed("NETWORK", update.network)?,
                    saturated(update.data_speed),
                    saturated(update.network_speed),
                ],
            )?;
            Ok(())
        })
    }

    /// The stages of the `last` clones (by their begin), or of all; seven rows for each clone that
    /// this catalogue saw running, none for imported ones.
    pub fn progress(&self, last: Option<u32>) -> Result<Vec<ProgressRow>> {
        let limit = last.map_or(-1, i64::from);
        self.read("read the progress", |connection| {
            connection
                .prepare(sql::PROGRESS)?
                .query_map([limit], progress_row)?
                .collect()
        })
    }
}

type StageTimes = (Option<String>, Option<String>);

fn stage_times(
    transaction: &Transaction<'_>,
    id: CloneId,
    name: &str,
) -> Result<StageTimes, Fault> {
    transaction
        .query_row(sql::STAGE_TIMES, params![id.get(), name], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?
        .ok_or_else(|| {
            Error::UnknownStage {
                name: name.to_owned(),
            }
            .into()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;
    use crate::catalogue::tests::{full, scratch};

    fn running(data: u64) -> StageUpdate {
        StageUpdate {
            threads: 4,
            estimate: 4096,
            data,
            data_speed: 5_000_000_000,
            ..StageUpdate::new(State::InProgress)
        }
    }

    #[test]
    fn a_new_clone_has_seven_stages_not_started() {
        let (_dir, catalogue) = scratch();
        catalogue.begin(&full(8)).unwrap();
        let rows = catalogue.progress(None).unwrap();
        assert_eq!(
            rows.iter().map(|r| r.stage.as_str()).collect::<Vec<_>>(),
            STAGES
        );
        assert!(
            rows.iter()
                .all(|r| r.state == State::NotStarted && r.begin_time.is_none())
        );
    }

    #[test]
    fn a_stage_gets_its_times_from_its_state() {
        let (_dir, catalogue) = scratch();
        let id = catalogue.begin(&full(8)).unwrap();
        let stage = || catalogue.progress(None).unwrap().swap_remove(1);
        catalogue.stage(id, "FILE COPY", &running(100)).unwrap();
        let begun = stage();
        assert!(begun.begin_time.is_some() && begun.end_time.is_none());
        assert_eq!((begun.threads, begun.estimate, begun.data), (4, 4096, 100));
        assert_eq!(begun.data_speed, i32::MAX as u32, "the column is an int");
        catalogue.stage(id, "file copy", &running(200)).unwrap();
        assert_eq!(stage().begin_time, begun.begin_time);
        catalogue
            .stage(
                id,
                "FILE COPY",
                &StageUpdate {
                    state: State::Completed,
                    ..running(4096)
                },
            )
            .unwrap();
        let ended = stage();
        assert_eq!(
            (ended.state, &ended.begin_time),
            (State::Completed, &begun.begin_time)
        );
        assert!(ended.end_time >= ended.begin_time);
    }

    #[test]
    fn an_unknown_stage_is_refused() {
        let (_dir, catalogue) = scratch();
        let id = catalogue.begin(&full(8)).unwrap();
        let error = catalogue.stage(id, "PAGE COPIES", &running(1)).unwrap_err();
        assert_eq!(error.code(), "unknown-stage");
    }

    #[test]
    fn an_ended_clone_takes_no_progress() {
        let (_dir, catalogue) = scratch();
        let id = catalogue.begin(&full(8)).unwrap();
        catalogue.complete(id, &Outcome::default()).unwrap();
        let error = catalogue.stage(id, "FILE SYNC", &running(1)).unwrap_err();
        assert_eq!(error.code(), "clone-not-running");
        let error = catalogue
            .stage(CloneId::from(99), "FILE SYNC", &running(1))
            .unwrap_err();
        assert_eq!(error.code(), "no-such-clone");
    }

    #[test]
    fn progress_is_limited_to_the_last_clones() {
        let (_dir, catalogue) = scratch();
        for n in 0..7 {
            catalogue.begin(&full(n)).unwrap();
        }
        let ids = |rows: Vec<ProgressRow>| {
            let mut ids = rows.iter().map(|r| r.id).collect::<Vec<_>>();
            ids.dedup();
            ids
        };
        assert_eq!(ids(catalogue.progress(Some(2)).unwrap()), [6, 7]);
        assert_eq!(
            ids(catalogue.progress(None).unwrap()),
            [1, 2, 3, 4, 5, 6, 7]
        );
        assert_eq!(
            catalogue
                .progress(Some(crate::STATUS_CLONES))
                .unwrap()
                .len(),
            35
        );
    }
}
