//! Who may log in: the users of the configuration, and the accounts of the local instance.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use wire::Secret;
use wire::server::{
    Accounts, Grants, LocalAccounts, Login, PasswordDigest, Refusal, StoredPassword,
};

/// The accounts of an endpoint. There is none without a name.
#[derive(Debug)]
pub struct EndpointAccounts {
    users: BTreeMap<String, (StoredPassword, Grants)>,
    local: Option<LocalAccounts>,
    /// Of users that have proved to know their password: they need not send it again.
    seen: Mutex<BTreeMap<String, PasswordDigest>>,
    /// What the password of an unknown user is compared with, so that it takes as long.
    nobody: StoredPassword,
}

impl EndpointAccounts {
    /// These users; with `local` also whoever can log in there.
    pub fn new(
        users: BTreeMap<String, (StoredPassword, Grants)>,
        local: Option<LocalAccounts>,
    ) -> Self {
        Self {
            users,
            local,
            seen: Mutex::default(),
            nobody: StoredPassword::new(&Secret::new(""), [b'x'; 20]),
        }
    }
}

impl Accounts for EndpointAccounts {
    fn digest(&self, login: &Login) -> Option<PasswordDigest> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&login.user).copied()
    }

    fn grants(&self, login: &Login) -> Result<Grants, Refusal> {
        match self.users.get(&login.user) {
            Some((_, grants)) => Ok(grants.clone()),
            None => Err(login.denied(true)),
        }
    }

    fn verify(&self, login: &Login, password: &Secret) -> Result<Grants, Refusal> {
        let denied = || login.denied(!password.expose().is_empty());
        if login.user.is_empty() {
            return Err(denied());
        }
        if let Some((stored, grants)) = self.users.get(&login.user) {
            if !stored.is(password) {
                return Err(denied());
            }
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(login.user.clone(), PasswordDigest::of(password));
            return Ok(grants.clone());
        }
        if let Some(local) = &self.local {
            return local.verify(login, password);
        }
        let _ = self.nobody.is(password);
        Err(denied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::server::Peer;

    fn login(user: &str) -> Login {
        Login {
            user: user.to_owned(),
            peer: Peer::Socket,
            tls: false,
        }
    }

    #[test]
    fn only_who_is_named_and_knows_the_password_comes_in() {
        let stored = StoredPassword::new(&Secret::new("p"), [7; 20]);
        let grants = Grants::Only(["BACKUP_ADMIN".to_owned()].into());
        let users = [
            ("a".to_owned(), (stored.clone(), grants)),
            (String::new(), (stored, Grants::All)),
        ];
        let accounts = EndpointAccounts::new(users.into(), None);
        let verify =
            |user: &str, password: &str| accounts.verify(&login(user), &Secret::new(password));
        assert!(accounts.digest(&login("a")).is_none());
        assert!(verify("a", "p").unwrap().has("BACKUP_ADMIN"));
        assert!(accounts.digest(&login("a")).is_some());
        for (user, password) in [("a", ""), ("a", "q"), ("b", "p"), ("", "p"), ("", "")] {
            assert_eq!(
                verify(user, password).unwrap_err().code,
                1045,
                "{user} {password}"
            );
        }
    }
}
