//! Why a command failed, as MySQL's programs say it: a number, a state, a message, and a hint.

use std::error::Error;
use std::io;

use serde::Serialize;
use wire::Endpoint;

use crate::option_file::OptionFileError;

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line or an option file makes no sense; nothing was attempted.
    #[error("{0}")]
    Usage(String),
    /// An option file makes no sense or cannot be read; nothing was attempted.
    #[error(transparent)]
    OptionFile(#[from] OptionFileError),
    /// The job failed.
    #[error(transparent)]
    Job(#[from] backup::Error),
    /// The history cannot be read.
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    /// A statement failed.
    #[error("{}", .0.message)]
    Sql(#[from] sql::SqlError),
    /// The user ended the program at the prompt for the password.
    #[error("query execution was interrupted")]
    Interrupted,
    /// The process cannot do what every process can.
    #[error("{action}")]
    System {
        /// What, as "verb object".
        action: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The answer cannot be written in the form asked for.
    #[error("write the answer")]
    Render(#[from] serde_json::Error),
}

/// A failure as it is shown: the stable object of `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    /// MySQL's error number.
    pub(crate) code: u16,
    /// Five characters.
    pub(crate) sqlstate: String,
    /// One line.
    pub(crate) message: String,
    /// What to do next, where that can be said.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// The status the process ends with.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::OptionFile(_) => USAGE,
            _ => FAILED,
        }
    }

    /// The failure as it is shown.
    pub(crate) fn shown(&self) -> Shown {
        let code = self.code();
        let sqlstate = match self {
            Self::Sql(error) => Some(error.sqlstate.as_str()),
            _ => self.server_error().and_then(wire::Error::sqlstate),
        };
        Shown {
            code,
            sqlstate: sqlstate.unwrap_or(standard_sqlstate(code)).to_owned(),
            message: self.message(),
            hint: self.hint(),
        }
    }

    fn code(&self) -> u16 {
        match self {
            Self::Usage(_) | Self::OptionFile(_) => ER_WRONG_ARGUMENTS,
            Self::Job(error) => error.code(),
            Self::Catalogue(_) => ER_CLONE_DONOR,
            Self::Sql(error) => error.code,
            Self::Interrupted => ER_QUERY_INTERRUPTED,
            Self::System { .. } | Self::Render(_) => ER_UNKNOWN_ERROR,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Job(error) => error.hint().or_else(|| connection_hint(error.code())),
            Self::Catalogue(error) => error.hint().or_else(|| catalogue_hint(error)),
            Self::Sql(error) => error.hint.clone(),
            Self::System { source, .. } => listen_hint(source),
            _ => None,
        }
    }

    fn message(&self) -> String {
        let text = match self {
            // The server's number and state are shown in front.
            Self::Job(backup::Error::Server {
                action,
                source: wire::Error::Server { message, .. },
            }) => format!("{action}: {message}"),
            // Likewise.
            Self::Sql(error) => error.message.clone(),
            other => with_sources(other),
        };
        text.replace(['\n', '\r'], " ")
    }

    fn server_error(&self) -> Option<&wire::Error> {
        match self {
            Self::Job(backup::Error::Server { source, .. }) => Some(source),
            _ => None,
        }
    }
}

impl Shown {
    /// As MySQL's client shows an error; a line, and one for the hint.
    pub(crate) fn lines(&self) -> String {
        let Self {
            code,
            sqlstate,
            message,
            hint,
        } = self;
        let hint = hint.as_ref().map(|hint| format!("hint: {hint}\n"));
        let hint = hint.unwrap_or_default();
        format!("innoclone: ERROR {code} ({sqlstate}): {message}\n{hint}")
    }
}

/// The message and those of all causes. Some messages include that of their cause already.
fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// The state MySQL's server sends with its own errors of these numbers.
fn standard_sqlstate(code: u16) -> &'static str {
    match code {
        1044 | 1064 | 1142 | 1143 | 1227 | 1305 => "42000",
        1045 => "28000",
        ER_QUERY_INTERRUPTED => "70100",
        _ => "HY000",
    }
}

fn connection_hint(code: u16) -> Option<String> {
    let text = match code {
        1045 | 1698 => "Check --user and --password, and the groups [client] and [innoclone].",
        2002 => "Is the server running, and is this its socket? Name another one by --socket.",
        2003 | 2005 => "Is the server running, and does it listen there? Check --host and --port.",
        2026 => "Check --ssl-mode, --ssl-ca, --ssl-cert and --ssl-key.",
        _ => return None,
    };
    Some(text.to_owned())
}

/// What to do when clients cannot be awaited where the user wants it.
fn listen_hint(error: &io::Error) -> Option<String> {
    use io::ErrorKind as Kind;
    let wire::Error::Listen { endpoint, source } = error.get_ref()?.downcast_ref()? else {
        return None;
    };
    Some(match (endpoint, source.kind()) {
        (Endpoint::Tcp { port, .. }, Kind::AddrInUse) => format!(
            "Another program listens at port {port}: a server, or another innoclone? Stop it, or name another \
             port by --listen."
        ),
        (Endpoint::Socket(path), Kind::AddrInUse) => format!(
            "{} is no socket, or another program listens there. Name another path by --listen.",
            path.display()
        ),
        (_, Kind::AddrNotAvailable) => {
            "This host has no such address. Name one of its own by --listen.".to_owned()
        }
        (Endpoint::Tcp { .. }, Kind::PermissionDenied) => {
            "Ports below 1024 are for root. Name another one by --listen.".to_owned()
        }
        _ => return None,
    })
}

