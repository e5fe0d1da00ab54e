//! To which point a replay goes.

use binlog::gtid::GtidSet;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use std::fmt;

/// The end of a replay. Transactions are whole and in the order of the binary log: the replay ends
/// before the first one that is past the point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// Everything committed at this time or before. A transaction's time is that of its commit on
    /// the server which wrote the binary log (`immediate_commit_timestamp`), to the microsecond.
    Time(Timestamp),
    /// As soon as all of these transactions are executed.
    Gtids(GtidSet),
    /// What ends at this position or before.
    Position(LogPosition),
    /// All that the binary logs have.
    Latest,
}

/// A position in a binary log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPosition {
    /// Name of the file, without its directory.
    pub file: String,
    /// Offset in bytes.
    pub position: u64,
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.position)
    }
}

impl Until {
    /// A time as people write it: `2024-06-18 16:00:00`, with up to six decimals of seconds, and a
    /// time zone: an offset (`+08:00`), `Z`, or a name (`Asia/Shanghai`). Without one it is UTC.
    /// `latest` is all that there is.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("latest") {
            return Ok(Self::Latest);
        }
        time(text).map(Self::Time)
    }

    /// A set of GTIDs, as `gtid_executed` shows it.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse_gtids(text: &str) -> Result<Self, String> {
        let set: GtidSet = text.parse().map_err(|e| format!("'{text}': {e}"))?;
        if set.is_empty() {
            return Err("an empty set of GTIDs names no point".into());
        }
        Ok(Self::Gtids(set))
    }

    /// `binlog.000013:29838644`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse_position(text: &str) -> Result<Self, String> {
        let bad = || format!("'{text}' is not a file and a position, as in binlog.000013:29838644");
        let (file, position) = text.trim().rsplit_once(':').ok_or_else(bad)?;
        let position = position.parse().map_err(|_| bad())?;
        if super::files::number_of(file).is_none() {
            return Err(bad());
        }
        Ok(Self::Position(LogPosition {
            file: file.to_owned(),
            position,
        }))
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => f.write_str(&show_time(*time)),
            Self::Gtids(set) => write!(f, "GTID set {set:#}"),
            Self::Position(position) => write!(f, "position {position}"),
            Self::Latest => f.write_str("the end of the binary logs"),
        }
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(zoned) = text.parse::<Zoned>() {
        return Ok(zoned.timestamp());
    }
    // An offset may stand after a blank.
    let joined = text.replace(" +", "+").replace(" -", "-");
    if let Ok(time) = joined.parse::<Timestamp>() {
        return Ok(time);
    }
    let (civil, zone) = match text.rsplit_once(' ') {
        Some((civil, zone)) if zone.eq_ignore_ascii_case("UTC") => (civil, TimeZone::UTC),
        Some((civil, zone)) if zone.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            let zone = TimeZone::get(zone);
            (
                civil,
                zone.map_err(|_| format!("'{text}': no such time zone"))?,
            )
        }
        _ => (text, TimeZone::UTC),
    };
    let bad = |_| {
        format!(
            "'{text}' is no time: write it as 2024-06-18 16:00:00, which is UTC, or with a time zone, as in \
             2024-06-18 16:00:00+08:00 or 2024-06-18 16:00:00 Asia/Shanghai"
        )
    };
    let civil: DateTime = civil.trim().parse().map_err(bad)?;
    let zoned = civil.to_zoned(zone).map_err(|e| format!("'{text}': {e}"))?;
    Ok(zoned.timestamp())
}

/// A time in UTC, and in the time zone of this host where that is another.
pub(crate) fn show_time(time: Timestamp) -> String {
    let utc = time.to_zoned(TimeZone::UTC);
    let here = time.to_zoned(TimeZone::system());
    let decimals = if time.subsec_nanosecond() == 0 {
        ""
    } else {
        "%.6f"
    };
    let show = |zoned: &Zoned, end: &str| {
        zoned
            .strftime(&format!("%Y-%m-%d %H:%M:%S{decimals}{end}"))
            .to_string()
    };
    if here.offset() == utc.offset() {
        return show(&utc, " UTC");
    }
    format!("{} ({} here)", show(&utc, " UTC"), show(&here, " %:z"))
}

/// The same of microseconds since 1970.
pub(crate) fn show_us(us: u64) -> String {
    let time = i64::try_from(us).ok();
    let time = time.and_then(|us| Timestamp::from_microsecond(us).ok());
    time.map_or_else(|| format!("{us} microseconds since 1970"), show_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let at = |text: &str| match Until::parse(text).unwrap() {
            Until::Time(time) => time.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(at("2024-06-18 16:00:00"), "2024-06-18T16:00:00Z");
        assert_eq!(at("2024-06-18T16:00:00.25"), "2024-06-18T16:00:00.25Z");
        assert_eq!(at("2024-06-18 16:00:00 UTC"), "2024-06-18T16:00:00Z");
        assert_eq!(at("2024-06-18 16:00:00Z"), "2024-06-18T16:00:00Z");
        for text in [
            "2024-06-18 16:00:00+08:00",
            "2024-06-18 16:00:00 +08:00",
            "2024-06-18T16:00:00+08:00[+08:00]",
        ] {
            assert_eq!(at(text), "2024-06-18T08:00:00Z", "{text}");
        }
        // Not every host has the names of zones.
        if TimeZone::get("Asia/Shanghai").is_ok() {
            let named = at("2024-06-18 16:00:00 Asia/Shanghai");
            assert_eq!(named, "2024-06-18T08:00:00Z");
        }
        assert_eq!(Until::parse("Latest").unwrap(), Until::Latest);
        for text in [
            "",
            "yesterday",
            "16:00:00",
            "2024-06-18 25:00:00",
            "2024-06-18 16:00:00 Asia/Nowhere",
        ] {
            assert!(Until::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn positions_and_sets() {
        let position = Until::parse_position("binlog.000013:29838644").unwrap();
        assert_eq!(position.to_string(), "position binlog.000013:29838644");
        for text in ["binlog.000013", "binlog:4", "binlog.000013:x", "13:4", ""] {
            assert!(Until::parse_position(text).is_err(), "{text}");
        }
        assert!(Until::parse_gtids("c42c1e3e-0f41-11ef-b6bf-d08e7908bcb1:1-3270").is_ok());
        assert!(Until::parse_gtids("").is_err());
        assert!(Until::parse_gtids("x:1").is_err());
    }
}
