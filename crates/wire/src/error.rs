//! What can go wrong on a connection, with the numbers MySQL's own client library uses.

use std::io;

use crate::cursor::Malformed;
use crate::options::Endpoint;
use crate::reply;

/// An error of a connection or of the statement it carried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with an error packet.
    #[error("server error {code} ({sqlstate}): {message}")]
    Server {
        /// MySQL error number, for example 1045.
        code: u16,
        /// Five characters, `HY000` when the server sent none.
        sqlstate: String,
        /// The server's own words.
        message: String,
    },
    /// No connection could be made.
    #[error("connect to {endpoint}")]
    Connect {
        /// Where to.
        endpoint: Endpoint,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Clients cannot be awaited there.
    #[error("listen at {endpoint}")]
    Listen {
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Reading or writing an established connection failed.
    #[error("{during} over the connection to the server")]
    Io {
        /// What was being done, for example `read packet`.
        during: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The server did not answer, or did not take our bytes, within the time limit.
    #[error("{during}: no progress within the time limit")]
    Timeout {
        /// What was being done, for example `read packet`.
        during: &'static str,
    },
    /// The server closed the connection, or an earlier error made it unusable.
    #[error("the connection to the server is closed")]
    Closed,
    /// TLS could not be established as required.
    #[error("TLS: {reason}")]
    Tls {
        /// What is wrong.
        reason: String,
        /// The underlying error, if there is one.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The server asks for an authentication that we cannot, or will not, perform.
    #[error("authentication plugin {plugin}: {reason}")]
    Auth {
        /// The server's name of the plugin.
        plugin: String,
        /// Why the login does not go on.
        reason: String,
    },
    /// The server sent bytes that are not the protocol.
    #[error("malformed packet from the server: {what}")]
    Protocol {
        /// Which rule was broken, and where.
        what: String,
    },
    /// A packet or a result is larger than allowed.
    #[error("{what} is larger than the limit: {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A value of a result is not what the caller expects.
    #[error("column {column} of the result: expected {expected}, found {found}")]
    Value {
        /// Position of the column, from 0.
        column: usize,
        /// The type wanted.
        expected: &'static str,
        /// The value, shortened; `NULL` or `nothing` where there is none.
        found: String,
    },
}

impl Error {
    /// The MySQL error number: the server's, or the number by which MySQL's client library knows
    /// the same failure (2002 and 2003 no connection, 2013 connection lost, 2026 TLS, …).
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Server { code, .. } => Some(*code),
            Self::Connect { endpoint, .. } => Some(match endpoint {
                Endpoint::Socket(_) => CR_CONNECTION_ERROR,
                Endpoint::Tcp { .. } => CR_CONN_HOST_ERROR,
            }),
            Self::Io { .. } | Self::Timeout { .. } | Self::Closed => Some(CR_SERVER_LOST),
            Self::Tls { .. } => Some(CR_SSL_CONNECTION_ERROR),
            Self::Auth { .. } => Some(CR_AUTH_PLUGIN_ERR),
            Self::Protocol { .. } => Some(CR_MALFORMED_PACKET),
            Self::TooLarge { .. } => Some(CR_NET_PACKET_TOO_LARGE),
            Self::Value { .. } | Self::Listen { .. } => None,
        }
    }

    /// The SQLSTATE the server sent, if this is the server's error.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Server { sqlstate, .. } => Some(sqlstate),
            _ => None,
        }
    }

    /// Whether the connection is gone or silent, so that a new one is the remedy.
    ///
    /// A [`Timeout`](Error::Timeout) counts: a network cut looks like one. A caller that uses short
    /// timeouts in order to look up from a stream matches that variant first.
    pub fn is_connection_lost(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Timeout { .. } | Self::Closed => true,
            Self::Server { code, .. } => matches!(
                *code,
                ER_SERVER_SHUTDOWN
                    | ER_NET_READ_ERROR
                    | ER_NET_READ_INTERRUPTED
                    | ER_NET_ERROR_ON_WRITE
                    | ER_NET_WRITE_INTERRUPTED
                    | ER_SESSION_WAS_KILLED
                    | ER_CLIENT_INTERACTION_TIMEOUT
            ),
            _ => false,
        }
    }

    /// The error in an error packet (first byte 0xFF); `None` if the packet is something else.
    ///
    /// For callers of [`Connection::read_packet`](crate::Connection::read_packet).
    pub fn from_packet(packet: &[u8]) -> Option<Self> {
        (packet.first() == Some(&reply::ERR)).then(|| match reply::parse_error(packet) {
            Ok(error) | Err(error) => error,
        })
    }

    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol { what: what.into() }
    }

    pub(crate) fn tls(reason: impl Into<String>) -> Self {
        Self::Tls {
            reason: reason.into(),
            source: None,
        }
    }

    /// Sorts an IO error of an established connection into its variant.
    pub(crate) fn io(during: &'static str, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match source.kind() {
            // A socket with SO_RCVTIMEO or SO_SNDTIMEO reports EAGAIN.
            Kind::WouldBlock | Kind::TimedOut => Self::Timeout { during },
            // TLS peers often go without a close_notify: the same as an orderly end.
            Kind::UnexpectedEof => Self::Closed,
            _ if is_tls(&source) => Self::Tls {
                reason: during.to_owned(),
                source: Some(Box::new(source)),
            },
            _ => Self::Io { during, source },
        }
    }
}

