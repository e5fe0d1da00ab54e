//! The GTIDs in a part of the donor's binary log, by SQL: over a slow line events are better named
//! than sent.

use crate::Error;
use crate::donor::instance::session::Session;
use crate::set::BinlogPosition;
use binlog::gtid::GtidSet;
use std::cmp::Ordering;
use std::fmt;

/// A place in the binary logs of one server. Later ones are greater: the numbers of files grow in
/// length when their digits are used up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub file: String,
    /// Bytes from the beginning of the file.
    pub position: u64,
}

impl Place {
    pub(super) fn of(position: &BinlogPosition) -> Self {
        Self {
            file: position.file.clone(),
            position: position.position,
        }
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |place: &Self| (place.file.len(), place.file.clone(), place.position);
        key(self).cmp(&key(other))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.position)
    }
}

/// A part of a binary log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Part {
    /// The GTIDs of its transactions. Of a file that is read from its beginning, also those that it
    /// says were before it.
    pub gtids: GtidSet,
    /// Whether the first transaction is one that InnoDB commits, and so leaves its position there:
    /// others, such as ANALYZE or a DROP of what does not exist, leave nothing but their GTID.
    /// `None` without transactions.
    pub first_commits: Option<bool>,
}

/// Knows the transactions in a binary log.
pub(super) trait Logged {
    /// What is there from `from` to `to`, or to the end of the log.
    fn between(&mut self, from: &Place, to: Option<&Place>) -> Result<Part, String>;
}

impl Logged for Session {
    fn between(&mut self, from: &Place, to: Option<&Place>) -> Result<Part, String> {
        let mut reading = Reading::new(from.clone());
        for _ in 0..MOST_PAGES {
            if to.is_some_and(|to| *to <= reading.at) {
                return Ok(reading.part);
            }
            let Place { file, position } = &reading.at;
            let sql = format!(
                "SHOW BINLOG EVENTS IN {} FROM {} LIMIT {PAGE}",
                wire::quote_string(file),
                (*position).max(FIRST)
            );
            let rows = match self.query("read the binary log", &sql) {
                Ok(rows) => rows,
                Err(Error::Server { source, .. }) if matches!(source.code(), Some(1227)) => {
                    return Err(
                        "the account may not read the binary log: GRANT REPLICATION SLAVE \
                                to it"
                            .to_owned(),
                    );
                }
                Err(error) => return Err(error.to_string()),
            };
            let events = rows.iter().map(|row| {
                let text = |column| row.text(column).unwrap_or_default();
                let number = |column| row.parse(column).unwrap_or(0);
                (number(1), text(2), number(4), text(5))
            });
            if !reading.take(events, to)? {
                return Ok(reading.part);
            }
        }
        Err("too much was written to the donor's binary log".to_owned())
    }
}

/// How far a log was read.
#[derive(Debug)]
struct Reading {
    at: Place,
    part: Part,
    transactions: u64,
}

impl Reading {
    fn new(at: Place) -> Self {
        Self {
            at,
            part: Part::default(),
            transactions: 0,
        }
    }

    /// Takes rows: begin, type, end and description of an event. Whether there may be more.
    fn take<'a>(
        &mut self,
        events: impl ExactSizeIterator<Item = (u64, &'a str, u64, &'a str)>,
        to: Option<&Place>,
    ) -> Result<bool, String> {
        let more = events.len() >= PAGE;
        for (begin, kind, end, info) in events {
            let here = Place {
                file: self.at.file.clone(),
                position: begin,
            };
            // The events within a compressed one have no place of their own.
            let within = begin == end && begin == self.at.position;
            match to {
                _ if within => {}
                Some(to) if *to == here => return Ok(false),
                Some(to) if *to < here => return Err(format!("no event begins at {to}")),
                _ => {}
            }
            if matches!(kind, "Gtid" | "Gtid_tagged_log_event" | "Anonymous_Gtid") {
                self.transactions += 1;
                self.part.first_commits.get_or_insert(false);
            }
            match kind {
                // Of statements one could only go by their comments.
                "Xid" if self.transactions == 1 => self.part.first_commits = Some(true),
                "Gtid" | "Gtid_tagged_log_event" => {
                    let gtid = between_quotes(info);
                    self.add(gtid.ok_or_else(|| format!("no GTID in {info:?} at {here}"))?)?;
                }
                "Previous_gtids" => self.add(info)?,
                "Rotate" => {
                    let next = info.rsplit_once(";pos=").and_then(|(file, position)| {
                        let position = position.parse().ok()?;
                        let file = file.to_owned();
                        Some(Place { file, position })
                    });
                    // Forwards only.
                    self.at = next
                        .filter(|next| *next > here)
                        .ok_or_else(|| format!("where the binary log goes on: {info:?}"))?;
                    return Ok(true);
                }
                _ => {}
            }
            // In a file of more than four gigabytes ends are not what they seem.
            if end <= begin && !within {
                return Err(format!("the event at {here} ends at {end}"));
            }
            self.at.position = end;
        }
        match to {
            Some(to) if !more && self.at != *to => {
                Err(format!("it ends at {}, before {to}", self.at))
            }
            _ => Ok(more),
        }
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        let set = text.replace('\n', "").parse();
        let set = set.map_err(|error| format!("a GTID in {}: {error}", self.at))?;
        self.part.gtids.union_with(&set);
        Ok(())
    }
}

