//! The transactions of a file: where they begin and end.

use crate::event::{EventType, GtidEvent, Rotate, Statement, parse_gtid, query_text, statement};
use crate::gtid::Gtid;
use crate::{Event, Problem, Reader, Result};
use std::io::Read;

/// How a transaction is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// By its GTID.
    Gtid(Gtid),
    /// Only by its place.
    Anonymous,
}

impl Identity {
    /// The GTID, if it has one.
    pub fn gtid(&self) -> Option<&Gtid> {
        match self {
            Self::Gtid(gtid) => Some(gtid),
            Self::Anonymous => None,
        }
    }
}

/// A transaction, or what the server logs like one: a DDL statement, a part of an XA transaction,
/// a statement on tables without transactions, an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Where its first event begins, in bytes from the beginning of the file.
    pub begin: u64,
    /// Where the event behind its last begins; where the file ends if it is not complete.
    pub end: u64,
    /// How it is known.
    pub identity: Identity,
    /// Its number in the file, from 1; 0 from servers that give none.
    pub sequence: u64,
    /// Commit on the server that wrote the file, microseconds since 1970. From servers before
    /// 8.0.1, which do not say, `None`.
    pub immediate_commit_us: Option<u64>,
    /// Commit on the server where it began, microseconds since 1970.
    pub original_commit_us: Option<u64>,
    /// Time in the header of its first event, seconds since 1970.
    pub timestamp: u32,
    /// Events it has in the file; a compressed transaction has two.
    pub events: u64,
    /// Whether its events are compressed into one.
    pub compressed: bool,
    /// Whether all of it is there. Only the last of a file can be incomplete.
    pub complete: bool,
}

/// How a file ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With the name of the next file.
    Rotate(String),
    /// The server was stopped.
    Stop,
    /// Behind a transaction, without a word: the server writes it, or died.
    Open,
    /// Within an event or a transaction.
    Torn,
}

/// Iterates over the transactions from where a [`Reader`] stands, which must be no place inside of
/// one.
#[derive(Debug)]
pub struct Transactions<R> {
    reader: Reader<R>,
    open: Option<Open>,
    ending: Ending,
    good_end: u64,
    done: bool,
}

/// A transaction whose end was not seen yet.
#[derive(Debug)]
struct Open {
    transaction: Transaction,
    /// Where it ends, from servers that say so.
    end: Option<u64>,
    /// A `BEGIN` was seen.
    begun: bool,
}

impl<R: Read> Transactions<R> {
    /// From where `reader` stands.
    pub fn new(reader: Reader<R>) -> Self {
        let good_end = reader.offset();
        Self {
            reader,
            open: None,
            ending: Ending::Open,
            good_end,
            done: false,
        }
    }

    /// How the file ends; known when there are no more transactions.
    pub fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Behind the last complete transaction, or the last event that is in none: to here the file
    /// is good.
    pub fn good_end(&self) -> u64 {
        self.good_end
    }

    /// The reader, for what else is to be known of the file.
    pub fn reader(&self) -> &Reader<R> {
        &self.reader
    }

    /// The reader back, where it stands.
    pub fn into_reader(self) -> Reader<R> {
        self.reader
    }

    /// The next transaction. One that is not complete is the last.
    ///
    /// # Errors
    /// As [`Reader::next_event`], except that a file which ends within an event only ends with an
    /// incomplete transaction; and [`Problem::Damaged`] when events are not in groups.
    pub fn next_transaction(&mut self) -> Result<Option<Transaction>> {
        self.next_transaction_seeing(&mut |_| {})
    }

