//! MySQL's option files (`my.cnf`): which are read, and what they say.
//!
//! Files are read in MySQL's order, later settings win over earlier ones, and `-` and `_` in names
//! are the same. The encrypted login path file (`.mylogin.cnf`) is not read.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

mod line;
mod read;

use read::{Missing, Reader};

/// The arguments by which a user chooses option files, named as in MySQL's programs.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct DefaultsArgs {
    /// Read no option file.
    #[arg(long, global = true)]
    pub(crate) no_defaults: bool,
    /// Read only this option file.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) defaults_file: Option<PathBuf>,
    /// Read this option file after the global ones and before the user's own.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) defaults_extra_file: Option<PathBuf>,
    /// Read also the groups whose names end so: `[client_x]` for the suffix `_x`.
    #[arg(long, global = true, value_name = "SUFFIX")]
    #[arg(env = "MYSQL_GROUP_SUFFIX", hide_env_values = true)]
    pub(crate) defaults_group_suffix: Option<String>,
}

/// Where option files lie on this machine.
#[derive(Debug, Clone)]
pub(crate) struct OptionFiles {
    global: Vec<PathBuf>,
    home: Option<PathBuf>,
}

impl OptionFiles {
    /// Reads the files that `args` and the machine's conventions name.
    pub(crate) fn load(args: &DefaultsArgs) -> Result<Options, OptionFileError> {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let global = GLOBAL.iter().map(PathBuf::from).collect();
        Self {
            global,
            home: home.map(PathBuf::from),
        }
        .read(args)
    }

    fn read(&self, args: &DefaultsArgs) -> Result<Options, OptionFileError> {
        let mut reader = Reader::new(self.home.clone());
        if let Some(file) = &args.defaults_file {
            reader.read(file, Missing::Fail)?;
        } else if !args.no_defaults {
            for file in &self.global {
                reader.read(file, Missing::Ignore)?;
            }
            if let Some(file) = &args.defaults_extra_file {
                reader.read(file, Missing::Fail)?;
            }
            if let Some(home) = &self.home {
                reader.read(&home.join(".my.cnf"), Missing::Ignore)?;
            }
        }
        let suffix = args.defaults_group_suffix.clone().unwrap_or_default();
        Ok(Options {
            settings: reader.settings,
            warnings: reader.warnings,
            suffix,
        })
    }
}

/// What the option files say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    settings: Vec<Setting>,
    warnings: Vec<String>,
    suffix: String,
}

impl Options {
    /// What was ignored, and why: to be shown to the user.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The setting of `key` in any of `groups` that counts: the last one read, whichever group it
    /// is in. `loose-key` is `key`; see [`get`](Options::get) for `skip-key`.
    pub(crate) fn find(&self, groups: &[&str], key: &str) -> Option<&Setting> {
        self.lookup(groups, key).map(|(setting, _)| setting)
    }

    /// The value of `key`. A bare `key` is an empty text, `skip-key` and `disable-key` are `0`,
    /// `enable-key` is `1`.
    pub(crate) fn get(&self, groups: &[&str], key: &str) -> Option<&str> {
        self.lookup(groups, key).map(|(_, value)| value.text())
    }

    /// The value of `key` read as a `T`.
    pub(crate) fn parse<T: FromStr>(
        &self,
        groups: &[&str],
        key: &str,
    ) -> Result<Option<T>, OptionFileError> {
        let Some((setting, value)) = self.lookup(groups, key) else {
            return Ok(None);
        };
        value
            .text()
            .parse()
            .map(Some)
            .map_err(|_| setting.invalid(value.text()))
    }

    /// Whether `key` is switched on: bare, or `1`, `on`, `true`; off: `0`, `off`, `false`.
    pub(crate) fn flag(&self, groups: &[&str], key: &str) -> Result<Option<bool>, OptionFileError> {
        let Some((setting, value)) = self.lookup(groups, key) else {
            return Ok(None);
        };
        match value.text().to_ascii_lowercase().as_str() {
            "" if value == Value::Bare => Ok(Some(true)),
            "1" | "on" | "true" => Ok(Some(true)),
            "0" | "off" | "false" => Ok(Some(false)),
            other => Err(setting.invalid(other)),
        }
    }

