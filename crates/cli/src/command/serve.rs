//! `innoclone serve`: statements of CLONE from any MySQL client; with `--donor` a backup for
//! servers that execute CLONE INSTANCE, or the instance of this host for innoclones elsewhere.

mod agent;
mod clones;
mod donor;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use donor::DonorArgs;
use serde::Serialize;
use sql::endpoint::{Clients, Config, EndpointAccounts, hashed};
use sql::{SERVER_VERSION, Service, ServiceOptions};
use wire::Endpoint;
use wire::server::{LocalAccounts, Server, ServerOptions, ServerRsa, ServerTls};

use crate::answer::{Answer, Ending};
use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::job::given_or;
use crate::settings::Settings;
use crate::{password, signals};

/// Arguments of `serve`. What the command line says wins over the configuration file.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Read addresses, certificate and users from this file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen: ADDRESS[:PORT] or the path of a socket; may be repeated
    /// [default: 127.0.0.1:3307, of a donor 127.0.0.1:3306, of an agent 127.0.0.1:3308].
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Certificate for clients (PEM); without one a new one is made at each start.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate for clients (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// RSA key (PEM) by which passwords come over TCP without TLS; without one a new one is made
    /// when it is needed.
    #[arg(long, value_name = "FILE", conflicts_with = "donor")]
    rsa_private_key: Option<PathBuf>,
    /// Refuse connections over TCP without TLS, also from this host.
    #[arg(long)]
    require_tls: bool,
    /// Let clients of other hosts in without TLS.
    #[arg(long, conflicts_with = "require_tls")]
    allow_plain_tcp: bool,
    /// Ask for a password and print what the configuration file has to hold for it; serve nothing.
    #[arg(long)]
    hash_password: bool,
    /// The server's data directory, where it is not where the server says.
    #[arg(long, value_name = "DIR")]
    datadir: Option<PathBuf>,
    #[command(flatten)]
    donor: DonorArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Where and how to listen, for both faces.
#[derive(Debug, Clone, Copy)]
struct Listening<'a> {
    listen: &'a [String],
    tls_cert: Option<&'a Path>,
    tls_key: Option<&'a Path>,
    require_tls: bool,
}

/// The answer of `--hash-password`.
#[derive(Debug, Serialize)]
struct Hash {
    password: String,
}

/// The answer when the daemon has ended.
#[derive(Debug, Serialize)]
struct Stopped {
    /// Whether everything that ran has ended in good order.
    orderly: bool,
}

impl ServeArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        if self.hash_password {
            return hash_password();
        }
        if let Some(set) = &self.donor.donor {
            let place = Listening {
                listen: &self.listen,
                tls_cert: self.tls_cert.as_deref(),
                tls_key: self.tls_key.as_deref(),
                require_tls: self.require_tls,
            };
            if set == Path::new(agent::INSTANCE) {
                return self.agent(&place, settings);
            }
            return self.donor.run(set, &place, settings);
        }
        let job = &self.donor.job;
        if job.parallel.is_some() || job.read_rate.is_some() {
            let text = "--parallel and --read-rate are for --donor; clones heed \
                        clone_max_concurrency and clone_max_data_bandwidth";
            return Err(Failure::Usage(text.to_owned()));
        }
        let config = match &self.config {
            Some(file) => Config::read(file).map_err(|error| Failure::Usage(error.to_string()))?,
            None => Config::default(),
        };
        let endpoints = self.endpoints(&config, settings)?;
        let options = self.options(&config, &endpoints)?;
        let datadir = given_or(self.datadir.clone(), &settings.options, "datadir")?;
        let local = self.connection.resolve(&settings.options)?;
        let accounts = accounts(&config, &local)?;
        let stopping = signals::cancel_flag().map_err(system("handle signals"))?;
        let service = Service::open(ServiceOptions {
            local,
            datadir,
            state_dir: settings.state_dir()?,
        })?;
        let clients = Clients::new(Arc::clone(&service));
        let server = Server::new(options, Arc::new(accounts), Arc::new(clients));
        for endpoint in &endpoints {
            let bound = server.listen(endpoint).map_err(listen_failed)?;
            if let Some(address) = bound {
                tracing::info!(%address, "listening");
            } else {
                tracing::info!("listening on {endpoint}");
            }
        }
        notify(&[sd_notify::NotifyState::Ready]);
        wait(&stopping);
        notify(&[sd_notify::NotifyState::Stopping]);
        tracing::info!(clones = service.running_clones(), "stopping");
        service.stop();
        let orderly = server.stop(PATIENCE);
        if !orderly {
            tracing::warn!("some connections have not ended in time");
        }
        let text = "stopped\n".to_owned();
        Answer::new("serve", &Stopped { orderly }, text, Ending::Told)
    }

    fn endpoints(&self, config: &Config, settings: &Settings) -> Result<Vec<Endpoint>, Failure> {
        let given = Some(&self.listen).filter(|given| !given.is_empty());
        let in_file = given_or(None::<String>, &settings.options, "listen")?;
        let default = vec![in_file.unwrap_or_else(|| LISTEN.to_owned())];
        let addresses = given.or(config.listen.as_ref()).unwrap_or(&default);
        if addresses.is_empty() {
            return Err(Failure::Usage(
                "there is no address to listen on".to_owned(),
            ));
        }
        addresses
            .iter()
            .map(|address| endpoint(address, DEFAULT_PORT))
            .collect()
    }

    fn options(&self, config: &Config, endpoints: &[Endpoint]) -> Result<ServerOptions, Failure> {
        let certificate = self.tls_cert.as_deref().or(config.tls_cert.as_deref());
        let key = self.tls_key.as_deref().or(config.tls_key.as_deref());
        let tls = match (certificate, key) {
            (Some(certificate), Some(key)) => ServerTls::from_files(certificate, key),
            (None, None) => ServerTls::self_signed(vec!["localhost".to_owned()]),
            _ => {
                let text = "a certificate needs its key, and a key its certificate";
                return Err(Failure::Usage(text.to_owned()));
            }
        };
        let tls = tls.map_err(|error| Failure::Usage(format!("TLS: {}", causes(&error))))?;
        let key_file = self.rsa_private_key.as_deref();
        let key_file = key_file.or(config.rsa_private_key.as_deref());
        let default = ServerOptions::default();
        let plain = self.allow_plain_tcp || config.allow_plain_tcp;
        let beyond = endpoints.iter().any(|endpoint| !is_of_this_host(endpoint));
        if beyond && plain {
            tracing::warn!("clients of other hosts may come without TLS");
        }
        Ok(ServerOptions {
            version: SERVER_VERSION.to_owned(),
            tls: Some(tls),
            rsa: rsa(key_file)?,
            require_tls: self.require_tls || (beyond && !plain),
            max_connections: config.max_connections.unwrap_or(default.max_connections),
            ..default
        })
    }
}

