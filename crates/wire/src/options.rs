//! How to reach a server and log in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// A password. Neither `Debug` nor any error message shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text of the password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for those who must send or store it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Where a server listens.
///
/// That the host name `localhost` means the socket is a rule of MySQL's programs, not of the
/// protocol: whoever builds the endpoint applies it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A unix socket of this host.
    Socket(PathBuf),
    /// A TCP port.
    Tcp {
        /// Name or address; IPv6 addresses without brackets.
        host: String,
        /// Port number, usually 3306.
        port: u16,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "socket {}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// How much TLS to insist on: the `--ssl-mode` of MySQL's programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SslMode {
    /// No TLS.
    Disabled,
    /// TLS over TCP if the server offers it, whoever the server is. Not over a unix socket.
    #[default]
    Preferred,
    /// TLS, whoever the server is.
    Required,
    /// TLS, and the server's certificate comes from an authority in `ssl_ca`.
    VerifyCa,
    /// As `VerifyCa`, and the certificate is for the host name we connect to.
    VerifyIdentity,
}

impl SslMode {
    /// The mode to use when the user may have said nothing: as in MySQL's programs, giving an
    /// authority alone means [`VerifyCa`](SslMode::VerifyCa).
    pub fn or_default(explicit: Option<Self>, ssl_ca: Option<&Path>) -> Self {
        explicit.unwrap_or(match ssl_ca {
            Some(_) => Self::VerifyCa,
            None => Self::default(),
        })
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "DISABLED",
            Self::Preferred => "PREFERRED",
            Self::Required => "REQUIRED",
            Self::VerifyCa => "VERIFY_CA",
            Self::VerifyIdentity => "VERIFY_IDENTITY",
        })
    }
}

/// A text that is no SSL mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown SSL mode: {0} (one of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY)")]
pub struct UnknownSslMode(String);

impl FromStr for SslMode {
    type Err = UnknownSslMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_uppercase().replace('-', "_").as_str() {
            "DISABLED" => Ok(Self::Disabled),
            "PREFERRED" => Ok(Self::Preferred),
            "REQUIRED" => Ok(Self::Required),
            "VERIFY_CA" => Ok(Self::VerifyCa),
            "VERIFY_IDENTITY" => Ok(Self::VerifyIdentity),
            _ => Err(UnknownSslMode(text.to_owned())),
        }
    }
}

/// How to reach a server and log in.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Where the server listens.
    pub endpoint: Endpoint,
    /// Account name.
    pub user: String,
    /// Password; `None` is the same as an empty one.
    pub password: Option<Secret>,
    /// How much TLS to insist on.
    pub ssl_mode: SslMode,
    /// PEM file with the authorities that may sign the server's certificate.
    pub ssl_ca: Option<PathBuf>,
    /// PEM file with our certificate, for accounts with `REQUIRE X509`; needs `ssl_key`.
    pub ssl_cert: Option<PathBuf>,
    /// PEM file with the key of `ssl_cert`.
    pub ssl_key: Option<PathBuf>,
    /// Ask the server for its RSA key when a password must travel over plain TCP. Off by default
    /// as in MySQL's programs: nothing proves that the key is the server's.
    pub get_server_public_key: bool,
    /// PEM file with the server's RSA public key: proves the server on plain TCP.
    pub server_public_key_path: Option<PathBuf>,
    /// Send the password in clear to servers that ask so (PAM, LDAP accounts), over TLS or a unix
    /// socket only. Off by default as in MySQL's programs.
    pub enable_cleartext_plugin: bool,
    /// Limit for connecting and for each answer during login. Name resolution is not included.
    pub connect_timeout: Duration,
    /// The connection attribute `program_name`, visible in `session_connect_attrs`.
    pub program_name: String,
    /// Largest packet to send or to accept, in bytes.
    pub max_allowed_packet: usize,
    /// Largest result of one query, in bytes.
    pub max_result: usize,
}

impl Default for ConnectOptions {
    /// `root` without password at `localhost:3306`, TLS preferred, 10 seconds to connect, 64 MiB.
    fn default() -> Self {
        Self {
            endpoint: Endpoint::Tcp {
                host: "localhost".to_owned(),
                port: 3306,
            },
            user: "root".to_owned(),
            password: None,
            ssl_mode: SslMode::default(),
            ssl_ca: None,
            ssl_cert: None,
            ssl_key: None,
            get_server_public_key: false,
            server_public_key_path: None,
            enable_cleartext_plugin: false,
            connect_timeout: Duration::from_secs(10),
            program_name: "innoclone".to_owned(),
            max_allowed_packet: 64 << 20,
            max_result: 64 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_show_the_password() {
        let options = ConnectOptions {
            password: Some("hunter2".into()),
            ..ConnectOptions::default()
        };
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn ssl_modes_are_read_in_any_case() {
        assert_eq!("verify_ca".parse(), Ok(SslMode::VerifyCa));
        assert_eq!("VERIFY_IDENTITY".parse(), Ok(SslMode::VerifyIdentity));
        assert!("yes".parse::<SslMode>().is_err());
        assert_eq!(
            SslMode::Preferred.to_string().parse(),
            Ok(SslMode::Preferred)
        );
    }

    #[test]
    fn an_authority_alone_means_verify_ca() {
        let ca = Some(Path::new("/ca.pem"));
        assert_eq!(SslMode::or_default(None, ca), SslMode::VerifyCa);
        assert_eq!(
            SslMode::or_default(Some(SslMode::Required), ca),
            SslMode::Required
        );
        assert_eq!(SslMode::or_default(None, None), SslMode::Preferred);
    }

    #[test]
    fn ipv6_endpoints_are_shown_in_brackets() {
        let endpoint = Endpoint::Tcp {
            host: "::1".into(),
            port: 3306,
        };
        assert_eq!(endpoint.to_string(), "[::1]:3306");
    }
}
