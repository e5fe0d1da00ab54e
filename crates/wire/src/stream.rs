//! The byte stream below the packets: a unix socket or TCP, with or without TLS.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustls::{ClientConnection, ServerConnection, StreamOwned};

use crate::options::Endpoint;
use crate::{Error, tls};

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    /// Connects within `timeout`, name resolution not counted.
    pub(crate) fn connect(endpoint: &Endpoint, timeout: Duration) -> Result<Self, Error> {
        let connected = match endpoint {
            Endpoint::Socket(path) => connect_unix(path, timeout).map(Self::Unix),
            Endpoint::Tcp { host, port } => connect_tcp(host, *port, timeout).map(Self::Tcp),
        };
        connected.map_err(|source| Error::Connect {
            endpoint: endpoint.clone(),
            source,
        })
    }

    /// Limits how long the other host may not confirm what it was sent.
    pub(crate) fn set_peer_timeout(&self, timeout: Duration) -> io::Result<()> {
        let Self::Tcp(socket) = self else {
            return Ok(());
        };
        let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        Ok(sockopt::set_tcp_user_timeout(socket, millis)?)
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.set_read_timeout(timeout),
            Self::Tcp(socket) => socket.set_read_timeout(timeout),
        }
    }

    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.set_write_timeout(timeout),
            Self::Tcp(socket) => socket.set_write_timeout(timeout),
        }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Unix(socket) => socket.try_clone().map(Self::Unix),
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
        }
    }

    pub(crate) fn shutdown(&self) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.shutdown(Shutdown::Both),
            Self::Tcp(socket) => socket.shutdown(Shutdown::Both),
        }
    }

    /// Process id of the program that listens on a unix socket.
    pub(crate) fn peer_pid(&self) -> Option<u32> {
        let Self::Unix(socket) = self else {
            return None;
        };
        let pid = sockopt::socket_peercred(socket).ok()?.pid;
        // The kernel says 0 for a process of another container, a value the type rules out: the
        // compiler must not be let to conclude that the comparison is pointless.
        let pid = std::hint::black_box(pid.as_raw_nonzero().get());
        u32::try_from(pid).ok().filter(|pid| *pid != 0)
    }
}

/// A unix connect waits without limit on a listener whose queue is full, unless the socket has a
/// send timeout beforehand.
fn connect_unix(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(timeout))?;
    rustix::net::connect(&socket, &address)?;
    Ok(UnixStream::from(socket))
}

/// Tries the addresses of `host` one after the other.
fn connect_tcp(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + timeout;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in (host, port).to_socket_addrs()? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                // A clone's control connection is silent for hours; a dead peer must show.
                sockopt::set_socket_keepalive(&socket, true)?;
                return Ok(socket);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

impl Read for Socket {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.read(target),
            Self::Tcp(socket) => socket.read(target),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.write(bytes),
            Self::Tcp(socket) => socket.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.write_vectored(slices),
            Self::Tcp(socket) => socket.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket, perhaps with TLS on it.
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
    /// We are the server.
    ServerTls(Box<StreamOwned<ServerConnection, Socket>>),
}

impl Stream {
    pub(crate) fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.sock,
            Self::ServerTls(tls) => &tls.sock,
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// Version and cipher of TLS, by OpenSSL's names as MySQL shows them.
    pub(crate) fn tls_names(&self) -> Option<(&'static str, String)> {
        let (version, suite) = match self {
            Self::Plain(_) => return None,
            Self::Tls(tls) => (
                tls.conn.protocol_version(),
                tls.conn.negotiated_cipher_suite(),
            ),
            Self::ServerTls(tls) => (
                tls.conn.protocol_version(),
                tls.conn.negotiated_cipher_suite(),
            ),
        };
        let version = match version {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        };
        let suite = suite.map(|suite| format!("{:?}", suite.suite()));
        Some((version, tls::openssl_name(&suite.unwrap_or_default())))
    }

    /// Performs the TLS handshake on a plain stream.
    pub(crate) fn into_tls(self, client: ClientConnection) -> Result<Self, Error> {
        match self {
            Self::Plain(socket) => Ok(Self::Tls(Box::new(tls::handshake(client, socket)?))),
            _ => Err(Error::tls("the connection has TLS already")),
        }
    }

    /// Performs the server's side of the TLS handshake on a plain stream.
    pub(crate) fn into_server_tls(self, server: ServerConnection) -> Result<Self, Error> {
        match self {
            Self::Plain(socket) => Ok(Self::ServerTls(Box::new(tls::handshake(server, socket)?))),
            _ => Err(Error::tls("the connection has TLS already")),
        }
    }

    /// Says goodbye on the TLS level; nothing to do without.
    pub(crate) fn close_notify(&mut self) {
        // The peer may be gone already, and then nobody misses the message.
        match self {
            Self::Plain(_) => {}
            Self::Tls(tls) => {
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
            Self::ServerTls(tls) => {
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("socket", self.socket())
            .field("tls", &self.is_tls())
            .finish()
    }
}

impl Read for Stream {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(target),
            Self::Tls(tls) => tls.read(target),
            Self::ServerTls(tls) => tls.read(target),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
            Self::ServerTls(tls) => tls.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_vectored(slices),
            // The owning type would take the first slice only.
            Self::Tls(tls) => {
                rustls::Stream::new(&mut tls.conn, &mut tls.sock).write_vectored(slices)
            }
            Self::ServerTls(tls) => {
                rustls::Stream::new(&mut tls.conn, &mut tls.sock).write_vectored(slices)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
            Self::ServerTls(tls) => tls.flush(),
        }
    }
}

/// Shuts a connection down from another thread, which ends a read or write that waits.
#[derive(Debug)]
pub struct ShutdownHandle(Socket);

impl ShutdownHandle {
    pub(crate) fn new(socket: Socket) -> Self {
        Self(socket)
    }

    /// Ends the connection: what waits on it fails with [`Error::Closed`], and so does all that
    /// follows. Doing it again, or after the connection has ended, does no harm.
    pub fn shutdown(&self) {
        // The one failure is "not connected", which is what we want.
        let _ = self.0.shutdown();
    }
}
