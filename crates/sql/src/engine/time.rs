//! MySQL's functions about time, on the texts that columns hold.
//!
//! All times are of the local time zone, as the tables have them.

use std::fmt::Write as _;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A time or a date as MySQL writes it.
pub(super) fn parse(text: &str) -> Option<DateTime> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let compact = match digits {
        8 if text.len() == 8 => DateTime::strptime("%Y%m%d %H%M%S", format!("{text} 000000")),
        14 => DateTime::strptime("%Y%m%d%H%M%S%.f", text),
        _ => DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", text),
    };
    compact
        .or_else(|_| DateTime::strptime("%Y-%m-%dT%H:%M:%S%.f", text))
        .or_else(|_| DateTime::strptime("%Y-%m-%d %H:%M", text))
        .or_else(|_| text.parse::<Date>().map(DateTime::from))
        .or_else(|_| Date::strptime("%Y-%m-%d", text).map(DateTime::from))
        .ok()
}

/// With so many digits of the second's fraction, rounded.
pub(super) fn with_digits(time: DateTime, digits: u8) -> String {
    let unit = 10_i64.pow(9 - u32::from(digits.min(6)));
    let nanos = i64::from(time.subsec_nanosecond());
    let rest = nanos % unit;
    let change = if 2 * rest >= unit { unit - rest } else { -rest };
    let rounded = Span::new()
        .try_nanoseconds(change)
        .and_then(|span| time.checked_add(span));
    cut(rounded.unwrap_or(time), digits)
}

/// With so many digits of the second's fraction, without those behind.
pub(super) fn cut(time: DateTime, digits: u8) -> String {
    let text = time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    if digits == 0 {
        return text;
    }
    let fraction = format!("{:09}", time.subsec_nanosecond());
    let fraction: String = fraction.chars().take(digits.into()).collect();
    format!("{text}.{fraction}")
}

/// Days since the year 0.
pub(super) fn to_days(time: DateTime) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    let days = time.date().duration_since(epoch).as_hours() / 24;
    days + 719_528
}

/// `2024-06-10 15:05:41`, with a fraction only if there is one.
pub(super) fn written(time: DateTime) -> String {
    let mut text = time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let micros = time.subsec_nanosecond() / 1000;
    if micros != 0 {
        let _ = write!(text, ".{micros:06}");
    }
    text
}

/// A date without time keeps that form.
pub(super) fn is_date(text: &str) -> bool {
    text.trim().len() == "2024-06-10".len()
}

/// Seconds since 1970.
pub(super) fn unix(time: DateTime) -> Option<f64> {
    let zoned = time.to_zoned(TimeZone::system()).ok()?;
    Some(zoned.timestamp().as_microsecond() as f64 / 1e6)
}

pub(super) fn from_unix(seconds: f64) -> Option<DateTime> {
    let timestamp = Timestamp::from_microsecond((seconds * 1e6) as i64).ok()?;
    Some(timestamp.to_zoned(TimeZone::system()).datetime())
}

/// Adds `count` of a unit.
pub(super) fn shifted(time: DateTime, count: f64, unit: &str) -> Option<DateTime> {
    let whole = count.trunc() as i64;
    let span = match unit.to_ascii_uppercase().as_str() {
        "MICROSECOND" => Span::new().try_microseconds(whole),
        "SECOND" => Span::new().try_microseconds((count * 1e6) as i64),
        "MINUTE" => Span::new().try_minutes(whole),
        "HOUR" => Span::new().try_hours(whole),
        "DAY" => Span::new().try_days(whole),
        "WEEK" => Span::new().try_weeks(whole),
        "MONTH" => Span::new().try_months(whole),
        "QUARTER" => Span::new().try_months(whole.checked_mul(3)?),
        "YEAR" => Span::new().try_years(whole),
        _ => return None,
    };
    time.checked_add(span.ok()?).ok()
}

