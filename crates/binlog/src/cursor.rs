//! A bounded reader over the bytes of one event.

use crate::Problem;

/// Reads forward; every read says what it reads, and so does its error.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, len: usize, what: &str) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(|| ends(what))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Problem> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| ends(what))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self, what: &str) -> Result<u8, Problem> {
        self.array(what).map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self, what: &str) -> Result<u16, Problem> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, Problem> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64, Problem> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Seven bytes.
    pub(crate) fn u56(&mut self, what: &str) -> Result<u64, Problem> {
        let low = self.u32(what)?;
        let [middle, high, top] = self.array(what)?;
        let high = u32::from_le_bytes([middle, high, top, 0]);
        Ok(u64::from(low) | u64::from(high) << 32)
    }

    /// A length-encoded integer of the client protocol: one byte below 251, else a marker and 2, 3
    /// or 8 bytes.
    pub(crate) fn lenenc(&mut self, what: &str) -> Result<u64, Problem> {
        match self.u8(what)? {
            0xFC => self.u16(what).map(u64::from),
            0xFD => {
                let [a, b, c] = self.array(what)?;
                Ok(u64::from(u32::from_le_bytes([a, b, c, 0])))
            }
            0xFE => self.u64(what),
            0xFB | 0xFF => Err(Problem::damaged(format!("{what} is no number"))),
            small => Ok(u64::from(small)),
        }
    }

    /// An unsigned integer of the server's serialization library: as many ones at the low end of
    /// the first byte as there are further bytes (`variable_length_integers.h`).
    pub(crate) fn varlen(&mut self, what: &str) -> Result<u64, Problem> {
        let first = self.u8(what)?;
        let more = first.trailing_ones() as usize;
        if more == 8 {
            return self.u64(what);
        }
        let mut bytes = [0; 8];
        let parts = std::iter::once(&first).chain(self.take(more, what)?);
        for (byte, part) in bytes.iter_mut().zip(parts) {
            *byte = *part;
        }
        Ok(u64::from_le_bytes(bytes) >> (more + 1))
    }

    /// The same for an integer that may be negative but must not be here.
    pub(crate) fn varlen_positive(&mut self, what: &str) -> Result<u64, Problem> {
        let value = self.varlen(what)?;
        if value & 1 != 0 {
            return Err(Problem::damaged(format!("{what} is negative")));
        }
        Ok(value >> 1)
    }
}

fn ends(what: &str) -> Problem {
    Problem::damaged(format!("the event ends within {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_the_serialization_library() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0xFE], 127),
            (&[0x01, 0x02], 128),
            (&[0xFF, 1, 0, 0, 0, 0, 0, 0, 0x80], (1 << 63) + 1),
        ] {
            let mut cursor = Cursor::new(bytes);
            assert_eq!(cursor.varlen("number").unwrap(), value);
            assert!(cursor.is_empty());
            let short = bytes.get(..bytes.len() - 1).unwrap();
            assert!(Cursor::new(short).varlen("number").is_err());
        }
        assert!(Cursor::new(&[0b10]).varlen_positive("number").is_err());
    }
}
