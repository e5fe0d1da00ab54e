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
        // No binary log is named like three numbers; the line of LSNs is.
        if is_lsns(binlog_file) {
            binlog_file = lines.next("binlog file")?;
        }
        if is_lsns(binlog_file) {
            return Err(TextError::Line {
                line: lines.line,
                expected: "binlog file",
            });
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

/// Whether this is the line that GreatSQL adds.
fn is_lsns(line: &str) -> bool {
    words::<3>(line).is_some()
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
mod tests;
