//! `#view_status` and `#view_progress`: a clone as the server shows it.

use std::fmt;

use crate::text::{TextError, number, utf8};

/// GTID sets are long, but not this long.
const MAX_VIEW: usize = 16 << 20;

/// The state of a clone, or of one of its stages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum CloneState {
    /// Not begun.
    #[default]
    NotStarted = 0,
    /// Under way, or killed.
    InProgress = 1,
    /// Done.
    Completed = 2,
    /// Ended with an error.
    Failed = 3,
}

impl CloneState {
    const ALL: [Self; 4] = [
        Self::NotStarted,
        Self::InProgress,
        Self::Completed,
        Self::Failed,
    ];

    /// The number in the files.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The state with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

impl fmt::Display for CloneState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotStarted => "Not Started",
            Self::InProgress => "In Progress",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        })
    }
}

/// `#view_status`, in the layout of stock MySQL.
///
/// | line | content |
/// |---:|---|
/// | 1 | state and id |
/// | 2 | begin and end, microseconds since 1970, 0 for not yet |
/// | 3 | source: `LOCAL INSTANCE` or `host:port` |
/// | 4 | error number |
/// | 5 | error message |
/// | 6 | binlog file |
/// | 7 | binlog position |
/// | 8 … | GTID set |
///
/// GreatSQL has one more line, with three LSNs, behind the error message. It is read over, and not
/// written: a stock server would take it for the binlog file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViewStatus {
    /// How far the clone is.
    pub state: CloneState,
    /// Number of the clone.
    pub id: u32,
    /// When it began, microseconds since 1970.
    pub begin_us: u64,
    /// When it ended, microseconds since 1970; 0 before.
    pub end_us: u64,
    /// Where it was taken from.
    pub source: String,
    /// MySQL error number, 0 for none.
    pub error_no: u32,
    /// The error.
    pub error_message: String,
    /// Binary log of the position the clone is consistent with.
    pub binlog_file: String,
    /// Position in that binary log.
    pub binlog_position: u64,
    /// GTID set the clone is consistent with. May have line breaks.
    pub gtid_executed: String,
}

impl ViewStatus {
    /// The text of the file. Line breaks in the single-line fields become blanks.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// Reads the text of the file, of stock MySQL or GreatSQL.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, TextError> {
        let mut lines = Lines::new(text.as_ref())?;
        let [state, id] = lines.numbers("state and id")?;
        let state = lines.state(state)?;
        let [begin_us, end_us] = lines.numbers("begin and end")?;
        let source = lines.next("source")?.to_owned();
        let [error_no] = lines.numbers("error number")?;
        let error_no = lines.narrow(error_no, "error number")?;
        let error_message = lines.next("error message")?.to_owned();
        let mut binlog_file = lines.next("binlog file")?;
        // No binary log is named with blanks and three numbers; the line of LSNs is.
        if binlog_file.contains(' ') && words::<3>(binlog_file).is_some() {
            binlog_file = lines.next("binlog file")?;
        }
        let [binlog_position] = lines.numbers("binlog position")?;
        Ok(Self {
            state,
            id: lines.narrow(id, "state and id")?,
            begin_us,
            end_us,
            source,
            error_no,
            error_message,
            binlog_file: binlog_file.to_owned(),
            binlog_position,
            gtid_executed: lines.rest(),
        })
    }
}

impl fmt::Display for ViewStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.state.number(), self.id)?;
        writeln!(f, "{} {}", self.begin_us, self.end_us)?;
        writeln!(f, "{}", one_line(&self.source))?;
        writeln!(f, "{}", self.error_no)?;
        writeln!(f, "{}", one_line(&self.error_message))?;
        writeln!(f, "{}", one_line(&self.binlog_file))?;
        writeln!(f, "{}", self.binlog_position)?;
        writeln!(f, "{}", self.gtid_executed)
    }
}

/// A stage of a clone, as a line of `#view_progress`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct StageProgress {
    /// How far the stage is.
    pub state: CloneState,
    /// Workers it ran with.
    pub threads: u32,
    /// When it began, microseconds since 1970; 0 before.
    pub begin_us: u64,
    /// When it ended, microseconds since 1970; 0 before.
    pub end_us: u64,
    /// Bytes it was expected to move.
    pub estimate: u64,
    /// Bytes it moved.
    pub data: u64,
    /// Bytes it took on the network.
    pub network: u64,
}

/// `#view_progress`: a line with the id, then a line for each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ViewProgress {
    /// Number of the clone.
    pub id: u32,
    /// The stages in the order of [`ViewProgress::STAGES`].
    pub stages: [StageProgress; 7],
}

impl ViewProgress {
    /// The names of the stages.
    pub const STAGES: [&'static str; 7] = [
        "DROP DATA",
        "FILE COPY",
        "PAGE COPY",
        "REDO COPY",
        "FILE SYNC",
        "RESTART",
        "RECOVERY",
    ];

    /// The text of the file.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// Reads the text of the file.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, TextError> {
        const STAGE: &str = "state, threads, begin, end, estimate, data and network of a stage";
        let mut lines = Lines::new(text.as_ref())?;
        let [id] = lines.numbers("id")?;
        let mut progress = Self {
            id: lines.narrow(id, "id")?,
            ..Self::default()
        };
        for stage in &mut progress.stages {
            let [state, threads, begin_us, end_us, estimate, data, network] =
                lines.numbers(STAGE)?;
            let (state, threads) = (lines.state(state)?, lines.narrow(threads, STAGE)?);
            *stage = StageProgress {
                state,
                threads,
                begin_us,
                end_us,
                estimate,
                data,
                network,
            };
        }
        Ok(progress)
    }
}

