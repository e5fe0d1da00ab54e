//! No damage goes unnoticed: `verify` names the file, and `restore` refuses, or gives what the
//! undamaged sets give.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "the modules are part of the tests"
)]

mod common;
mod compressing;
mod damages;

use backup::command::{Problem, VerifiedKind, VerifyRequest, verify};
use backup::{Error, Job, JobOptions};
use common::{Place, job};
use damages::{Case, problems, quick, run, sets, verified};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use testkit::fixtures::{ZooOptions, change_zoo, zoo};
use testkit::{Server, ServerOptions, Workload, WorkloadOptions};

#[test]
fn undamaged_sets_have_no_problems() {
    let sets = sets();
    let place = Place::new();
    sets.copy_to(place.scratch.path());
    let full = verified(&place.path("full"));
    assert_eq!(full.problems, []);
    assert_eq!((full.kind, full.chain.len()), (VerifiedKind::Set, 1));
    assert!(full.files > 100 && full.pages > 3000, "{full:?}");
    let increment = verified(&place.path("incr"));
    assert_eq!(increment.problems, []);
    assert_eq!(increment.chain.len(), 2);
    assert_eq!(increment.chain[0], full.set_id.unwrap());
    assert_eq!(Some(&increment.chain[1]), increment.set_id.as_ref());
    assert!(increment.pages > 100 && increment.pages < full.pages);
}

#[test]
fn any_flipped_byte_is_found() {
    let sets = sets();
    run(&sets, &damages::flips(&sets));
}

#[test]
fn cut_longer_and_missing_files_are_found() {
    let sets = sets();
    run(&sets, &damages::lengths(&sets));
}

#[test]
fn pages_and_files_in_the_wrong_place_are_found() {
    let sets = sets();
    run(&sets, &damages::places(&sets));
}

#[test]
fn things_too_many_and_too_few_are_found() {
    let sets = sets();
    run(&sets, &damages::entries(&sets));
}

#[test]
fn what_digests_do_not_tell_is_found() {
    let sets = sets();
    run(&sets, &damages::resealed(&sets));
}

#[test]
fn a_manifest_that_is_wrong_with_a_right_digest_is_found() {
    let sets = sets();
    run(&sets, &damages::manifests(&sets));
}

#[test]
fn all_damage_is_told_at_once() {
    let sets = sets();
    let place = Place::new();
    sets.copy_to(place.scratch.path());
    let full = place.path("full");
    let names = ["ibdata1", "mysql.ibd", "zoo/row_dynamic.ibd"];
    for name in names {
        damages::flip(&full.join(name), 20_000);
    }
    std::fs::remove_file(full.join("zoo/emptied.ibd")).unwrap();
    std::fs::write(full.join("zoo/stray"), "x").unwrap();
    let found = problems(&full);
    for name in names.into_iter().chain(["zoo/emptied.ibd", "zoo/stray"]) {
        assert!(
            found.iter().any(|problem| problem.path == name),
            "{name}: {found:?}"
        );
    }
    let bytes = |problem: &&Problem| problem.detail.starts_with("bytes 0 to 262144 ");
    assert_eq!(found.iter().filter(bytes).count(), 3, "{found:?}");
    let pages = |problem: &&Problem| problem.detail.starts_with("page 1: ");
    assert_eq!(found.iter().filter(pages).count(), 3, "{found:?}");
}

#[test]
fn a_quick_look_finds_wrong_bytes_too() {
    let sets = sets();
    let place = Place::new();
    sets.copy_to(place.scratch.path());
    let request = quick(&place.path("full"));
    let report = verify(&request, &job()).unwrap();
    assert_eq!(
        (report.problems.as_slice(), report.pages),
        ([].as_slice(), 0)
    );
    damages::flip(&place.path("full/ibdata1"), 300_000);
    let report = verify(&request, &job()).unwrap();
    assert_eq!(report.problems.len(), 1);
}

