//! Which transactions the snapshot has: its binary log position, and the set of their GTIDs.
//!
//! The position is in the clone's own log. The set is proven from both sides. What the donor had
//! executed before the moment of the snapshot, and what its binary log has from there up to the
//! position, is in the snapshot. What it had executed after the moment, without what its binary log
//! has behind the position, is all that can be in it: but for statements right behind it that
//! InnoDB knows nothing of, whose GTIDs it may have all the same. Where both are the same, and there
//! is no such statement, that is the set; else, and where the account may not read the binary log,
//! none is recorded.

use super::logged::{Logged, Place};
use crate::donor::instance::session::Session;
use crate::set::BinlogPosition;
use binlog::gtid::GtidSet;

/// The transactions executed at one moment and, where the account may know it, where that is in the
/// binary log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Executed {
    /// Asked for after `binlog`: a server may write transactions to the log some time before it
    /// counts them as executed.
    pub gtids: String,
    /// Whether the donor writes a binary log.
    pub has_binlog: bool,
    /// Whether the binary log has every transaction that has a GTID: not that of a replica that
    /// does not log what it receives.
    pub logs_all: bool,
    pub binlog: Option<BinlogPosition>,
}

impl Executed {
    /// Asks for them. What the account may not know is left out.
    pub(super) fn ask(session: &mut Session) -> Option<Self> {
        let binlog = session.log_status().ok().map(|status| status.binlog);
        let rows = session.query(
            "read the executed transactions",
            "SELECT @@GLOBAL.gtid_executed, @@GLOBAL.log_bin, @@GLOBAL.log_replica_updates",
        );
        let rows = rows.ok()?;
        let row = rows.first()?;
        Some(Self {
            gtids: row.text(0)?.replace('\n', ""),
            has_binlog: row.text(1) == Some("1"),
            logs_all: row.text(2) == Some("1"),
            binlog,
        })
    }

    /// A set that has every transaction of the snapshot, asked for after its moment, and where it
    /// is in the binary log.
    fn bound(&self) -> (&str, Option<Place>) {
        match &self.binlog {
            Some(binlog) => (&binlog.gtid_executed, Some(Place::of(binlog))),
            None => (&self.gtids, None),
        }
    }
}

/// The binary log position of the snapshot, `recorded` in it, and the set of transactions up to
/// there; `executed` before the moment of the snapshot and after it.
pub(super) fn position(
    recorded: Option<(String, u64)>,
    executed: &[Option<Executed>; 2],
    log: &mut impl Logged,
) -> BinlogPosition {
    if executed.iter().flatten().any(|moment| !moment.has_binlog) {
        return BinlogPosition::default();
    }
    let [low, high] = executed.each_ref().map(|moment| {
        let binlog = moment.as_ref()?.binlog.as_ref();
        binlog.map(Place::of)
    });
    let place = match recorded {
        Some((file, position)) => Place { file, position },
        None if low.is_some() && low == high => low.clone().unwrap_or_default(),
        None => {
            tracing::warn!("the clone has no binary log position");
            return BinlogPosition::default();
        }
    };
    let above = low.is_none_or(|low| low <= place);
    let below = high.is_none_or(|high| place <= high);
    if !(above && below) {
        tracing::warn!(
            %place,
            "the binary log position in the clone is not one of the time of the clone: it is not \
             recorded"
        );
        return BinlogPosition::default();
    }
    let gtid_executed = match gtids(&place, executed, log) {
        Ok(gtids) => gtids,
        Err(why) => {
            tracing::warn!(
                why,
                "transactions were committed while the snapshot was made, and which were is not \
                 known here: no GTID set is recorded; a restored server knows it (gtid_executed)"
            );
            String::new()
        }
    };
    BinlogPosition {
        file: place.file,
        position: place.position,
        gtid_executed,
    }
}

