//! The texts in a backup set's `#clone` directory.
//!
//! | file | content |
//! |---|---|
//! | `#clone_checkpoints` | [`Checkpoints`] |
//! | `#view_status` | [`ViewStatus`], shown by the server as `performance_schema.clone_status` |
//! | `#view_progress` | [`ViewProgress`], shown as `performance_schema.clone_progress` |
//!
//! The others are empty files whose presence is the message: `#status_in_progress` (the server
//! refuses to start), `#status_fix`, `#replace_files`.

mod view;

pub use crate::text::TextError;
pub use view::{CloneState, StageProgress, ViewProgress, ViewStatus};

use std::fmt;

use crate::lsn::Lsn;
use crate::text::Pairs;

/// The log positions that link a backup set to the next one and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checkpoints {
    /// Pages changed since here are in the set; 0 for a full one.
    pub start_lsn: Lsn,
    /// An increment can begin here; 0 when pages were not tracked.
    pub page_track_lsn: Lsn,
    /// The state of the data that the set restores to.
    pub end_lsn: Lsn,
}

impl Checkpoints {
    /// The text of the file, byte for byte as GreatSQL writes it.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// Reads the text of the file. All three are required, and none is above the end LSN. The page
    /// tracking LSN may lie below the start of an increment whose pages were found by their LSN.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, CheckpointsError> {
        let pairs = Pairs::parse(text.as_ref())?;
        let lsn = |key| pairs.required(key).map(Lsn::new);
        let (start, track, end) = (lsn("start_lsn")?, lsn("page_track_lsn")?, lsn("end_lsn")?);
        if start.max(track) > end {
            return Err(CheckpointsError::Order { start, track, end });
        }
        Ok(Self {
            start_lsn: start,
            page_track_lsn: track,
            end_lsn: end,
        })
    }
}

impl fmt::Display for Checkpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "start_lsn = {}", self.start_lsn)?;
        writeln!(f, "page_track_lsn = {}", self.page_track_lsn)?;
        writeln!(f, "end_lsn = {}", self.end_lsn)
    }
}

/// A `#clone_checkpoints` that describes no backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointsError {
    /// The text cannot be read.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A position is above the end.
    #[error("checkpoints out of order: start {start}, page tracking {track}, end {end}")]
    Order {
        /// The value of `start_lsn`.
        start: Lsn,
        /// The value of `page_track_lsn`.
        track: Lsn,
        /// The value of `end_lsn`.
        end: Lsn,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn checkpoints(start: u64, track: u64, end: u64) -> Checkpoints {
        let [start_lsn, page_track_lsn, end_lsn] = [start, track, end].map(Lsn::new);
        Checkpoints {
            start_lsn,
            page_track_lsn,
            end_lsn,
        }
    }

    #[test]
    fn the_text_is_exact() {
        let text = "start_lsn = 0\npage_track_lsn = 23089121\nend_lsn = 23089140\n";
        assert_eq!(checkpoints(0, 23_089_121, 23_089_140).to_text(), text);
    }

    #[test]
    fn positions_out_of_order_are_refused() {
        for (start, track, end) in [(1, 4, 3), (4, 0, 3), (4, 4, 3)] {
            let error = Checkpoints::parse(checkpoints(start, track, end).to_text());
            assert!(matches!(error, Err(CheckpointsError::Order { .. })));
        }
        assert!(Checkpoints::parse(checkpoints(3, 3, 3).to_text()).is_ok());
        assert!(Checkpoints::parse(checkpoints(2, 0, 3).to_text()).is_ok());
        assert!(Checkpoints::parse(checkpoints(2, 1, 3).to_text()).is_ok());
    }

    #[test]
    fn a_missing_position_is_named() {
        let error = Checkpoints::parse("start_lsn = 0\nend_lsn = 3\n").unwrap_err();
        assert_eq!(
            error,
            TextError::Missing {
                key: "page_track_lsn"
            }
            .into()
        );
    }

    proptest! {
        #[test]
        fn checkpoints_survive_the_way_there_and_back(mut lsns: [u64; 3], untracked: bool) {
            lsns.sort_unstable();
            let track = if untracked { 0 } else { lsns[1] };
            let it = checkpoints(lsns[0], track, lsns[2]);
            prop_assert_eq!(Checkpoints::parse(it.to_text()), Ok(it));
        }
    }
}
