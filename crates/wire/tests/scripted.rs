//! Servers that follow a script: what no real server at hand does, and bytes that no server sends.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod fuzz_bodies;
mod support;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use innoclone_wire::{ConnectOptions, Connection, Endpoint, Error, SslMode};
use proptest::prelude::*;
use support::{PATIENCE, refused};

/// Sends all of `script` to the first client, then listens to its end; returns what it heard.
fn serve(script: Vec<u8>) -> (ConnectOptions, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        // The client may be gone at any point: that is its answer.
        let _ = client.write_all(&script);
        let _ = client.shutdown(std::net::Shutdown::Write);
        let mut heard = Vec::new();
        let _ = client.read_to_end(&mut heard);
        heard
    });
    let options = ConnectOptions {
        endpoint: Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port,
        },
        password: Some("secret".into()),
        ssl_mode: SslMode::Disabled,
        connect_timeout: PATIENCE,
        ..ConnectOptions::default()
    };
    (options, server)
}

/// Packets numbered as the server's side of a login (the client answers every one), then one
/// exchange of packets in a row.
fn script(login: &[&[u8]], answer: &[&[u8]]) -> Vec<u8> {
    let login = login
        .iter()
        .enumerate()
        .map(|(at, payload)| (2 * at, payload));
    let answer = answer
        .iter()
        .enumerate()
        .map(|(at, payload)| (1 + at, payload));
    let mut bytes = Vec::new();
    for (number, payload) in login.chain(answer) {
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes()[..3]);
        bytes.push(number as u8);
        bytes.extend_from_slice(payload);
    }
    bytes
}

/// A greeting as MySQL sends it.
fn greeting(plugin: &str, capabilities: u32) -> Vec<u8> {
    let capabilities = capabilities.to_le_bytes();
    let mut packet = b"\x0a8.0.30\0".to_vec();
    packet.extend_from_slice(b"\x07\0\0\0abcdefgh\0");
    packet.extend_from_slice(&capabilities[..2]);
    packet.extend_from_slice(&[255, 2, 0]);
    packet.extend_from_slice(&capabilities[2..]);
    packet.push(21);
    packet.extend_from_slice(&[0; 10]);
    packet.extend_from_slice(b"ijklmnopqrst\0");
    packet.extend_from_slice(plugin.as_bytes());
    packet.push(0);
    packet
}

fn switch(plugin: &str) -> Vec<u8> {
    [b"\xfe", plugin.as_bytes(), b"\0ABCDEFGHIJKLMNOPQRST\0"].concat()
}

fn key() -> Vec<u8> {
    [
        b"\x01",
        include_bytes!("data/server_public_key.pem").as_slice(),
    ]
    .concat()
}

const SHA2: &str = "caching_sha2_password";
const NATIVE: &str = "mysql_native_password";
const ALL: u32 = 0xDFFF_FFFF;
const NO_DEPRECATE_EOF: u32 = ALL & !(1 << 24);
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
const COLUMN: &[u8] = b"\x03def\0\0\0\x01c\0\x0c\x2d\0\x04\0\0\0\xfd\0\0\0\0\0";

#[test]
fn rows_of_servers_with_old_ends_are_read() {
    let eof = b"\xfe\0\0\x02\0";
    let login = greeting(NATIVE, NO_DEPRECATE_EOF);
    let bytes = script(&[&login, OK], &[&[1], COLUMN, eof, b"\x01a", b"\xfb", eof]);
    let (options, server) = serve(bytes);
    let mut connection = Connection::connect(&options).unwrap();
    let rows = connection.query("SELECT c").unwrap();
    assert_eq!(
        (rows.columns.as_slice(), rows.len()),
        (&["c".to_owned()][..], 2)
    );
    assert_eq!(
        (rows.rows[0].text(0), rows.rows[1].text(0)),
        (Some("a"), None)
    );
    drop(connection);
    let heard = server.join().unwrap();
    assert!(heard.windows(8).any(|bytes| bytes == b"SELECT c"));
    assert!(
        heard.ends_with(&[1, 0, 0, 0, 1]),
        "the last word is COM_QUIT"
    );
}

#[test]
fn a_native_password_server_gets_a_hash_of_20_bytes() {
    let (options, server) = serve(script(&[&greeting(NATIVE, ALL), OK], &[]));
    drop(Connection::connect(&options).unwrap());
    let heard = server.join().unwrap();
    // Header, 32 fixed bytes, the user, then the hash after its length.
    assert_eq!(&heard[36..42], b"root\0\x14");
    assert_eq!(&heard[62..83], NATIVE.as_bytes());
    assert!(!heard.windows(6).any(|bytes| bytes == b"secret"));
}

