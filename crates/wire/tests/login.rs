//! Logging in to a real server, by every way a password travels.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use std::sync::{LazyLock, Mutex};

use innoclone_wire::{ConnectOptions, Endpoint, Error, SslMode};
use support::{addresses, chain, connect, refused, socket, tcp, user};
use testkit::{ClosedPort, Server};

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let server = support::start(&[]);
    server
        .sql(
            "SET NAMES utf8mb4;
             CREATE USER sha2@'%' IDENTIFIED WITH caching_sha2_password BY 'pass';
             CREATE USER old@'%' IDENTIFIED WITH sha256_password BY 'pässwörd';
             CREATE USER blank@'%' IDENTIFIED WITH sha256_password BY '';
             CREATE USER secure@'%' IDENTIFIED BY 'pass' REQUIRE SSL;
             CREATE USER `it's me`@'%' IDENTIFIED BY '';",
        )
        .expect("create accounts");
    server
});

/// Full logins need an empty cache of password hashes, which all tests share.
static CACHE: Mutex<()> = Mutex::new(());

fn without_tls(options: ConnectOptions) -> ConnectOptions {
    ConnectOptions {
        ssl_mode: SslMode::Disabled,
        ..options
    }
}

/// Logs in twice: once in full, once from the server's cache of password hashes.
fn logs_in_both_ways(options: &ConnectOptions) {
    let _alone = CACHE.lock();
    SERVER.sql("FLUSH PRIVILEGES").expect("empty the cache");
    for _ in 0..2 {
        let mut connection = connect(options);
        let me = connection
            .query_value::<String>("SELECT USER()")
            .unwrap()
            .unwrap();
        assert!(me.starts_with(&options.user), "{me}");
        connection.close();
    }
}

#[test]
fn caching_sha2_works_over_a_unix_socket() {
    logs_in_both_ways(&user(socket(&SERVER), "sha2", "pass"));
}

#[test]
fn caching_sha2_works_over_tls() {
    logs_in_both_ways(&user(tcp(&SERVER, "127.0.0.1"), "sha2", "pass"));
}

#[test]
fn caching_sha2_works_over_plain_tcp_with_the_key_the_server_sends() {
    let options = user(without_tls(tcp(&SERVER, "127.0.0.1")), "sha2", "pass");
    logs_in_both_ways(&ConnectOptions {
        get_server_public_key: true,
        ..options
    });
}

#[test]
fn caching_sha2_works_over_plain_tcp_with_a_key_from_a_file() {
    let options = user(without_tls(tcp(&SERVER, "127.0.0.1")), "sha2", "pass");
    let key = SERVER.datadir().join("public_key.pem");
    logs_in_both_ways(&ConnectOptions {
        server_public_key_path: Some(key),
        ..options
    });
}

#[test]
fn over_plain_tcp_no_key_is_asked_for_unless_allowed() {
    let _alone = CACHE.lock();
    SERVER.sql("FLUSH PRIVILEGES").unwrap();
    let error = refused(&user(
        without_tls(tcp(&SERVER, "127.0.0.1")),
        "sha2",
        "pass",
    ));
    assert!(matches!(error, Error::Auth { .. }), "{error}");
    assert_eq!(error.code(), Some(2061));
    assert!(
        error.to_string().contains("get-server-public-key"),
        "{error}"
    );
}

#[test]
fn sha256_works_after_a_switch_of_the_plugin() {
    let plain = without_tls(tcp(&SERVER, "127.0.0.1"));
    let plain = ConnectOptions {
        get_server_public_key: true,
        ..plain
    };
    for options in [socket(&SERVER), tcp(&SERVER, "127.0.0.1"), plain] {
        logs_in_both_ways(&user(options.clone(), "old", "pässwörd"));
        logs_in_both_ways(&user(options, "blank", ""));
    }
}

#[test]
fn a_wrong_password_is_error_1045_and_shown_nowhere() {
    for options in [socket(&SERVER), tcp(&SERVER, "127.0.0.1")] {
        for name in ["sha2", "old", "nobody"] {
            let error = refused(&user(options.clone(), name, "hunter2"));
            assert_eq!(error.code(), Some(1045), "{error}");
            assert_eq!(error.sqlstate(), Some("28000"));
            assert!(!format!("{error:?}{}", chain(&error)).contains("hunter2"));
        }
    }
}

#[test]
fn an_account_that_requires_tls_gets_in_with_tls_only() {
    let options = user(tcp(&SERVER, "127.0.0.1"), "secure", "pass");
    assert!(connect(&options).is_tls());
    assert_eq!(refused(&without_tls(options)).code(), Some(1045));
    let local = user(socket(&SERVER), "secure", "pass");
    assert_eq!(refused(&local).code(), Some(1045));
    assert!(
        connect(&ConnectOptions {
            ssl_mode: SslMode::Required,
            ..local
        })
        .is_tls()
    );
}

#[test]
fn names_addresses_and_ipv6_are_reached() {
    for host in [&addresses()[..], &["localhost"]].concat() {
        let mut connection = connect(&user(tcp(&SERVER, host), "sha2", "pass"));
        assert_eq!(
            connection.query_value::<u8>("SELECT 1").unwrap(),
            Some(1),
            "{host}"
        );
    }
}

#[test]
fn user_names_may_hold_quotes_and_spaces() {
    let mut connection = connect(&user(socket(&SERVER), "it's me", ""));
    let me = connection
        .query_value::<String>("SELECT CURRENT_USER()")
        .unwrap();
    assert_eq!(me.as_deref(), Some("it's me@%"));
}

#[test]
fn the_program_name_is_visible_on_the_server() {
    let options = ConnectOptions {
        program_name: "wire-test".into(),
        ..socket(&SERVER)
    };
    let mut connection = connect(&options);
    let name = connection.query_value::<String>(
        "SELECT ATTR_VALUE FROM performance_schema.session_connect_attrs
         WHERE PROCESSLIST_ID = CONNECTION_ID() AND ATTR_NAME = 'program_name'",
    );
    assert_eq!(name.unwrap().as_deref(), Some("wire-test"));
}

#[test]
fn nobody_listening_is_a_connect_error_with_the_client_librarys_number() {
    let gone = ConnectOptions {
        endpoint: Endpoint::Socket("/nowhere/mysql.sock".into()),
        ..ConnectOptions::default()
    };
    let error = refused(&gone);
    assert_eq!(error.code(), Some(2002));
    assert!(
        chain(&error).contains("/nowhere/mysql.sock: No such file"),
        "{}",
        chain(&error)
    );

    let closed = ClosedPort::new().unwrap();
    let port = closed.number();
    let endpoint = Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port,
    };
    let error = refused(&ConnectOptions {
        endpoint,
        ..ConnectOptions::default()
    });
    assert_eq!(error.code(), Some(2003));
    let endpoint = Endpoint::Tcp {
        host: "no-such-host.invalid".into(),
        port,
    };
    let error = refused(&ConnectOptions {
        endpoint,
        ..ConnectOptions::default()
    });
    assert_eq!(error.code(), Some(2003));
}
