//! Who may log in.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Mutex;

use super::answer::Refusal;
use super::digest::{PasswordDigest, StoredPassword};
use super::grants::Grants;
use super::lock;
use crate::Secret;

/// Where a client comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A unix socket of this host.
    Socket,
    /// TCP.
    Address(IpAddr),
}

/// As in `SHOW PROCESSLIST`.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket => f.write_str("localhost"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Somebody who wants to log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The name.
    pub user: String,
    /// From where.
    pub peer: Peer,
    /// Whether over TLS.
    pub tls: bool,
}

impl Login {
    /// 1045, in the server's words.
    pub fn denied(&self, password_given: bool) -> Refusal {
        let (user, peer) = (&self.user, self.peer);
        let used = if password_given { "YES" } else { "NO" };
        Refusal::new(
            1045,
            format!("Access denied for user '{user}'@'{peer}' (using password: {used})"),
        )
    }
}

/// The accounts of an endpoint.
pub trait Accounts: Send + Sync + fmt::Debug {
    /// The digest of the password, if it is known: then the password need not travel, and the login
    /// works over plain TCP too.
    fn digest(&self, login: &Login) -> Option<PasswordDigest>;

    /// What somebody may do who has proved to know the password of [`digest`](Self::digest).
    fn grants(&self, login: &Login) -> Result<Grants, Refusal>;

    /// Checks a password that came over TLS, a unix socket or encrypted, and says what its owner may do.
    /// Unknown users too come here, so that nothing tells who is known.
    fn verify(&self, login: &Login, password: &Secret) -> Result<Grants, Refusal>;
}

/// Accounts from a list; whoever is on it may do everything.
#[derive(Debug, Default)]
pub struct FixedAccounts {
    users: HashMap<String, Known>,
    /// Digests of stored passwords that were seen in clear once.
    seen: Mutex<HashMap<String, PasswordDigest>>,
}

#[derive(Debug)]
enum Known {
    Password(PasswordDigest),
    Stored(StoredPassword),
}

impl FixedAccounts {
    /// Adds a user with a password. Such a user never has to send it.
    #[must_use]
    pub fn with_password(mut self, user: impl Into<String>, password: &Secret) -> Self {
        let known = Known::Password(PasswordDigest::of(password));
        self.users.insert(user.into(), known);
        self
    }

    /// Adds a user with what a server's `mysql.user` has of the password. Such a user has to send
    /// the password for the first time.
    #[must_use]
    pub fn with_stored(mut self, user: impl Into<String>, stored: StoredPassword) -> Self {
        self.users.insert(user.into(), Known::Stored(stored));
        self
    }
}

impl Accounts for FixedAccounts {
    fn digest(&self, login: &Login) -> Option<PasswordDigest> {
        match self.users.get(&login.user)? {
            Known::Password(digest) => Some(*digest),
            Known::Stored(_) => lock(&self.seen).get(&login.user).copied(),
        }
    }

    fn grants(&self, _: &Login) -> Result<Grants, Refusal> {
        Ok(Grants::All)
    }

    fn verify(&self, login: &Login, password: &Secret) -> Result<Grants, Refusal> {
        let right = match self.users.get(&login.user) {
            None => false,
            Some(Known::Password(digest)) => *digest == PasswordDigest::of(password),
            Some(Known::Stored(stored)) => {
                let right = stored.is(password);
                if right {
                    let digest = PasswordDigest::of(password);
                    lock(&self.seen).insert(login.user.clone(), digest);
                }
                right
            }
        };
        if right {
            Ok(Grants::All)
        } else {
            Err(login.denied(!password.expose().is_empty()))
        }
    }
}
