//! Encrypted instances over the network: the keys are sealed, whatever happens meanwhile, and what
//! is restored opens under any keyring.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod network;
mod sealing;

use backup::set::BackupSet;
use backup::set::layout::SEALED_KEYS;
use common::Place;
use frame::Algorithm;
use sealing::{
    Ddl, backup, check_chain, empty_keyring, encrypted_donor, key, problems, switch_in_place,
    try_restore,
};
use testkit::Server;

/// A full and two increments while DDL switches encryption on and off; every state restored under
/// an empty keyring and brought up to the donor's by its binary log.
fn chain(packed: Option<Algorithm>) {
    let (server, place) = (encrypted_donor(), Place::new());
    place.compress(packed);
    server
        .sql(
            "GRANT SELECT ON performance_schema.* TO cloner@'%'; \
             GRANT SYSTEM_VARIABLES_ADMIN ON *.* TO cloner@'%'",
        )
        .unwrap();
    let ddl = Ddl::start(&server);
    ddl.go_on();
    let full = backup(&place, &server, "full", None, |_| ()).unwrap();
    ddl.go_on();
    switch_in_place(&server, false);
    server
        .sql("ALTER INSTANCE ROTATE INNODB MASTER KEY")
        .unwrap();
    let first = backup(&place, &server, "incr1", Some("full"), |_| ()).unwrap();
    ddl.go_on();
    switch_in_place(&server, true);
    let second = backup(&place, &server, "incr2", Some("incr1"), |options| {
        options.scan = true;
    })
    .unwrap();
    ddl.end();
    check_chain(
        &server,
        &place,
        &[("full", full), ("incr1", first), ("incr2", second)],
    );
}

#[test]
fn a_chain_under_ddl_is_sealed_and_comes_back() {
    chain(None);
}

#[test]
fn a_compressed_chain_under_ddl_is_sealed_and_comes_back() {
    chain(Some(Algorithm::Zstd));
}

#[test]
fn without_the_right_key_nothing_is_written() {
    let (server, place) = (encrypted_donor(), Place::new());
    let error = backup(&place, &server, "none", None, |options| {
        options.encryption_key = None;
    });
    let error = error.unwrap_err();
    assert_eq!(error.code(), 3872, "{error}");
    assert!(error.hint().unwrap().contains("--encryption-key-file"));
    let error = backup(&place, &server, "none", None, |options| {
        options.connect.ssl_mode = wire::SslMode::Disabled;
        options.connect.get_server_public_key = true;
    });
    let error = error.unwrap_err();
    assert_eq!(error.code(), 3872, "{error}");
    assert!(error.hint().unwrap().contains("--ssl-mode"), "{error}");
    assert!(!place.path("none").exists());
    backup(&place, &server, "one", None, |_| ()).unwrap();
    backup(&place, &server, "two", None, |_| ()).unwrap();
    let refused = |set: &str, key| {
        let error = try_restore(&place, &place.path(set), "data", key).unwrap_err();
        assert!(!place.path("data").exists(), "{error}");
        (error.code(), error.to_string())
    };
    let (code, text) = refused("one", None);
    assert!(code == 3185 && text.contains(key(1).id()), "{text}");
    let (code, text) = refused("one", Some(key(2)));
    assert!(code == 3185 && text.contains(key(2).id()), "{text}");
    // Keys of another set, and damaged ones.
    let file = |set: &str| place.path(set).join(SEALED_KEYS);
    let own = std::fs::read(file("one")).unwrap();
    std::fs::copy(file("two"), file("one")).unwrap();
    let (_, text) = refused("one", Some(key(1)));
    assert!(text.contains("of another set"), "{text}");
    assert_ne!(problems(&place.path("one")), Vec::<String>::new());
    let mut damaged = own.clone();
    damaged[60] ^= 1;
    std::fs::write(file("one"), damaged).unwrap();
    let (_, text) = refused("one", Some(key(1)));
    assert!(text.contains("was changed"), "{text}");
    std::fs::write(file("one"), own).unwrap();
    // A full is not to be started as it is.
    let manifest = BackupSet::open(&place.path("one")).unwrap();
    assert_eq!(manifest.manifest().format, 3);
    let copy = place.path("copy");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([place.path("one"), copy.clone()])
        .status();
    assert!(copied.unwrap().success());
    empty_keyring(&place, &copy);
    let error = Server::start_on(&copy, &[]).unwrap_err();
    assert!(
        format!("{error:#}").contains("mysqld-auto.cnf"),
        "{error:#}"
    );
}
