//! Rebuilding the history from the records in backup sets.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::catalogue::Catalogue;
use crate::cells::signed;
use crate::clone::{CloneId, Outcome};
use crate::ending::{Ending, end_clone};
use crate::error::{Error, Fault, Result};
use crate::row::HistoryRow;
use crate::text::{GTID_CHARS, NAME_CHARS, cut, cut_gtid_set};
use crate::{sql, times};

/// The row a set already has in the history.
struct Twin {
    id: i64,
    reaped: bool,
    has_set: bool,
}

impl Catalogue {
    /// Takes over the record of an ended clone from its backup set; true when the history changed.
    ///
    /// Nothing is inserted when the history knows the set: by `set_id`, or, when one side has no
    /// set id, by `BEGIN_TIME` and `DESTINATION`. One exception: a row that is `Failed` only
    /// because its process vanished is corrected by the record, since the set was sealed before the
    /// process ended. The row keeps its `ID` when that is free and gets the next one otherwise;
    /// import the sets in the order of their begin to keep the numbering in order.
    ///
    /// # Errors
    /// [`Error::Unfinished`] for a record whose clone has not ended, [`Error::BadTime`] for a time
    /// that is missing or is none.
    pub fn import(&self, row: &HistoryRow, set_id: Option<&str>) -> Result<bool> {
        if !row.state.has_ended() {
            return Err(Error::Unfinished {
                destination: row.destination.clone(),
            });
        }
        let begin_us = instant("BEGIN_TIME", row.begin_time.as_deref())?;
        let end_us = instant(
            "END_TIME",
            row.end_time.as_deref().or(row.begin_time.as_deref()),
        )?;
        self.write("import a record", |transaction| {
            match find_twin(transaction, row, set_id, begin_us)? {
                Some(twin) if twin.reaped => {
                    let outcome = outcome(row, set_id);
                    let ending = Ending {
                        state: row.state,
                        outcome: &outcome,
                        end_us,
                    };
                    end_clone(transaction, CloneId::from(twin.id), &ending)?;
                    Ok(true)
                }
                Some(twin) if !twin.has_set && set_id.is_some() => {
                    // Later imports then find it by its set, wherever that has been moved.
                    transaction.execute(sql::REMEMBER_SET, params![twin.id, set_id])?;
                    Ok(false)
                }
                Some(_) => Ok(false),
                None => insert(transaction, row, set_id, begin_us, end_us).map(|()| true),
            }
        })
    }
}

fn instant(column: &'static str, text: Option<&str>) -> Result<i64> {
    let text = text.unwrap_or_default();
    times::parse(text).ok_or_else(|| Error::BadTime {
        column,
        value: text.to_owned(),
    })
}

fn outcome(row: &HistoryRow, set_id: Option<&str>) -> Outcome {
    Outcome {
        error_no: row.error_no,
        error_message: row.error_message.clone(),
        binlog_file: row.binlog_file.clone(),
        binlog_position: row.binlog_position,
        gtid_executed: row.gtid_executed.clone(),
        start_lsn: row.start_lsn,
        page_track_lsn: row.page_track_lsn,
        end_lsn: row.end_lsn,
        set_id: set_id.map(str::to_owned),
    }
}

fn find_twin(
    transaction: &Transaction<'_>,
    row: &HistoryRow,
    set_id: Option<&str>,
    begin_us: i64,
) -> Result<Option<Twin>, Fault> {
    let destination = cut(&row.destination, NAME_CHARS);
    let twin = transaction
        .query_row(
            sql::FIND_TWIN,
            params![set_id, destination, row.begin_time, begin_us],
            |row| {
                Ok(Twin {
                    id: row.get(0)?,
                    reaped: row.get(1)?,
                    has_set: row.get::<_, Option<String>>(2)?.is_some(),
                })
            },
        )
        .optional()?;
    Ok(twin)
}

