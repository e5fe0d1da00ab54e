//! Accounts of this host: the login name, and the numbers of names.
//!
//! Only the local files are asked. Users of a directory service are reached by their numbers.

use std::path::Path;

use rustix::process::{geteuid, getuid};

/// The name MySQL's programs log in by when none is given: `root` for root, else the name of the
/// user.
pub(crate) fn login_name(env: &dyn Fn(&str) -> Option<String>) -> String {
    if geteuid().is_root() {
        return "root".to_owned();
    }
    let number = getuid().as_raw();
    let users = read(PASSWD);
    let named = entries(&users).find(|entry| entry.number == number);
    let name = named.map(|entry| entry.name.to_owned());
    name.or_else(|| env("USER"))
        .or_else(|| env("LOGNAME"))
        .unwrap_or_else(|| "UNKNOWN_USER".to_owned())
}

/// The numbers that `USER[:GROUP]` means; each part is a name or a number. Without a group it is
/// the user's own.
pub(crate) fn owner(text: &str) -> Result<(u32, u32), String> {
    resolve(text, &read(PASSWD), &read(GROUP))
}

fn resolve(text: &str, users: &str, groups: &str) -> Result<(u32, u32), String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let known = find(users, user);
    let number = known.map(|entry| entry.number).or(user.parse().ok());
    let uid = number.ok_or_else(|| format!("no user '{user}' in {PASSWD}; give a number"))?;
    let gid = match group {
        Some(group) => find(groups, group)
            .map(|entry| entry.number)
            .or(group.parse().ok())
            .ok_or_else(|| format!("no group '{group}' in {GROUP}; give a number"))?,
        None => known
            .or_else(|| entries(users).find(|entry| entry.number == uid))
            .and_then(|entry| entry.group)
            .ok_or_else(|| format!("the group of user {uid} is unknown; give USER:GROUP"))?,
    };
    Ok((uid, gid))
}

/// A line `name:x:number:…`; in the file of users the group's number follows.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    name: &'a str,
    number: u32,
    group: Option<u32>,
}

fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?.parse().ok()?;
        let group = fields.next().and_then(|field| field.parse().ok());
        Some(Entry {
            name,
            number,
            group,
        })
    })
}

fn find<'a>(text: &'a str, name: &str) -> Option<Entry<'a>> {
    entries(text).find(|entry| entry.name == name)
}

/// A file that cannot be read names nobody.
fn read(path: &str) -> String {
    let bytes = std::fs::read(Path::new(path)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nmysql:x:105:110::/:/bin/false\nbroken\n";
    const GROUPS: &str = "root:x:0:\nbackup:x:34:mysql\n";

    #[test]
    fn a_user_alone_brings_its_own_group() {
        assert_eq!(resolve("mysql", USERS, GROUPS), Ok((105, 110)));
        assert_eq!(resolve("105", USERS, GROUPS), Ok((105, 110)));
    }

    #[test]
    fn names_and_numbers_mix() {
        assert_eq!(resolve("mysql:backup", USERS, GROUPS), Ok((105, 34)));
        assert_eq!(resolve("7:8", USERS, GROUPS), Ok((7, 8)));
    }

    #[test]
    fn who_is_unknown_is_refused() {
        assert!(resolve("nobody", USERS, GROUPS).is_err());
        assert!(resolve("mysql:nogroup", USERS, GROUPS).is_err());
        assert!(resolve("7", USERS, GROUPS).is_err(), "group of 7");
        assert!(resolve("", USERS, GROUPS).is_err());
        assert!(resolve("mysql:", USERS, GROUPS).is_err());
    }
}
