//! Dates and times.

use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use rusqlite::Result;

use super::{Adding, Arguments};
use crate::engine::time::{self, Clock};

/// What time it is: the same through a statement.
pub(super) fn clock(add: &mut Adding<'_>, now: Timestamp) -> Result<()> {
    for (prefix, zone) in [("", TimeZone::system()), ("utc_", TimeZone::UTC)] {
        let zoned: Zoned = now.to_zoned(zone);
        let local = zoned.datetime();
        let names = match prefix {
            "" => ["now", "curdate", "curtime"],
            _ => ["utc_timestamp", "utc_date", "utc_time"],
        };
        let [moment, date, clock] = names;
        add.text(moment, move |arguments| {
            Some(time::cut(local, digits(arguments, 0)?))
        })?;
        add.text(date, move |_| Some(local.date().to_string()))?;
        add.text(clock, move |arguments| {
            Some(time::cut(local, digits(arguments, 0)?).split_off(11))
        })?;
    }
    add.real("unix_timestamp", move |arguments| match arguments.len() {
        0 => Some(now.as_second() as f64),
        _ => time::unix(arguments.time(0)?),
    })
}

fn digits(arguments: &Arguments<'_, '_>, at: usize) -> Option<u8> {
    let digits = arguments.whole(at)?;
    u8::try_from(digits.clamp(0, 6)).ok()
}

pub(super) fn add(add: &mut Adding<'_>) -> Result<()> {
    conversions(add)?;
    fields(add)?;
    differences(add)?;
    add.text("date_format", |arguments| {
        Some(time::formatted(arguments.time(0)?, &arguments.text(1)?))
    })?;
    add.text("time_format", |arguments| {
        let clock = Clock::parse(&arguments.text(0)?)?;
        Some(time::formatted(clock.on_some_day()?, &arguments.text(1)?))
    })?;
    add.text("date_shift", |arguments| {
        let (given, unit) = (arguments.text(0)?, arguments.text(2)?);
        let count = arguments.real(1)?;
        if let (None, Some(clock)) = (time::parse(&given), Clock::parse(&given)) {
            return Some(clock.shifted(count, &unit)?.text());
        }
        let shifted = time::shifted(time::parse(&given)?, count, &unit)?;
        let text = time::written(shifted);
        let is_of_clock = ["MICROSECOND", "SECOND", "MINUTE", "HOUR"].contains(&unit.as_str());
        Some(if time::is_date(&given) && !is_of_clock {
            text.chars().take(10).collect()
        } else {
            text
        })
    })
}

