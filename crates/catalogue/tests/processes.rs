//! Several threads and processes on one catalogue. Child processes are this test binary again,
//! told by the environment what to do.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use innoclone_catalogue::{
    Catalogue, CloneId, CloneType, NewClone, Outcome, STAGES, StageUpdate, State,
};

const DIR: &str = "CATALOGUE_TEST_DIR";
const ROLE: &str = "CATALOGUE_TEST_ROLE";
const CLONES_EACH: usize = 10;

fn clone(pid: i64) -> NewClone {
    NewClone {
        pid,
        clone_type: CloneType::Full,
        source: "LOCAL INSTANCE".to_owned(),
        destination: format!("/data/backup/{pid}"),
        start_lsn: 0,
    }
}

fn run_clones(catalogue: &Catalogue, pid: i64) {
    for n in 0..CLONES_EACH {
        let id = catalogue.begin(&clone(pid)).unwrap();
        for stage in &STAGES[..5] {
            for state in [State::InProgress, State::Completed] {
                catalogue
                    .stage(id, stage, &StageUpdate::new(state))
                    .unwrap();
            }
        }
        let outcome = Outcome {
            set_id: Some(format!("{pid}-{n}")),
            ..Outcome::default()
        };
        if n % 2 == 0 {
            catalogue.complete(id, &outcome).unwrap();
        } else {
            catalogue.fail(id, &outcome).unwrap();
        }
    }
}

/// What a child process does; no test of its own.
#[test]
fn child() {
    let (Some(dir), Ok(role)) = (std::env::var_os(DIR), std::env::var(ROLE)) else {
        return;
    };
    let catalogue = Catalogue::open(Path::new(&dir)).unwrap();
    let pid = i64::from(std::process::id());
    match role.as_str() {
        "work" => run_clones(&catalogue, pid),
        "hang" => {
            let id = catalogue.begin(&clone(pid)).unwrap();
            catalogue
                .stage(id, "FILE COPY", &StageUpdate::new(State::InProgress))
                .unwrap();
            sleep(Duration::from_secs(3600));
        }
        // Killed in the middle of a stream of transactions.
        "write" => loop {
            let id = catalogue.begin(&clone(pid)).unwrap();
            catalogue.complete(id, &Outcome::default()).unwrap();
        },
        other => panic!("no such role: {other}"),
    }
}

fn spawn(dir: &Path, role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child"])
        .env(DIR, dir)
        .env(ROLE, role)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(600);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn threads_and_processes_write_at_once_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody has created the file yet: opening races too.
    let children = [(); 3].map(|()| spawn(dir.path(), "work"));
    let shared = Catalogue::open(dir.path()).unwrap();
    scope(|threads| {
        let shared = &shared;
        for pid in 1..=2 {
            threads.spawn(move || run_clones(shared, pid));
        }
        let dir = dir.path();
        threads.spawn(move || run_clones(&Catalogue::open(dir).unwrap(), 3));
        threads.spawn(move || {
            for _ in 0..20 {
                let reader = Catalogue::open(dir).unwrap();
                assert!(reader.status().unwrap().len() <= 5);
                assert_eq!(reader.progress(None).unwrap().len() % STAGES.len(), 0);
            }
        });
    });
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let catalogue = Catalogue::open(dir.path()).unwrap();
    let rows = catalogue.history().unwrap();
    assert_eq!(rows.len(), 6 * CLONES_EACH);
    assert!((1..).zip(&rows).all(|(id, row)| row.id == id));
    let completed = rows
        .iter()
        .filter(|row| row.state == State::Completed)
        .count();
    let failed = rows.iter().filter(|row| row.state == State::Failed).count();
    assert_eq!((completed, failed), (3 * CLONES_EACH, 3 * CLONES_EACH));
    assert!(
        rows.iter().all(|row| row.error_no == 0),
        "no clone was taken for abandoned"
    );
}

#[test]
fn clone_of_a_killed_process_fails_at_the_next_start_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::open(dir.path()).unwrap();
    let (mut killed, mut survivor) = (spawn(dir.path(), "hang"), spawn(dir.path(), "hang"));
    let of = |child: &Child| {
        let pid = i64::from(child.id());
        catalogue
            .running()
            .unwrap()
            .into_iter()
            .find(|clone| clone.pid == pid)
    };
    wait_until("both clones run", || {
        of(&killed).is_some() && of(&survivor).is_some()
    });
    wait_until("the stage runs", || {
        catalogue
            .progress(None)
            .unwrap()
            .iter()
            .filter(|r| r.state == State::InProgress)
            .count()
            == 2
    });
    let id = of(&killed).unwrap().id;
    assert_eq!(of(&killed).unwrap().process, Some(killed.id()));
    assert_eq!(catalogue.reap().unwrap(), [], "nobody has died");

    killed.kill().unwrap();
    // Still a zombie: this process has not waited for it.
    wait_until("the kernel has ended it", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", killed.id())).unwrap();
        stat.contains(") Z ")
    });
    assert_eq!(catalogue.row(id).unwrap().state, State::InProgress);
    // The other threads of a zombie may hold its lock for a moment longer.
    wait_until("an opener finds it", || {
        drop(Catalogue::open(dir.path()).unwrap());
        catalogue.row(id).unwrap().state == State::Failed
    });
    let row = catalogue.row(id).unwrap();
    assert_eq!((row.state, row.error_no), (State::Failed, 1317));
    assert!(
        row.error_message.contains(&killed.id().to_string()),
        "{}",
        row.error_message
    );
    let stages = catalogue.progress(None).unwrap();
    let stage = stages
        .iter()
        .find(|r| r.id == id.get() && r.stage == "FILE COPY")
        .unwrap();
    assert_eq!(stage.state, State::Failed);
    assert!(of(&survivor).is_some());

    killed.wait().unwrap();
    survivor.kill().unwrap();
    survivor.wait().unwrap();
    assert_eq!(catalogue.reap().unwrap().len(), 1);
    assert_eq!(catalogue.running().unwrap(), []);
}

#[test]
fn a_process_killed_while_writing_leaves_a_sound_catalogue() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=5_i64 {
        let mut child = spawn(dir.path(), "write");
        let seen = Catalogue::open(dir.path()).unwrap();
        let before = seen.history().unwrap().len();
        wait_until("it writes", || seen.history().unwrap().len() > before + 3);
        drop(seen);
        child.kill().unwrap();
        child.wait().unwrap();
        let catalogue = Catalogue::open(dir.path()).unwrap();
        let rows = catalogue.history().unwrap();
        assert!((1..).zip(&rows).all(|(id, row)| row.id == id));
        assert!(
            rows.iter().all(|row| row.state.has_ended()),
            "round {round}"
        );
        assert_eq!(
            catalogue.progress(None).unwrap().len(),
            rows.len() * STAGES.len()
        );
        let error = catalogue.row(CloneId::from(1_000_000)).unwrap_err();
        assert_eq!(error.code(), "no-such-clone");
    }
}
