//! Sets of transaction numbers, as sorted ranges that do not touch.

/// Ranges `(first, last)`, both included: sorted, with at least one number missing between two.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Intervals(Vec<(u64, u64)>);

impl Intervals {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < number);
        self.0.get(at).is_some_and(|(first, _)| *first <= number)
    }

    /// Adds `first..=last`.
    pub(super) fn add(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        // Those that touch the new range become part of it.
        let from = self
            .0
            .partition_point(|range| range.1 < first.saturating_sub(1));
        let to = self
            .0
            .partition_point(|range| range.0 <= last.saturating_add(1));
        let touched = self.0.get(from..to).unwrap_or_default();
        let first = touched.first().map_or(first, |range| range.0.min(first));
        let last = touched.last().map_or(last, |range| range.1.max(last));
        self.0.splice(from..to, [(first, last)]);
    }

    pub(super) fn union(&mut self, other: &Self) {
        for (first, last) in &other.0 {
            self.add(*first, *last);
        }
    }

    /// What is in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
            let (first, last) = (l.0.max(r.0), l.1.min(r.1));
            if first <= last {
                both.push((first, last));
            }
            if l.1 < r.1 {
                left.next();
            } else {
                right.next();
            }
        }
        Self(both)
    }

    /// What is in `self` and not in `other`.
    pub(super) fn difference(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        let mut holes = other.0.iter().peekable();
        for (first, last) in &self.0 {
            let mut first = *first;
            while let Some(hole) = holes.peek() {
                if hole.1 < first {
                    holes.next();
                    continue;
                }
                if hole.0 > *last {
                    break;
                }
                if hole.0 > first {
                    rest.push((first, hole.0 - 1));
                }
                first = hole.1.saturating_add(1);
                if first > *last {
                    break;
                }
            }
            if first <= *last {
                rest.push((first, *last));
            }
        }
        Self(rest)
    }

    pub(super) fn count(&self) -> u128 {
        let sizes = self
            .0
            .iter()
            .map(|(first, last)| u128::from(last - first) + 1);
        sizes.sum()
    }
}
