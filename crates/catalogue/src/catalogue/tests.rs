use std::fs;

use tempfile::TempDir;

use super::*;
use crate::clone::Outcome;
use crate::row::CloneType;

pub(crate) fn scratch() -> (TempDir, Catalogue) {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::open(dir.path()).unwrap();
    (dir, catalogue)
}

pub(crate) fn full(pid: i64) -> NewClone {
    NewClone {
        pid,
        clone_type: CloneType::Full,
        source: "LOCAL INSTANCE".to_owned(),
        destination: format!("/data/backup/{pid}/"),
        start_lsn: 0,
    }
}

/// Makes a clone look as if its process had been killed.
pub(crate) fn orphan(catalogue: &Catalogue, dir: &Path, id: CloneId) {
    drop(guard(&catalogue.locks).remove(&id.get()));
    assert!(dir.join(format!("clone-{id}.lock")).exists());
    let dead = "UPDATE bookkeeping SET owner_start = owner_start - 1 WHERE ID = ?1";
    guard(&catalogue.connection)
        .execute(dead, [id.get()])
        .unwrap();
}

fn ended_well() -> Outcome {
    Outcome {
        binlog_file: "binlog.000013".to_owned(),
        binlog_position: 29_832_341,
        gtid_executed: "c42c1e3e-0f41-11ef-b6bf-d08e7908bcb1:1-3270".to_owned(),
        page_track_lsn: 21_083_116,
        end_lsn: 21_083_759,
        set_id: Some("set-1".to_owned()),
        ..Outcome::default()
    }
}

#[test]
fn a_clone_is_in_the_history_from_its_start() {
    let (_dir, catalogue) = scratch();
    let increment = NewClone {
        clone_type: CloneType::Increment,
        start_lsn: 42,
        ..full(8)
    };
    let id = catalogue.begin(&increment).unwrap();
    let row = catalogue.row(id).unwrap();
    assert_eq!((row.id, row.pid, row.state), (1, 8, State::InProgress));
    assert_eq!((row.clone_type, row.start_lsn), (CloneType::Increment, 42));
    assert!(row.begin_time.is_some() && row.end_time.is_none());
    assert!(catalogue.is_running(8).unwrap() && !catalogue.is_running(9).unwrap());
    assert_eq!(
        catalogue.running().unwrap()[0].process,
        Some(std::process::id())
    );
}

#[test]
fn a_completed_clone_has_its_positions() {
    let (dir, catalogue) = scratch();
    let id = catalogue.begin(&full(8)).unwrap();
    catalogue.complete(id, &ended_well()).unwrap();
    let row = catalogue.row(id).unwrap();
    assert_eq!(
        (row.state, row.error_no, row.error_message.as_str()),
        (State::Completed, 0, "")
    );
    assert_eq!(
        (row.binlog_file.as_str(), row.binlog_position),
        ("binlog.000013", 29_832_341)
    );
    assert_eq!((row.page_track_lsn, row.end_lsn), (21_083_116, 21_083_759));
    assert!(row.end_time >= row.begin_time);
    assert_eq!(catalogue.find_by_set("set-1").unwrap(), Some(row));
    assert!(!catalogue.is_running(8).unwrap());
    assert!(!dir.path().join("clone-1.lock").exists());
}

#[test]
fn a_failed_clone_keeps_its_error_and_its_stage_fails() {
    let (_dir, catalogue) = scratch();
    let id = catalogue.begin(&full(8)).unwrap();
    let stage = |name, state| {
        catalogue
            .stage(id, name, &crate::StageUpdate::new(state))
            .unwrap();
    };
    stage("DROP DATA", State::Completed);
    stage("FILE COPY", State::InProgress);
    let outcome = Outcome {
        error_no: 1317,
        error_message: "Query execution was interrupted".to_owned(),
        ..Outcome::default()
    };
    catalogue.fail(id, &outcome).unwrap();
    let row = catalogue.row(id).unwrap();
    assert_eq!((row.state, row.error_no), (State::Failed, 1317));
    let states = catalogue
        .progress(None)
        .unwrap()
        .iter()
        .map(|r| r.state)
        .collect::<Vec<_>>();
    let rest = [State::NotStarted; 5];
    assert_eq!(
        states,
        [[State::Completed, State::Failed].as_slice(), &rest].concat()
    );
}

#[test]
fn a_clone_ends_once() {
    let (_dir, catalogue) = scratch();
    let id = catalogue.begin(&full(8)).unwrap();
    catalogue.fail(id, &Outcome::default()).unwrap();
    let error = catalogue.complete(id, &ended_well()).unwrap_err();
    assert_eq!(error.code(), "clone-not-running");
    assert!(error.to_string().contains("Failed"), "{error}");
    assert_eq!(
        catalogue
            .complete(CloneId::from(9), &ended_well())
            .unwrap_err()
            .code(),
        "no-such-clone"
    );
}