fn conversions(add: &mut Adding<'_>) -> Result<()> {
    // Times and dates in one form, so that they compare as texts.
    add.text("moment", |arguments| {
        let text = arguments.text(0)?;
        Some(match time::parse(&text) {
            Some(time) => time::cut(time, 6),
            None => text,
        })
    })?;
    add.value("time_number", |arguments| {
        let text = arguments.text(0).unwrap_or_default();
        let digits: String = text
            .chars()
            .filter(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        let sign = if text.starts_with('-') { -1_i32 } else { 1 };
        Ok(match digits.parse::<i64>() {
            Ok(number) => (i64::from(sign) * number).into(),
            Err(_) => digits
                .parse::<f64>()
                .ok()
                .map(|number| f64::from(sign) * number)
                .into(),
        })
    })?;
    for name in ["datetime", "datetime_text"] {
        add.text(name, |arguments| {
            Some(time::with_digits(arguments.time(0)?, digits(arguments, 1)?))
        })?;
    }
    add.text("timestamp_of", |arguments| {
        Some(time::written(arguments.time(0)?))
    })?;
    add.text("date", |arguments| {
        Some(arguments.time(0)?.date().to_string())
    })?;
    add.text("clock", |arguments| {
        Some(Clock::parse(&arguments.text(0)?)?.written(digits(arguments, 1)?))
    })?;
    add.text("time_of", |arguments| {
        Some(Clock::parse(&arguments.text(0)?)?.text())
    })?;
    add.text("from_unixtime", |arguments| {
        let time = time::from_unix(arguments.real(0)?)?;
        Some(match arguments.len() {
            1 => time::written(time),
            _ => time::formatted(time, &arguments.text(1)?),
        })
    })?;
    add.text("sec_to_time", |arguments| {
        Some(Clock::of_seconds(arguments.real(0)?).text())
    })?;
    add.number("time_to_sec", |arguments| {
        Some(Clock::parse(&arguments.text(0)?)?.seconds())
    })?;
    add.text("last_day", |arguments| {
        Some(arguments.time(0)?.date().last_of_month().to_string())
    })
}

fn fields(add: &mut Adding<'_>) -> Result<()> {
    for (name, of) in [
        ("year", (|time| time.year().into()) as fn(DateTime) -> i64),
        ("quarter", |time| (i64::from(time.month()) + 2) / 3),
        ("month", |time| time.month().into()),
        ("week", week),
        ("day", |time| time.day().into()),
        ("dayofweek", |time| {
            time.weekday().to_sunday_one_offset().into()
        }),
        ("dayofyear", |time| time.day_of_year().into()),
        ("weekday", |time| {
            time.weekday().to_monday_zero_offset().into()
        }),
        ("to_days", time::to_days),
    ] {
        add.number(name, move |arguments| Some(of(arguments.time(0)?)))?;
    }
    for (name, of) in [
        ("hour", Clock::hours as fn(Clock) -> i64),
        ("minute", Clock::minutes),
        ("second", Clock::whole_seconds),
        ("microsecond", Clock::micros),
    ] {
        add.number(name, move |arguments| {
            Some(of(Clock::parse(&arguments.text(0)?)?))
        })?;
    }
    for (name, format) in [("dayname", "%A"), ("monthname", "%B")] {
        add.text(name, move |arguments| {
            Some(arguments.time(0)?.strftime(format).to_string())
        })?;
    }
    add.number("extracted", |arguments| {
        let (unit, text) = (arguments.text(0)?, arguments.text(1)?);
        extracted(&unit, &text)
    })
}

/// The first week begins with the first Sunday.
fn week(time: DateTime) -> i64 {
    let first = i64::from(time.weekday().since(Weekday::Sunday));
    (i64::from(time.day_of_year()) - 1 + 7 - first) / 7
}

fn extracted(unit: &str, text: &str) -> Option<i64> {
    if let Some(unit) = unit.strip_suffix("_MICROSECOND") {
        let micros = Clock::parse(text)?.micros();
        let unit = if unit == "SECOND" {
            unit.to_owned()
        } else {
            format!("{unit}_SECOND")
        };
        return Some(extracted(&unit, text)? * 1_000_000 + micros);
    }
    if let Some((first, last)) = unit.split_once('_') {
        let units = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"];
        let at = |unit| units.iter().position(|known| *known == unit);
        let (first, last) = (at(first)?, at(last)?);
        let parts = units.get(first..=last)?;
        return parts
            .iter()
            .try_fold(0, |sum, unit| Some(sum * 100 + extracted(unit, text)?));
    }
    let clock = || Clock::parse(text);
    let time = || time::parse(text);
    Some(match unit {
        "MICROSECOND" => clock()?.micros(),
        "SECOND" => clock()?.whole_seconds(),
        "MINUTE" => clock()?.minutes(),
        "HOUR" => clock()?.hours(),
        "DAY" => time()?.day().into(),
        "WEEK" => week(time()?),
        "MONTH" => time()?.month().into(),
        "QUARTER" => (i64::from(time()?.month()) + 2) / 3,
        "YEAR" => time()?.year().into(),
        _ => return None,
    })
}

fn differences(add: &mut Adding<'_>) -> Result<()> {
    add.number("timestampdiff", |arguments| {
        time::between(&arguments.text(0)?, arguments.time(1)?, arguments.time(2)?)
    })?;
    add.number("datediff", |arguments| {
        Some(time::to_days(arguments.time(0)?) - time::to_days(arguments.time(1)?))
    })?;
    add.text("timediff", |arguments| {
        let (a, b) = (arguments.text(0)?, arguments.text(1)?);
        if let (Some(a), Some(b)) = (time::parse(&a), time::parse(&b)) {
            return Some(Clock::of_micros(time::between("MICROSECOND", b, a)?).text());
        }
        Some(Clock::parse(&a)?.minus(Clock::parse(&b)?).text())
    })
}