fn catalogue_hint(error: &catalogue::Error) -> Option<String> {
    let unusable = matches!(error, catalogue::Error::Unusable { .. });
    let text = "Run as the user who makes the backups, or name another directory by --state-dir.";
    unusable.then(|| text.to_owned())
}

/// Ends the process with one line when the program itself is wrong. A stack trace helps nobody who
/// restores a server.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        use io::Write as _;
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let place = panic.location().map(|place| format!(" at {place}"));
        let (text, place) = (text.unwrap_or_default(), place.unwrap_or_default());
        let shown = Shown {
            code: ER_INTERNAL_ERROR,
            sqlstate: "HY000".to_owned(),
            message: format!("internal error: {text}{place}").replace('\n', " "),
            hint: Some("This is a mistake in innoclone; please report it.".to_owned()),
        };
        let _ = io::stderr().write_all(shown.lines().as_bytes());
        #[expect(
            clippy::exit,
            reason = "a thread that panicked must not leave the others waiting for it"
        )]
        std::process::exit(i32::from(FAILED));
    }));
}

/// Exit status: done.
pub(crate) const DONE: u8 = 0;
/// Exit status: failed.
pub(crate) const FAILED: u8 = 1;
/// Exit status: nothing was attempted.
pub(crate) const USAGE: u8 = 2;
/// Exit status: verify found problems.
pub(crate) const PROBLEMS: u8 = 3;

const ER_UNKNOWN_ERROR: u16 = 1105;
const ER_WRONG_ARGUMENTS: u16 = 1210;
const ER_QUERY_INTERRUPTED: u16 = 1317;
const ER_INTERNAL_ERROR: u16 = 1815;
/// What a clone reports when it cannot write its history.
const ER_CLONE_DONOR: u16 = 3862;

#[cfg(test)]
mod tests {
    use super::*;

    fn server_error(code: u16, sqlstate: &str, message: &str) -> Failure {
        Failure::from(backup::Error::Server {
            action: "connect to the server",
            source: wire::Error::Server {
                code,
                sqlstate: sqlstate.to_owned(),
                message: message.to_owned(),
            },
        })
    }

    #[test]
    fn an_error_is_one_line_with_mysqls_number_and_one_with_a_hint() {
        let failure = Failure::from(backup::Error::TargetExists("/x".into()));
        let lines = failure.shown().lines();
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0],
            "innoclone: ERROR 1007 (HY000): can't create database '/x'; database exists"
        );
        assert!(lines[1].starts_with("hint: "));
    }

    #[test]
    fn a_servers_error_has_its_number_state_and_words_once() {
        let shown = server_error(1045, "28000", "Access denied for user 'a'@'b'").shown();
        assert_eq!((shown.code, shown.sqlstate.as_str()), (1045, "28000"));
        assert_eq!(
            shown.message,
            "connect to the server: Access denied for user 'a'@'b'"
        );
        assert!(shown.hint.is_some());
    }

    #[test]
    fn a_failed_statement_has_its_number_and_words_once() {
        let failed = sql::SqlError {
            code: 1064,
            sqlstate: "42000".to_owned(),
            message: "You have an error".to_owned(),
            hint: None,
        };
        let lines = Failure::from(failed).shown().lines();
        assert_eq!(lines, "innoclone: ERROR 1064 (42000): You have an error\n");
    }

    #[test]
    fn causes_are_named_once() {
        let failure = Failure::from(backup::Error::Server {
            action: "connect to the server",
            source: wire::Error::Connect {
                endpoint: Endpoint::Socket("/s".into()),
                source: io::Error::other("gone"),
            },
        });
        let shown = failure.shown();
        assert_eq!(shown.code, 2002);
        assert_eq!(
            shown.message,
            "connect to the server: connect to socket /s: gone"
        );
    }

    #[test]
    fn messages_stay_on_one_line() {
        let shown = server_error(1064, "42000", "near\n'x'").shown();
        assert_eq!(shown.lines().lines().count(), 1);
    }

    #[test]
    fn states_are_those_of_the_server() {
        let shown = Failure::from(backup::Error::Cancelled).shown();
        assert_eq!((shown.code, shown.sqlstate.as_str()), (1317, "70100"));
        assert_eq!(Failure::Interrupted.shown().sqlstate, "70100");
    }

    #[test]
    fn only_wrong_usage_ends_with_two() {
        assert_eq!(Failure::Usage(String::new()).status(), USAGE);
        assert_eq!(Failure::Interrupted.status(), FAILED);
        assert_eq!(Failure::from(backup::Error::Cancelled).status(), FAILED);
    }
}
