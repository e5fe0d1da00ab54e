//! A bounded reader over the bytes of one packet. Each read says what it reads, and so does its
//! error.

/// A packet that ends, or differs, where something else should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// What should be there.
    pub what: &'static str,
    /// Offset in the packet, or in the descriptor that it carries, in bytes.
    pub at: usize,
}

/// Reads forward through a packet.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(len);
        let bytes = end.and_then(|end| self.bytes.get(self.at..end));
        let bytes = bytes.ok_or(Malformed { what, at: self.at })?;
        self.at += len;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], Malformed> {
        let at = self.at;
        self.take(N, what)?
            .try_into()
            .map_err(|_| Malformed { what, at })
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.array(what).map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Bytes up to a zero byte, which is consumed too.
    pub(crate) fn until_nul(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|byte| *byte == 0);
        let len = len.ok_or(Malformed { what, at: self.at })?;
        let bytes = self.take(len, what)?;
        self.at += 1;
        Ok(bytes)
    }

    /// A length-encoded integer: one byte below 251, else a marker and 2, 3 or 8 bytes.
    pub(crate) fn lenenc(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let at = self.at;
        match self.u8(what)? {
            0xFC => self.u16(what).map(u64::from),
            0xFD => {
                let [a, b, c] = self.array(what)?;
                Ok(u64::from(u32::from_le_bytes([a, b, c, 0])))
            }
            0xFE => self.array(what).map(u64::from_le_bytes),
            0xFB | 0xFF => Err(Malformed { what, at }),
            small => Ok(u64::from(small)),
        }
    }

    /// Bytes after their length-encoded length.
    pub(crate) fn lenenc_bytes(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let at = self.at;
        let len = usize::try_from(self.lenenc(what)?).map_err(|_| Malformed { what, at })?;
        self.take(len, what)
    }
}

/// Appends a length-encoded integer.
pub(crate) fn put_lenenc(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match value {
        0..=250 => out.push(bytes[0]),
        251..=0xFFFF => {
            out.push(0xFC);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xFF_FFFF => {
            out.push(0xFD);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xFE);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends bytes after their length-encoded length.
pub(crate) fn put_lenenc_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_lenenc(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_encoded_integers_survive_a_round_trip() {
        for value in [
            0,
            250,
            251,
            0xFFFF,
            0x1_0000,
            0xFF_FFFF,
            0x100_0000,
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            put_lenenc(&mut bytes, value);
            let mut cursor = Cursor::new(&bytes);
            assert_eq!(cursor.lenenc("value"), Ok(value));
            assert!(cursor.is_empty());
        }
    }

    #[test]
    fn a_length_beyond_the_packet_is_refused() {
        let bytes = [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1];
        let error = Cursor::new(&bytes).lenenc_bytes("name");
        assert_eq!(
            error,
            Err(Malformed {
                what: "name",
                at: 9
            })
        );
        assert!(Cursor::new(&[5, 1, 2]).lenenc_bytes("name").is_err());
    }

    #[test]
    fn text_without_its_zero_byte_is_refused() {
        let mut cursor = Cursor::new(b"ab\0cd");
        assert_eq!(cursor.until_nul("first"), Ok(&b"ab"[..]));
        assert!(cursor.until_nul("second").is_err());
    }
}
