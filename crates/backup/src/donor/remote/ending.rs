//! What the snapshot is.

use super::RemoteDonor;
use super::facts::Executed;
use super::redo::LogFacts;
use crate::recipient::Snapshot;
use crate::set::{BinlogPosition, LsnRecord, PagesBy};
use crate::{Error, Result};

impl RemoteDonor {
    /// What the snapshot is, once its log is known.
    pub(super) fn describe(&mut self, log: &LogFacts) -> Result<Snapshot> {
        let start = self.start_lsn();
        if start > log.end {
            return Err(Error::NotReached {
                start,
                reason: format!("the donor's log ends at LSN {}", log.end),
            });
        }
        let recorded = self.positions.clone().finish();
        let recorded = recorded.map(|found| {
            // The server writes it as it opened the file, with a directory.
            let file = found.file.rsplit('/').next().unwrap_or_default().to_owned();
            (file, found.position)
        });
        let [before, after] = &self.executed;
        let binlog = position(recorded, before.as_ref(), after.as_ref());
        tracing::info!(checkpoint = %log.checkpoint, end = %log.end, "the log of the clone");
        Ok(Snapshot {
            kind: self.kind(),
            parent: self.base.as_ref().and_then(|base| base.parent.clone()),
            server: self.facts.record.clone(),
            lsn: LsnRecord {
                start,
                page_track: self.watch.page_track,
                checkpoint: log.checkpoint,
                end: log.end,
            },
            binlog,
            page_size: self.facts.page_size.get(),
            means: Some(self.watch.means()),
            pages_by: match self.base {
                None => PagesBy::All,
                Some(_) => PagesBy::Scan,
            },
            keys: self.files.keys().cloned(),
            source: self.source.clone(),
        })
    }
}

/// The binary log position of the snapshot: what its log has. What was executed there is known
/// only when nothing was between the two moments at which we asked, or when one of them is the
/// moment itself.
fn position(
    recorded: Option<(String, u64)>,
    before: Option<&Executed>,
    after: Option<&Executed>,
) -> BinlogPosition {
    let known = [before, after].map(|moment| moment.and_then(|moment| moment.binlog.as_ref()));
    if [before, after]
        .into_iter()
        .flatten()
        .any(|moment| !moment.has_binlog)
    {
        return BinlogPosition::default();
    }
    let order = |file: &str, position: u64| (file.len(), file.to_owned(), position);
    let (file, position) = match (recorded, known) {
        (Some((file, position)), [low, high]) => {
            let at = order(&file, position);
            let above = low.is_none_or(|low| order(&low.file, low.position) <= at);
            let below = high.is_none_or(|high| at <= order(&high.file, high.position));
            if !(above && below) {
                tracing::warn!(
                    file,
                    position,
                    "the binary log position in the clone is not one of the time of the clone: \
                     it is not recorded"
                );
                return BinlogPosition::default();
            }
            (file, position)
        }
        (None, [Some(low), Some(high)]) if low == high => (low.file.clone(), low.position),
        (None, _) => {
            tracing::warn!("the clone has no binary log position");
            return BinlogPosition::default();
        }
    };
    let same = |moment: &&BinlogPosition| (&moment.file, moment.position) == (&file, position);
    let at_moment = known.into_iter().flatten().find(same);
    let gtids = match (at_moment, before, after) {
        (Some(moment), ..) => Some(moment.gtid_executed.clone()),
        (None, Some(before), Some(after)) if before.gtids == after.gtids => {
            Some(before.gtids.clone())
        }
        _ => None,
    };
    if gtids.is_none() {
        tracing::warn!(
            "transactions were committed while the snapshot was made: which were is not known here; \
             a restored server knows it (gtid_executed)"
        );
    }
    BinlogPosition {
        file,
        position,
        gtid_executed: gtids.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(position: u64, gtids: &str) -> Executed {
        Executed {
            gtids: gtids.to_owned(),
            has_binlog: true,
            binlog: Some(BinlogPosition {
                file: "b.000009".to_owned(),
                position,
                gtid_executed: gtids.to_owned(),
            }),
        }
    }

    fn found(position: u64) -> (String, u64) {
        ("b.000009".to_owned(), position)
    }

    #[test]
    fn the_transactions_are_those_of_the_position() {
        let (low, high) = (moment(100, "u:1-5"), moment(300, "u:1-9"));
        let gtids = |recorded| position(Some(recorded), Some(&low), Some(&high)).gtid_executed;
        assert_eq!(gtids(found(100)), "u:1-5");
        assert_eq!(gtids(found(300)), "u:1-9");
        let between = position(Some(found(200)), Some(&low), Some(&high));
        assert_eq!(
            (between.position, between.gtid_executed.as_str()),
            (200, "")
        );
        let quiet = position(Some(found(100)), Some(&low), Some(&low));
        assert_eq!(quiet.gtid_executed, "u:1-5");
    }

    #[test]
    fn a_position_of_another_time_is_none() {
        let (low, high) = (moment(100, "u:1-5"), moment(300, "u:1-9"));
        for recorded in [found(99), found(301), ("a.1".to_owned(), 200)] {
            let position = position(Some(recorded), Some(&low), Some(&high));
            assert_eq!(position, BinlogPosition::default());
        }
        let off = Executed {
            has_binlog: false,
            ..Executed::default()
        };
        let stale = position(Some(found(7)), Some(&off), Some(&off));
        assert_eq!(stale, BinlogPosition::default());
    }

    #[test]
    fn an_account_that_may_not_ask_still_gets_the_position() {
        let blind = Executed {
            gtids: "u:1-5".to_owned(),
            has_binlog: true,
            binlog: None,
        };
        let known = position(Some(found(7)), Some(&blind), Some(&blind));
        assert_eq!((known.position, known.gtid_executed.as_str()), (7, "u:1-5"));
        let unknown = position(Some(found(7)), None, None);
        assert_eq!((unknown.position, unknown.gtid_executed.as_str()), (7, ""));
    }
}
