//! Whether a statement that runs should stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::stream::Socket;

/// Why a statement should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// `KILL QUERY`: the session goes on.
    QueryKilled,
    /// `KILL`, or the server stops.
    ConnectionKilled,
    /// The client is gone; nobody will read an answer.
    PeerGone,
}

/// Tells a statement that runs, in whatever thread, whether it should stop.
#[derive(Debug, Clone)]
pub struct Watch(Arc<State>);

#[derive(Debug)]
struct State {
    socket: Socket,
    killed: AtomicBool,
    query_killed: AtomicBool,
}

impl Watch {
    pub(super) fn new(socket: Socket) -> Self {
        Self(Arc::new(State {
            socket,
            killed: AtomicBool::new(false),
            query_killed: AtomicBool::new(false),
        }))
    }

    /// Why to stop, if so. Cheap enough for every unit of work.
    pub fn interruption(&self) -> Option<Interruption> {
        if self.0.killed.load(Ordering::Relaxed) {
            Some(Interruption::ConnectionKilled)
        } else if self.0.query_killed.load(Ordering::Relaxed) {
            Some(Interruption::QueryKilled)
        } else if self.peer_gone() {
            Some(Interruption::PeerGone)
        } else {
            None
        }
    }

    /// Runs `work`, and calls `interrupt` from another thread, once, as soon as the work should
    /// stop. Whether it does is up to the work.
    pub fn during<T>(
        &self,
        interrupt: impl FnOnce(Interruption) + Send,
        work: impl FnOnce() -> T,
    ) -> T {
        // Dropped at the end of the work, also if it panics, which wakes the watching thread.
        let (working, done) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = done.recv_timeout(TICK)
                {
                    if let Some(why) = self.interruption() {
                        return interrupt(why);
                    }
                }
            });
            let working = working;
            let result = work();
            drop(working);
            result
        })
    }

    /// A client that closes its side, or that the network reports as gone. One that has more
    /// commands under way is still there.
    fn peer_gone(&self) -> bool {
        let watched = PollFlags::RDHUP;
        let mut polled = match &self.0.socket {
            Socket::Unix(socket) => [PollFd::new(socket, watched)],
            Socket::Tcp(socket) => [PollFd::new(socket, watched)],
        };
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        // What cannot be found out is no reason to stop.
        poll(&mut polled, Some(&Timespec::default())).is_ok()
            && polled[0].revents().intersects(gone)
    }

    pub(super) fn begin_statement(&self) {
        self.0.query_killed.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_killed(&self) -> bool {
        self.0.killed.load(Ordering::Relaxed)
    }

    pub(super) fn kill_query(&self) {
        self.0.query_killed.store(true, Ordering::Relaxed);
    }

    /// Marks the connection killed. `now`: it waits for its client, so it is cut at once; else its
    /// statement ends first, and answers.
    pub(super) fn kill(&self, now: bool) {
        self.0.killed.store(true, Ordering::Relaxed);
        if now {
            // The one failure is "not connected", which is what is wanted.
            let _ = self.0.socket.shutdown();
        }
    }
}

const TICK: Duration = Duration::from_millis(100);
