//! Global transaction identifiers, and sets of them.

mod id;
mod intervals;
mod parse;
mod set;

pub use id::{Gtid, Tag, Uuid};
pub use parse::BadGtid;
pub use set::GtidSet;

/// The largest transaction number the server gives (`GNO_END - 1`).
pub const MAX_GNO: u64 = i64::MAX as u64 - 1;
