//! What is known of a log up to its last event.

use super::name::LogName;
use binlog::Problem;
use binlog::event::{
    ChecksumAlgorithm, EventHeader, EventType, FormatDescription, MAGIC, Rotate, parse_gtid,
    parse_previous_gtids,
};
use binlog::gtid::GtidSet;

/// An event of the archive, to be compared with the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) header: EventHeader,
    /// Over all of its bytes.
    pub(super) crc: u32,
}

/// What is known of a log, event by event.
#[derive(Debug, Clone)]
pub(super) struct Track {
    pub(super) name: LogName,
    /// Behind the last event.
    pub(super) end: u64,
    /// The last event that a stream can begin with: one that is not the format description, and
    /// begins where a position of four bytes reaches.
    pub(super) tail: Option<Tail>,
    /// Whether events have checksums.
    pub(super) checksum: ChecksumAlgorithm,
    /// Whether the last event is one that ends a file.
    pub(super) ended: bool,
    /// The next file, if the last event tells it.
    pub(super) next: Option<LogName>,
    /// All transactions up to the end, those of the files before included.
    pub(super) gtids: GtidSet,
}

/// What is kept of an event's body: what [`Track::event`] looks into.
pub(super) fn keep(kind: EventType) -> usize {
    match kind {
        EventType::PREVIOUS_GTIDS => 256 << 20,
        EventType::FORMAT_DESCRIPTION | EventType::ROTATE => 64 << 10,
        kind if kind.is_gtid() => 64 << 10,
        _ => 0,
    }
}

impl Track {
    /// Of a log of which nothing is known but its name.
    pub(super) fn new(name: LogName) -> Self {
        Self {
            name,
            end: MAGIC.len() as u64,
            tail: None,
            checksum: ChecksumAlgorithm::None,
            ended: false,
            next: None,
            gtids: GtidSet::new(),
        }
    }

    /// Where a stream has to begin that continues the log.
    pub(super) fn start(&self) -> u32 {
        let begin = self.tail.as_ref().map(|tail| tail.begin);
        begin.map_or(MAGIC.len() as u32, |begin| begin as u32)
    }

    /// Forgets all behind the tail, which only a file of more than 4 GiB has: a stream cannot begin
    /// there, so it is fetched again.
    pub(super) fn end_with_tail(&mut self) {
        if let Some(tail) = self.tail.as_ref().filter(|tail| tail.end < self.end) {
            self.end = tail.end;
            self.ended = false;
            self.next = None;
        }
    }

    /// Takes note of the event behind the last one: its body without checksum (as much as
    /// [`keep`] says), and the CRC32 of all of it. `before` are the transactions that the file
    /// before this one ended with.
    ///
    /// # Errors
    /// When the event cannot be in this place: then nothing is noted.
    pub(super) fn event(
        &mut self,
        header: &EventHeader,
        body: &[u8],
        crc: u32,
        before: Option<&GtidSet>,
    ) -> Result<(), Problem> {
        let begin = self.end;
        let end = begin + u64::from(header.length);
        if self.ended {
            let detail = format!("event type {} behind the end of the file", header.kind.0);
            return Err(Problem::Damaged(detail));
        }
        let (mut ended, mut next) = (false, None);
        match header.kind {
            EventType::FORMAT_DESCRIPTION => {
                self.checksum = FormatDescription::parse(body)?.checksum;
            }
            EventType::PREVIOUS_GTIDS => {
                let previous = parse_previous_gtids(body)?;
                if let Some(missing) = before.map(|before| before.difference(&previous))
                    && !missing.is_empty()
                {
                    let detail = format!(
                        "{} does not continue the archive: its server does not know of the \
                         transactions {missing:#}, which the file before it has",
                        self.name
                    );
                    return Err(Problem::Damaged(detail));
                }
                self.gtids = previous;
            }
            EventType::ROTATE => {
                ended = true;
                next = Rotate::parse(body)?.file.parse().ok();
            }
            EventType::STOP => ended = true,
            kind if kind.is_gtid() => {
                if let Some(gtid) = parse_gtid(header, body)?.gtid {
                    self.gtids.insert(&gtid);
                }
            }
            _ => {}
        }
        (self.ended, self.next) = (ended, next);
        if header.kind != EventType::FORMAT_DESCRIPTION && u32::try_from(begin).is_ok() {
            self.tail = Some(Tail {
                begin,
                end,
                header: *header,
                crc,
            });
        }
        self.end = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(track: &mut Track, kind: EventType, length: u32) {
        let end = track.end + u64::from(length);
        let header = EventHeader {
            timestamp: 0,
            kind,
            server_id: 1,
            length,
            next: end as u32,
            flags: 0,
        };
        track.event(&header, &[], length, None).unwrap();
    }

    #[test]
    fn a_file_of_more_than_four_gib_goes_on_where_a_position_reaches() {
        const ROWS: EventType = EventType::WRITE_ROWS;
        let mut track = Track::new("binlog.000001".parse().unwrap());
        event(&mut track, ROWS, 3 << 30);
        assert_eq!(track.start(), 4);
        event(&mut track, ROWS, 3 << 30);
        let middle = track.clone();
        assert_eq!(u64::from(track.start()), 4 + (3 << 30));
        event(&mut track, ROWS, 100);
        event(&mut track, EventType::STOP, 23);
        assert!(track.ended);
        track.end_with_tail();
        assert_eq!((track.end, track.ended), (middle.end, false));
        assert_eq!(track.start(), middle.start());
    }

    #[test]
    fn nothing_stands_behind_the_end_of_a_file() {
        let mut track = Track::new("binlog.000001".parse().unwrap());
        event(&mut track, EventType::STOP, 23);
        let header = EventHeader {
            kind: EventType::XID,
            ..track.tail.clone().unwrap().header
        };
        assert!(track.event(&header, &[], 0, None).is_err());
    }
}
