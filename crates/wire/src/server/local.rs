//! Accounts of a MySQL server: who can log in there can log in here.

use super::accounts::{Accounts, Login, Peer};
use super::answer::Refusal;
use super::digest::PasswordDigest;
use super::grants::Grants;
use crate::{ConnectOptions, Connection, Error, Secret};

/// Checks logins by logging in to a server of this host.
///
/// The passwords have to come whole each time: what was true of an account when somebody logged in
/// the last time need not be true any more, and the server tells nobody.
///
/// The server sees us and not the client as its peer. So the account that it chose must be one that
/// admits the client's address too: `root@localhost` does not come in from another host. An account
/// that is for another host only (`app@10.0.0.7`) does not come in at all. Host names of accounts
/// are not looked up, except `localhost`.
#[derive(Debug)]
pub struct LocalAccounts {
    server: ConnectOptions,
    needs: Vec<&'static str>,
}

impl LocalAccounts {
    /// Accounts of the server at `server`, whose user and password are not used. Logins need all of
    /// the privileges `needs` (for example `BACKUP_ADMIN`), or they get error 1227.
    pub fn new(server: ConnectOptions, needs: Vec<&'static str>) -> Self {
        Self { server, needs }
    }

    fn grants_of(&self, login: &Login, password: &Secret) -> Result<Option<Grants>, Error> {
        let options = ConnectOptions {
            user: login.user.clone(),
            password: Some(password.clone()),
            ..self.server.clone()
        };
        let mut connection = Connection::connect(&options)?;
        let account: String = connection
            .query_value("SELECT CURRENT_USER()")?
            .unwrap_or_default();
        // A name may contain the character, a host does not.
        let host = account.rsplit_once('@').map_or("", |(_, host)| host);
        let grants = connection.query("SHOW GRANTS")?;
        connection.close();
        if !admits(host, login.peer) {
            tracing::info!(account, peer = %login.peer, "the account is not for this address");
            return Ok(None);
        }
        Ok(Some(Grants::parse(
            grants.iter().filter_map(|row| row.text(0)),
        )))
    }
}

impl Accounts for LocalAccounts {
    fn digest(&self, _: &Login) -> Option<PasswordDigest> {
        None
    }

    fn grants(&self, login: &Login) -> Result<Grants, Refusal> {
        Err(login.denied(true))
    }

    fn verify(&self, login: &Login, password: &Secret) -> Result<Grants, Refusal> {
        let denied = || login.denied(!password.expose().is_empty());
        match self.grants_of(login, password) {
            Ok(Some(grants)) => match self.needs.iter().find(|name| !grants.has(name)) {
                None => Ok(grants),
                Some(name) => Err(Refusal::privilege(name)),
            },
            // The server's own words name another host than the client's.
            Ok(None) | Err(Error::Server { code: 1045, .. }) => Err(denied()),
            Err(Error::Server { code, message, .. }) => Err(Refusal::new(code, message)),
            Err(error) => {
                let error = crate::error::with_causes(&error);
                tracing::warn!(error, "cannot check a login with the local server");
                let message = "Cannot check the login with the local server; its log says why";
                Err(Refusal::new(1105, message))
            }
        }
    }
}

/// Whether an account for `host` is for a client from `peer` (*Specifying Account Names* in the
/// MySQL manual).
fn admits(host: &str, peer: Peer) -> bool {
    let address = match peer {
        Peer::Socket => return host.eq_ignore_ascii_case("localhost") || like(host, "localhost"),
        Peer::Address(address) => address,
    };
    if host.eq_ignore_ascii_case("localhost") {
        return address.is_loopback();
    }
    if let Some((network, mask)) = host.split_once('/') {
        return in_network(network, mask, address);
    }
    like(host, &address.to_string())
}

/// `a.b.c.d/255.255.0.0` and `a.b.c.d/16`, for IPv4; and `x:y::/32`.
fn in_network(network: &str, mask: &str, address: std::net::IpAddr) -> bool {
    use std::net::IpAddr::{V4, V6};
    let Ok(network) = network.parse() else {
        return false;
    };
    match (network, address) {
        (V4(network), V4(address)) => {
            let bits = match mask.parse::<u32>() {
                Ok(len @ 0..=32) => u32::MAX.checked_shl(32 - len).unwrap_or(0),
                Ok(_) => return false,
                Err(_) => match mask.parse::<std::net::Ipv4Addr>() {
                    Ok(mask) => mask.to_bits(),
                    Err(_) => return false,
                },
            };
            network.to_bits() & bits == address.to_bits() & bits
        }
        (V6(network), V6(address)) => match mask.parse::<u32>() {
            Ok(len @ 0..=128) => {
                let bits = u128::MAX.checked_shl(128 - len).unwrap_or(0);
                network.to_bits() & bits == address.to_bits() & bits
            }
            _ => false,
        },
        _ => false,
    }
}

/// SQL's LIKE with `%` and `_`, for the addresses in account names; letters in any case.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    // Where the last `%` was, and how much of the text it has taken.
    let (mut p, mut t, mut again) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'%') => {
                again = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'_' || byte.eq_ignore_ascii_case(&text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((percent, taken)) = again else {
                    return false;
                };
                again = Some((percent, taken + 1));
                (p, t) = (percent + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_admit_the_hosts_they_are_for() {
        let from = |address: &str| Peer::Address(address.parse().unwrap());
        let (here, there) = (from("127.0.0.1"), from("10.1.2.3"));
        for (host, socket, loopback, network) in [
            ("%", true, true, true),
            ("localhost", true, true, false),
            ("10.1.%", false, false, true),
            ("10.1.2.3", false, false, true),
            ("10.1.2._", false, false, true),
            ("10.1.0.0/255.255.0.0", false, false, true),
            ("10.1.0.0/16", false, false, true),
            ("0.0.0.0/0", false, true, true),
            ("10.2.0.0/16", false, false, false),
            ("10.1.0.0/99", false, false, false),
            ("::1", false, false, false),
            ("", false, false, false),
        ] {
            let found = (
                admits(host, Peer::Socket),
                admits(host, here),
                admits(host, there),
            );
            assert_eq!(found, (socket, loopback, network), "{host}");
        }
        assert!(admits("fd00::/8", from("fd12::1")));
    }
}
