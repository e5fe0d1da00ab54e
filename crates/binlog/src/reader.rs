//! The events of a file, one after the other.

use crate::event::{
    CHECKSUM_LEN, EventDigest, EventHeader, EventType, FormatDescription, HEADER_LEN, MAGIC,
    MAGIC_ENCRYPTED,
};
use crate::{Error, Problem, Result};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

/// What is kept of an event's body unless told otherwise, in bytes.
const KEEP: usize = 1 << 20;
/// A set of GTIDs may be large; it is kept whole up to this, in bytes.
const KEEP_GTIDS: usize = 256 << 20;
/// Bytes read at once.
const BUFFER: usize = 256 << 10;

/// One event, and where it is.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Where the event begins, in bytes from the beginning of the file.
    pub begin: u64,
    /// Where the next event begins.
    pub end: u64,
    /// The header.
    pub header: EventHeader,
    /// The body without its checksum, or its first bytes: see [`Reader::set_keep`].
    pub body: &'a [u8],
    /// Whether `body` is all of it.
    pub whole: bool,
}

impl Event<'_> {
    /// The whole body.
    pub(crate) fn whole_body(&self) -> Result<&[u8], Problem> {
        if self.whole {
            return Ok(self.body);
        }
        let detail = format!("an event of {} bytes is too large here", self.header.length);
        Err(Problem::Unsupported(detail))
    }
}

/// Reads a binary log from its beginning, or from an event on, and checks every checksum.
///
/// After an error the reader gives no more events.
#[derive(Debug)]
pub struct Reader<R> {
    name: String,
    inner: BufReader<R>,
    /// Where `inner` stands.
    offset: u64,
    format: FormatDescription,
    format_header: EventHeader,
    /// Behind the format description.
    first: u64,
    keep: usize,
    body: Vec<u8>,
    piece: Vec<u8>,
    failed: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the magic and the format description. `name` stands in errors; a file's path is best.
    ///
    /// # Errors
    /// [`Problem::Encrypted`], [`Problem::NoBinlog`], and what else can be wrong with an event.
    pub fn new(name: impl Into<String>, inner: R) -> Result<Self> {
        let name = name.into();
        let mut inner = BufReader::with_capacity(BUFFER, inner);
        let mut magic = Vec::with_capacity(MAGIC.len());
        let read = (&mut inner)
            .take(MAGIC.len() as u64)
            .read_to_end(&mut magic);
        read.map_err(|e| Problem::Read(e).at(&name, 0))?;
        if magic == MAGIC_ENCRYPTED {
            return Err(Problem::Encrypted.at(&name, 0));
        }
        if magic != MAGIC {
            let short = MAGIC.starts_with(&magic);
            let problem = if short {
                Problem::Truncated("its first bytes")
            } else {
                Problem::NoBinlog
            };
            return Err(problem.at(&name, 0));
        }
        let nothing = FormatDescription {
            server_version: String::new(),
            server_start: 0,
            checksum: crate::event::ChecksumAlgorithm::None,
        };
        let mut reader = Self {
            name,
            inner,
            offset: MAGIC.len() as u64,
            format: nothing,
            format_header: EventHeader {
                timestamp: 0,
                kind: EventType::FORMAT_DESCRIPTION,
                server_id: 0,
                length: 0,
                next: 0,
                flags: 0,
            },
            first: MAGIC.len() as u64,
            keep: KEEP,
            body: Vec::new(),
            piece: vec![0; BUFFER],
            failed: false,
        };
        match reader.next_event()? {
            Some(event) if event.header.kind == EventType::FORMAT_DESCRIPTION => {}
            Some(event) => {
                let detail = format!("the first event has type {}", event.header.kind.0);
                return Err(Problem::damaged(detail).at(&reader.name, reader.first));
            }
            None => {
                let problem = Problem::Truncated("its first event");
                return Err(problem.at(&reader.name, reader.first));
            }
        }
        reader.first = reader.offset;
        Ok(reader)
    }

    /// What the errors call the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the next event begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the first event behind the format description begins.
    pub fn first_event(&self) -> u64 {
        self.first
    }

    /// The file's format description.
    pub fn format(&self) -> &FormatDescription {
        &self.format
    }

    /// The header of the format description: its time is that of the file's beginning.
    pub fn format_header(&self) -> &EventHeader {
        &self.format_header
    }

    /// How many bytes of an event's body to keep, 1 MiB at first. Sets of GTIDs are always kept
    /// whole (up to 256 MiB).
    pub fn set_keep(&mut self, bytes: usize) {
        self.keep = bytes;
    }

