//! What a transaction begins with, and what a file begins after.

use super::{EventHeader, EventType};
use crate::Problem;
use crate::cursor::Cursor;
use crate::gtid::{Gtid, GtidSet, MAX_GNO, Tag, Uuid};

/// The event at the beginning of a transaction: `GTID` (33), `ANONYMOUS_GTID` (34) or
/// `GTID_TAGGED` (42).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GtidEvent {
    /// The transaction's GTID; `None` for an anonymous one.
    pub gtid: Option<Gtid>,
    /// The transaction's number in its file, from 1; 0 from servers that give none.
    pub sequence: u64,
    /// The number of the last transaction that had been committed when this one was prepared.
    pub last_committed: u64,
    /// Commit on the server that wrote the file, microseconds since 1970; `None` before 8.0.1.
    pub immediate_commit_us: Option<u64>,
    /// Commit on the server where the transaction began, microseconds since 1970.
    pub original_commit_us: Option<u64>,
    /// Bytes of the whole transaction in its file, this event included; `None` before 8.0.2.
    pub transaction_length: Option<u64>,
}

/// Parses the body of an event of one of the three types, without its checksum.
///
/// # Errors
/// [`Problem::Damaged`]; [`Problem::Unsupported`] for a form of the tagged event that is newer
/// than those known.
pub fn parse_gtid(header: &EventHeader, body: &[u8]) -> Result<GtidEvent, Problem> {
    match header.kind {
        EventType::TAGGED_GTID => parse_tagged(body),
        EventType::GTID => parse_plain(body, true),
        EventType::ANONYMOUS_GTID => parse_plain(body, false),
        EventType(other) => Err(Problem::damaged(format!("event type {other} has no GTID"))),
    }
}

/// Set in the immediate commit time when the original one follows.
const ORIGINAL_FOLLOWS: u64 = 1 << 55;
/// What stands before the logical timestamps.
const LOGICAL_TIMESTAMPS: u8 = 2;

/// The form since 5.6: flags, uuid, number, and what later versions appended (`Gtid_event`).
fn parse_plain(body: &[u8], named: bool) -> Result<GtidEvent, Problem> {
    let mut cursor = Cursor::new(body);
    cursor.u8("GTID flags")?;
    let uuid = Uuid::new(cursor.array("the uuid")?);
    let gno = cursor.u64("the transaction number")?;
    let gtid = if named {
        Some(gtid(uuid, Tag::default(), gno)?)
    } else {
        None
    };
    let mut event = GtidEvent {
        gtid,
        sequence: 0,
        last_committed: 0,
        immediate_commit_us: None,
        original_commit_us: None,
        transaction_length: None,
    };
    if cursor.is_empty() {
        return Ok(event);
    }
    if cursor.u8("the kind of timestamps")? != LOGICAL_TIMESTAMPS {
        return Ok(event);
    }
    event.last_committed = cursor.u64("the last committed transaction")?;
    event.sequence = cursor.u64("the sequence number")?;
    if cursor.is_empty() {
        return Ok(event);
    }
    let immediate = cursor.u56("the commit time")?;
    let original = if immediate & ORIGINAL_FOLLOWS != 0 {
        cursor.u56("the original commit time")?
    } else {
        immediate
    };
    event.immediate_commit_us = known(immediate & !ORIGINAL_FOLLOWS);
    event.original_commit_us = known(original);
    if !cursor.is_empty() {
        event.transaction_length = known(cursor.lenenc("the transaction's length")?);
    }
    Ok(event)
}

fn known(value: u64) -> Option<u64> {
    Some(value).filter(|value| *value != 0)
}

fn gtid(uuid: Uuid, tag: Tag, gno: u64) -> Result<Gtid, Problem> {
    if !(1..=MAX_GNO).contains(&gno) {
        return Err(Problem::damaged(format!("transaction number {gno}")));
    }
    Ok(Gtid { uuid, tag, gno })
}