/// What stands between the first quotes.
fn between_quotes(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('\'')?;
    rest.split_once('\'').map(|(quoted, _)| quoted)
}

/// Where the first event of a file begins.
const FIRST: u64 = 4;
/// Events asked for at once.
const PAGE: usize = 1000;
/// As many as ten million events have: what a busy server writes in some minutes.
const MOST_PAGES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const U: &str = "f7939de2-eb6e-11f1-bec6-02fc00000001";

    fn reading(position: u64) -> Reading {
        Reading::new(place("binlog.000002", position))
    }

    fn place(file: &str, position: u64) -> Place {
        Place {
            file: file.to_owned(),
            position,
        }
    }

    #[test]
    fn files_grow_longer_in_their_names() {
        assert!(place("b.999999", 9) < place("b.1000000", 4));
        assert!(place("b.000001", 9) < place("b.000002", 4));
        assert!(place("b.000001", 9) < place("b.000001", 10));
    }

    #[test]
    fn rows_of_a_server() {
        let before = format!("{U}:1-3:tagg:1");
        let tagged = format!("SET @@SESSION.GTID_NEXT= '{U}:tagg:2'");
        let plain = format!("SET @@SESSION.GTID_NEXT= '{U}:4'");
        let rows = [
            (4, "Format_desc", 127, "Server ver: 9.7.4-2, Binlog ver: 4"),
            (127, "Previous_gtids", 244, before.as_str()),
            (244, "Gtid_tagged_log_event", 326, &tagged),
            (326, "Query", 397, "BEGIN"),
            (397, "Xid", 512, "COMMIT /* xid=15 */"),
            (512, "Gtid", 591, &plain),
            (591, "Query", 700, "DROP TABLE `it's`"),
            (700, "Rotate", 747, "binlog.000003;pos=4"),
        ];
        let taken = |to: Option<Place>| {
            let mut reading = reading(4);
            let more = reading.take(rows.into_iter(), to.as_ref());
            (format!("{:#}", reading.part.gtids), reading.at, more)
        };
        let next = place("binlog.000003", 4);
        let all = (format!("{U}:1-4:tagg:1-2"), next.clone(), Ok(true));
        assert_eq!(taken(None), all);
        assert_eq!(taken(Some(place("binlog.000003", 900))), all);
        let (gtids, _, more) = taken(Some(place("binlog.000002", 512)));
        assert_eq!((gtids, more), (format!("{U}:1-3:tagg:1-2"), Ok(false)));
    }

    #[test]
    fn only_what_innodb_commits_leaves_its_position() {
        let gtid = |number| format!("SET @@SESSION.GTID_NEXT= '{U}:{number}'");
        let (one, two) = (gtid(1), gtid(2));
        let first = |kind, begin, end, to: Option<u64>| {
            let mut rows = vec![(4, "Gtid", 80, one.as_str()), (80, kind, 180, "BEGIN")];
            rows.push((begin, "Xid", end, "COMMIT /* xid=15 */"));
            if begin == 0 {
                rows.pop();
            }
            rows.push((end, "Gtid", end + 80, two.as_str()));
            rows.push((end + 80, "Xid", end + 110, "COMMIT /* xid=16 */"));
            let to = to.map(|to| place("binlog.000002", to));
            let mut reading = reading(4);
            reading.take(rows.into_iter(), to.as_ref()).unwrap();
            reading.part.first_commits
        };
        assert_eq!(first("Query", 180, 211, None), Some(true));
        // Within a compressed transaction.
        assert_eq!(first("Transaction_payload", 180, 180, None), Some(true));
        assert_eq!(
            first("Transaction_payload", 180, 180, Some(180)),
            Some(true)
        );
        assert_eq!(first("Query", 0, 180, None), Some(false));
        assert_eq!(first("Query", 0, 180, Some(4)), None);
    }

    #[test]
    fn what_makes_no_sense_is_no_set() {
        for rows in [
            [(4, "Gtid", 80, "SET @@SESSION.GTID_NEXT= 'nonsense'")],
            [(4, "Gtid", 80, "no quotes")],
            [(4, "Rotate", 80, "binlog.000002;pos=4")],
            [(4, "Rotate", 80, "nowhere")],
            [(4, "Query", 3, "BEGIN")],
        ] {
            let result = reading(4).take(rows.into_iter(), None);
            assert!(result.is_err(), "{rows:?}");
        }
        let end = [(4, "Stop", 30, "")];
        let to = |file, position| reading(4).take(end.into_iter(), Some(&place(file, position)));
        assert!(to("binlog.000003", 4).is_err() && to("binlog.000002", 20).is_err());
        assert!(to("binlog.000002", 31).is_err());
        assert_eq!(to("binlog.000002", 30), Ok(false));
        // At its very end a file has no rows.
        assert_eq!(reading(30).take(end.into_iter().take(0), None), Ok(false));
    }
}