/// An error with its causes, for a log.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn is_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some()
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::protocol(malformed.to_string())
    }
}

// Numbers of MySQL's client library (include/errmsg.h).
const CR_CONNECTION_ERROR: u16 = 2002;
const CR_CONN_HOST_ERROR: u16 = 2003;
const CR_SERVER_LOST: u16 = 2013;
const CR_NET_PACKET_TOO_LARGE: u16 = 2020;
const CR_SSL_CONNECTION_ERROR: u16 = 2026;
const CR_MALFORMED_PACKET: u16 = 2027;
const CR_AUTH_PLUGIN_ERR: u16 = 2061;

// Numbers of the server after which it closes the connection.
const ER_SERVER_SHUTDOWN: u16 = 1053;
const ER_NET_READ_ERROR: u16 = 1158;
const ER_NET_READ_INTERRUPTED: u16 = 1159;
const ER_NET_ERROR_ON_WRITE: u16 = 1160;
const ER_NET_WRITE_INTERRUPTED: u16 = 1161;
const ER_SESSION_WAS_KILLED: u16 = 3169;
const ER_CLIENT_INTERACTION_TIMEOUT: u16 = 4031;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_errors_carry_the_client_librarys_numbers() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let socket = Endpoint::Socket("/s".into());
        let tcp = Endpoint::Tcp {
            host: "h".into(),
            port: 1,
        };
        let code = |endpoint| {
            Error::Connect {
                endpoint,
                source: refused(),
            }
            .code()
        };
        assert_eq!((code(socket), code(tcp)), (Some(2002), Some(2003)));
    }

    #[test]
    fn a_killed_session_is_a_lost_connection_and_a_denied_login_is_not() {
        let server = |code| Error::Server {
            code,
            sqlstate: "HY000".into(),
            message: "m".into(),
        };
        assert!(server(3169).is_connection_lost());
        assert!(!server(1045).is_connection_lost());
        assert!(Error::Closed.is_connection_lost());
    }

    #[test]
    fn error_packets_are_recognised_by_their_first_byte() {
        assert!(Error::from_packet(&[0, 0, 0]).is_none());
        assert!(Error::from_packet(&[]).is_none());
        let denied = Error::from_packet(b"\xff\x15\x04#28000Access denied").unwrap();
        assert_eq!(
            (denied.code(), denied.sqlstate()),
            (Some(1045), Some("28000"))
        );
        assert!(matches!(
            Error::from_packet(&[0xff, 1]),
            Some(Error::Protocol { .. })
        ));
    }
}
