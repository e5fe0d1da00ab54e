//! One binary log after the other, with what must be so between them.

use super::Start;
use super::building::Building;
use super::target::{Target, committed_us};
use crate::pitr::files::{LogFile, number_of};
use crate::pitr::plan::Next;
use crate::pitr::statement::EventDdl;
use crate::pitr::until::LogPosition;
use crate::{Error, Job, Result};
use binlog::event::{EventType, query_text};
use binlog::gtid::GtidSet;
use binlog::{Ending, Event, FileFacts, Problem, Reader, Transaction, Transactions};
use std::path::Path;

/// How the reading of a file ended.
pub(super) enum Walked {
    /// At a transaction past the target.
    Past(Next),
    /// At its end.
    End,
}

/// What is known of the files read so far.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    start: &'a Start,
    /// All transactions in the files, from the first file's own list on.
    seen: GtidSet,
    /// How the last file ended.
    ending: Option<Ending>,
    /// Time of the event that closed it, in seconds since 1970.
    closed: Option<u32>,
    /// Series of the backed up server: 804 for 8.4.
    series: u32,
    /// The set's position was passed.
    begun: bool,
}

/// What the events of one transaction, or those between two, show.
#[derive(Debug, Default)]
struct Seen {
    server_id: u32,
    incident: bool,
    event_ddl: bool,
    closed: Option<u32>,
}

impl Seen {
    fn see(&mut self, event: &Event<'_>) {
        let kind = event.header.kind;
        if kind.is_gtid() {
            *self = Self::default();
            self.server_id = event.header.server_id;
        }
        self.incident |= kind == EventType::INCIDENT;
        if kind == EventType::QUERY {
            let text = query_text(event.body).unwrap_or_default();
            self.event_ddl |= EventDdl::find(text).is_some();
        }
        if matches!(kind, EventType::ROTATE | EventType::STOP) {
            self.closed = Some(event.header.timestamp);
        }
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(start: &'a Start) -> Self {
        Self {
            start,
            seen: GtidSet::new(),
            ending: None,
            closed: None,
            series: 0,
            begun: false,
        }
    }

    /// The file that the last one says comes next.
    pub(super) fn names_next(&self) -> Option<&str> {
        match &self.ending {
            Some(Ending::Rotate(name)) => Some(name),
            _ => None,
        }
    }

    /// When the server closed the last file, microseconds since 1970.
    pub(super) fn closed_at(&self) -> Option<u64> {
        // The second in which it was closed may have had transactions before.
        self.closed.map(|seconds| u64::from(seconds) * 1_000_000)
    }

    /// Reads one file.
    pub(super) fn file(
        &mut self,
        file: &LogFile,
        number: u32,
        building: &mut Building,
        target: &mut Target,
        job: &Job,
    ) -> Result<Walked> {
        let refused = |error| refused(&file.path, error);
        let name = file.path.display().to_string();
        let mut reader = Reader::new(name, file.open()?).map_err(refused)?;
        let facts = FileFacts::read(&mut reader).map_err(refused)?;
        self.check_facts(file, &facts)?;
        building.donor(facts.server_id);
        let first = number_of(&self.start.position.file).is_some_and(|(_, first)| first == number);
        let mut before = First::new(facts.begun);
        let mut transactions = Transactions::new(reader);
        let (mut seen, mut counted) = (Seen::default(), 0);
        loop {
            job.check()?;
            let good_end = transactions.good_end();
            let next = transactions.next_transaction_seeing(&mut |event| seen.see(event));
            let at = transactions.reader().offset();
            job.progress.replay().read(at - counted);
            counted = at;
            let Some(transaction) = next.map_err(refused)? else {
                break;
            };
            if !transaction.complete {
                break;
            }
            if first && !self.begun {
                if transaction.end <= self.start.position.position {
                    before.pass(&transaction);
                    self.take(&transaction);
                    continue;
                }
                self.begin(file, good_end, transaction.begin)?;
                target.check_start(before.last_us, self.start)?;
            }
            if target.is_past(number, &transaction) {
                return Ok(Walked::Past(next_of(file, &transaction)));
            }
            check(file, &transaction, &seen, building)?;
            let as_statement = seen.event_ddl && seen.server_id == facts.server_id;
            building.add(&transaction, as_statement);
            target.executed(&transaction);
            self.take(&transaction);
        }
        let good_end = transactions.good_end();
        target.check_file_end(number, transactions.reader().offset())?;
        if first && !self.begun {
            self.begin(file, good_end, good_end)?;
            target.check_start(before.last_us, self.start)?;
        }
        let ending = transactions.ending().clone();
        if ending == Ending::Torn {
            tracing::warn!(
                "'{}' ends within a transaction, which is left out",
                file.path.display()
            );
        }
        building.pass(&file.name, good_end);
        self.ending = Some(ending);
        self.closed = seen.closed;
        Ok(Walked::End)
    }

    fn take(&mut self, transaction: &Transaction) {
        if let Some(gtid) = transaction.identity.gtid() {
            self.seen.insert(gtid);
        }
    }

    /// The file, by its first events, is of the server and follows the one before.
    fn check_facts(&mut self, file: &LogFile, facts: &FileFacts) -> Result<()> {
        let path = file.path.display();
        let Some(ending) = &self.ending else {
            if facts.server_version != self.start.version {
                return Err(not_of_the_set(format!(
                    "'{path}' was written by a server of version {}, the set is of {}",
                    facts.server_version, self.start.version
                )));
            }
            self.series = facts.version_number / 100;
            self.seen = facts.previous_gtids.clone().unwrap_or_default();
            return Ok(());
        };
        if facts.version_number / 100 != self.series {
            return Err(Error::refused(
                1105,
                format!(
                    "'{path}' was written by a server of version {}, the set is of {}",
                    facts.server_version, self.start.version
                ),
                "Restore to a point before the upgrade, or begin with a set taken after it.",
            ));
        }
        let torn = match ending {
            Ending::Rotate(name) if *name != file.name => Some(format!("names {name} as the next")),
            // A server that did not come to its end begins its next file when it starts again.
            Ending::Open if facts.server_start.is_none() => Some("ends without its end".to_owned()),
            Ending::Torn => Some("ends within a transaction".to_owned()),
            _ => None,
        };
        if let Some(torn) = torn {
            return Err(gap(format!(
                "the file before '{path}' {torn}: it is not whole"
            )));
        }
        if let Some(previous) = &facts.previous_gtids
            && *previous != self.seen
        {
            let missing = previous.difference(&self.seen);
            if !missing.is_empty() {
                return Err(gap(format!(
                    "'{path}' follows transactions that are in no file before it: {missing:#}"
                )));
            }
            let more = self.seen.difference(previous);
            return Err(gap(format!(
                "'{path}' does not follow the file before it, which has more transactions: {more:#}"
            )));
        }
        Ok(())
    }

    /// The set's position is where a transaction may begin, and what is before it is what the set
    /// has.
    fn begin(&mut self, file: &LogFile, good_end: u64, next: u64) -> Result<()> {
        let position = &self.start.position;
        if position.position != good_end && position.position != next {
            let what = if position.position > next {
                format!("ends at {next}, before")
            } else {
                "has no transaction that begins or ends at".to_owned()
            };
            return Err(not_of_the_set(format!(
                "'{}' {what} the set's position {position}",
                file.path.display()
            )));
        }
        let (set, log) = (&self.start.gtids, &self.seen);
        let (missing, more) = (set.difference(log), log.difference(set));
        if !missing.is_empty() {
            return Err(not_of_the_set(format!(
                "up to position {position} '{}' does not have the transactions of the set: {missing:#}",
                file.path.display()
            )));
        }
        if !more.is_empty() {
            return Err(not_of_the_set(format!(
                "up to position {position} '{}' has transactions that the set does not have: {more:#}",
                file.path.display()
            )));
        }
        self.begun = true;
        Ok(())
    }
}

fn check(
    file: &LogFile,
    transaction: &Transaction,
    seen: &Seen,
    building: &Building,
) -> Result<()> {
    let place = || format!("'{}' at {}", file.path.display(), transaction.begin);
    if seen.incident {
        return Err(Error::refused(
            1590,
            format!(
                "{}: the server lost events here, and says so by an incident",
                place()
            ),
            "Restore to the point before, or begin with a set taken after it.",
        ));
    }
    if building.has(transaction) {
        return Err(gap(format!(
            "{}: the transaction is in the binary logs twice",
            place()
        )));
    }
    Ok(())
}

/// What is before the set's position in its file.
struct First {
    /// When the last transaction was committed, else when the file was begun; microseconds.
    last_us: u64,
}

impl First {
    fn new(begun: u32) -> Self {
        Self {
            last_us: u64::from(begun) * 1_000_000,
        }
    }