#[test]
fn a_password_is_never_sent_in_clear_over_plain_tcp() {
    let clear = switch("mysql_clear_password");
    for login in [
        [&greeting(SHA2, ALL), &clear[..]],
        [&greeting("mysql_clear_password", ALL), &clear],
    ] {
        for enable_cleartext_plugin in [false, true] {
            let (options, server) = serve(script(&login, &[]));
            let error = refused(&ConnectOptions {
                enable_cleartext_plugin,
                ..options
            });
            assert!(matches!(error, Error::Auth { .. }), "{error}");
            let heard = server.join().unwrap();
            assert!(!heard.windows(6).any(|bytes| bytes == b"secret"));
        }
    }
}

#[test]
fn unknown_and_ancient_plugins_are_refused_by_name() {
    for (request, name) in [
        (switch("authentication_kerberos_client"), "kerberos"),
        (vec![0xfe], "mysql_old_password"),
    ] {
        let (options, server) = serve(script(&[&greeting(SHA2, ALL), &request], &[]));
        let error = refused(&options);
        assert!(error.to_string().contains(name), "{error}");
        server.join().unwrap();
    }
}

#[test]
fn a_login_that_goes_on_for_ever_is_ended() {
    let again = switch(NATIVE);
    let greeting = greeting(NATIVE, ALL);
    let login: Vec<&[u8]> = std::iter::once(&greeting[..])
        .chain([&again[..]; 50])
        .collect();
    let (options, server) = serve(script(&login, &[]));
    assert!(
        refused(&options)
            .to_string()
            .contains("does not come to an end")
    );
    server.join().unwrap();
}

#[test]
fn words_ahead_of_the_tls_handshake_are_refused() {
    let (options, server) = serve(script(&[&greeting(SHA2, ALL), OK], &[]));
    let error = refused(&ConnectOptions {
        ssl_mode: SslMode::Required,
        ..options
    });
    assert!(
        error.to_string().contains("ahead of the TLS handshake"),
        "{error}"
    );
    let heard = server.join().unwrap();
    assert_eq!(heard.len(), 36, "only the request for TLS was sent");
}

#[test]
fn a_server_that_asks_for_a_local_file_gets_none() {
    let (options, server) = serve(script(&[&greeting(NATIVE, ALL), OK], &[b"\xfb/etc/passwd"]));
    let mut connection = Connection::connect(&options).unwrap();
    assert!(matches!(
        connection.query("SELECT 1"),
        Err(Error::Protocol { .. })
    ));
    assert!(matches!(connection.query("SELECT 1"), Err(Error::Closed)));
    server.join().unwrap();
}

#[test]
fn a_server_that_says_nothing_is_a_timeout() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let endpoint = Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port: listener.local_addr().unwrap().port(),
    };
    let connect_timeout = Duration::from_millis(100);
    let before = Instant::now();
    let error = refused(&ConnectOptions {
        endpoint,
        connect_timeout,
        ..ConnectOptions::default()
    });
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(before.elapsed() < PATIENCE);
}

/// Whole conversations that end well when nobody touches them.
fn conversations() -> Vec<Vec<u8>> {
    let (sha2, sha256) = (greeting(SHA2, ALL), switch("sha256_password"));
    let end: &[u8] = b"\xfe\0\0\x02\0\0\0";
    let more: &[u8] = b"\xfe\0\0\x0a\0\0\0";
    let big = [&[0xfc, 44, 1], &[b'x'; 300][..]].concat();
    let rows: &[&[u8]] = &[
        &[1],
        COLUMN,
        b"\x01a",
        &big,
        more,
        &[1],
        COLUMN,
        b"\xfb",
        end,
    ];
    vec![
        script(&[&sha2, b"\x01\x04", &key(), OK], rows),
        script(
            &[&sha2, &sha256, &key(), OK],
            &[b"\xff\x28\x04#42000You have an error"],
        ),
        script(&[&greeting(NATIVE, ALL), OK], rows),
    ]
}

fn converse(bytes: Vec<u8>) -> Result<usize, Error> {
    let (options, server) = serve(bytes);
    let options = ConnectOptions {
        get_server_public_key: true,
        max_allowed_packet: 1 << 20,
        ..options
    };
    let rows = Connection::connect(&options).and_then(|mut connection| {
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.query("SELECT c").map(|rows| rows.len())
    });
    server.join().expect("the server ends when its client does");
    rows
}

#[test]
fn untouched_conversations_end_well() {
    let ends: Vec<_> = conversations().into_iter().map(converse).collect();
    assert!(
        matches!(
            &ends[..],
            [Ok(2), Err(Error::Server { code: 1064, .. }), Ok(2)]
        ),
        "{ends:?}"
    );
}

#[test]
fn every_truncated_conversation_is_an_error() {
    for conversation in conversations() {
        for len in (0..conversation.len()).step_by(3) {
            assert!(converse(conversation[..len].to_vec()).is_err(), "{len}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is changed on the way: an answer or an error, but no panic and no hang.
    #[test]
    fn mutated_conversations_come_to_an_end(
        which in 0usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = conversations().remove(which);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // Half of the conversations stay whole.
        let cut = cut.index(2 * bytes.len());
        bytes.truncate(cut.max(1));
        fuzz_bodies::client(&bytes);
    }
}
