//! A transaction compressed into one event.

use super::{EventHeader, EventType, HEADER_LEN};
use crate::Problem;
use crate::cursor::Cursor;
use std::io::{self, BufReader, Read};

/// How a payload is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// `ZSTD`.
    Zstd,
    /// Not at all.
    None,
}

/// A `TRANSACTION_PAYLOAD` event (40): fields of type, length and value, and behind them the
/// payload (`Transaction_payload_event`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    /// How the bytes are compressed.
    pub compression: Compression,
    /// Bytes of the events inside; 0 when not told.
    pub original_length: u64,
    /// The compressed bytes.
    pub bytes: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Parses the event's whole body without its checksum.
    ///
    /// # Errors
    /// [`Problem::Damaged`], [`Problem::Unsupported`] for another compression.
    pub fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let mut cursor = Cursor::new(body);
        let (mut size, mut compression, mut original_length) = (None, None, 0);
        loop {
            let field = cursor.lenenc("a field of the payload")?;
            if field == 0 {
                break;
            }
            let length = cursor.lenenc("a field's length")?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let mut value = Cursor::new(cursor.take(length, "a field")?);
            match field {
                1 => size = Some(value.lenenc("the payload's length")?),
                2 => compression = Some(value.lenenc("the payload's compression")?),
                3 => original_length = value.lenenc("the original length")?,
                _ => {}
            }
        }
        let compression = match compression {
            Some(0) => Compression::Zstd,
            Some(255) => Compression::None,
            other => {
                let detail = format!("a transaction payload with compression {other:?}");
                return Err(Problem::Unsupported(detail));
            }
        };
        let bytes = cursor.rest();
        if size != Some(bytes.len() as u64) {
            return Err(Problem::damaged("the payload's length is wrong"));
        }
        Ok(Self {
            compression,
            original_length,
            bytes,
        })
    }

    /// The events inside.
    ///
    /// # Errors
    /// When there is no memory for the decompression.
    pub fn events(&self) -> Result<PayloadEvents<'a>, Problem> {
        let inner: Box<dyn Read + 'a> = match self.compression {
            Compression::None => Box::new(self.bytes),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(self.bytes).map_err(Problem::Read)?;
                decoder
                    .window_log_max(WINDOW_LOG_MAX)
                    .map_err(Problem::Read)?;
                Box::new(BufReader::new(decoder))
            }
        };
        Ok(PayloadEvents {
            inner,
            body: Vec::new(),
        })
    }
}

/// Windows of up to 128 MiB are read, which is what `zstd -d` does.
const WINDOW_LOG_MAX: u32 = 27;

/// The events inside a payload. They have no checksums of their own.
pub struct PayloadEvents<'a> {
    inner: Box<dyn Read + 'a>,
    body: Vec<u8>,
}

impl std::fmt::Debug for PayloadEvents<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayloadEvents").finish_non_exhaustive()
    }
}

impl PayloadEvents<'_> {
    /// The next event's header and at most `keep` bytes of its body; the rest is passed over.
    /// `None` behind the last.
    ///
    /// # Errors
    /// [`Problem::Damaged`] when the payload ends within an event, does not decompress, or holds
    /// an event that cannot be in one.
    pub fn next(&mut self, keep: usize) -> Result<Option<(EventHeader, &[u8])>, Problem> {
        let damaged = |e: io::Error| Problem::damaged(format!("the payload is damaged: {e}"));
        let mut header = Vec::with_capacity(HEADER_LEN);
        let mut start = (&mut self.inner).take(HEADER_LEN as u64);
        start.read_to_end(&mut header).map_err(damaged)?;
        if header.is_empty() {
            return Ok(None);
        }
        let header = EventHeader::parse(&header)?;
        let kind = header.kind;
        if kind == EventType::TRANSACTION_PAYLOAD || kind.is_of_the_file() || kind.is_gtid() {
            let detail = format!("event type {} inside a payload", kind.0);
            return Err(Problem::damaged(detail));
        }
        let length = u64::from(header.length) - HEADER_LEN as u64;
        let kept = length.min(keep as u64);
        self.body.clear();
        let read = (&mut self.inner).take(kept).read_to_end(&mut self.body);
        let mut found = read.map_err(damaged)? as u64;
        let rest = io::copy(&mut (&mut self.inner).take(length - kept), &mut io::sink());
        found += rest.map_err(damaged)?;
        if found < length {
            return Err(Problem::damaged("the payload ends within an event"));
        }
        Ok(Some((header, &self.body)))
    }
}