/// Whole units from `a` to `b`.
pub(super) fn between(unit: &str, a: DateTime, b: DateTime) -> Option<i64> {
    let months = || -> Option<i64> {
        let (a, b, sign) = if a <= b { (a, b, 1) } else { (b, a, -1) };
        let count = (i64::from(b.year()) - i64::from(a.year())) * 12
            + (i64::from(b.month()) - i64::from(a.month()));
        let day_reached = (b.day(), b.time()) >= (a.day(), a.time());
        Some(sign * (count - i64::from(!day_reached)))
    };
    let micros = || -> Option<i64> {
        let utc = |time: DateTime| time.to_zoned(TimeZone::UTC).ok();
        Some(utc(b)?.timestamp().as_microsecond() - utc(a)?.timestamp().as_microsecond())
    };
    Some(match unit.to_ascii_uppercase().as_str() {
        "MICROSECOND" => micros()?,
        "SECOND" => micros()? / 1_000_000,
        "MINUTE" => micros()? / 60_000_000,
        "HOUR" => micros()? / 3_600_000_000,
        "DAY" => micros()? / 86_400_000_000,
        "WEEK" => micros()? / (7 * 86_400_000_000),
        "MONTH" => months()?,
        "QUARTER" => months()? / 3,
        "YEAR" => months()? / 12,
        _ => return None,
    })
}

/// `DATE_FORMAT`: the letters that MySQL knows.
pub(super) fn formatted(time: DateTime, format: &str) -> String {
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let hour12 = match time.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let _ = match letters.next() {
            Some('Y') => write!(text, "{:04}", time.year()),
            Some('y') => write!(text, "{:02}", time.year() % 100),
            Some('m') => write!(text, "{:02}", time.month()),
            Some('c') => write!(text, "{}", time.month()),
            Some('d') => write!(text, "{:02}", time.day()),
            Some('e') => write!(text, "{}", time.day()),
            Some('H') => write!(text, "{:02}", time.hour()),
            Some('k') => write!(text, "{}", time.hour()),
            Some('h' | 'I') => write!(text, "{hour12:02}"),
            Some('l') => write!(text, "{hour12}"),
            Some('i') => write!(text, "{:02}", time.minute()),
            Some('s' | 'S') => write!(text, "{:02}", time.second()),
            Some('f') => write!(text, "{:06}", time.subsec_nanosecond() / 1000),
            Some('D') => write!(text, "{}{}", time.day(), ordinal(time.day())),
            Some('r') => write!(
                text,
                "{hour12:02}:{:02}:{:02} {}",
                time.minute(),
                time.second(),
                if time.hour() < 12 { "AM" } else { "PM" }
            ),
            Some('w') => write!(text, "{}", time.weekday().to_sunday_zero_offset()),
            Some('j') => write!(text, "{:03}", time.day_of_year()),
            Some('p') => write!(text, "{}", if time.hour() < 12 { "AM" } else { "PM" }),
            Some('T') => write!(text, "{}", time.strftime("%H:%M:%S")),
            Some('M') => write!(text, "{}", time.strftime("%B")),
            Some('b') => write!(text, "{}", time.strftime("%b")),
            Some('W') => write!(text, "{}", time.strftime("%A")),
            Some('a') => write!(text, "{}", time.strftime("%a")),
            Some(other) => write!(text, "{other}"),
            None => Ok(()),
        };
    }
    text
}

