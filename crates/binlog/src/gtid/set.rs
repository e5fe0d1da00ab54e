//! Sets of identifiers.

use super::intervals::Intervals;
use super::{Gtid, Tag, Uuid};
use std::collections::BTreeMap;
use std::fmt;

/// A set of GTIDs: what `gtid_executed` is.
///
/// Read from text with [`str::parse`]; shown as the server shows it, one server in a line. The
/// alternate form, `{:#}`, is all in one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GtidSet {
    /// Without empty entries.
    sources: BTreeMap<(Uuid, Tag), Intervals>,
}

impl GtidSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// How many transactions are in it.
    pub fn count(&self) -> u128 {
        self.sources.values().map(Intervals::count).sum()
    }

    /// The uuids of its transactions, each once.
    pub fn uuids(&self) -> impl Iterator<Item = Uuid> {
        let mut last = None;
        let uuids = self.sources.keys().map(|(uuid, _)| *uuid);
        uuids.filter(move |uuid| last.replace(*uuid) != Some(*uuid))
    }

    /// The ranges of numbers, both ends included, of one uuid and tag.
    pub fn ranges(&self, uuid: Uuid, tag: &Tag) -> &[(u64, u64)] {
        let found = self.sources.get(&(uuid, tag.clone()));
        found.map_or(&[], Intervals::ranges)
    }

    /// Whether the transaction is in it.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        let found = self.sources.get(&(gtid.uuid, gtid.tag.clone()));
        found.is_some_and(|numbers| numbers.contains(gtid.gno))
    }

    /// Whether all of `other` is in it.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.difference(self).is_empty()
    }

    /// Whether some of `other` is in it.
    pub fn intersects(&self, other: &Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// Adds one transaction.
    pub fn insert(&mut self, gtid: &Gtid) {
        self.insert_range(gtid.uuid, gtid.tag.clone(), gtid.gno, gtid.gno);
    }

    /// Adds the transactions from `first` to `last`, both included.
    pub fn insert_range(&mut self, uuid: Uuid, tag: Tag, first: u64, last: u64) {
        if first <= last {
            let numbers = self.sources.entry((uuid, tag)).or_default();
            numbers.add(first, last);
        }
    }

    /// Adds all of `other`.
    pub fn union_with(&mut self, other: &Self) {
        for (source, numbers) in &other.sources {
            self.sources
                .entry(source.clone())
                .or_default()
                .union(numbers);
        }
    }

    /// What is in `self`, in `other`, or in both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.union_with(other);
        all
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.pairwise(|source, numbers| match other.sources.get(source) {
            Some(others) => numbers.intersection(others),
            None => Intervals::default(),
        })
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.pairwise(|source, numbers| match other.sources.get(source) {
            Some(others) => numbers.difference(others),
            None => numbers.clone(),
        })
    }

    fn pairwise(&self, rest: impl Fn(&(Uuid, Tag), &Intervals) -> Intervals) -> Self {
        let sources = self.sources.iter();
        let sources = sources.map(|(source, numbers)| (source.clone(), rest(source, numbers)));
        Self {
            sources: sources.filter(|(_, numbers)| !numbers.is_empty()).collect(),
        }
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for ((uuid, tag), numbers) in &self.sources {
            if last != Some(uuid) {
                if last.is_some() {
                    f.write_str(if f.alternate() { "," } else { ",\n" })?;
                }
                write!(f, "{uuid}")?;
                last = Some(uuid);
            }
            if !tag.is_empty() {
                write!(f, ":{}", tag.as_str())?;
            }
            for (first, last) in numbers.ranges() {
                write!(f, ":{first}")?;
                if first != last {
                    write!(f, "-{last}")?;
                }
            }
        }
        Ok(())
    }
}

impl FromIterator<Gtid> for GtidSet {
    fn from_iter<I: IntoIterator<Item = Gtid>>(gtids: I) -> Self {
        let mut set = Self::new();
        for gtid in gtids {
            set.insert(&gtid);
        }
        set
    }
}