#[test]
fn a_missing_or_damaged_ancestor_is_found() {
    let sets = sets();
    let place = Place::new();
    sets.copy_to(place.scratch.path());
    let away = place.path("away");
    std::fs::create_dir(&away).unwrap();
    std::fs::rename(place.path("full"), away.join("full")).unwrap();
    let found = problems(&place.path("incr"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].detail.contains("is based on set"), "{found:?}");
    let mut request = VerifyRequest {
        chain: vec![away.clone()],
        ..quick(&place.path("incr"))
    };
    assert_eq!(verify(&request, &job()).unwrap().problems, []);
    request.chain = vec![away.join("full")];
    assert_eq!(verify(&request, &job()).unwrap().problems, []);
    // What is wrong with an ancestor is wrong with the increment, unless only that is asked for.
    let ibdata = away.join("full/ibdata1");
    damages::flip(&ibdata, 5_000_000);
    assert_eq!(verify(&request, &job()).unwrap().problems, []);
    request.only_this = false;
    let found = verify(&request, &job()).unwrap().problems;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].path, ibdata.display().to_string());
    damages::flip(&ibdata, 5_000_000);
    damages::flip(&away.join("full/#clone/manifest.json"), 100);
    let found = verify(&request, &job()).unwrap().problems;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].detail.contains("manifest.json' is damaged"),
        "{found:?}"
    );
}

#[test]
fn what_cannot_be_verified_is_an_error() {
    let place = Place::new();
    let missing = VerifyRequest {
        only_this: true,
        ..VerifyRequest::new(place.path("none"))
    };
    assert!(verify(&missing, &job()).is_err());
    std::fs::write(place.path("none"), "a file").unwrap();
    assert!(verify(&missing, &job()).is_err());
    std::fs::remove_file(place.path("none")).unwrap();
    std::fs::create_dir(place.path("none")).unwrap();
    assert!(!verify(&missing, &job()).unwrap().problems.is_empty());
    let sets = sets();
    sets.copy_to(place.scratch.path());
    let request = VerifyRequest {
        path: place.path("full"),
        ..missing
    };
    let cancelled = Job::new(&JobOptions::default(), Arc::new(AtomicBool::new(true)));
    assert!(matches!(
        verify(&request, &cancelled),
        Err(Error::Cancelled)
    ));
}

#[test]
fn a_data_directory_is_verified_by_its_pages_and_its_redo() {
    let sets = sets();
    let place = Place::new();
    sets.copy_to(place.scratch.path());
    place.restore("incr", "data");
    let data = place.path("data");
    let report = verified(&data);
    assert_eq!(report.problems, []);
    assert_eq!(report.kind, VerifiedKind::DataDirectory);
    run_in_directory(&data, damages::directory_damages());
}

#[test]
fn the_directory_of_a_server_is_verified_stopped_and_crashed_but_not_running() {
    let mut server = Server::start(ServerOptions::default()).unwrap();
    let workload = Workload::start(&server, WorkloadOptions::default()).unwrap();
    workload.wait_for(50, 0).unwrap();
    let request = VerifyRequest {
        only_this: true,
        ..VerifyRequest::new(server.datadir())
    };
    let error = verify(&request, &job()).unwrap_err();
    assert!(error.to_string().contains("in use by process"), "{error}");
    server.kill9().unwrap();
    workload.stop();
    assert_eq!(problems(server.datadir()), [], "crashed");
    server.start_again().unwrap();
    server.stop().unwrap();
    assert_eq!(problems(server.datadir()), [], "stopped");
}