    /// The same, with every event on the way shown to `see`, also those in no transaction.
    ///
    /// # Errors
    /// As [`next_transaction`](Self::next_transaction).
    pub fn next_transaction_seeing(
        &mut self,
        see: &mut dyn FnMut(&Event<'_>),
    ) -> Result<Option<Transaction>> {
        while !self.done {
            let begin = self.reader.offset();
            let event = match self.reader.next_event() {
                Ok(event) => event,
                Err(error) if error.is_truncated() => {
                    self.done = true;
                    self.ending = Ending::Torn;
                    return Ok(self.incomplete(begin));
                }
                Err(error) => {
                    self.done = true;
                    return Err(error);
                }
            };
            let Some(event) = event else {
                self.done = true;
                if self.open.is_some() {
                    self.ending = Ending::Torn;
                }
                return Ok(self.incomplete(begin));
            };
            see(&event);
            match step(&mut self.open, &event) {
                Ok(Step::Inside) => {}
                Ok(Step::Complete(transaction)) => {
                    self.good_end = transaction.end;
                    self.ending = Ending::Open;
                    return Ok(Some(transaction));
                }
                Ok(Step::Outside(ending)) => {
                    self.good_end = event.end;
                    self.ending = ending;
                }
                Err(problem) => {
                    self.done = true;
                    return Err(self.reader.error(problem, begin));
                }
            }
        }
        Ok(None)
    }

    fn incomplete(&mut self, end: u64) -> Option<Transaction> {
        let mut transaction = self.open.take()?.transaction;
        transaction.end = end;
        Some(transaction)
    }
}

impl<R: Read> Iterator for Transactions<R> {
    type Item = Result<Transaction>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_transaction().transpose()
    }
}

enum Step {
    /// In a transaction that goes on.
    Inside,
    /// This was the last event of a transaction.
    Complete(Transaction),
    /// In no transaction.
    Outside(Ending),
}

fn step(open: &mut Option<Open>, event: &Event<'_>) -> Result<Step, Problem> {
    let kind = event.header.kind;
    if kind.is_of_the_file() {
        if open.is_some() {
            let detail = format!("event type {} within a transaction", kind.0);
            return Err(Problem::damaged(detail));
        }
        return Ok(Step::Outside(match kind {
            EventType::ROTATE => Ending::Rotate(Rotate::parse(event.whole_body()?)?.file),
            EventType::STOP => Ending::Stop,
            _ => Ending::Open,
        }));
    }
    if kind.is_gtid() && open.is_some() {
        let detail = "a transaction begins within another";
        return Err(Problem::damaged(detail));
    }
    let group = match open {
        Some(group) => {
            group.transaction.events += 1;
            group
        }
        None => open.insert(begin(event)?),
    };
    group.transaction.compressed |= kind == EventType::TRANSACTION_PAYLOAD;
    let ends = ends(group, event)?;
    let last = match group.end {
        Some(end) if event.end > end => {
            let detail = format!("the transaction should end at {end}, within this event");
            return Err(Problem::damaged(detail));
        }
        // What the server says is surer than what statements look like.
        Some(end) => event.end == end,
        None => ends,
    };
    if !last {
        return Ok(Step::Inside);
    }
    let Some(Open {
        mut transaction, ..
    }) = open.take()
    else {
        return Ok(Step::Inside);
    };
    transaction.end = event.end;
    transaction.complete = true;
    Ok(Step::Complete(transaction))
}

fn begin(event: &Event<'_>) -> Result<Open, Problem> {
    let first = if event.header.kind.is_gtid() {
        parse_gtid(&event.header, event.whole_body()?)?
    } else {
        // Servers before 5.7 without GTIDs.
        GtidEvent {
            gtid: None,
            sequence: 0,
            last_committed: 0,
            immediate_commit_us: None,
            original_commit_us: None,
            transaction_length: None,
        }
    };
    let end = match first.transaction_length {
        None => None,
        Some(length) => {
            let end = event.begin.checked_add(length);
            Some(end.ok_or_else(|| Problem::damaged("the transaction's length is wrong"))?)
        }
    };
    Ok(Open {
        transaction: Transaction {
            begin: event.begin,
            end: event.end,
            identity: first.gtid.map_or(Identity::Anonymous, Identity::Gtid),
            sequence: first.sequence,
            immediate_commit_us: first.immediate_commit_us,
            original_commit_us: first.original_commit_us,
            timestamp: event.header.timestamp,
            events: 1,
            compressed: false,
            complete: false,
        },
        end,
        begun: false,
    })
}

