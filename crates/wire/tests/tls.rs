//! The SSL modes against a real server.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use std::sync::LazyLock;

use innoclone_wire::{ConnectOptions, Error, SslMode};
use support::{addresses, chain, connect, data, refused, socket, tcp, user};
use testkit::Server;

/// A server with a certificate that names its host.
static NAMED: LazyLock<Server> = LazyLock::new(|| {
    let file = |option: &str, name: &str| format!("--ssl-{option}={}", data(name).display());
    let server = support::start(&[
        &file("ca", "ca.pem"),
        &file("cert", "server.pem"),
        &file("key", "server-key.pem"),
    ]);
    server
        .sql("CREATE USER x509@'%' IDENTIFIED BY 'pass' REQUIRE X509")
        .expect("create account");
    server
});

fn with_ca(options: ConnectOptions, mode: SslMode, ca: &str) -> ConnectOptions {
    ConnectOptions {
        ssl_mode: mode,
        ssl_ca: Some(data(ca)),
        ..options
    }
}

fn cipher(options: &ConnectOptions) -> Option<String> {
    let sql = "SELECT VARIABLE_VALUE FROM performance_schema.session_status \
               WHERE VARIABLE_NAME = 'Ssl_cipher'";
    connect(options)
        .query_value::<String>(sql)
        .unwrap()
        .filter(|cipher| !cipher.is_empty())
}

#[test]
fn tls_is_preferred_over_tcp_and_not_over_a_socket() {
    assert!(cipher(&tcp(&NAMED, "127.0.0.1")).is_some());
    assert!(cipher(&socket(&NAMED)).is_none());
    let off = ConnectOptions {
        ssl_mode: SslMode::Disabled,
        ..tcp(&NAMED, "127.0.0.1")
    };
    assert!(cipher(&off).is_none());
    let on = ConnectOptions {
        ssl_mode: SslMode::Required,
        ..socket(&NAMED)
    };
    assert!(cipher(&on).is_some());
}

#[test]
fn verify_ca_accepts_the_authority_and_refuses_another() {
    let options = tcp(&NAMED, "127.0.0.1");
    connect(&with_ca(options.clone(), SslMode::VerifyCa, "ca.pem")).close();
    let error = refused(&with_ca(options, SslMode::VerifyCa, "other-ca.pem"));
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert_eq!(error.code(), Some(2026));
    assert!(chain(&error).contains("UnknownIssuer"), "{}", chain(&error));
}

#[test]
fn verify_identity_needs_the_name_in_the_certificate() {
    for host in [&addresses()[..], &["localhost"]].concat() {
        connect(&with_ca(
            tcp(&NAMED, host),
            SslMode::VerifyIdentity,
            "ca.pem",
        ))
        .close();
    }
    let elsewhere = tcp(&NAMED, "127.0.0.2");
    connect(&with_ca(elsewhere.clone(), SslMode::VerifyCa, "ca.pem")).close();
    let error = refused(&with_ca(elsewhere, SslMode::VerifyIdentity, "ca.pem"));
    assert_eq!(error.code(), Some(2026));
    assert!(chain(&error).contains("127.0.0.2"), "{}", chain(&error));
}

#[test]
fn the_certificate_a_server_makes_for_itself_passes_verify_ca_only() {
    let server = support::start(&[]);
    let ca = Some(server.datadir().join("ca.pem"));
    let mode = |ssl_mode| ConnectOptions {
        ssl_mode,
        ssl_ca: ca.clone(),
        ..tcp(&server, "127.0.0.1")
    };
    connect(&mode(SslMode::Required)).close();
    connect(&mode(SslMode::VerifyCa)).close();
    let error = refused(&mode(SslMode::VerifyIdentity));
    assert_eq!(error.code(), Some(2026));
    assert!(chain(&error).contains("not valid for"), "{}", chain(&error));
}

#[test]
fn certificates_of_version_1_pass_where_nobody_is_verified() {
    let cert = format!("--ssl-cert={}", data("v1.pem").display());
    let key = format!("--ssl-key={}", data("v1-key.pem").display());
    let server = support::start(&[&cert, &key]);
    let options = tcp(&server, "127.0.0.1");
    assert!(connect(&options).is_tls());
    let error = refused(&with_ca(options, SslMode::VerifyCa, "ca.pem"));
    assert!(chain(&error).contains("Version"), "{}", chain(&error));
}

#[test]
fn verification_without_an_authority_is_refused_before_anything_is_sent() {
    for ssl_mode in [SslMode::VerifyCa, SslMode::VerifyIdentity] {
        let error = refused(&ConnectOptions {
            ssl_mode,
            ..tcp(&NAMED, "127.0.0.1")
        });
        assert!(error.to_string().contains("needs ssl-ca"), "{error}");
    }
}

#[test]
fn an_account_that_requires_a_certificate_gets_in_with_ours() {
    let options = user(tcp(&NAMED, "127.0.0.1"), "x509", "pass");
    assert_eq!(refused(&options).code(), Some(1045));
    let cert = ConnectOptions {
        ssl_cert: Some(data("client.pem")),
        ..options
    };
    assert_eq!(refused(&cert).code(), Some(2026));
    let both = ConnectOptions {
        ssl_key: Some(data("client-key.pem")),
        ..cert
    };
    assert!(connect(&both).is_tls());
}

#[test]
fn a_server_without_tls_is_refused_when_tls_is_required() {
    let server = support::start(&["--tls-version="]);
    let options = tcp(&server, "127.0.0.1");
    assert!(!connect(&options).is_tls());
    let error = refused(&ConnectOptions {
        ssl_mode: SslMode::Required,
        ..options
    });
    assert_eq!(error.code(), Some(2026));
}