fn accounts(config: &Config, local: &wire::ConnectOptions) -> Result<EndpointAccounts, Failure> {
    let users = config.users().map_err(Failure::Usage)?;
    let with_local = config.local_accounts.unwrap_or(users.is_empty());
    let local = with_local.then(|| LocalAccounts::new(local.clone(), Vec::new()));
    Ok(EndpointAccounts::new(users, local))
}

/// The key by which passwords come over plain TCP.
fn rsa(file: Option<&Path>) -> Result<ServerRsa, Failure> {
    let Some(file) = file else {
        return Ok(ServerRsa::default());
    };
    ServerRsa::from_file(file).map_err(|error| Failure::Usage(causes(&error)))
}

/// An address, or a path: what has a slash.
fn endpoint(text: &str, default_port: u16) -> Result<Endpoint, Failure> {
    if text.contains('/') {
        return Ok(Endpoint::Socket(text.into()));
    }
    let wrong = || Failure::Usage(format!("--listen: '{text}' is no address"));
    let (host, port) = match text.rsplit_once(':') {
        // IPv6 addresses are full of colons; with a port they are in brackets.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().map_err(|_| wrong())?)
        }
        _ => (text, default_port),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = bare.unwrap_or(host);
    if host.is_empty() {
        return Err(wrong());
    }
    Ok(Endpoint::Tcp {
        host: host.to_owned(),
        port,
    })
}

/// Whether only clients of this host can come by it.
fn is_of_this_host(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Socket(_) => true,
        Endpoint::Tcp { host, .. } => {
            let address = host.parse::<IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
    }
}

/// Waits for the signal.
fn wait(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
    }
}

fn hash_password() -> Result<Answer, Failure> {
    let action = "read the password";
    let secret = password::ask().map_err(|error| match error.kind() {
        std::io::ErrorKind::Interrupted => Failure::Interrupted,
        _ => system(action)(error),
    })?;
    let hash = Hash {
        password: hashed(&secret).map_err(system("make a salt"))?,
    };
    let text = format!("password = \"{}\"\n", hash.password);
    Answer::new("serve", &hash, text, Ending::Told)
}

/// The service manager, if there is one, need not know.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager was not notified");
    }
}

fn system(action: &'static str) -> impl Fn(std::io::Error) -> Failure {
    move |source| Failure::System { action, source }
}

fn listen_failed(error: wire::Error) -> Failure {
    Failure::System {
        action: "start to listen",
        source: std::io::Error::other(error),
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", causes(source)),
        None => error.to_string(),
    }
}

const LISTEN: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 3307;
/// How often to look whether the signal has come.
const LOOK: Duration = Duration::from_millis(100);
/// How long clones that are cancelled may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port_or_get_one() {
        let tcp = |host: &str, port| Endpoint::Tcp {
            host: host.to_owned(),
            port,
        };
        for (text, expected, here) in [
            ("0.0.0.0", tcp("0.0.0.0", 3307), false),
            ("db1:3310", tcp("db1", 3310), false),
            ("::1", tcp("::1", 3307), true),
            ("[::1]:3310", tcp("::1", 3310), true),
            ("localhost:0", tcp("localhost", 0), true),
            ("127.0.0.2", tcp("127.0.0.2", 3307), true),
            ("/run/c.sock", Endpoint::Socket("/run/c.sock".into()), true),
        ] {
            let found = endpoint(text, DEFAULT_PORT).unwrap();
            assert_eq!(is_of_this_host(&found), here, "{text}");
            assert_eq!(found, expected, "{text}");
        }
        for text in ["", ":3306", "db1:", "db1:99999", "db1:x"] {
            assert!(endpoint(text, DEFAULT_PORT).is_err(), "{text}");
        }
    }
}
