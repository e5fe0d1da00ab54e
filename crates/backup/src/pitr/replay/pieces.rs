//! Pieces of binary logs, written as the relay logs that a server applies.

use crate::io::create_new;
use crate::pitr::files::{LogFile, Source};
use crate::pitr::plan::{Piece, PieceKind, Plan};
use crate::pitr::scan::refused;
use crate::{Error, Job, Result};
use binlog::event::{CHECKSUM_LEN, EventType, HEADER_LEN, MAGIC};
use binlog::{Problem, Reader};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

/// A piece, ready to be replayed.
#[derive(Debug)]
pub(super) enum Ready {
    /// A relay log.
    Relay {
        /// Where it was written.
        path: PathBuf,
        /// Its length in bytes.
        bytes: u64,
    },
    /// The event of a statement.
    Statement {
        /// When it began, seconds since 1970.
        timestamp: u32,
        /// The event's body without its checksum.
        body: Vec<u8>,
    },
}

/// Takes the pieces of a plan from their files, one after the other.
pub(super) struct Pieces<'a> {
    plan: &'a Plan,
    directory: &'a Path,
    owner: Option<(u32, u32)>,
    open: Option<Open>,
}

/// The file that is being read.
struct Open {
    file: usize,
    reader: Reader<Source>,
    can_seek: bool,
    format: Format,
}

impl<'a> Pieces<'a> {
    /// Relay logs are made in `directory`, owned by `owner` if given.
    pub(super) fn new(plan: &'a Plan, directory: &'a Path, owner: Option<(u32, u32)>) -> Self {
        Self {
            plan,
            directory,
            owner,
            open: None,
        }
    }

    /// Makes a piece of the plan ready. Pieces are taken in order; every event's checksum is
    /// checked again.
    pub(super) fn take(&mut self, number: usize, piece: &Piece, job: &Job) -> Result<Ready> {
        let log = &self.plan.files[piece.file].log;
        if self
            .open
            .as_ref()
            .is_none_or(|open| open.file != piece.file)
        {
            let source = log.open()?;
            let can_seek = source.can_seek();
            let reader = Reader::new(log.path.display().to_string(), source);
            self.open = Some(Open {
                file: piece.file,
                reader: reader.map_err(|e| refused(&log.path, e))?,
                can_seek,
                format: Format::read(log)?,
            });
        }
        let Some(open) = &mut self.open else {
            return Err(Error::damaged(&log.path, "it cannot be opened"));
        };
        go_to(open, log, piece.begin, job)?;
        if piece.kind != PieceKind::Events {
            return statement(&mut open.reader, log, piece, job);
        }
        let path = self.directory.join(format!("piece-{number}"));
        let file = create_new(&path)?;
        if let Some((user, group)) = self.owner {
            chown(&path, Some(user), Some(group))
                .map_err(|e| Error::io("change owner of", &path, e))?;
        }
        let error = |e| Error::io("write file", &path, e);
        let mut out = BufWriter::with_capacity(1 << 20, file);
        // A file that begins with the server's start makes an applier drop the temporary tables.
        let first = self.plan.pieces.get(number.wrapping_sub(1));
        let is_first = first.is_none_or(|before| before.file != piece.file);
        let beginning = open.format.beginning(is_first);
        out.write_all(&beginning).map_err(error)?;
        copy(&mut open.reader, log, piece.end, &mut out, job)?;
        out.flush().map_err(error)?;
        let bytes = beginning.len() as u64 + (piece.end - piece.begin);
        Ok(Ready::Relay { path, bytes })
    }
}

/// Goes on to a byte where an event begins.
fn go_to(open: &mut Open, log: &LogFile, begin: u64, job: &Job) -> Result<()> {
    let reader = &mut open.reader;
    if reader.offset() > begin || open.can_seek {
        return reader.seek(begin).map_err(|e| refused(&log.path, e));
    }
    copy(reader, log, begin, &mut io::sink(), job)
}

/// Copies whole events up to `end`.
fn copy(
    reader: &mut Reader<Source>,
    log: &LogFile,
    end: u64,
    out: &mut dyn Write,
    job: &Job,
) -> Result<()> {
    while reader.offset() < end {
        job.check()?;
        let event = reader.next_event_into(out).map_err(|e| match e.problem {
            Problem::Write(source) => Error::io("write file", Path::new("relay log"), source),
            _ => refused(&log.path, e),
        })?;
        if event.is_none() {
            break;
        }
    }
    if reader.offset() == end {
        return Ok(());
    }
    Err(changed(log, end))
}

