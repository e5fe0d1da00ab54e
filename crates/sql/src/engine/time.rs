//! MySQL's functions about time, on the texts that columns hold.
//!
//! All times are of the local time zone, as the tables have them.

use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A time or a date as MySQL writes it.
pub(super) fn parse(text: &str) -> Option<DateTime> {
    let text = text.trim();
    DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", text)
        .or_else(|_| DateTime::strptime("%Y-%m-%dT%H:%M:%S%.f", text))
        .or_else(|_| text.parse::<jiff::civil::Date>().map(DateTime::from))
        .ok()
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

/// The time now, whole seconds unless more digits are asked for.
pub(super) fn now(timestamp: Timestamp, digits: i64) -> String {
    let local = timestamp.to_zoned(TimeZone::system());
    let digits = digits.clamp(0, 6);
    match digits {
        0 => local.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        _ => local
            .strftime(&format!("%Y-%m-%d %H:%M:%S%.{digits}f"))
            .to_string(),
    }
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
