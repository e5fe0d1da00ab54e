//! How to reach the server: the options of MySQL's programs, from the command line, option files
//! and the environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use wire::{ConnectOptions, Endpoint, Secret, SslMode};

use crate::account::login_name;
use crate::failure::Failure;
use crate::option_file::Options;
use crate::password;
use crate::settings::{GROUPS, env};

/// The connection, named as in MySQL's programs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection options")]
pub(crate) struct ConnectionArgs {
    /// Host of the server; none or localhost means the socket.
    #[arg(short = 'h', long, value_name = "NAME")]
    host: Option<String>,
    /// TCP port [default: 3306].
    #[arg(short = 'P', long, value_name = "NUMBER")]
    port: Option<u16>,
    /// Account to log in with [default: the login name].
    #[arg(short = 'u', long, value_name = "NAME")]
    user: Option<String>,
    // In the form -pVALUE it arrives here as --password=VALUE: see `spelling`.
    /// Password, also -p[VALUE]; asked for on the terminal when bare.
    #[arg(long, value_name = "VALUE", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "absent, bare, and with a value")]
    password: Option<Option<Secret>>,
    /// Unix socket of the server.
    #[arg(short = 'S', long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// Connect by TCP, or by the socket, whatever the host is.
    #[arg(long, value_enum, ignore_case = true)]
    protocol: Option<Protocol>,
    /// DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY.
    #[arg(long, value_name = "MODE")]
    ssl_mode: Option<SslMode>,
    /// Authorities that may sign the server's certificate (PEM); alone it means VERIFY_CA.
    #[arg(long, value_name = "FILE")]
    ssl_ca: Option<PathBuf>,
    /// Own certificate (PEM).
    #[arg(long, value_name = "FILE")]
    ssl_cert: Option<PathBuf>,
    /// Key of the own certificate (PEM).
    #[arg(long, value_name = "FILE")]
    ssl_key: Option<PathBuf>,
    /// Ask the server for its RSA key, to send a password without TLS.
    #[arg(long)]
    get_server_public_key: bool,
    /// The server's RSA key (PEM), to send a password without TLS.
    #[arg(long, value_name = "FILE")]
    server_public_key_path: Option<PathBuf>,
    /// Allow to send the password in clear, over TLS or the socket.
    #[arg(long)]
    enable_cleartext_plugin: bool,
    /// Limit for connecting, 0 for none [default: 10].
    #[arg(long, value_name = "SECONDS")]
    connect_timeout: Option<u32>,
}

/// `USER@HOST:PORT`, as `--from` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DonorAddress {
    user: Option<String>,
    host: String,
    port: u16,
}

impl std::str::FromStr for DonorAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A user's name may have an @ in it.
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, text),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or("the address has no ]")?,
            None => place.split_at(place.find(':').unwrap_or(place.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port
                .parse()
                .map_err(|_| "the port is a number from 1 to 65535")?,
            None if port.is_empty() => 3306,
            None => return Err("after ] comes :PORT"),
        };
        if host.is_empty() || user.is_some_and(str::is_empty) || port == 0 {
            return Err("it is USER@HOST:PORT");
        }
        Ok(Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }
}

/// What to connect by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    Tcp,
    Socket,
}

/// What a connection depends on besides the arguments.
#[derive(Clone, Copy)]
struct Surroundings<'a> {
    options: &'a Options,
    env: &'a dyn Fn(&str) -> Option<String>,
    ask: &'a dyn Fn() -> std::io::Result<Secret>,
}

impl ConnectionArgs {
    /// The connection to make. Asks for the password if it has to.
    pub(crate) fn resolve(&self, options: &Options) -> Result<ConnectOptions, Failure> {
        self.resolve_in(Surroundings {
            options,
            env: &env,
            ask: &password::ask,
        })
    }

