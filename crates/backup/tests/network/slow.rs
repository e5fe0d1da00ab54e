//! A line that is long and thin: a relay through which bytes go at a rate, after a while.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Relays connections to a server. All of them share the line.
pub struct SlowLine {
    pub port: u16,
}

/// One direction of the line.
struct Direction {
    /// Bytes per second.
    rate: f64,
    delay: Duration,
    free_at: Mutex<Instant>,
}

impl Direction {
    /// Puts bytes on the line when it is free; when they are at its other end.
    fn pass(&self, bytes: usize) -> Instant {
        let on_the_line = {
            let mut free_at = self.free_at.lock().unwrap();
            let begin = (*free_at).max(Instant::now());
            *free_at = begin + Duration::from_secs_f64(bytes as f64 / self.rate);
            *free_at
        };
        sleep_until(on_the_line);
        on_the_line + self.delay
    }
}

impl SlowLine {
    /// A line to `server` of so many bytes per second and so much delay in each direction.
    pub fn start(server: u16, rate: u32, delay: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let direction = || {
            Arc::new(Direction {
                rate: f64::from(rate),
                delay,
                free_at: Mutex::new(Instant::now()),
            })
        };
        let (up, down) = (direction(), direction());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else {
                    continue;
                };
                // What waits, waits in the server, not in the kernel for us.
                let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&server, 64 << 10);
                let (client, server) = (Arc::new(client), Arc::new(server));
                relay(Arc::clone(&client), Arc::clone(&server), Arc::clone(&up));
                relay(server, client, Arc::clone(&down));
            }
        });
        Self { port }
    }
}

fn relay(from: Arc<TcpStream>, to: Arc<TcpStream>, line: Arc<Direction>) {
    let (sender, receiver): (SyncSender<(Instant, Vec<u8>)>, Receiver<_>) = sync_channel(64);
    std::thread::spawn(move || {
        for (due, bytes) in receiver {
            sleep_until(due);
            if (&*to).write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    std::thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        while let Ok(read) = (&*from).read(&mut buffer) {
            if read == 0 {
                break;
            }
            let due = line.pass(read);
            if sender.send((due, buffer[..read].to_vec())).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Read);
    });
}

fn sleep_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}

/// What a connection sends before it is another's turn.
const PIECE: usize = 4 << 10;