/// Whether the group ends with this event, by what the event is.
fn ends(group: &mut Open, event: &Event<'_>) -> Result<bool, Problem> {
    Ok(match event.header.kind {
        EventType::XID
        | EventType::XA_PREPARE
        | EventType::TRANSACTION_PAYLOAD
        | EventType::INCIDENT
        | EventType::VIEW_CHANGE => true,
        EventType::QUERY => match statement(query_text(event.body)?) {
            Statement::Begin => {
                group.begun = true;
                false
            }
            Statement::End => true,
            Statement::Other => !group.begun,
        },
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use testkit::{Server, ServerOptions};

    /// The ends by what events are, for servers that tell no lengths, and the ends by length, for
    /// which servers may have reasons: on a server that tells both they are the same.
    #[test]
    fn ends_by_length_and_by_statement_are_the_same() {
        // With GTIDs off, one transaction may change tables of both kinds.
        let args = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
        let server = Server::start(ServerOptions::with_args(args)).unwrap();
        server
            .sql(
                "CREATE DATABASE test;
                 CREATE TABLE test.t (id INT PRIMARY KEY AUTO_INCREMENT, v BLOB);
                 CREATE TABLE test.m (id INT PRIMARY KEY AUTO_INCREMENT, v BLOB) ENGINE=MyISAM;
                 INSERT INTO test.t VALUES (1, 'a'), (2, 'b');
                 INSERT INTO test.m VALUES (1, 'a');
                 BEGIN; INSERT INTO test.t VALUES (3, 'c'); SAVEPOINT s;
                 INSERT INTO test.t VALUES (4, 'd'); ROLLBACK TO s;
                 INSERT INTO test.m VALUES (2, 'b'); COMMIT;
                 SET binlog_format = STATEMENT;
                 INSERT INTO test.t (v) VALUES (RAND()), (UUID());
                 SET @x = 5; INSERT INTO test.m (v) VALUES (@x);
                 BEGIN; INSERT INTO test.m (v) VALUES ('r'); ROLLBACK;
                 SET binlog_format = ROW;
                 CREATE TABLE test.s AS SELECT * FROM test.t;
                 XA START 'a','b',1; INSERT INTO test.t (v) VALUES ('x'); XA END 'a','b',1;
                 XA PREPARE 'a','b',1; XA COMMIT 'a','b',1;
                 XA START 'c'; INSERT INTO test.t (v) VALUES ('x'); XA END 'c';
                 XA COMMIT 'c' ONE PHASE;
                 SET binlog_transaction_compression = ON;
                 INSERT INTO test.t (v) VALUES (REPEAT('z', 3000));
                 SET GLOBAL gtid_mode = OFF_PERMISSIVE;
                 SET GLOBAL enforce_gtid_consistency = ON;
                 SET GLOBAL gtid_mode = ON_PERMISSIVE; SET GLOBAL gtid_mode = ON;
                 SET SESSION gtid_next = 'AUTOMATIC:tagged';
                 INSERT INTO test.t (v) VALUES ('y');
                 DROP TABLE test.s, test.m;
                 SET SESSION gtid_next = 'AUTOMATIC';
                 CREATE USER u IDENTIFIED BY 'x'; DROP USER u;",
            )
            .unwrap();
        let logs = server.sql_rows("SHOW BINARY LOGS").unwrap();
        let mut groups = 0;
        for log in logs {
            let bytes = fs_err::read(server.datadir().join(&log[0])).unwrap();
            let mut reader = Reader::new(&log[0], Cursor::new(bytes)).unwrap();
            let (mut open, mut expected) = (None, None);
            while let Some(event) = reader.next_event().unwrap() {
                let was_open = open.is_some();
                match step(&mut open, &event).unwrap() {
                    Step::Complete(transaction) => {
                        assert_eq!(expected.take(), Some(transaction.end), "{transaction:?}");
                        groups += 1;
                    }
                    Step::Inside if !was_open => {
                        let open: &mut Open = open.as_mut().unwrap();
                        expected = Some(open.end.take().expect("a length"));
                    }
                    Step::Inside | Step::Outside(_) => {}
                }
            }
            assert!(open.is_none());
        }
        assert!(groups >= 18, "{groups}");
    }
}