    fn pass(&mut self, transaction: &Transaction) {
        self.last_us = self.last_us.max(committed_us(transaction));
    }
}

fn next_of(file: &LogFile, transaction: &Transaction) -> Next {
    Next {
        position: LogPosition {
            file: file.name.clone(),
            position: transaction.begin,
        },
        gtid: transaction.identity.gtid().cloned(),
        committed_us: Some(committed_us(transaction)),
    }
}

/// What the reader says of a file, with what can be done.
pub(crate) fn refused(path: &Path, error: binlog::Error) -> Error {
    match error.problem {
        Problem::Read(source) => Error::io("read file", path, source),
        Problem::Encrypted => Error::refused(
            1105,
            error.to_string(),
            "Let the server send it: archive it by 'innoclone binlog archive', and name the archive.",
        ),
        Problem::Unsupported(_) => Error::refused(1105, error.to_string(), ""),
        problem => Error::refused(
            1105,
            format!(
                "'{}' is damaged at byte {}: {problem}",
                path.display(),
                error.offset
            ),
            "Use another copy of the file, or restore to a point before it.",
        ),
    }
}

fn not_of_the_set(message: String) -> Error {
    Error::refused(
        1105,
        message,
        "Name the binary logs of the server that was backed up, whole.",
    )
}

fn gap(message: String) -> Error {
    Error::refused(
        1105,
        message,
        "Name whole files, with none missing between them.",
    )
}