fn statement(
    reader: &mut Reader<Source>,
    log: &LogFile,
    piece: &Piece,
    job: &Job,
) -> Result<Ready> {
    // A statement is no larger than this.
    reader.set_keep(1 << 30);
    let mut found = None;
    while reader.offset() < piece.end {
        job.check()?;
        let event = reader.next_event().map_err(|e| refused(&log.path, e))?;
        let Some(event) = event else {
            break;
        };
        if event.header.kind == EventType::QUERY {
            found = Some(Ready::Statement {
                timestamp: event.header.timestamp,
                body: event.body.to_owned(),
            });
        }
    }
    reader.set_keep(1 << 20);
    match found {
        Some(found) if reader.offset() == piece.end => Ok(found),
        _ => Err(changed(log, piece.begin)),
    }
}

fn changed(log: &LogFile, at: u64) -> Error {
    Error::refused(
        1105,
        format!(
            "'{}' has changed around byte {at} since it was checked",
            log.path.display()
        ),
        "Run the restore again on files that nobody changes.",
    )
}

/// A format description event, as it is in the file.
struct Format {
    event: Vec<u8>,
}

impl Format {
    fn read(log: &LogFile) -> Result<Self> {
        let error = |e| Error::io("read file", &log.path, e);
        let mut source = log.open()?;
        let mut head = [0; MAGIC.len() + HEADER_LEN];
        source.read_exact(&mut head).map_err(error)?;
        let mut event = head[MAGIC.len()..].to_vec();
        let length = u32::from_le_bytes([event[9], event[10], event[11], event[12]]) as usize;
        // The reader has found it to be one: version, server, times and types take 57 bytes.
        if !(HEADER_LEN + 57 + 5..=1 << 16).contains(&length) {
            return Err(changed(log, MAGIC.len() as u64));
        }
        event.resize(length, 0);
        source.read_exact(&mut event[HEADER_LEN..]).map_err(error)?;
        Ok(Self { event })
    }

    /// What a relay log begins with: the magic, the event, and that no transactions are before it.
    /// Unless `is_first`, the event does not tell of a start of the server.
    fn beginning(&self, is_first: bool) -> Vec<u8> {
        /// When the server started, in the body behind version and name.
        const STARTED: std::ops::Range<usize> = HEADER_LEN + 52..HEADER_LEN + 56;
        let mut event = self.event.clone();
        // The file is closed.
        event[FLAGS] &= !1;
        if !is_first {
            event[STARTED].fill(0);
        }
        let at = event.len() - CHECKSUM_LEN;
        seal(&mut event, at);
        // The algorithm is behind the types.
        let has_checksums = event[at - 1] != 0;
        let begin = MAGIC.len() + event.len();
        let mut none = event[..HEADER_LEN].to_vec();
        none[TYPE] = EventType::PREVIOUS_GTIDS.0;
        none[FLAGS..].copy_from_slice(&IGNORABLE.to_le_bytes());
        // A set of no uuids.
        none.extend([0; 8]);
        let length = none.len() + if has_checksums { CHECKSUM_LEN } else { 0 };
        none[LENGTH..NEXT].copy_from_slice(&(length as u32).to_le_bytes());
        none[NEXT..FLAGS].copy_from_slice(&((begin + length) as u32).to_le_bytes());
        if has_checksums {
            let at = none.len();
            none.extend([0; CHECKSUM_LEN]);
            seal(&mut none, at);
        }
        [&MAGIC[..], &event, &none].concat()
    }
}

/// Writes the checksum of an event, which stands at `at`.
fn seal(event: &mut [u8], at: usize) {
    let checksum = crc32fast::hash(&event[..at]);
    event[at..at + CHECKSUM_LEN].copy_from_slice(&checksum.to_le_bytes());
}

/// Where the parts of an event's header are.
const TYPE: usize = 4;
const LENGTH: usize = 9;
const NEXT: usize = 13;
const FLAGS: usize = 17;
/// The flag of events that a reader may pass over.
const IGNORABLE: u16 = 0x80;
