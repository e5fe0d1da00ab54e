//! What every command knows: the option files, the place of the history, how to talk.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use catalogue::Catalogue;

use crate::args::GlobalArgs;
use crate::connection;
use crate::failure::Failure;
use crate::monitor::Show;
use crate::option_file::{OptionFiles, Options};

/// The groups of option files that are read, as MySQL's programs read `[client]` and their own.
pub(crate) const GROUPS: [&str; 2] = ["client", OWN_GROUP];

/// Options and environment, resolved.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) options: Options,
    /// Whether the user named the option files to read.
    pub(crate) named_files: bool,
    pub(crate) show: Show,
    state_dir: Option<PathBuf>,
}

impl Settings {
    /// Reads the option files.
    pub(crate) fn load(args: &GlobalArgs) -> Result<Self, Failure> {
        let options = OptionFiles::load(&args.defaults)?;
        for warning in options.warnings() {
            tracing::warn!("{warning}");
        }
        check_own_group(&options)?;
        Ok(Self {
            state_dir: args.state_dir.clone(),
            named_files: args.defaults.defaults_file.is_some()
                || args.defaults.defaults_extra_file.is_some(),
            show: show(args),
            options,
        })
    }

    /// The directory of the history.
    pub(crate) fn state_dir(&self) -> Result<PathBuf, Failure> {
        let given = self.state_dir.clone();
        let given = given.or_else(|| self.options.get(&[OWN_GROUP], "state-dir").map(Into::into));
        let root = rustix::process::geteuid().is_root();
        given
            .or_else(|| default_state_dir(root, &env))
            .ok_or_else(|| {
                Failure::Usage(
                    "there is no home directory for the history: give --state-dir".into(),
                )
            })
    }

    /// The history, made if there is none.
    pub(crate) fn catalogue(&self) -> Result<Catalogue, Failure> {
        Ok(Catalogue::open(&self.state_dir()?)?)
    }

    /// The history if there is one: looking for it changes nothing.
    pub(crate) fn existing_catalogue(&self) -> Result<Option<Catalogue>, Failure> {
        let dir = self.state_dir()?;
        let file = dir.join(catalogue::FILE_NAME);
        match std::fs::symlink_metadata(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            // Whatever else is wrong is better said by the catalogue.
            _ => Ok(Some(Catalogue::open(&dir)?)),
        }
    }
}

/// An environment variable; an empty one is none.
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// MySQL's programs refuse what they do not know in their own group: a typing error there could
/// switch the protection of a connection off.
fn check_own_group(options: &Options) -> Result<(), Failure> {
    let known = |name: &str| connection::KEYS.contains(&name) || OWN_KEYS.contains(&name);
    match options.unknown(OWN_GROUP, known).first() {
        None => Ok(()),
        Some(setting) => Err(Failure::Usage(format!(
            "{}: unknown option in [{OWN_GROUP}]: {} (loose-{} would be ignored)",
            setting.place, setting.name, setting.name
        ))),
    }
}

fn default_state_dir(root: bool, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if root {
        return Some(PathBuf::from("/var/lib/innoclone"));
    }
    let absolute = |name| env(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let state = absolute("XDG_STATE_HOME");
    let state = state.or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("innoclone"))
}

fn show(args: &GlobalArgs) -> Show {
    if args.json {
        Show::Fields
    } else if args.quiet || !std::io::stderr().is_terminal() {
        Show::Lines
    } else {
        Show::Bars
    }
}

/// The group of this program.
pub(crate) const OWN_GROUP: &str = "innoclone";
/// The options of this program that option files may set, besides those of the connection.
const OWN_KEYS: [&str; 16] = [
    "compress",
    "compress-chunk-size",
    "compress-level",
    "compress-threads",
    "connect-retry",
    "datadir",
    "encryption-key-file",
    "listen",
    "lock-wait-timeout",
    "network-rate",
    "parallel",
    "read-rate",
    "serve-password",
    "serve-password-file",
    "serve-user",
    "state-dir",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_the_systems_for_root_and_below_the_home_for_others() {
        let dir = |root, vars: &[(&str, &str)]| {
            let find = |name: &str| {
                let found = vars.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            default_state_dir(root, &find)
        };
        let home = ("HOME", "/home/a");
        assert_eq!(dir(true, &[home]), Some("/var/lib/innoclone".into()));
        assert_eq!(
            dir(false, &[home]),
            Some("/home/a/.local/state/innoclone".into())
        );
        let xdg = ("XDG_STATE_HOME", "/s");
        assert_eq!(dir(false, &[home, xdg]), Some("/s/innoclone".into()));
        let relative = ("XDG_STATE_HOME", "s");
        assert_eq!(
            dir(false, &[home, relative]),
            Some("/home/a/.local/state/innoclone".into())
        );
        assert_eq!(dir(false, &[]), None);
    }
}
