//! The bytes of MySQL's binary logs.
//!
//! | module | what | server source that defines it |
//! |---|---|---|
//! | [`gtid`] | GTIDs and sets of them, tagged ones included | `rpl_gtid_set.cc`, `rpl_gtid.h` |
//! | [`event`] | the events that say what a file is and where its transactions are | `binlog_event.h`, `control_events.h` |
//! | [`FileFacts`] | what the beginning of a file says | — |
//! | [`Reader`] | the events of one file, one after the other | — |
//! | [`Transactions`] | the transactions of one file: where they begin and end, and their GTIDs | — |
//!
//! Nothing here opens a file: a [`Reader`] takes anything that can be read, and a name for its
//! errors. Memory is bounded whatever the events' sizes are: an event's first bytes are kept
//! ([`Reader::set_keep`]), the rest is only checksummed, and can be had while it passes by
//! ([`Reader::next_event_into`]).
//!
//! Integers are little-endian throughout. Bytes are never trusted: what is truncated, does not
//! fit its checksum or stands in a wrong place is an [`Error`] with the file and the offset, never
//! a panic and never a guess. (The `binlog` feature of `mysql_common` is not used: it ends the
//! process on a truncated event and allocates what a damaged count says.)
#![warn(clippy::indexing_slicing)]

pub mod event;
pub mod gtid;

mod cursor;
mod error;
mod facts;
mod reader;
mod transaction;

pub use error::{Error, Problem, Result};
pub use facts::FileFacts;
pub use reader::{Event, Reader};
pub use transaction::{Ending, Identity, Transaction, Transactions};
