//! A network that fails: a TCP relay that cuts its connections.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// Relays connections to a server.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Bytes from the server so far.
    passed: AtomicU64,
    /// Where all connections are cut, ascending; the last first.
    cuts: Mutex<Vec<u64>>,
    /// After the last cut nobody comes through.
    for_good: bool,
    closed: AtomicBool,
    made: AtomicU64,
    /// Closed when their relays have ended: a peer that waits for us to read then learns of it.
    sockets: Mutex<Vec<Weak<TcpStream>>>,
}

impl Proxy {
    /// A relay to `port` that cuts every connection each time this many bytes have come from the
    /// server; after the last cut, with `for_good`, it lets nobody through.
    pub fn start(port: u16, cuts: &[u64], for_good: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            cuts: Mutex::new(cuts.iter().rev().copied().collect()),
            for_good,
            ..State::default()
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.closed.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
                    continue;
                };
                shared.made.fetch_add(1, Ordering::SeqCst);
                let (client, server) = (Arc::new(client), Arc::new(server));
                let both = [&client, &server].map(Arc::downgrade);
                shared.sockets.lock().unwrap().extend(both);
                relay(Arc::clone(&client), Arc::clone(&server), None);
                relay(server, client, Some(Arc::clone(&shared)));
            }
        });
        Self { port: own, state }
    }

    /// Connections made so far.
    pub fn connections(&self) -> u64 {
        self.state.made.load(Ordering::SeqCst)
    }

    /// Bytes that came from the server so far.
    pub fn passed(&self) -> u64 {
        self.state.passed.load(Ordering::SeqCst)
    }
}

fn relay(from: Arc<TcpStream>, to: Arc<TcpStream>, count: Option<Arc<State>>) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read) = (&*from).read(&mut buffer) {
            if read == 0 || (&*to).write_all(&buffer[..read]).is_err() {
                break;
            }
            if let Some(state) = &count {
                state.count(read as u64);
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}

impl State {
    fn count(&self, bytes: u64) {
        let passed = self.passed.fetch_add(bytes, Ordering::SeqCst) + bytes;
        let mut cuts = self.cuts.lock().unwrap();
        if cuts.last().is_some_and(|cut| *cut <= passed) {
            cuts.pop();
            if cuts.is_empty() && self.for_good {
                self.closed.store(true, Ordering::SeqCst);
            }
            for socket in self.sockets.lock().unwrap().drain(..) {
                if let Some(socket) = socket.upgrade() {
                    let _ = socket.shutdown(Shutdown::Both);
                }
            }
        }
    }
}