    /// The connection to a donor named in one word; everything else is said by the options.
    pub(crate) fn resolve_donor(
        &self,
        donor: &DonorAddress,
        options: &Options,
    ) -> Result<ConnectOptions, Failure> {
        let named = self.host.is_some() || self.port.is_some() || self.socket.is_some();
        if named || self.protocol.is_some() || (donor.user.is_some() && self.user.is_some()) {
            return Err(Failure::Usage(
                "--from already says which server, by which account".to_owned(),
            ));
        }
        let own = Self {
            host: Some(donor.host.clone()),
            port: Some(donor.port),
            protocol: Some(Protocol::Tcp),
            user: donor.user.clone().or_else(|| self.user.clone()),
            ..self.clone()
        };
        own.resolve(options)
    }

    fn resolve_in(&self, around: Surroundings<'_>) -> Result<ConnectOptions, Failure> {
        around.warn_of_ignored();
        let ssl_ca = around.path(self.ssl_ca.as_ref(), "ssl-ca");
        let ssl_mode = around.value(self.ssl_mode, "ssl-mode")?;
        let user = self.user.clone().or_else(|| around.text("user"));
        let key = "get-server-public-key";
        let get_server_public_key = around.flag(self.get_server_public_key, key)?;
        let default = ConnectOptions::default();
        let timeout = around.value(self.connect_timeout, "connect-timeout")?;
        Ok(ConnectOptions {
            endpoint: self.endpoint(around)?,
            user: user.unwrap_or_else(|| login_name(around.env)),
            ssl_mode: SslMode::or_default(ssl_mode, ssl_ca.as_deref()),
            ssl_ca,
            ssl_cert: around.path(self.ssl_cert.as_ref(), "ssl-cert"),
            ssl_key: around.path(self.ssl_key.as_ref(), "ssl-key"),
            get_server_public_key,
            server_public_key_path: around.path(
                self.server_public_key_path.as_ref(),
                "server-public-key-path",
            ),
            enable_cleartext_plugin: around
                .flag(self.enable_cleartext_plugin, "enable-cleartext-plugin")?,
            connect_timeout: timeout.map_or(default.connect_timeout, seconds),
            // Last: what is wrong with the options is said before somebody types.
            password: self.password(around)?,
            ..default
        })
    }

    /// `localhost` is the socket, as in all of MySQL's programs.
    fn endpoint(&self, around: Surroundings<'_>) -> Result<Endpoint, Failure> {
        let host = self.host.clone().or_else(|| around.text("host"));
        let host = host.or_else(|| (around.env)("MYSQL_HOST"));
        let host = host.filter(|host| !host.is_empty());
        let is_local = host.as_deref().is_none_or(|host| host == LOCALHOST);
        match self.protocol(around)? {
            Some(Protocol::Socket) if !is_local => Err(Failure::Usage(
                "--protocol=SOCKET reaches only localhost: leave --host out".to_owned(),
            )),
            Some(Protocol::Socket) => Ok(Endpoint::Socket(self.socket(around))),
            None if is_local => Ok(Endpoint::Socket(self.socket(around))),
            Some(Protocol::Tcp) | None => Ok(Endpoint::Tcp {
                host: host.unwrap_or_else(|| LOCALHOST.to_owned()),
                port: self.port(around)?,
            }),
        }
    }

    fn protocol(&self, around: Surroundings<'_>) -> Result<Option<Protocol>, Failure> {
        let Some(text) = around.text("protocol") else {
            return Ok(self.protocol);
        };
        let known = Protocol::from_str(&text, true)
            .map_err(|_| Failure::Usage(format!("protocol '{text}' is not supported here")));
        self.protocol
            .map_or_else(|| known.map(Some), |own| Ok(Some(own)))
    }

    fn socket(&self, around: Surroundings<'_>) -> PathBuf {
        let given = around.path(self.socket.as_ref(), "socket");
        let given = given.filter(|path| !path.as_os_str().is_empty());
        let given = given.or_else(|| (around.env)("MYSQL_UNIX_PORT").map(PathBuf::from));
        given.unwrap_or_else(|| {
            let mut usual = SOCKETS.iter().map(Path::new);
            let first = Path::new(SOCKETS[0]);
            usual.find(|path| path.exists()).unwrap_or(first).to_owned()
        })
    }

