//! Backups over the network that cannot be made, and the ways to a donor.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod network;

use backup::Error;
use backup::donor::instance::IncrementFrom;
use backup::donor::remote;
use common::Place;
use network::{donor, remote_full};
use std::path::{Path, PathBuf};
use testkit::{Server, ServerOptions};
use wire::{ConnectOptions, Endpoint, SslMode};

/// Reaches the donor's list of files by all kinds of connections, and lets it go.
fn reach(
    place: &Place,
    server: &Server,
    change: impl FnOnce(&mut ConnectOptions),
) -> Result<(), Error> {
    let mut options = network::remote_options(server);
    options.wait_for_donor = true;
    change(&mut options.connect);
    remote::connect(options, &place.path("nowhere"), &common::job()).map(drop)
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../wire/tests/data/{name}.pem"))
}

/// A server with a certificate for 127.0.0.1, which is also at 127.0.0.2.
fn certified() -> Server {
    let file = |option: &str, name| format!("--ssl-{option}={}", certificate(name).display());
    donor(ServerOptions::with_args([
        file("ca", "ca"),
        file("cert", "server"),
        file("key", "server-key"),
        "--bind-address=127.0.0.1,127.0.0.2".to_owned(),
    ]))
}

#[test]
fn every_way_to_log_in_leads_to_a_backup() {
    let (server, place) = (certified(), Place::new());
    let plain = |options: &mut ConnectOptions| options.ssl_mode = SslMode::Disabled;
    let with_key = |options: &mut ConnectOptions| {
        options.ssl_mode = SslMode::Disabled;
        options.get_server_public_key = true;
    };
    // The server has no digest of the password yet, or no more: it has to be told the password.
    let error = reach(&place, &server, plain).unwrap_err();
    assert_eq!(error.code(), 2061, "{error}");
    reach(&place, &server, with_key).unwrap();
    // Now it has.
    reach(&place, &server, plain).unwrap();
    server.sql("FLUSH PRIVILEGES").unwrap();
    let key = server.datadir().join("public_key.pem");
    reach(&place, &server, |options| {
        options.ssl_mode = SslMode::Disabled;
        options.server_public_key_path = Some(key);
    })
    .unwrap();
    for mode in [
        SslMode::Preferred,
        SslMode::Required,
        SslMode::VerifyCa,
        SslMode::VerifyIdentity,
    ] {
        server.sql("FLUSH PRIVILEGES").unwrap();
        reach(&place, &server, |options| {
            options.ssl_mode = mode;
            options.ssl_ca = (mode >= SslMode::VerifyCa).then(|| certificate("ca"));
        })
        .unwrap();
    }
    // Other plugins, where the server has them: 9.0 and later have no mysql_native_password.
    for plugin in ["sha256_password", "mysql_native_password"] {
        let there = format!(
            "SELECT COUNT(*) FROM information_schema.plugins \
             WHERE PLUGIN_NAME = '{plugin}' AND PLUGIN_STATUS = 'ACTIVE'"
        );
        if server.query_value(&there).unwrap() == "0" {
            println!("this server has no {plugin}");
            continue;
        }
        let create = format!(
            "CREATE USER {plugin}@'%' IDENTIFIED WITH {plugin} BY 'secret'; \
             GRANT BACKUP_ADMIN ON *.* TO {plugin}@'%'"
        );
        server.sql(&create).unwrap();
        for mode in [SslMode::Disabled, SslMode::Required] {
            reach(&place, &server, |options| {
                with_key(options);
                options.ssl_mode = mode;
                options.user = plugin.into();
            })
            .unwrap();
        }
    }
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
fn a_donor_that_is_not_the_one_meant_is_refused() {
    let (server, place) = (certified(), Place::new());
    let with = |mode, ca: &str, host: &str| {
        let refused = reach(&place, &server, |options| {
            options.ssl_mode = mode;
            options.ssl_ca = Some(certificate(ca));
            options.endpoint = Endpoint::Tcp {
                host: host.to_owned(),
                port: server.port(),
            };
        });
        refused.map_err(|error| error.code())
    };
    let (authority, identity) = (SslMode::VerifyCa, SslMode::VerifyIdentity);
    assert_eq!(with(authority, "other-ca", "127.0.0.1"), Err(2026));
    assert_eq!(with(identity, "other-ca", "127.0.0.1"), Err(2026));
    assert_eq!(with(identity, "ca", "127.0.0.2"), Err(2026));
    assert_eq!(with(authority, "ca", "127.0.0.2"), Ok(()));
    // An account that insists on TLS.
    server.sql("ALTER USER cloner@'%' REQUIRE SSL").unwrap();
    assert_eq!(with(SslMode::Disabled, "ca", "127.0.0.1"), Err(1045));
    assert_eq!(with(SslMode::Required, "ca", "127.0.0.1"), Ok(()));
    assert!(!place.path("nowhere").exists());
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