#[test]
fn sets_taken_under_load_and_ddl_have_no_problems() {
    // Two files of the system tablespace: page numbers go on over both.
    let server = Server::start(ServerOptions {
        init_args: vec!["--innodb-data-file-path=ibdata1:12M;ibdata2:10M:autoextend".into()],
        ..ServerOptions::default()
    })
    .unwrap();
    let place = Place::new();
    let load = WorkloadOptions {
        threads: 2,
        ddl: true,
        seed: 23,
        ..WorkloadOptions::default()
    };
    let workload = Workload::start(&server, load).unwrap();
    let pause = || workload.wait_for(50, 10).unwrap();
    pause();
    place.full(&server, "full", true);
    let mut before = "full".to_owned();
    for number in 1..=3 {
        pause();
        let name = format!("incr{number}");
        place.increment(&server, &name, &before);
        before = name;
    }
    place.full(&server, "locked", false);
    workload.stop();
    for set in ["full", "incr1", "incr2", "incr3", "locked"] {
        assert_eq!(problems(&place.path(set)), [], "{set}");
        place.restore(set, "data");
        assert_eq!(problems(&place.path("data")), [], "restored {set}");
        std::fs::remove_dir_all(place.path("data")).unwrap();
    }
}

#[test]
fn sets_of_other_page_sizes_have_no_problems() {
    for page_size in [4096, 65536] {
        let server = Server::start(ServerOptions {
            page_size: Some(page_size),
            ..ServerOptions::default()
        })
        .unwrap();
        let place = Place::new();
        zoo(&server, &ZooOptions::default()).unwrap();
        place.full(&server, "full", true);
        change_zoo(&server, 1).unwrap();
        place.increment(&server, "incr", "full");
        place.restore("incr", "data");
        for name in ["full", "incr", "data"] {
            assert_eq!(problems(&place.path(name)), [], "{page_size} {name}");
        }
    }
}

#[test]
fn a_file_added_to_the_system_tablespace_is_in_the_increment() {
    let mut server = Server::start(ServerOptions::default()).unwrap();
    let place = Place::new();
    place.full(&server, "full", true);
    server
        .restart(&["--innodb-data-file-path=ibdata1:12M;ibdata2:10M:autoextend"])
        .unwrap();
    server
        .sql(
            "CREATE SCHEMA s; CREATE TABLE s.t (id INT PRIMARY KEY, b LONGBLOB) TABLESPACE=innodb_system; \
             INSERT INTO s.t VALUES (1, REPEAT('x', 12000000))",
        )
        .unwrap();
    place.increment(&server, "incr", "full");
    place.restore("incr", "data");
    for name in ["full", "incr", "data"] {
        assert_eq!(problems(&place.path(name)), [], "{name}");
    }
    let restored = place.boot(
        "data",
        &["--innodb-data-file-path=ibdata1:12M;ibdata2:10M:autoextend"],
    );
    let length = restored.query_value("SELECT LENGTH(REPLACE(b, 'y', '')) FROM s.t");
    assert_eq!(length.unwrap(), "12000000");
}

#[test]
fn sets_with_an_encrypted_redo_log_have_no_problems() {
    let server = Server::start(ServerOptions {
        keyring: true,
        args: vec![
            "--innodb-redo-log-encrypt=ON".into(),
            "--innodb-undo-log-encrypt=ON".into(),
        ],
        ..ServerOptions::default()
    })
    .unwrap();
    let place = Place::new();
    let workload = Workload::start(&server, WorkloadOptions::default()).unwrap();
    place.full(&server, "full", true);
    place.increment(&server, "incr", "full");
    workload.stop();
    place.restore("incr", "data");
    for name in ["full", "incr", "data"] {
        assert_eq!(problems(&place.path(name)), [], "{name}");
    }
}

fn run_in_directory(data: &Path, cases: Vec<Case>) {
    for case in cases {
        let place = Place::new();
        let copy = place.path("copy");
        damages::link_tree(data, &copy);
        (case.damage)(&copy);
        let found = problems(&copy);
        assert!(
            found
                .iter()
                .any(|problem| case.paths.contains(&problem.path)),
            "{}: {:?} expected, found: {found:?}",
            case.name,
            case.paths
        );
    }
}
