//! The configuration file of the daemon.
//!
//! ```toml
//! listen = ["127.0.0.1:3307", "/run/innoclone/innoclone.sock"]
//! tls-cert = "/etc/innoclone/cert.pem"
//! tls-key = "/etc/innoclone/key.pem"
//! local-accounts = true
//!
//! [users.backup]
//! password = "0x24412430303524…"
//! privileges = ["BACKUP_ADMIN", "SELECT"]
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wire::Secret;
use wire::server::{Grants, StoredPassword};

use crate::access::Privilege;

/// What the configuration file says. What it does not say has a default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// Addresses (`host:port`) and unix sockets (absolute paths) to listen on.
    pub listen: Option<Vec<String>>,
    /// Certificate (PEM); without one the daemon makes one at its start.
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate (PEM).
    pub tls_key: Option<PathBuf>,
    /// RSA key (PEM) by which passwords come over TCP without TLS; without one the daemon makes one.
    pub rsa_private_key: Option<PathBuf>,
    /// Let clients from other hosts in without TLS.
    pub allow_plain_tcp: bool,
    /// Whether the accounts of the local instance may log in; by default they may if there are no
    /// users in the file.
    pub local_accounts: Option<bool>,
    /// Most connections at the same time.
    pub max_connections: Option<usize>,
    /// Users of this endpoint only, by name.
    pub users: BTreeMap<String, UserConfig>,
}

/// A user in the configuration file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UserConfig {
    /// What a server stores of the password for `caching_sha2_password`: as it is, or in
    /// hexadecimal with `0x`.
    password: String,
    /// What the user may do; everything by default.
    privileges: Option<Vec<String>>,
}

/// A configuration file that cannot be used.
#[derive(Debug)]
pub struct ConfigError {
    file: PathBuf,
    why: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.why)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the file.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let failed = |why: String| ConfigError {
            file: file.to_owned(),
            why,
        };
        let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
        // The parser's message shows the line, and in it could be a password.
        let config: Self = toml::from_str(&text).map_err(|error| {
            let line = error
                .span()
                .map(|span| text[..span.start].matches('\n').count() + 1);
            let place = line
                .map(|line| format!("line {line}: "))
                .unwrap_or_default();
            failed(format!("{place}{}", error.message()))
        })?;
        config.users().map_err(failed)?;
        Ok(config)
    }

    /// The users with what is stored of their passwords, and what they may do.
    pub fn users(&self) -> Result<BTreeMap<String, (StoredPassword, Grants)>, String> {
        let mut users = BTreeMap::new();
        for (name, user) in &self.users {
            if name.is_empty() {
                return Err("a user without a name".to_owned());
            }
            let stored = decoded(&user.password).and_then(|bytes| StoredPassword::parse(&bytes));
            let stored = stored.ok_or_else(|| {
                format!(
                    "the password of user '{name}' is not the hash of one; \
                     'innoclone serve --hash-password' makes one"
                )
            })?;
            let grants = match &user.privileges {
                None => Grants::All,
                Some(names) => Grants::Only(
                    names
                        .iter()
                        .map(|name| {
                            name.parse::<Privilege>()
                                .map(|known| known.name().to_owned())
                        })
                        .collect::<Result<_, _>>()
                        .map_err(|error| format!("user '{name}': {error}"))?,
                ),
            };
            users.insert(name.clone(), (stored, grants));
        }
        Ok(users)
    }
}

/// What the file has to hold for a user with this password.
pub fn hashed(password: &Secret) -> std::io::Result<String> {
    let mut salt = [0; 20];
    getrandom::fill(&mut salt).map_err(std::io::Error::other)?;
    let stored = StoredPassword::new(password, salt).to_bytes();
    let digits: Vec<String> = stored.iter().map(|byte| format!("{byte:02X}")).collect();
    Ok(format!("0x{}", digits.concat()))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("0x") else {
        return Some(text.as_bytes().to_vec());
    };
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let even = digits.len() % 2 == 0 && digits.is_ascii();
    even.then(|| (0..digits.len()).step_by(2).map(pair).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("serve.toml");
        std::fs::write(&file, text).unwrap();
        Config::read(&file).map_err(|error| error.to_string())
    }

    #[test]
    fn a_hash_made_here_lets_its_user_in() {
        let hash = hashed(&Secret::new("hunter2")).unwrap();
        let text = format!(
            "listen = ['/s']\nallow-plain-tcp = true\n[users.b]\npassword = '{hash}'\n\
             privileges = ['backup_admin']\n[users.all]\npassword = '{hash}'\n"
        );
        let config = read(&text).unwrap();
        assert!(config.allow_plain_tcp && config.local_accounts.is_none());
        let users = config.users().unwrap();
        let (stored, grants) = &users["b"];
        assert!(stored.is(&Secret::new("hunter2")));
        assert!(grants.has("BACKUP_ADMIN") && !grants.has("SELECT"));
        assert!(users["all"].1.has("SELECT"));
    }

    #[test]
    fn mistakes_are_named_and_no_password_is() {
        for (text, part) in [
            ("lisen = 'x'", "line 1: unknown field `lisen`"),
            (
                "[users.b]\npassword = 'hunter2'",
                "the password of user 'b' is not the hash",
            ),
            ("[users.b]\npassword = '0xzz'", "not the hash"),
            ("[users.b]\npassword = hunter2", "line 2: "),
            (
                "[users.b]\npassword = 'x'\npasword = 'hunter2'",
                "line 3: unknown field",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(Config::read(Path::new("/nonexistent/x")).is_err());
        assert!(read("").unwrap().users().unwrap().is_empty());
    }
}
