//! What the fuzz targets do with their input. Shared by `fuzz/` and by `fuzz_smoke`.
//!
//! Parsers must not panic; what they accept must be in order.
#![allow(clippy::unwrap_used, reason = "after a check")]
#![allow(dead_code, reason = "a fuzz target is one of these functions")]

use binlog::event::{
    EventHeader, EventType, FormatDescription, Payload, Rotate, parse_gtid, parse_previous_gtids,
    query_text,
};
use binlog::gtid::GtidSet;
use binlog::{FileFacts, Reader, Transactions};
use std::io::Cursor;

/// A whole file. Checksums would stop nearly all inputs: files without them are the better ones.
pub(crate) fn binlog_file(data: &[u8]) {
    let Ok(mut reader) = Reader::new("input", Cursor::new(data)) else {
        return;
    };
    reader.set_keep(1000);
    let _ = FileFacts::read(&mut reader);
    let mut transactions = Transactions::new(reader);
    let mut end = 0;
    while let Ok(Some(transaction)) = transactions.next_transaction() {
        assert!(transaction.begin >= end && transaction.end > transaction.begin);
        end = transaction.end;
        assert!(end <= data.len() as u64);
    }
    assert!(transactions.good_end() <= data.len() as u64);
}

/// The body of an event; the first byte chooses the type.
pub(crate) fn binlog_event(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    let _ = (EventHeader::parse(body), FormatDescription::parse(body));
    let _ = (query_text(body), Rotate::parse(body));
    let header = EventHeader {
        timestamp: 0,
        kind: EventType(33 + kind % 10),
        server_id: 0,
        length: 19,
        next: 0,
        flags: 0,
    };
    if let Ok(event) = parse_gtid(&header, body)
        && let Some(gtid) = event.gtid
    {
        assert_eq!(gtid.to_string().parse(), Ok(gtid));
    }
    if let Ok(set) = parse_previous_gtids(body) {
        assert_eq!(set.to_string().parse::<GtidSet>().unwrap(), set);
    }
    if let Ok(payload) = Payload::parse(body) {
        let mut events = payload.events().unwrap();
        while let Ok(Some((_, body))) = events.next(100) {
            assert!(body.len() <= 100);
        }
    }
}

/// The text of a GTID set, as a server, an option or a manifest has it.
pub(crate) fn gtid_set(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(set) = text.parse::<GtidSet>() else {
        return;
    };
    assert_eq!(set.to_string().parse::<GtidSet>(), Ok(set.clone()));
    assert!(set.contains_all(&set) && set.difference(&set).count() == 0);
    assert_eq!(set.union(&set), set);
}
