//! Body of the fuzz target of our server: a client's bytes.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use innoclone_wire::server::{Answer, FixedAccounts, Handler, Server, ServerOptions, Session};

/// Any bytes of a client end a session, in good order or with an error. Whoever has no name and no
/// password gets in, so that what comes after the login is reached too.
pub(crate) fn server(data: &[u8]) {
    // More would have to be read while it is written.
    let data = &data[..data.len().min(64 << 10)];
    let (mut client, here) = UnixStream::pair().unwrap();
    client.write_all(data).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let _ = SERVER.serve(here);
    let mut heard = Vec::new();
    // A session that ends before it has read everything resets the connection.
    if client.read_to_end(&mut heard).is_ok() {
        assert_eq!(heard.get(4), Some(&10), "everybody is greeted");
    }
    assert_eq!(SERVER.connections().count(), 0);
}

struct Nothing;

impl Handler for Nothing {
    fn query(&mut self, _: &str) -> Answer {
        Answer::done()
    }
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let options = ServerOptions {
        write_timeout: Duration::from_secs(1),
        max_allowed_packet: 32 << 10,
        ..ServerOptions::default()
    };
    let accounts = FixedAccounts::default().with_password("", &"".into());
    let handlers = |_: &Session| -> Box<dyn Handler> { Box::new(Nothing) };
    Server::new(options, Arc::new(accounts), Arc::new(handlers))
});