    /// The next event; `None` at the end of the file.
    ///
    /// # Errors
    /// [`Problem::Truncated`] when the file ends within the event, and all else that can be wrong
    /// with it. The offset is that of the event's beginning.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>> {
        self.next_event_into(&mut io::sink())
    }

    /// The same, with all of the event's bytes, from the header to the checksum, written to `sink`
    /// as they are read: whatever the event's size, in pieces of at most 256 KiB. They are good
    /// only if the call succeeds.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event), and [`Problem::Write`].
    pub fn next_event_into(&mut self, sink: &mut dyn Write) -> Result<Option<Event<'_>>> {
        if self.failed {
            return Ok(None);
        }
        let begin = self.offset;
        match self.read_event(sink) {
            Ok(None) => Ok(None),
            Ok(Some((header, whole))) => Ok(Some(Event {
                begin,
                end: self.offset,
                header,
                body: &self.body,
                whole,
            })),
            Err(problem) => {
                self.failed = true;
                Err(problem.at(&self.name, begin))
            }
        }
    }

    fn read_event(&mut self, sink: &mut dyn Write) -> Result<Option<(EventHeader, bool)>, Problem> {
        let mut head = [0; HEADER_LEN];
        match read_full(&mut self.inner, &mut head)? {
            0 => return Ok(None),
            HEADER_LEN => {}
            _ => return Err(Problem::Truncated("the header of an event")),
        }
        let header = EventHeader::parse(&head)?;
        let end = self.offset + u64::from(header.length);
        // Before the checksum, which cannot be trusted when the length is wrong.
        if header.next != 0 && header.next != end as u32 {
            let detail = format!(
                "the event says that it ends at {}, but it ends at {end}; relay logs, and files \
                 that were cut or joined, are so",
                header.next
            );
            return Err(Problem::damaged(detail));
        }
        sink.write_all(&head).map_err(Problem::Write)?;
        let covered = self.format.checksum.covers(header.kind);
        let mut digest = if covered {
            let mut digest = EventDigest::new(&header)?;
            digest.update(&head);
            Some(digest)
        } else {
            None
        };
        let mut left = header.length as usize - HEADER_LEN;
        let length = left - if covered { CHECKSUM_LEN } else { 0 };
        let keep = match header.kind {
            EventType::PREVIOUS_GTIDS | EventType::FORMAT_DESCRIPTION => KEEP_GTIDS,
            _ => self.keep,
        };
        // The checksum may be kept for a moment.
        let mut room = keep.saturating_add(CHECKSUM_LEN);
        self.body.clear();
        while left > 0 {
            let step = left.min(self.piece.len());
            let piece = self.piece.get_mut(..step).unwrap_or_default();
            if read_full(&mut self.inner, piece)? < step {
                return Err(Problem::Truncated("an event"));
            }
            sink.write_all(piece).map_err(Problem::Write)?;
            if let Some(digest) = &mut digest {
                digest.update(piece);
            }
            let kept = piece.get(..room.min(step)).unwrap_or_default();
            self.body.extend_from_slice(kept);
            room -= kept.len();
            left -= step;
        }
        if let Some(digest) = digest {
            digest.finish()?;
        }
        self.body.truncate(length.min(keep));
        if header.kind == EventType::FORMAT_DESCRIPTION {
            self.format = FormatDescription::parse(&self.body)?;
            self.format_header = header;
        }
        self.offset = end;
        Ok(Some((header, length <= keep)))
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Goes on with the event at `offset`, which must be where one begins.
    ///
    /// # Errors
    /// When `offset` is before the first event, or the file cannot be read there. Whether an event
    /// begins there shows when it is read: its checksum and its position would be wrong.
    pub fn seek(&mut self, offset: u64) -> Result<()> {
        if offset < self.first {
            let detail = format!(
                "no event of a transaction begins before byte {}",
                self.first
            );
            return Err(Problem::damaged(detail).at(&self.name, offset));
        }
        let moved = self.inner.seek(SeekFrom::Start(offset));
        moved.map_err(|e| Problem::Read(e).at(&self.name, offset))?;
        self.offset = offset;
        self.failed = false;
        Ok(())
    }
}

impl<R> Reader<R> {
    pub(crate) fn error(&self, problem: Problem, offset: u64) -> Error {
        problem.at(&self.name, offset)
    }
}

/// Fills the buffer; fewer bytes at the end of the file.
fn read_full(inner: &mut impl Read, buffer: &mut [u8]) -> Result<usize, Problem> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match inner.read(rest) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Problem::Read(e)),
        }
    }
    Ok(done)
}
