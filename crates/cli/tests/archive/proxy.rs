//! A TCP proxy that cuts connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Listens on a port of its own as long as the process lives.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    /// Bytes from the server after which a connection is cut.
    limit: AtomicU64,
    cuts: AtomicU64,
}

impl Proxy {
    pub(crate) fn start(server: u16, limit: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            limit: AtomicU64::new(limit),
            cuts: AtomicU64::new(0),
        });
        let all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&all);
                std::thread::spawn(move || {
                    let _ = relay(&client, server, &shared);
                });
            }
        });
        Self { port, shared }
    }

    pub(crate) fn set_limit(&self, limit: u64) {
        self.shared.limit.store(limit, Ordering::Relaxed);
    }

    /// Connections that were cut.
    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

fn relay(client: &TcpStream, server: u16, shared: &Shared) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server))?;
    let (mut up, mut down) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut up, &mut down);
        let _ = down.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (&server, client);
    let mut buffer = [0; 1000];
    let mut passed = 0;
    loop {
        let count = from.read(&mut buffer)?;
        passed += count as u64;
        if count == 0 {
            break;
        }
        if passed > shared.limit.load(Ordering::Relaxed) {
            shared.cuts.fetch_add(1, Ordering::Relaxed);
            // Some bytes of the packet still come through.
            to.write_all(&buffer[..count / 2])?;
            break;
        }
        to.write_all(&buffer[..count])?;
    }
    let _ = server.shutdown(Shutdown::Both);
    client.shutdown(Shutdown::Both)
}