/// The GTIDs of the snapshot whose position is `place`, or why they are not known.
fn gtids(
    place: &Place,
    executed: &[Option<Executed>; 2],
    log: &mut impl Logged,
) -> Result<String, String> {
    let [Some(before), Some(after)] = executed else {
        return Err("the donor did not say what it has executed".to_owned());
    };
    if before.gtids == after.gtids {
        return Ok(before.gtids.clone());
    }
    let (most, end) = after.bound();
    if after.logs_all && end.as_ref() == Some(place) {
        return Ok(most.to_owned());
    }
    let parse = |text: &str| {
        let set = text.parse::<GtidSet>();
        set.map_err(|error| format!("the donor's gtid_executed: {error}"))
    };
    // Without a position, from the beginning of the file, which says what was before it.
    let start = before.binlog.as_ref().map_or_else(
        || Place {
            file: place.file.clone(),
            position: 0,
        },
        Place::of,
    );
    let mut least = parse(&before.gtids)?;
    least.union_with(&log.between(&start, Some(place))?.gtids);
    let behind = log.between(place, end.as_ref())?;
    if behind.first_commits == Some(false) {
        // The snapshot may have its GTID, and that of more such behind it.
        return Err(format!(
            "what comes next in the donor's binary log, at {place}, leaves no position"
        ));
    }
    let most = parse(most)?.difference(&behind.gtids);
    if least != most {
        return Err(format!(
            "the donor's binary log does not have them all: {:#}",
            most.difference(&least).union(&least.difference(&most))
        ));
    }
    Ok(format!("{least:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::donor::remote::logged::Part;

    const U: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn moment(position: u64, last: u64) -> Executed {
        let gtids = format!("{U}:1-{last}");
        Executed {
            gtids: gtids.clone(),
            has_binlog: true,
            logs_all: true,
            binlog: Some(BinlogPosition {
                file: "b.000009".to_owned(),
                position,
                gtid_executed: gtids,
            }),
        }
    }

    /// A binary log with a transaction in every hundred bytes, number 1 at 0; that at 300 is none
    /// that InnoDB commits.
    struct EveryHundred;

    impl Logged for EveryHundred {
        fn between(&mut self, from: &Place, to: Option<&Place>) -> Result<Part, String> {
            let end = to.map_or(1000, |to| to.position);
            let numbers = (from.position / 100 + 1)..=(end / 100);
            let mut part = Part::default();
            for number in numbers {
                let gtid = format!("{U}:{number}").parse().unwrap();
                part.gtids.union_with(&gtid);
                part.first_commits.get_or_insert(number != 4);
            }
            Ok(part)
        }
    }

    struct NotGranted;

    impl Logged for NotGranted {
        fn between(&mut self, _: &Place, _: Option<&Place>) -> Result<Part, String> {
            Err("not granted".to_owned())
        }
    }

    fn found(position: u64) -> (String, u64) {
        ("b.000009".to_owned(), position)
    }

    fn set(last: u64) -> String {
        format!("{U}:1-{last}")
    }

    #[test]
    fn the_transactions_are_those_of_the_position() {
        let bracket = [Some(moment(100, 1)), Some(moment(500, 5))];
        for number in 1..=5 {
            let position = position(Some(found(number * 100)), &bracket, &mut EveryHundred);
            let expected = match number {
                1 => format!("{U}:1"),
                // Whether the next one is in the snapshot nobody knows.
                3 => String::new(),
                _ => set(number),
            };
            assert_eq!(position.gtid_executed, expected);
        }
        let gtids = |at| position(Some(found(at)), &bracket, &mut NotGranted).gtid_executed;
        // The end of what was asked for is the moment itself; its begin may not know all yet.
        assert_eq!(
            (gtids(500), gtids(100), gtids(300)),
            (set(5), String::new(), String::new())
        );
        let quiet = [Some(moment(100, 1)), Some(moment(100, 1))];
        assert_eq!(
            position(Some(found(100)), &quiet, &mut NotGranted).gtid_executed,
            set(1)
        );
    }

    #[test]
    fn what_cannot_be_proven_is_not_recorded() {
        // Number 2 is in the log already, but not executed; of number 5 the same, which is behind.
        let mut late = [Some(moment(200, 1)), Some(moment(500, 4))];
        let at_200 = |bracket: &[Option<Executed>; 2]| {
            position(Some(found(200)), bracket, &mut EveryHundred)
        };
        assert_eq!(at_200(&late).gtid_executed, "");
        late[0] = Some(moment(100, 1));
        assert_eq!(at_200(&late).gtid_executed, set(2));
        // A replica that does not log what it receives.
        let other = "4e11fa47-71ca-11e1-9e33-c80aa9429562:7";
        let mut replica = [Some(moment(100, 1)), Some(moment(200, 2))];
        for after in replica.iter_mut().skip(1).flatten() {
            after.logs_all = false;
            after.gtids = format!("{},{other}", set(2));
            after
                .binlog
                .as_mut()
                .unwrap()
                .gtid_executed
                .clone_from(&after.gtids);
        }
        let unknown = at_200(&replica);
        assert_eq!(
            (unknown.position, unknown.gtid_executed.as_str()),
            (200, "")
        );
    }

    #[test]
    fn a_position_of_another_time_is_none() {
        let bracket = [Some(moment(100, 1)), Some(moment(300, 3))];
        for recorded in [found(99), found(301), ("a.1".to_owned(), 200)] {
            let position = position(Some(recorded), &bracket, &mut EveryHundred);
            assert_eq!(position, BinlogPosition::default());
        }
        let off = Executed {
            has_binlog: false,
            ..Executed::default()
        };
        let off = [Some(off.clone()), Some(off)];
        assert_eq!(
            position(Some(found(7)), &off, &mut EveryHundred),
            BinlogPosition::default()
        );
    }

    #[test]
    fn an_account_that_may_not_ask_still_gets_the_position() {
        let blind = |last| {
            let moment = moment(0, last);
            Some(Executed {
                binlog: None,
                ..moment
            })
        };
        let quiet = position(Some(found(700)), &[blind(7), blind(7)], &mut NotGranted);
        assert_eq!((quiet.position, quiet.gtid_executed), (700, set(7)));
        // The binary log alone is enough.
        let busy = position(Some(found(700)), &[blind(5), blind(9)], &mut EveryHundred);
        assert_eq!((busy.position, busy.gtid_executed), (700, set(7)));
        let unknown = position(Some(found(700)), &[None, None], &mut EveryHundred);
        assert_eq!(
            (unknown.position, unknown.gtid_executed.as_str()),
            (700, "")
        );
    }
}