impl fmt::Display for ViewProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.id)?;
        for stage in &self.stages {
            let StageProgress {
                threads,
                begin_us,
                end_us,
                estimate,
                data,
                network,
                ..
            } = stage;
            let state = stage.state.number();
            writeln!(
                f,
                "{state} {threads} {begin_us} {end_us} {estimate} {data} {network}"
            )?;
        }
        Ok(())
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// Exactly `N` numbers with blanks between them.
fn words<const N: usize>(line: &str) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    let mut words = line.split_ascii_whitespace();
    for place in &mut numbers {
        *place = number(words.next()?)?;
    }
    words.next().is_none().then_some(numbers)
}

/// The lines of a text, counted for errors.
struct Lines<'a> {
    lines: std::str::Split<'a, char>,
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, TextError> {
        Ok(Self {
            lines: utf8(bytes, MAX_VIEW)?.split('\n'),
            line: 0,
        })
    }

    fn next(&mut self, expected: &'static str) -> Result<&'a str, TextError> {
        self.line += 1;
        self.lines.next().ok_or(TextError::Line {
            line: self.line,
            expected,
        })
    }

    fn numbers<const N: usize>(&mut self, expected: &'static str) -> Result<[u64; N], TextError> {
        let line = self.next(expected)?;
        words(line).ok_or(TextError::Line {
            line: self.line,
            expected,
        })
    }

    fn state(&self, number: u64) -> Result<CloneState, TextError> {
        let state = u32::try_from(number).ok().and_then(CloneState::from_number);
        state.ok_or(TextError::Line {
            line: self.line,
            expected: "a state from 0 to 3",
        })
    }

    fn narrow(&self, number: u64, expected: &'static str) -> Result<u32, TextError> {
        number.try_into().map_err(|_| TextError::Line {
            line: self.line,
            expected,
        })
    }

    /// What is left, without the line break at the end.
    fn rest(self) -> String {
        let rest: Vec<&str> = self.lines.collect();
        rest.join("\n").trim_end_matches('\n').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATUS: &str = "2 1\n1700000000000001 1700000009000002\nLOCAL INSTANCE\n0\n\n\
                          binlog.000007\n1234\n8d1e-a:1-5,\n8d1e-b:1-9\n";

    #[test]
    fn a_status_is_read_line_by_line() {
        let status = ViewStatus::parse(STATUS).unwrap();
        assert_eq!((status.state, status.id), (CloneState::Completed, 1));
        assert_eq!(status.end_us, 1_700_000_009_000_002);
        assert_eq!(
            (status.source.as_str(), status.error_no),
            ("LOCAL INSTANCE", 0)
        );
        assert_eq!(
            (status.binlog_file.as_str(), status.binlog_position),
            ("binlog.000007", 1234)
        );
        assert_eq!(status.gtid_executed, "8d1e-a:1-5,\n8d1e-b:1-9");
        assert_eq!(status.to_text(), STATUS);
    }

    #[test]
    fn the_lsn_line_of_greatsql_is_read_over() {
        let text = STATUS.replace("\n\nbinlog", "\n\n0 5000 6000\nbinlog");
        assert_eq!(ViewStatus::parse(text), ViewStatus::parse(STATUS));
    }

    #[test]
    fn a_cut_status_names_the_line() {
        let error = ViewStatus::parse("2 1\n0 0\nLOCAL INSTANCE").unwrap_err();
        assert_eq!(
            error,
            TextError::Line {
                line: 4,
                expected: "error number"
            }
        );
        assert!(
            ViewStatus::parse("7 1\n0 0\n\n0\n\n\n0\n\n").is_err(),
            "no such state"
        );
    }

    #[test]
    fn a_line_break_cannot_shift_the_lines() {
        let status = ViewStatus {
            error_message: "a\nb\r".into(),
            ..ViewStatus::default()
        };
        let back = ViewStatus::parse(status.to_text()).unwrap();
        assert_eq!(back.error_message, "a b ");
    }

    #[test]
    fn progress_has_seven_stages() {
        let mut progress = ViewProgress {
            id: 4,
            ..ViewProgress::default()
        };
        progress.stages[1] = StageProgress {
            state: CloneState::Completed,
            threads: 2,
            begin_us: 3,
            end_us: 4,
            estimate: 5,
            data: 6,
            network: 7,
        };
        let text = "4\n0 0 0 0 0 0 0\n2 2 3 4 5 6 7\n".to_owned() + &"0 0 0 0 0 0 0\n".repeat(5);
        assert_eq!(progress.to_text(), text);
        assert_eq!(ViewProgress::parse(&text), Ok(progress));
        assert!(ViewProgress::parse(&text[..text.len() - 15]).is_err());
    }

    proptest! {
        #[test]
        fn a_status_survives_the_way_there_and_back(
            source in "[ -~]{0,60}", message in "[ -~é]{0,60}", binlog in "[!-~]{0,20}",
            gtid in "[0-9a-f:,-]{0,60}", numbers: [u64; 3], error_no: u32, id: u32,
        ) {
            let status = ViewStatus {
                state: CloneState::Failed, id, begin_us: numbers[0], end_us: numbers[1], source,
                error_no, error_message: message, binlog_file: binlog,
                binlog_position: numbers[2], gtid_executed: gtid,
            };
            prop_assert_eq!(ViewStatus::parse(status.to_text()), Ok(status));
        }
    }
}
