//! Encrypted instances by an agent: the keys travel over TLS and are sealed, and what is restored
//! opens under any keyring.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod agents;
mod common;
mod network;
mod sealing;

use agents::Agent;
use backup::set::PagesBy;
use common::Place;
use frame::Algorithm;
use sealing::{Ddl, check_chain, encrypted_donor, key};

/// A full and increments while DDL switches encryption on and off; every state restored under an
/// empty keyring and brought up to the instance's by its binary log.
fn chain(packed: Option<Algorithm>) {
    let (server, place) = (encrypted_donor(), Place::new());
    place.compress(packed);
    let agent = Agent::of(&server, &place);
    let seal = |options: &mut backup::donor::remote::RemoteOptions| {
        options.encryption_key = Some(key(1));
    };
    let ddl = Ddl::start_with_general_tablespaces(&server);
    let full = agent.full(&place, "full", seal).unwrap();
    let seen = ddl.done();
    server
        .sql("ALTER INSTANCE ROTATE INNODB MASTER KEY")
        .unwrap();
    let first = agent.increment(&place, "incr1", "full", seal).unwrap();
    let second = agent.increment(&place, "incr2", "incr1", |options| {
        seal(options);
        options.scan = true;
    });
    let second = second.unwrap();
    assert!(ddl.done() > seen, "no DDL during the increments");
    ddl.end();
    agents::assert_free_of(&server, "e");
    assert_eq!(
        (first.pages_by, second.pages_by),
        (PagesBy::Tracked, PagesBy::Scan)
    );
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
fn keys_need_tls_a_key_file_and_the_clone_plugin() {
    let (server, place) = (encrypted_donor(), Place::new());
    let agent = Agent::of(&server, &place);
    let error = agent.full(&place, "none", |_| ()).unwrap_err();
    assert_eq!(error.code(), 3872, "{error}");
    assert!(error.hint().unwrap().contains("--encryption-key-file"));
    let error = agent.full(&place, "none", |options| {
        options.encryption_key = Some(key(1));
        options.connect.ssl_mode = wire::SslMode::Disabled;
        options.connect.get_server_public_key = true;
    });
    let error = error.unwrap_err();
    assert_eq!(error.code(), 3872, "{error}");
    assert!(error.hint().unwrap().contains("--ssl-mode"), "{error}");
    assert!(!place.path("none").exists());
    agents::assert_free_of(&server, "e");
    server.sql("UNINSTALL PLUGIN clone").unwrap();
    let sealed = |options: &mut backup::donor::remote::RemoteOptions| {
        options.encryption_key = Some(key(1));
    };
    let error = agent.full(&place, "no_plugin", sealed).unwrap_err();
    assert_eq!(error.code(), 3872, "{error}");
    assert!(error.to_string().contains("clone plugin"), "{error}");
    assert!(network::is_marked_incomplete(&place.path("no_plugin")));
    agents::assert_free_of(&server, "e");
}
