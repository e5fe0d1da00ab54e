//! A unit of which a part has come.

use std::ops::Range;

/// Bytes of a unit, put together in any order.
#[derive(Debug)]
pub(super) struct Part {
    bytes: Vec<u8>,
    /// What has come: in order, with something missing between any two.
    filled: Vec<Range<usize>>,
}

impl Part {
    /// A unit of `whole` bytes, in memory that is used again.
    pub(super) fn new(mut memory: Vec<u8>, whole: usize) -> Self {
        memory.resize(whole, 0);
        Self {
            bytes: memory,
            filled: Vec::new(),
        }
    }

    /// Puts bytes where they belong; false where there is no room for them, or some came before.
    pub(super) fn put(&mut self, at: u64, bytes: &[u8]) -> bool {
        let Ok(start) = usize::try_from(at) else {
            return false;
        };
        let new = start..start.saturating_add(bytes.len());
        let next = self.filled.partition_point(|old| old.end <= new.start);
        let overlaps = self.filled.get(next).is_some_and(|old| old.start < new.end);
        let Some(target) = self.bytes.get_mut(new.clone()).filter(|_| !overlaps) else {
            return false;
        };
        target.copy_from_slice(bytes);
        self.filled.insert(next, new);
        self.filled.dedup_by(|later, earlier| {
            let meets = earlier.end == later.start;
            if meets {
                earlier.end = later.end;
            }
            meets
        });
        true
    }

    /// Whether nothing is missing.
    pub(super) fn is_whole(&self) -> bool {
        match self.filled.as_slice() {
            [all] => all.len() == self.bytes.len(),
            _ => self.bytes.is_empty(),
        }
    }

    /// The unit.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_any_order_and_once() {
        let mut part = Part::new(vec![9; 3], 10);
        for (at, bytes, fits) in [
            (6, &b"gh"[..], true),
            (0, b"ab", true),
            (5, b"xx", false),
            (7, b"x", false),
            (9, b"xx", false),
            (u64::MAX, b"x", false),
            (8, b"ij", true),
            (2, b"cde", true),
            (0, b"x", false),
        ] {
            assert_eq!(part.put(at, bytes), fits, "{at}");
            assert!(!part.is_whole());
        }
        assert!(part.put(5, b"f") && part.is_whole());
        assert_eq!(part.into_bytes(), b"abcdefghij");
    }
}
