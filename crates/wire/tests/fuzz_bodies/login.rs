//! Body of the fuzz target of a login over plain TCP: what comes in place of an encrypted password.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, LazyLock};

use innoclone_wire::Endpoint;
use innoclone_wire::server::{
    Answer, FixedAccounts, Handler, Server, ServerOptions, Session, StoredPassword,
};

/// Any bytes in place of an encrypted password are a wrong password, or end the connection.
pub(crate) fn login_block(data: &[u8]) {
    let data = &data[..data.len().min(70_000)];
    let mut client = TcpStream::connect(("127.0.0.1", AT.1)).unwrap();
    let mut login = 0x0008_A205_u32.to_le_bytes().to_vec();
    login.extend_from_slice(&[0, 0, 0, 1, 45]);
    login.extend_from_slice(&[0; 23]);
    login.extend_from_slice(b"u\0\x01x");
    login.extend_from_slice(b"caching_sha2_password\0");
    let mut sent = packet(1, &login);
    sent.extend(packet(3, data));
    // Nobody reads the rest of what is too long.
    let _ = client.write_all(&sent);
    // The key, or the refusal, is read with the rest; more may have been wanted after the key.
    let _ = client.shutdown(std::net::Shutdown::Write);
    let mut heard = Vec::new();
    if client.read_to_end(&mut heard).is_ok() {
        assert_eq!(heard.get(4), Some(&10), "everybody is greeted");
        let is_in = heard.ends_with(&packet(4, &[0, 0, 0, 2, 0, 0, 0]));
        assert!(!is_in, "nobody knows the password");
    }
}

fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes();
    bytes[3] = number;
    [&bytes, payload].concat()
}

struct Nothing;

impl Handler for Nothing {
    fn query(&mut self, _: &str) -> Answer {
        Answer::done()
    }
}

/// A server with its port. It has a user whose password has to come whole.
static AT: LazyLock<(Server, u16)> = LazyLock::new(|| {
    let stored = StoredPassword::new(&"secret".into(), [7; 20]);
    let accounts = FixedAccounts::default().with_stored("u", stored);
    let handlers = |_: &Session| -> Box<dyn Handler> { Box::new(Nothing) };
    let server = Server::new(
        ServerOptions::default(),
        Arc::new(accounts),
        Arc::new(handlers),
    );
    let anywhere = Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port: 0,
    };
    let port = server.listen(&anywhere).unwrap().unwrap().port();
    (server, port)
});
