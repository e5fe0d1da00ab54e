//! Backups over the network that cannot be made, and the ways to a donor.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod network;

use backup::Error;
use backup::donor::instance::IncrementFrom;
use common::Place;
use network::{donor, remote_full};
use testkit::{Server, ServerOptions};
use wire::SslMode;

#[test]
fn every_way_to_log_in_leads_to_a_backup() {
    let (server, place) = (donor(ServerOptions::default()), Place::new());
    for (set, mode) in [("tls", SslMode::Required), ("plain", SslMode::Disabled)] {
        let report = remote_full(&place, &server, set, |options| {
            options.connect.ssl_mode = mode;
            options.connect.get_server_public_key = true;
        });
        report.unwrap();
        network::check_set(&place, set);
    }
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_written() {
    let (server, place) = (donor(ServerOptions::default()), Place::new());
    let denied = |what: Error| what.code();
    server
        .sql("CREATE USER nobody@'%' IDENTIFIED BY 'secret'")
        .unwrap();
    let error = remote_full(&place, &server, "set", |options| {
        options.connect.user = "nobody".into();
    });
    let error = error.unwrap_err();
    assert!(
        error.hint().unwrap().contains("GRANT BACKUP_ADMIN"),
        "{error}"
    );
    assert_eq!(denied(error), 1227);
    let error = remote_full(&place, &server, "set", |options| {
        options.connect.password = Some("wrong".into());
    });
    assert_eq!(denied(error.unwrap_err()), 1045);
    let nothing = place.path("nothing");
    let error = remote_full(&place, &server, "set", |options| {
        options.from = Some(IncrementFrom::Set(nothing));
    });
    assert_eq!(denied(error.unwrap_err()), 1024);
    let (other, base) = (donor(ServerOptions::default()), place.path("base"));
    remote_full(&place, &server, "base", |_| ()).unwrap();
    let error = remote_full(&place, &other, "set", |options| {
        options.from = Some(IncrementFrom::Set(base));
    });
    assert!(matches!(error, Err(Error::BrokenChain { .. })), "{error:?}");
    other.sql("UNINSTALL PLUGIN clone").unwrap();
    let error = remote_full(&place, &other, "set", |_| ());
    assert_eq!(denied(error.unwrap_err()), 1524);
    assert!(!place.path("set").exists());
}

#[test]
fn encrypted_tablespaces_are_not_taken_over_the_network() {
    let options = ServerOptions {
        keyring: true,
        ..ServerOptions::default()
    };
    let (server, place): (Server, _) = (donor(options), Place::new());
    server
        .sql("CREATE DATABASE e; CREATE TABLE e.t (id INT PRIMARY KEY) ENCRYPTION='Y'")
        .unwrap();
    for mode in [SslMode::Required, SslMode::Disabled] {
        let error = remote_full(&place, &server, "set", |options| {
            options.connect.ssl_mode = mode;
            options.connect.get_server_public_key = true;
            options.wait_for_donor = true;
        });
        let error = error.unwrap_err();
        assert_eq!(error.code(), 3872, "{mode}: {error}");
        assert!(!place.path("set").exists());
    }
}
