//! What a command has to say, and how the process says it and ends.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::failure::{DONE, FAILED, Failure, PROBLEMS, Shown, USAGE};
use crate::table::Table;
use crate::tree::Tree;

/// The answer of a command that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// For `--json`: one object of one field, which has the name of the command.
    json: String,
    /// For people.
    text: String,
    ending: Ending,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Something was asked: the answer is all.
    Told,
    /// Something was done: `completed OK!`.
    Completed,
    /// Something was checked, and this many problems were found.
    Problems(u64),
}

impl Answer {
    /// An answer under the name `key`, told to people as `text`.
    pub(crate) fn new(
        key: &str,
        value: &impl Serialize,
        text: String,
        ending: Ending,
    ) -> Result<Self, Failure> {
        // Put together as text: a map of values would sort the fields.
        let value = serde_json::to_string(value)?;
        Ok(Self {
            json: format!("{{\"{key}\":{value}}}"),
            text,
            ending,
        })
    }

    /// A report of something done.
    pub(crate) fn done(key: &str, report: &impl Serialize) -> Result<Self, Failure> {
        let text = Tree::of(report)?.lines();
        Self::new(key, report, text, Ending::Completed)
    }

    /// Rows of a table; `none` is told where there are none.
    pub(crate) fn rows<R: Serialize>(
        key: &str,
        rows: &[R],
        draw: impl Fn(&Table) -> String,
        none: &str,
    ) -> Result<Self, Failure> {
        let text = if rows.is_empty() {
            format!("{none}\n")
        } else {
            draw(&Tree::of(&rows)?.table())
        };
        Self::new(key, &rows, text, Ending::Told)
    }

    fn status(&self) -> u8 {
        match self.ending {
            Ending::Told | Ending::Completed => DONE,
            Ending::Problems(_) => PROBLEMS,
        }
    }

    fn output(&self, json: bool) -> String {
        match (json, self.ending) {
            (true, _) => format!("{}\n", self.json),
            (false, Ending::Completed) => format!("{}{COMPLETED}\n", self.text),
            (false, _) => self.text.clone(),
        }
    }
}

/// Says how a command ended; the status to end the process with.
pub(crate) fn deliver(outcome: Result<Answer, Failure>, json: bool) -> u8 {
    match outcome {
        Ok(answer) => {
            if let Err(error) = print(&answer.output(json)) {
                let action = "write to standard output";
                return deliver_failure(
                    &Failure::System {
                        action,
                        source: error,
                    },
                    json,
                );
            }
            tell_ending(answer.ending, json);
            answer.status()
        }
        Err(failure) => deliver_failure(&failure, json),
    }
}

fn tell_ending(ending: Ending, json: bool) {
    match ending {
        Ending::Completed if json => tracing::info!("{COMPLETED}"),
        Ending::Problems(count) if json => tracing::error!(count, "problems found"),
        Ending::Problems(count) => complain(&format!("innoclone: {count} problem(s) found\n")),
        Ending::Told | Ending::Completed => {}
    }
}

fn deliver_failure(failure: &Failure, json: bool) -> u8 {
    let shown = failure.shown();
    if json {
        let Shown {
            code,
            sqlstate,
            message,
            hint,
        } = &shown;
        tracing::error!(code, sqlstate, hint, "{message}");
        // Where this cannot be written either, the status has to do.
        let _ = print(&error_object(&shown));
    } else {
        complain(&shown.lines());
    }
    failure.status()
}

/// Says what clap says of a command line: help, version, or what is wrong with it.
pub(crate) fn deliver_usage(error: &clap::Error, json: bool) -> u8 {
    let is_wrong = error.use_stderr();
    let printed = error.print();
    if is_wrong {
        if json {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let message = first.strip_prefix("error: ").unwrap_or(first);
            let _ = print(&error_object(&Failure::Usage(message.to_owned()).shown()));
        }
        return USAGE;
    }
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => FAILED,
        _ => DONE,
    }
}

fn error_object(shown: &Shown) -> String {
    // As text: a map of values would sort the fields. Numbers and texts always serialise.
    let shown = serde_json::to_string(shown).unwrap_or_default();
    format!("{{\"error\":{shown}}}\n")
}

/// Tells a part of an answer before the rest of it is there.
pub(crate) fn tell(text: &str) -> Result<(), Failure> {
    print(text).map_err(|source| Failure::System {
        action: "write to standard output",
        source,
    })
}

/// A reader that has gone away (`head`) has read enough.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn complain(text: &str) {
    // There is nowhere else to complain to.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// The last line of success.
const COMPLETED: &str = "completed OK!";

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Report {
        set_id: u8,
        bytes: u8,
    }

    const REPORT: Report = Report {
        set_id: 1,
        bytes: 2,
    };

    #[test]
    fn what_was_done_ends_with_completed_ok() {
        let answer = Answer::done("backup", &REPORT).unwrap();
        assert_eq!(
            answer.output(false),
            "set id: 1\nbytes:  2\ncompleted OK!\n"
        );
        assert_eq!(answer.status(), DONE);
    }

    #[test]
    fn json_is_one_object_with_the_fields_in_their_order() {
        let answer = Answer::done("backup", &REPORT).unwrap();
        assert_eq!(
            answer.output(true),
            "{\"backup\":{\"set_id\":1,\"bytes\":2}}\n"
        );
    }

    #[test]
    fn problems_have_a_status_of_their_own_and_never_ok() {
        let answer = Answer::new("verify", &REPORT, "bad\n".to_owned(), Ending::Problems(1));
        let answer = answer.unwrap();
        assert_eq!(answer.status(), PROBLEMS);
        assert_eq!(answer.output(false), "bad\n");
    }

    #[test]
    fn an_empty_table_says_so() {
        let none: [Report; 0] = [];
        let answer = Answer::rows("history", &none, Table::aligned, "nothing").unwrap();
        assert_eq!(answer.output(false), "nothing\n");
        assert_eq!(answer.output(true), "{\"history\":[]}\n");
    }
}