    /// The settings of `group` whose names `is_known` denies, except those marked `loose-`: typing
    /// errors, most likely.
    pub(crate) fn unknown(&self, group: &str, is_known: impl Fn(&str) -> bool) -> Vec<&Setting> {
        let known = |name: &str| {
            let base = SWITCHES
                .iter()
                .find_map(|(prefix, _)| name.strip_prefix(prefix));
            is_known(name) || base.is_some_and(&is_known)
        };
        let settings = self
            .settings
            .iter()
            .filter(|setting| self.in_group(setting, group));
        settings
            .filter(|setting| !setting.name.starts_with(LOOSE) && !known(&setting.name))
            .collect()
    }

    fn lookup(&self, groups: &[&str], key: &str) -> Option<(&Setting, Value<'_>)> {
        let key = key.replace('_', "-");
        self.settings.iter().rev().find_map(|setting| {
            let value = setting.sets(&key)?;
            let wanted = groups.iter().any(|group| self.in_group(setting, group));
            wanted.then_some((setting, value))
        })
    }

    fn in_group(&self, setting: &Setting, group: &str) -> bool {
        setting
            .group
            .strip_prefix(group)
            .is_some_and(|rest| rest.is_empty() || rest == self.suffix)
    }
}

/// What a setting sets its option to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value<'a> {
    /// The name alone.
    Bare,
    Text(&'a str),
}

impl<'a> Value<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Bare => "",
            Self::Text(text) => text,
        }
    }
}

/// One line of an option file that sets an option.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The group it is in.
    pub(crate) group: String,
    /// The name as written, with `-` for `_`.
    pub(crate) name: String,
    /// `None` for a bare name, without `=`.
    pub(crate) value: Option<String>,
    /// Where it is written.
    pub(crate) place: Place,
}

impl Setting {
    /// Whether this sets `key`, and by what value.
    fn sets(&self, key: &str) -> Option<Value<'_>> {
        let name = self.name.strip_prefix(LOOSE).unwrap_or(&self.name);
        if name == key {
            return Some(self.value.as_deref().map_or(Value::Bare, Value::Text));
        }
        let switch = |(prefix, value): &(&str, &'static str)| {
            (name.strip_prefix(prefix)? == key).then_some(Value::Text(value))
        };
        SWITCHES.iter().find_map(switch)
    }

    fn is_secret(&self) -> bool {
        self.name.contains("password")
    }

    fn invalid(&self, value: &str) -> OptionFileError {
        let value = if self.is_secret() { "***" } else { value };
        let (name, value) = (self.name.clone(), value.to_owned());
        OptionFileError::Value {
            place: self.place.clone(),
            name,
            value,
        }
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [{}] {}", self.place, self.group, self.name)?;
        match &self.value {
            Some(_) if self.is_secret() => f.write_str(" = ***"),
            Some(value) => write!(f, " = {value:?}"),
            None => Ok(()),
        }
    }
}

/// A line of an option file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    file: Arc<Path>,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}", self.file.display(), self.line)
    }
}

/// Why the option files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionFileError {
    /// A file or folder that must be there cannot be read.
    #[error("read options from {}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A line breaks the rules.
    #[error("{place}: {problem}")]
    Syntax {
        /// Which one.
        place: Place,
        /// Which rule.
        problem: &'static str,
    },
    /// A value is not of the option's kind.
    #[error("{place}: invalid value for {name}: {value}")]
    Value {
        /// Where it is set.
        place: Place,
        /// The option.
        name: String,
        /// The value; not shown for passwords.
        value: String,
    },
    /// Files include each other without end.
    #[error("more than {limit} option files: do they include each other?")]
    TooManyFiles {
        /// How many are read.
        limit: usize,
    },
}

/// Read first, in this order.
const GLOBAL: [&str; 2] = ["/etc/my.cnf", "/etc/mysql/my.cnf"];
/// Before a name: not an error for a program that does not know it.
const LOOSE: &str = "loose-";
/// Before a name: sets it to this value.
const SWITCHES: [(&str, &str); 3] = [("skip-", "0"), ("disable-", "0"), ("enable-", "1")];

#[cfg(test)]
mod tests;