#[test]
fn a_clone_of_a_vanished_process_is_found_at_the_next_start() {
    let (dir, catalogue) = scratch();
    let gone = catalogue.begin(&full(8)).unwrap();
    let alive = catalogue.begin(&full(9)).unwrap();
    catalogue
        .stage(
            gone,
            "REDO COPY",
            &crate::StageUpdate::new(State::InProgress),
        )
        .unwrap();
    orphan(&catalogue, dir.path(), gone);
    let next = Catalogue::open(dir.path()).unwrap();
    let row = next.row(gone).unwrap();
    assert_eq!((row.state, row.error_no), (State::Failed, 1317));
    let pid = format!("pid {}", std::process::id());
    assert!(row.error_message.contains(&pid), "{}", row.error_message);
    assert!(row.end_time.is_some());
    assert_eq!(next.progress(None).unwrap()[3].state, State::Failed);
    assert_eq!(next.row(alive).unwrap().state, State::InProgress);
    assert!(!dir.path().join("clone-1.lock").exists());
    assert_eq!(next.reap().unwrap(), []);
}

#[test]
fn an_owner_believed_dead_has_the_last_word() {
    let (dir, catalogue) = scratch();
    let id = catalogue.begin(&full(8)).unwrap();
    catalogue
        .stage(id, "FILE COPY", &crate::StageUpdate::new(State::InProgress))
        .unwrap();
    orphan(&catalogue, dir.path(), id);
    assert_eq!(catalogue.reap().unwrap(), [id]);
    catalogue.complete(id, &ended_well()).unwrap();
    let row = catalogue.row(id).unwrap();
    assert_eq!(
        (row.state, row.error_no, row.error_message.as_str()),
        (State::Completed, 0, "")
    );
    assert_eq!(catalogue.progress(None).unwrap()[1].state, State::Completed);
    assert_eq!(
        catalogue.fail(id, &ended_well()).unwrap_err().code(),
        "clone-not-running"
    );
}

#[test]
fn a_lock_held_elsewhere_keeps_a_clone_whose_process_cannot_be_seen() {
    let (dir, catalogue) = scratch();
    let id = catalogue.begin(&full(8)).unwrap();
    orphan(&catalogue, dir.path(), id);
    let lock = RunLock::take(dir.path(), id.get()).unwrap();
    assert_eq!(catalogue.reap().unwrap(), []);
    drop(lock);
    assert_eq!(catalogue.reap().unwrap(), [id]);
}

#[test]
fn strings_are_cut_to_their_columns() {
    let (_dir, catalogue) = scratch();
    let id = catalogue
        .begin(&NewClone {
            source: "数".repeat(600),
            ..full(8)
        })
        .unwrap();
    let outcome = Outcome {
        error_message: "é".repeat(600),
        ..Outcome::default()
    };
    catalogue.fail(id, &outcome).unwrap();
    let row = catalogue.row(id).unwrap();
    assert_eq!(row.source, "数".repeat(512));
    assert_eq!(row.error_message, "é".repeat(512));
}

#[test]
fn quotes_and_odd_characters_are_kept() {
    let (_dir, catalogue) = scratch();
    let destination = "/data/l#g/l'g.\"; DROP TABLE clone_history; --\u{0}\\";
    let clone = NewClone {
        destination: destination.to_owned(),
        ..full(8)
    };
    let id = catalogue.begin(&clone).unwrap();
    assert_eq!(catalogue.row(id).unwrap().destination, destination);
}

#[test]
fn a_number_beyond_its_column_is_refused_by_name() {
    let (_dir, catalogue) = scratch();
    let id = catalogue.begin(&full(8)).unwrap();
    let outcome = Outcome {
        end_lsn: u64::MAX,
        ..Outcome::default()
    };
    let error = catalogue.complete(id, &outcome).unwrap_err();
    assert!(error.to_string().contains("END_LSN"), "{error}");
    assert_eq!(catalogue.row(id).unwrap().state, State::InProgress);
    catalogue.complete(id, &ended_well()).unwrap();
}

#[test]
fn the_newest_clone_into_a_directory_is_found() {
    let (_dir, catalogue) = scratch();
    catalogue.begin(&full(1)).unwrap();
    let second = catalogue.begin(&full(1)).unwrap();
    for path in ["/data/backup/1", "/data/backup/1/"] {
        let row = catalogue
            .find_by_destination(Path::new(path))
            .unwrap()
            .unwrap();
        assert_eq!(row.id, second.get());
    }
    for path in ["/data/backup", "/DATA/backup/1", "/data/backup/12"] {
        assert_eq!(
            catalogue.find_by_destination(Path::new(path)).unwrap(),
            None
        );
    }
}

#[test]
fn status_shows_the_last_five() {
    let (_dir, catalogue) = scratch();
    for pid in 1..=7 {
        catalogue.begin(&full(pid)).unwrap();
    }
    let ids = catalogue
        .status()
        .unwrap()
        .iter()
        .map(|row| row.id)
        .collect::<Vec<_>>();
    assert_eq!(ids, [3, 4, 5, 6, 7]);
}