    fn port(&self, around: Surroundings<'_>) -> Result<u16, Failure> {
        let given = around.value(self.port, "port")?.filter(|port| *port != 0);
        let given = match (given, (around.env)("MYSQL_TCP_PORT")) {
            (None, Some(text)) => Some(text.parse().map_err(|_| {
                Failure::Usage(format!("MYSQL_TCP_PORT is no port number: {text}"))
            })?),
            (given, _) => given,
        };
        Ok(given.unwrap_or(3306))
    }

    fn password(&self, around: Surroundings<'_>) -> Result<Option<Secret>, Failure> {
        let ask = || match (around.ask)() {
            Ok(secret) => Ok(Some(secret)),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                Err(Failure::Interrupted)
            }
            Err(source) => Err(Failure::System {
                action: "read the password",
                source,
            }),
        };
        match &self.password {
            Some(Some(secret)) => {
                if !secret.expose().is_empty() {
                    tracing::warn!("a password on the command line can be seen by other users");
                }
                return Ok(Some(secret.clone()));
            }
            Some(None) => return ask(),
            None => {}
        }
        match around.options.find(&GROUPS, "password") {
            Some(setting) => match (setting.name.as_str(), &setting.value) {
                ("password" | "loose-password", Some(value)) => Ok(Some(value.as_str().into())),
                ("password" | "loose-password", None) => ask(),
                // skip-password and its like.
                _ => Ok(None),
            },
            None => Ok((around.env)("MYSQL_PWD").map(Secret::from)),
        }
    }
}

impl Surroundings<'_> {
    fn text(&self, key: &str) -> Option<String> {
        self.options.get(&GROUPS, key).map(str::to_owned)
    }

    fn path(&self, given: Option<&PathBuf>, key: &str) -> Option<PathBuf> {
        given.cloned().or_else(|| self.text(key).map(PathBuf::from))
    }

    fn value<T: std::str::FromStr>(
        &self,
        given: Option<T>,
        key: &str,
    ) -> Result<Option<T>, Failure> {
        match given {
            Some(value) => Ok(Some(value)),
            None => Ok(self.options.parse(&GROUPS, key)?),
        }
    }

    fn flag(&self, given: bool, key: &str) -> Result<bool, Failure> {
        Ok(given || self.options.flag(&GROUPS, key)?.unwrap_or(false))
    }

    /// Options that restrict whom to trust, which MySQL's programs know and this one does not.
    fn warn_of_ignored(&self) {
        for key in ["ssl-capath", "ssl-crl", "ssl-crlpath", "tls-version"] {
            if let Some(setting) = self.options.find(&GROUPS, key) {
                tracing::warn!("{}: {key} is not supported and ignored", setting.place);
            }
        }
    }
}

fn seconds(number: u32) -> Duration {
    let forever = u64::from(u32::MAX);
    Duration::from_secs(if number == 0 { forever } else { number.into() })
}

/// The options of a connection that option files may set.
pub(crate) const KEYS: [&str; 18] = [
    "connect-timeout",
    "enable-cleartext-plugin",
    "get-server-public-key",
    "host",
    "password",
    "port",
    "protocol",
    "server-public-key-path",
    "socket",
    "ssl-ca",
    "ssl-capath",
    "ssl-cert",
    "ssl-crl",
    "ssl-crlpath",
    "ssl-key",
    "ssl-mode",
    "tls-version",
    "user",
];

const LOCALHOST: &str = "localhost";
/// Where packages of MySQL put the socket. The last one is in a directory that everybody can write
/// to.
const SOCKETS: [&str; 4] = [
    "/var/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
    "/run/mysqld/mysqld.sock",
    "/tmp/mysql.sock",
];

#[cfg(test)]
mod tests;
