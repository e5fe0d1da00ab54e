//! Sets with sealed keys given back in every other way: applied, decompressed and applied, below a
//! local increment, and over the clone protocol.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod compressing;
mod network;
mod sealing;
mod serving;

use backup::Error;
use backup::command::{ApplyReport, ApplyRequest, DecompressRequest, apply, decompress};
use common::{Place, check_with_binlog, job};
use compressing::reseal;
use frame::Algorithm;
use network::check_restored;
use sealing::{
    Ddl, assert_has_no_key, backup, empty_keyring, encrypted_donor, key, keys_in, problems,
    try_restore,
};
use serving::{Endpoint, Recipient, donor_options};
use std::path::Path;
use testkit::{Server, ServerOptions};

fn copy(place: &Place, set: &str, to: &str) {
    let (from, to) = (place.path(set), place.path(to));
    let mut copy = std::process::Command::new("cp");
    let copied = copy.arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

fn try_apply(
    place: &Place,
    data: &str,
    increment: &str,
    key: Option<backup::EncryptionKey>,
) -> Result<ApplyReport, Error> {
    let request = ApplyRequest {
        datadir: place.path(data),
        incremental_dir: place.path(increment),
        encryption_key: key,
    };
    apply(&request, &job())
}

fn change(server: &Server, round: u32) {
    server
        .sql(&format!(
            "UPDATE e.own SET t = REPEAT({round}, 300) WHERE id % 9 = 0;
             UPDATE e.shared SET t = REPEAT({round}, 200) WHERE id % 5 = 0;
             ALTER TABLESPACE turns ENCRYPTION='{}';
             ALTER INSTANCE ROTATE INNODB MASTER KEY;
             CREATE TABLE e.new{round} ENCRYPTION='Y' AS SELECT * FROM e.own",
            if round % 2 == 1 { "N" } else { "Y" }
        ))
        .unwrap();
}

fn files(root: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = common::files_below(root);
    files.retain(|name| !name.starts_with("#clone"));
    files.sort();
    let read = |name: std::path::PathBuf| (name.clone(), std::fs::read(root.join(name)).unwrap());
    files.into_iter().map(read).collect()
}

#[test]
fn sets_with_sealed_keys_are_given_back_in_every_way() {
    let (server, place) = (encrypted_donor(), Place::new());
    backup(&place, &server, "full", None, |_| ()).unwrap();
    place.compress(Some(Algorithm::Zstd));
    backup(&place, &server, "packed", None, |_| ()).unwrap();
    place.compress(None);
    change(&server, 1);
    backup(&place, &server, "incr1", Some("full"), |_| ()).unwrap();
    change(&server, 2);
    let last = backup(&place, &server, "incr2", Some("incr1"), |_| ()).unwrap();

    // Applied: the same as restored.
    try_restore(&place, &place.path("incr2"), "restored", Some(key(1))).unwrap();
    copy(&place, "full", "data");
    for (increment, given) in [("incr1", None), ("incr1", Some(key(2))), ("data", None)] {
        let error = try_apply(&place, "data", increment, given).unwrap_err();
        assert_eq!(error.code(), 3185, "{error}");
        assert_eq!(problems(&place.path("data")), Vec::<String>::new());
    }
    for increment in ["incr1", "incr2"] {
        let report = try_apply(&place, "data", increment, Some(key(1))).unwrap();
        assert!(report.keyring.is_some());
        assert_eq!(problems(&place.path("data")), Vec::<String>::new());
    }
    let (applied, restored) = (files(&place.path("data")), files(&place.path("restored")));
    for ((name, bytes), (other, wanted)) in applied.iter().zip(&restored) {
        assert_eq!(name, other);
        assert!(bytes == wanted, "{} differs", name.display());
    }
    let keys = keys_in(&place.path("data"));
    for set in ["full", "packed", "incr1", "incr2"] {
        assert_has_no_key(&place.path(set), &keys);
    }

    // Decompressed, it is the same set, and as sealed.
    let request = DecompressRequest {
        paths: vec![place.path("packed")],
        remove_original: true,
    };
    assert_eq!(decompress(&request, &job()).unwrap().problems, []);
    assert_has_no_key(&place.path("packed"), &keys);
    assert_eq!(problems(&place.path("packed")), Vec::<String>::new());
    let error = try_restore(&place, &place.path("packed"), "none", None).unwrap_err();
    assert_eq!(error.code(), 3185);
    try_restore(&place, &place.path("packed"), "unpacked", Some(key(1))).unwrap();
    assert!(!keys_in(&place.path("unpacked")).is_empty());

    empty_keyring(&place, &place.path("data"));
    let mut booted = Server::start_on(&place.path("data"), &[]).unwrap();
    check_restored(&mut booted, &last);
    check_with_binlog(&server, &booted, &last);
    drop(booted);

    // A local increment leaves the keys to the server's keyring; those of the full are sealed.
    let local = place.try_backup(&server, "local", |options| {
        options.from = Some(backup::donor::instance::IncrementFrom::Set(
            place.path("incr2"),
        ));
        options.scan = true;
    });
    let local = local.unwrap();
    let error = try_restore(&place, &place.path("local"), "none", None).unwrap_err();
    assert_eq!(error.code(), 3185);
    copy(&place, "full", "other");
    try_apply(&place, "other", "incr1", Some(key(1))).unwrap();
    try_restore(&place, &place.path("local"), "mixed", Some(key(1))).unwrap();
    let mixed = place.path("mixed");
    empty_keyring(&place, &mixed);
    std::fs::copy(server.keyring_file(), place.path("keyring-of-mixed")).unwrap();
    let mut booted = Server::start_on(&mixed, &[]).unwrap();
    check_restored(&mut booted, &local);
    check_with_binlog(&server, &booted, &local);
}

#[test]
fn a_stock_server_clones_a_sealed_set_over_tls() {
    let (server, place) = (encrypted_donor(), Place::new());
    place.compress(Some(Algorithm::Zstd));
    backup(&place, &server, "full", None, |_| ()).unwrap();
    change(&server, 1);
    let report = backup(&place, &server, "incr", Some("full"), |_| ()).unwrap();
    let mut options = donor_options(&place.path("incr"));
    let error = backup::serve::CloneDonor::open(options.clone()).unwrap_err();
    assert_eq!(error.code(), 3185, "{error}");
    options.encryption_key = Some(key(1));
    let endpoint = Endpoint::serve(options);
    let mut recipient = Recipient::start_with(
        2,
        ServerOptions {
            keyring: true,
            ..ServerOptions::default()
        },
    );
    recipient.allow(&endpoint);
    let rest = format!(
        "DATA DIRECTORY = '{}' REQUIRE NO SSL",
        place.path("x").display()
    );
    let statement = endpoint.statement(serving::PASSWORD, &rest);
    let error = recipient.server.sql(&statement).unwrap_err().to_string();
    assert!(error.contains("3872"), "{error}");
    recipient.clone_in_place(&endpoint).unwrap();
    assert_eq!(recipient.complaints(), Vec::<String>::new());
    testkit::check_tables(&recipient.server).unwrap();
    check_with_binlog(&server, &recipient.server, &report);
    let data = recipient.server.datadir().to_owned();
    recipient
        .server
        .sql("ALTER INSTANCE ROTATE INNODB MASTER KEY")
        .unwrap();
    recipient.server.stop().unwrap();
    assert_eq!(keys_in(&data).len(), 0);
}

/// Behind the log of the set, which is encrypted and has positions of its own, ours is the last word.
#[test]
fn clone_status_has_the_position_of_the_set_whatever_the_encrypted_log_says() {
    let (server, place) = (encrypted_donor(), Place::new());
    let ddl = Ddl::start(&server);
    let begun = ddl.done();
    while ddl.done() == begun {
        std::thread::yield_now();
    }
    let report = backup(&place, &server, "full", None, |_| ()).unwrap();
    ddl.end();
    let told = report.binlog.position + 1_000_000;
    reseal::edit(&place.path("full"), |manifest| {
        manifest["binlog"]["position"] = told.into();
    });
    let mut options = donor_options(&place.path("full"));
    options.encryption_key = Some(key(1));
    let endpoint = Endpoint::serve(options);
    let keyring = ServerOptions {
        keyring: true,
        ..ServerOptions::default()
    };
    let mut recipient = Recipient::start_with(2, keyring);
    recipient.clone_in_place(&endpoint).unwrap();
    let status = "SELECT STATE, BINLOG_FILE, BINLOG_POSITION FROM performance_schema.clone_status";
    let rows = recipient.server.sql_rows(status).unwrap();
    let position = told.to_string();
    let expected = ["Completed", &report.binlog.file, &position];
    assert_eq!(rows, [expected.map(str::to_owned).to_vec()]);
    testkit::check_tables(&recipient.server).unwrap();
}