#[test]
fn the_file_answers_a_client_under_both_schema_names() {
    let (_dir, catalogue) = scratch();
    for pid in 1..=6 {
        let id = catalogue.begin(&full(pid)).unwrap();
        catalogue.complete(id, &ended_well()).unwrap();
    }
    let face = Connection::open_in_memory().unwrap();
    let file = catalogue.path().to_str().unwrap();
    for schema in ["mysql", "performance_schema"] {
        face.execute(&format!("ATTACH ?1 AS {schema}"), [file])
            .unwrap();
    }
    let count = |query: &str| {
        face.query_row(query, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let history = "SELECT COUNT(*) FROM mysql.clone_history WHERE state = 'completed'";
    assert_eq!(count(history), 6);
    assert_eq!(
        count("SELECT COUNT(*) FROM performance_schema.clone_status"),
        5
    );
    assert_eq!(
        count("SELECT COUNT(*) FROM `performance_schema`.`clone_progress`"),
        35
    );
    let one = "SELECT COUNT(*) FROM performance_schema.clone_status WHERE STATE = 'COMPLETED'";
    assert_eq!(
        count(one),
        5,
        "text compares without regard to case in the views too"
    );
    let columns = |table: &str| {
        let select = face.prepare(&format!("SELECT * FROM {table}")).unwrap();
        select
            .column_names()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        columns("mysql.clone_history"),
        "ID PID CLONE_TYPE STATE BEGIN_TIME END_TIME SOURCE DESTINATION ERROR_NO ERROR_MESSAGE \
         BINLOG_FILE BINLOG_POSITION GTID_EXECUTED START_LSN PAGE_TRACK_LSN END_LSN"
    );
    assert_eq!(
        columns("performance_schema.clone_status"),
        columns("mysql.clone_history").replace("CLONE_TYPE ", "")
    );
    assert_eq!(
        columns("performance_schema.clone_progress"),
        "ID STAGE STATE BEGIN_TIME END_TIME THREADS ESTIMATE DATA NETWORK DATA_SPEED NETWORK_SPEED"
    );
}

#[test]
fn rows_of_another_hand_are_read_or_refused_but_never_panic() {
    let (_dir, catalogue) = scratch();
    catalogue.begin(&full(8)).unwrap();
    let run = |sql: &str| guard(&catalogue.connection).execute(sql, []).unwrap();
    run("UPDATE clone_history SET PID = NULL, SOURCE = NULL, END_LSN = NULL");
    assert_eq!(catalogue.history().unwrap()[0].end_lsn, 0);
    for damage in [
        "STATE = 'Done'",
        "END_LSN = -1",
        "ERROR_NO = 'none'",
        "STATE = x'ff'",
    ] {
        run(&format!("UPDATE clone_history SET {damage}"));
        assert_eq!(
            catalogue.history().unwrap_err().code(),
            "catalogue-damaged",
            "{damage}"
        );
        run("UPDATE clone_history SET STATE = 'Failed', END_LSN = 0, ERROR_NO = 0");
    }
}

#[test]
fn the_history_survives_reopening() {
    let (dir, catalogue) = scratch();
    let id = catalogue.begin(&full(8)).unwrap();
    catalogue.complete(id, &ended_well()).unwrap();
    let before = catalogue.history().unwrap();
    drop(catalogue);
    let files = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, 1, "one file is the whole catalogue");
    assert_eq!(
        Catalogue::open(dir.path()).unwrap().history().unwrap(),
        before
    );
}

#[test]
fn declared_types_are_the_documented_ones() {
    let (_dir, catalogue) = scratch();
    let types = |table: &str| {
        catalogue
            .read("list types", |connection| {
                let mut list = connection.prepare("SELECT type FROM pragma_table_info(?1)")?;
                list.query_map([table], |row| row.get::<_, String>(0))?
                    .collect()
            })
            // SQLite answers its own standard types in upper case, the others as they were written.
            .map(|types: Vec<String>| types.join(" ").to_lowercase())
            .unwrap()
    };
    let rest = "varchar(512) varchar(512) int varchar(512) varchar(512) bigint varchar(4096) \
                bigint bigint bigint";
    let times = "timestamp(3) timestamp(3)";
    let history = format!("integer int varchar(50) char(16) {times} {rest}");
    assert_eq!(types("clone_history"), history);
    assert_eq!(
        types("clone_status"),
        format!("integer int char(16) {times} {rest}")
    );
    assert_eq!(
        types("clone_progress"),
        "int char(32) char(16) timestamp(6) timestamp(6) int bigint bigint bigint int int"
    );
}

#[test]
fn a_clone_outlives_the_handle_that_began_it_while_its_process_lives() {
    let (dir, catalogue) = scratch();
    let id = catalogue.begin(&full(8)).unwrap();
    drop(catalogue);
    let again = Catalogue::open(dir.path()).unwrap();
    assert_eq!(again.row(id).unwrap().state, State::InProgress);
    again.complete(id, &ended_well()).unwrap();
    assert!(!dir.path().join("clone-1.lock").exists());
}