fn ordinal(day: i8) -> &'static str {
    match (day / 10, day % 10) {
        (1, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

/// A TIME of the server: hours and less, as many as there are, of either sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    micros: i64,
}

impl Clock {
    /// `[-]hours:minutes[:seconds[.fraction]]`, or the time in a date with time; a date has none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(time) = parse(text) {
            let time = time.time();
            let seconds = (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60
                + i64::from(time.second());
            return Some(Self {
                micros: seconds * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1000,
            });
        }
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut parts = whole.split(':');
        let mut part = || {
            parts
                .next()
                .map_or(Some(0), |part| part.parse::<u32>().ok())
        };
        let (hours, minutes, seconds) = (part()?, part()?, part()?);
        if parts.next().is_some() || !whole.contains(':') || minutes > 59 || seconds > 59 {
            return None;
        }
        let fraction: String = format!("{fraction:0<6}").chars().take(6).collect();
        let micros: i64 = fraction.parse().ok()?;
        let seconds = (i64::from(hours) * 60 + i64::from(minutes)) * 60 + i64::from(seconds);
        Some(Self::of_micros(sign * (seconds * 1_000_000 + micros)))
    }

    pub(super) fn of_micros(micros: i64) -> Self {
        Self {
            micros: micros.clamp(-LONGEST_CLOCK, LONGEST_CLOCK),
        }
    }

    pub(super) fn of_seconds(seconds: f64) -> Self {
        Self::of_micros((seconds * 1e6).round() as i64)
    }

    /// On a day that does not matter; none for 24 hours and more.
    pub(super) fn on_some_day(self) -> Option<DateTime> {
        let day = jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0);
        let in_day = (0..86_400_000_000).contains(&self.micros);
        let span = Span::new().try_microseconds(self.micros).ok()?;
        day.checked_add(span).ok().filter(|_| in_day)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self::of_micros(self.micros - other.micros)
    }

    /// Adds `count` of a unit of the clock.
    pub(super) fn shifted(self, count: f64, unit: &str) -> Option<Self> {
        let each = match unit {
            "MICROSECOND" => 1.0,
            "SECOND" => 1e6,
            "MINUTE" => 60e6,
            "HOUR" => 3600e6,
            "DAY" => 86_400e6,
            _ => return None,
        };
        Some(Self::of_micros(
            self.micros.saturating_add((count * each) as i64),
        ))
    }

    pub(super) fn hours(self) -> i64 {
        self.micros.abs() / 3_600_000_000
    }

    pub(super) fn minutes(self) -> i64 {
        self.micros.abs() / 60_000_000 % 60
    }

    pub(super) fn whole_seconds(self) -> i64 {
        self.micros.abs() / 1_000_000 % 60
    }

    pub(super) fn micros(self) -> i64 {
        self.micros.abs() % 1_000_000
    }

    /// All of it in seconds.
    pub(super) fn seconds(self) -> i64 {
        self.micros / 1_000_000
    }

    /// With a fraction only if there is one.
    pub(super) fn text(self) -> String {
        self.written(if self.micros % 1_000_000 == 0 { 0 } else { 6 })
    }

    /// With so many digits of the second's fraction, rounded.
    pub(super) fn written(self, digits: u8) -> String {
        let unit = 10_i64.pow(6 - u32::from(digits.min(6)));
        let rounded = Self {
            micros: (self.micros.abs() + unit / 2) / unit * unit,
        };
        let sign = if self.micros < 0 { "-" } else { "" };
        let (hours, minutes) = (rounded.hours(), rounded.minutes());
        let mut text = format!(
            "{sign}{hours:02}:{minutes:02}:{:02}",
            rounded.whole_seconds()
        );
        if digits > 0 {
            let fraction = format!("{:06}", rounded.micros());
            text.push('.');
            text.extend(fraction.chars().take(digits.into()));
        }
        text
    }
}

/// 838:59:59.
const LONGEST_CLOCK: i64 = 3_020_399_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shifted_and_written_as_by_the_server() {
        let time = parse("2024-06-10 15:05:41.288").unwrap();
        assert_eq!(written(time), "2024-06-10 15:05:41.288000");
        let shift =
            |count, unit| written(shifted(parse("2024-01-31").unwrap(), count, unit).unwrap());
        assert_eq!(shift(1.0, "month"), "2024-02-29 00:00:00");
        assert_eq!(shift(-1.5, "SECOND"), "2024-01-30 23:59:58.500000");
        assert!(shifted(time, 1e18, "YEAR").is_none());
        assert!(shifted(time, 1.0, "FORTNIGHT").is_none());
    }

    #[test]
    fn differences_are_whole_units() {
        let at = |text| parse(text).unwrap();
        let (a, b) = (at("2024-01-31 10:00:00"), at("2024-02-29 09:59:59"));
        assert_eq!(between("MONTH", a, b), Some(0));
        assert_eq!(between("DAY", a, b), Some(28));
        assert_eq!(between("HOUR", b, a), Some(-695));
    }

    #[test]
    fn formats_are_those_of_the_server() {
        let time = parse("2024-06-10 15:05:41.288").unwrap();
        assert_eq!(
            formatted(time, "%Y%m%d %l:%i %p %f %%"),
            "20240610 3:05 PM 288000 %"
        );
        assert_eq!(formatted(time, "%W %M %"), "Monday June ");
    }
}
