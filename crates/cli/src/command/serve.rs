//! `innoclone serve`: an endpoint of the MySQL protocol.
//!
//! It has two faces. With `--donor` it gives a backup to servers; without, it takes the statements of
//! CLONE from clients.

mod donor;
mod statements;

use std::path::PathBuf;

use clap::Args;
use wire::Endpoint;

use self::donor::DonorArgs;
use self::statements::StatementsArgs;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::settings::Settings;

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    at: ListenArgs,
    #[command(flatten)]
    statements: StatementsArgs,
    #[command(flatten)]
    donor: DonorArgs,
}

/// Where clients come in.
#[derive(Debug, Args)]
struct ListenArgs {
    /// Listen here: ADDRESS[:PORT], or the path of a unix socket; may be repeated
    /// [default: 127.0.0.1:3307; with --donor 127.0.0.1:3306].
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Certificate for clients (PEM); without one a new one is made at each start.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate for clients (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl ServeArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        match self.donor.run(&self.at, settings)? {
            Some(answer) => Ok(answer),
            None => self.statements.run(&self.at, settings),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn addresses_have_a_port_or_get_one() {
        for (text, expected) in [
            ("0.0.0.0", tcp("0.0.0.0", 3306)),
            ("db1:3310", tcp("db1", 3310)),
            ("::1", tcp("::1", 3306)),
            ("[::1]:3310", tcp("::1", 3310)),
            ("[::1]", tcp("::1", 3306)),
            ("/run/c.sock", Endpoint::Socket("/run/c.sock".into())),
        ] {
            assert_eq!(endpoint(text, 3306).unwrap(), expected, "{text}");
        }
        for text in ["", ":3306", "db1:", "db1:99999", "db1:x"] {
            assert!(endpoint(text, 3306).is_err(), "{text}");
        }
    }
}