/// A message of the server's serialization library (`Gtid_event`, format since 8.3): version,
/// length of all, the last field a reader must know, and fields after their numbers.
fn parse_tagged(body: &[u8]) -> Result<GtidEvent, Problem> {
    let mut cursor = Cursor::new(body);
    let version = cursor.u8("the serialization version")?;
    if version != 2 {
        let detail = format!("a tagged GTID in serialization version {version}");
        return Err(Problem::Unsupported(detail));
    }
    let size = cursor.varlen("the message's length")?;
    let last_needed = cursor.varlen("the last field needed")?;
    let before = body.len() - cursor.rest().len();
    let length = usize::try_from(size).ok();
    let length = length.and_then(|size| size.checked_sub(before));
    let length = length.ok_or_else(|| Problem::damaged("the message's length is wrong"))?;
    let mut fields = Cursor::new(cursor.take(length, "the message")?);
    let (mut uuid, mut tag, mut gno) = (None, Tag::default(), 0);
    let mut event = GtidEvent {
        gtid: None,
        sequence: 0,
        last_committed: 0,
        immediate_commit_us: None,
        original_commit_us: None,
        transaction_length: None,
    };
    while !fields.is_empty() {
        match fields.varlen("a field's number")? {
            0 => drop(fields.varlen("GTID flags")?),
            1 => uuid = Some(read_uuid(&mut fields)?),
            2 => gno = fields.varlen_positive("the transaction number")?,
            3 => tag = read_tag(&mut fields)?,
            4 => event.last_committed = fields.varlen_positive("the last committed transaction")?,
            5 => event.sequence = fields.varlen_positive("the sequence number")?,
            6 => event.immediate_commit_us = known(fields.varlen("the commit time")?),
            7 => event.original_commit_us = known(fields.varlen("the original commit time")?),
            8 => event.transaction_length = known(fields.varlen("the transaction's length")?),
            9 | 10 => drop(fields.varlen("a server version")?),
            11 => drop(fields.varlen("the commit group")?),
            unknown if unknown <= last_needed => {
                let detail = format!("a tagged GTID has the unknown field {unknown}");
                return Err(Problem::Unsupported(detail));
            }
            // Nothing tells its length, but all behind it may be left out too.
            _ => break,
        }
    }
    let uuid = uuid.ok_or_else(|| Problem::damaged("a tagged GTID without its uuid"))?;
    event.gtid = Some(gtid(uuid, tag, gno)?);
    event.original_commit_us = event.original_commit_us.or(event.immediate_commit_us);
    Ok(event)
}

/// Sixteen integers of one byte each.
fn read_uuid(cursor: &mut Cursor<'_>) -> Result<Uuid, Problem> {
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        let value = cursor.varlen("the uuid")?;
        *byte = u8::try_from(value).map_err(|_| Problem::damaged("the uuid is none"))?;
    }
    Ok(Uuid::new(bytes))
}

fn read_tag(cursor: &mut Cursor<'_>) -> Result<Tag, Problem> {
    let length = cursor.varlen("the tag's length")?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let text = cursor.take(length, "the tag")?;
    let text = std::str::from_utf8(text).map_err(|_| Problem::damaged("the tag is no text"))?;
    Tag::new(text).map_err(|error| Problem::damaged(error.to_string()))
}

/// Parses the body of a `PREVIOUS_GTIDS` event (35), without its checksum: all transactions in the
/// files before this one (`Gtid_set::encode`).
///
/// # Errors
/// [`Problem::Damaged`].
pub fn parse_previous_gtids(body: &[u8]) -> Result<GtidSet, Problem> {
    let mut cursor = Cursor::new(body);
    let start = cursor.u64("the number of uuids")?;
    // The first byte of the number is the last in the file: since there are tags it says the form.
    let (tagged, count) = match start >> 56 {
        0 => (false, start),
        1 => (true, start << 8 >> 16),
        form => {
            let detail = format!("a set of GTIDs in form {form}");
            return Err(Problem::Unsupported(detail));
        }
    };
    let mut set = GtidSet::new();
    for _ in 0..count {
        let uuid = Uuid::new(cursor.array("the uuid")?);
        let tag = if tagged {
            read_tag(&mut cursor)?
        } else {
            Tag::default()
        };
        let ranges = cursor.u64("the number of ranges")?;
        for _ in 0..ranges {
            let first = cursor.u64("a range's beginning")?;
            let end = cursor.u64("a range's end")?;
            if first == 0 || end <= first || end > MAX_GNO + 1 {
                return Err(Problem::damaged(format!(
                    "a range from {first} before {end}"
                )));
            }
            set.insert_range(uuid, tag.clone(), first, end - 1);
        }
    }
    if !cursor.is_empty() {
        return Err(Problem::damaged("bytes behind the set of GTIDs"));
    }
    Ok(set)
}
