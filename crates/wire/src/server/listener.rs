//! Listening: sockets, and a thread for each connection.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;

use super::accounts::{Accounts, Peer};
use super::answer::Refusal;
use super::connections::Connections;
use super::session::{Handlers, Shared, conduct};
use super::watch::Watch;
use super::{ServerOptions, encode, lock};
use crate::Error;
use crate::frame::Frames;
use crate::options::Endpoint;
use crate::stream::{Socket, Stream};

/// An endpoint that speaks the MySQL protocol. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    stopping: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    sockets: Mutex<Vec<PathBuf>>,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Server {
    /// An endpoint that listens nowhere yet.
    pub fn new(
        options: ServerOptions,
        accounts: Arc<dyn Accounts>,
        handlers: Arc<dyn Handlers>,
    ) -> Self {
        let connections = Arc::new(Connections::default());
        Self {
            shared: Arc::new(Shared {
                options,
                accounts,
                handlers,
                connections,
            }),
            stopping: Arc::default(),
            threads: Mutex::default(),
            sockets: Mutex::default(),
        }
    }

    /// Begins to listen, and accepts connections from now on. Port 0 is any free port. Returns the
    /// address of a TCP port.
    pub fn listen(&self, endpoint: &Endpoint) -> Result<Option<SocketAddr>, Error> {
        let failed = |source| Error::Listen {
            endpoint: endpoint.clone(),
            source,
        };
        let bound = match endpoint {
            Endpoint::Tcp { host, port } => {
                let addresses: Vec<SocketAddr> = (host.as_str(), *port)
                    .to_socket_addrs()
                    .map_err(failed)?
                    .collect();
                Bound::Tcp(TcpListener::bind(addresses.as_slice()).map_err(failed)?)
            }
            Endpoint::Socket(path) => {
                let listener = bind_unix(path).map_err(failed)?;
                lock(&self.sockets).push(path.clone());
                Bound::Unix(listener)
            }
        };
        let address = match &bound {
            Bound::Tcp(listener) => Some(listener.local_addr().map_err(failed)?),
            Bound::Unix(_) => None,
        };
        bound.set_nonblocking().map_err(failed)?;
        let (shared, stopping) = (Arc::clone(&self.shared), Arc::clone(&self.stopping));
        let accept = move || accept_loop(&bound, &shared, &stopping);
        let thread = std::thread::Builder::new()
            .name("accept".to_owned())
            .spawn(accept);
        lock(&self.threads).push(thread.map_err(failed)?);
        Ok(address)
    }

    /// Conducts a connection that was made elsewhere, in this thread, to its end. An error is a
    /// connection that broke off.
    pub fn serve(&self, client: UnixStream) -> Result<(), Error> {
        let socket = Socket::Unix(client);
        let clone = socket.try_clone();
        let watch = Watch::new(clone.map_err(|source| Error::io("duplicate socket", source))?);
        let (limit, peer) = (self.shared.options.max_connections, Peer::Socket);
        let Some(place) = self.shared.connections.enter(watch.clone(), peer, limit) else {
            turn_away(socket);
            return Ok(());
        };
        conduct(Stream::Plain(socket), &self.shared, &place, &watch, peer)
    }

    /// All its connections.
    pub fn connections(&self) -> &Arc<Connections> {
        &self.shared.connections
    }

    /// Stops listening and ends all connections: who waits for a command is cut off, statements are
    /// interrupted and may answer. False: some had not ended within `patience`.
    pub fn stop(&self, patience: Duration) -> bool {
        self.stopping.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // A thread that panicked listens no more, which is what is wanted.
            let _ = thread.join();
        }
        for path in std::mem::take(&mut *lock(&self.sockets)) {
            // Nobody is hurt by a socket file left behind: the next one to listen there removes it.
            let _ = std::fs::remove_file(path);
        }
        self.shared.connections.end_all(patience)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

impl Bound {
    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(true),
            Self::Unix(listener) => listener.set_nonblocking(true),
        }
    }

    /// The next connection; `None` after a while without one.
    fn accept(&self) -> io::Result<Option<(Socket, Peer)>> {
        let mut polled = match self {
            Self::Tcp(listener) => [PollFd::new(listener, PollFlags::IN)],
            Self::Unix(listener) => [PollFd::new(listener, PollFlags::IN)],
        };
        if poll(&mut polled, Some(&TICK))? == 0 {
            return Ok(None);
        }
        let accepted = match self {
            Self::Tcp(listener) => listener.accept().and_then(|(socket, address)| {
                socket.set_nonblocking(false)?;
                socket.set_nodelay(true)?;
                sockopt::set_socket_keepalive(&socket, true)?;
                let peer = Peer::Address(address.ip().to_canonical());
                Ok((Socket::Tcp(socket), peer))
            }),
            Self::Unix(listener) => listener.accept().and_then(|(socket, _)| {
                socket.set_nonblocking(false)?;
                Ok((Socket::Unix(socket), Peer::Socket))
            }),
        };
        accepted.map(Some)
    }
}

/// A socket file that nobody listens at is left from a process that was killed.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
            let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
            if !is_socket || !UnixStream::connect(path).as_ref().is_err_and(refused) {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

fn accept_loop(bound: &Bound, shared: &Arc<Shared>, stopping: &AtomicBool) {
    while !stopping.load(Ordering::Relaxed) {
        shared.connections.reap(&shared.options);
        match bound.accept() {
            Ok(None) => {}
            Ok(Some((socket, peer))) => admit(socket, peer, shared),
            Err(error) => {
                use io::ErrorKind as Kind;
                // The client that was about to come has gone; any other failure may last.
                if !matches!(
                    error.kind(),
                    Kind::WouldBlock | Kind::Interrupted | Kind::ConnectionAborted
                ) {
                    tracing::warn!(%error, "cannot accept a connection");
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        }
    }
}

/// Gives a connection its place and its thread.
fn admit(socket: Socket, peer: Peer, shared: &Arc<Shared>) {
    let watch = match socket.try_clone() {
        Ok(socket) => Watch::new(socket),
        Err(error) => return tracing::warn!(%error, "cannot serve a connection"),
    };
    let limit = shared.options.max_connections;
    let Some(place) = shared.connections.enter(watch.clone(), peer, limit) else {
        tracing::warn!(%peer, limit, "too many connections");
        return turn_away(socket);
    };
    let shared = Arc::clone(shared);
    let id = place.id();
    let serve = move || {
        let stream = Stream::Plain(socket);
        if let Err(error) = conduct(stream, &shared, &place, &watch, peer) {
            tracing::debug!(id, %peer, %error, "connection ended");
        }
    };
    let thread = std::thread::Builder::new().name(format!("connection {id}"));
    if let Err(error) = thread.spawn(serve) {
        // Its place and its socket went with the closure.
        tracing::warn!(%error, "cannot serve a connection");
    }
}

/// Says that there are too many connections; without waiting for whoever does not listen.
fn turn_away(socket: Socket) {
    if socket
        .set_write_timeout(Some(Duration::from_millis(10)))
        .is_ok()
    {
        let refusal = Refusal::new(1040, "Too many connections");
        let mut frames = Frames::new(Stream::Plain(socket), 512);
        let _ = frames.write(&encode::err(&refusal, false), &[]);
    }
}

const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};