fn insert(
    transaction: &Transaction<'_>,
    row: &HistoryRow,
    set_id: Option<&str>,
    begin_us: i64,
    end_us: i64,
) -> Result<(), Fault> {
    let taken: bool = transaction.query_row(sql::ID_TAKEN, [row.id], |row| row.get(0))?;
    let wanted = (row.id > 0 && !taken).then_some(row.id);
    transaction.execute(
        sql::INSERT_CLONE,
        params![
            wanted,
            row.pid,
            row.clone_type,
            row.state,
            row.begin_time,
            row.end_time,
            cut(&row.source, NAME_CHARS),
            cut(&row.destination, NAME_CHARS),
            row.error_no,
            cut(&row.error_message, NAME_CHARS),
            cut(&row.binlog_file, NAME_CHARS),
            signed("BINLOG_POSITION", row.binlog_position)?,
            cut_gtid_set(&row.gtid_executed, GTID_CHARS),
            signed("START_LSN", row.start_lsn)?,
            signed("PAGE_TRACK_LSN", row.page_track_lsn)?,
            signed("END_LSN", row.end_lsn)?,
        ],
    )?;
    let id = transaction.last_insert_rowid();
    transaction.execute(
        sql::INSERT_BOOKKEEPING,
        params![
            id,
            set_id,
            begin_us,
            end_us,
            None::<i64>,
            None::<i64>,
            None::<String>
        ],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::tests::{full, scratch};
    use crate::{CloneType, State};

    fn record(id: i64, destination: &str) -> HistoryRow {
        HistoryRow {
            id,
            pid: 11,
            clone_type: CloneType::Full,
            state: State::Completed,
            begin_time: Some("2024-06-18 10:39:28.214".to_owned()),
            end_time: Some("2024-06-18 10:39:42.980".to_owned()),
            source: "LOCAL INSTANCE".to_owned(),
            destination: destination.to_owned(),
            error_no: 0,
            error_message: String::new(),
            binlog_file: "binlog.000013".to_owned(),
            binlog_position: 29_832_341,
            gtid_executed: "c42c1e3e-0f41-11ef-b6bf-d08e7908bcb1:1-3270".to_owned(),
            start_lsn: 0,
            page_track_lsn: 21_635_197_273,
            end_lsn: 21_635_237_128,
        }
    }

    #[test]
    fn a_history_is_rebuilt_as_it_was() {
        let (_dir, catalogue) = scratch();
        let rows = [
            record(3, "/data/full"),
            HistoryRow {
                id: 7,
                ..record(7, "/data/other")
            },
        ];
        assert!(catalogue.import(&rows[0], Some("a")).unwrap());
        assert!(catalogue.import(&rows[1], Some("b")).unwrap());
        assert_eq!(catalogue.history().unwrap(), rows);
        assert_eq!(catalogue.find_by_set("b").unwrap().as_ref(), Some(&rows[1]));
        assert_eq!(catalogue.begin(&full(1)).unwrap().get(), 8);
        assert_eq!(
            catalogue.progress(None).unwrap().len(),
            7,
            "imported clones have no stages"
        );
    }

    #[test]
    fn a_known_set_is_not_imported_again() {
        let (_dir, catalogue) = scratch();
        assert!(
            catalogue
                .import(&record(3, "/data/full"), Some("a"))
                .unwrap()
        );
        assert!(
            !catalogue
                .import(&record(3, "/data/full"), Some("a"))
                .unwrap()
        );
        assert!(
            !catalogue
                .import(&record(9, "/moved/elsewhere"), Some("a"))
                .unwrap()
        );
        assert!(!catalogue.import(&record(3, "/data/full/"), None).unwrap());
        assert!(
            catalogue.import(&record(3, "/DATA/full"), None).unwrap(),
            "case matters in paths"
        );
        assert_eq!(catalogue.history().unwrap().len(), 2);
    }

    #[test]
    fn a_taken_id_is_replaced_by_the_next() {
        let (_dir, catalogue) = scratch();
        catalogue.import(&record(3, "/a"), Some("a")).unwrap();
        catalogue.import(&record(3, "/b"), Some("b")).unwrap();
        catalogue.import(&record(0, "/c"), Some("c")).unwrap();
        let ids = catalogue
            .history()
            .unwrap()
            .iter()
            .map(|r| r.id)
            .collect::<Vec<_>>();
        assert_eq!(ids, [3, 4, 5]);
    }

    #[test]
    fn a_row_without_set_id_learns_it() {
        let (_dir, catalogue) = scratch();
        catalogue.import(&record(3, "/a"), None).unwrap();
        assert!(!catalogue.import(&record(3, "/a"), Some("a")).unwrap());
        assert_eq!(catalogue.find_by_set("a").unwrap().unwrap().id, 3);
        assert!(
            catalogue.import(&record(3, "/a"), Some("b")).unwrap(),
            "another set"
        );
    }

    #[test]
    fn a_clone_that_has_not_ended_is_not_imported() {
        let (_dir, catalogue) = scratch();
        let running = HistoryRow {
            state: State::InProgress,
            ..record(3, "/a")
        };
        assert_eq!(
            catalogue.import(&running, None).unwrap_err().code(),
            "clone-unfinished"
        );
        let timeless = HistoryRow {
            begin_time: None,
            ..record(3, "/a")
        };
        assert_eq!(
            catalogue.import(&timeless, None).unwrap_err().code(),
            "bad-time"
        );
        assert_eq!(catalogue.history().unwrap(), []);
    }

    #[test]
    fn a_set_sealed_before_its_process_was_killed_corrects_the_verdict() {
        let (dir, catalogue) = scratch();
        let id = catalogue.begin(&full(1)).unwrap();
        let begun = catalogue.row(id).unwrap();
        crate::catalogue::tests::orphan(&catalogue, dir.path(), id);
        assert_eq!(catalogue.reap().unwrap(), [id]);
        let sealed = HistoryRow {
            begin_time: begun.begin_time,
            ..record(1, &begun.destination)
        };
        assert!(catalogue.import(&sealed, Some("a")).unwrap());
        let row = catalogue.row(id).unwrap();
        assert_eq!(
            (row.state, row.error_no, row.end_lsn),
            (State::Completed, 0, sealed.end_lsn)
        );
        assert!(!catalogue.import(&sealed, Some("a")).unwrap());
    }

    #[test]
    fn a_set_imported_while_its_clone_was_ending_leaves_one_row() {
        let (_dir, catalogue) = scratch();
        let id = catalogue.begin(&full(1)).unwrap();
        catalogue
            .import(&record(5, "/seen/from/elsewhere"), Some("a"))
            .unwrap();
        let outcome = Outcome {
            set_id: Some("a".to_owned()),
            ..Outcome::default()
        };
        catalogue.complete(id, &outcome).unwrap();
        assert_eq!(catalogue.history().unwrap(), [catalogue.row(id).unwrap()]);
    }
}
