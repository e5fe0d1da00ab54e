//! Functions of MySQL for the engine, and which functions a statement may call.

use jiff::Timestamp;
use regex::RegexBuilder;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};

use super::time;

/// What functions such as `USER()` answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub(crate) version: String,
    pub(crate) schema: Option<String>,
    /// `user@host`.
    pub(crate) user: String,
    pub(crate) connection_id: u64,
}

/// Functions of SQLite that mean the same in MySQL, and ours.
const KNOWN: &[&str] = &[
    "abs",
    "avg",
    "ceil",
    "ceiling",
    "char_length",
    "coalesce",
    "concat",
    "concat_ws",
    "connection_id",
    "count",
    "cume_dist",
    "curdate",
    "current_role",
    "current_user",
    "curtime",
    "database",
    "date",
    "date_format",
    "date_shift",
    "datediff",
    "day",
    "dense_rank",
    "first_value",
    "floor",
    "found_rows",
    "from_unixtime",
    "group_concat",
    "hex",
    "hour",
    "ifnull",
    "iif",
    "instr",
    "isnull",
    "lag",
    "last_insert_id",
    "last_value",
    "lead",
    "left_part",
    "length",
    "like",
    "locate",
    "lower",
    "lpad",
    "ltrim",
    "max",
    "min",
    "minute",
    "mod",
    "month",
    "now",
    "nth_value",
    "ntile",
    "nullif",
    "percent_rank",
    "pow",
    "power",
    "quote",
    "rank",
    "regexp",
    "replace",
    "reverse",
    "right_part",
    "round",
    "row_number",
    "rpad",
    "rtrim",
    "second",
    "sign",
    "sqrt",
    "substr",
    "substring",
    "substring_index",
    "sum",
    "time",
    "timestampdiff",
    "trim",
    "truncate",
    "unhex",
    "unix_timestamp",
    "upper",
    "user",
    "version",
    "year",
];

/// Whether a statement may call it.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN
        .binary_search(&name.to_ascii_lowercase().as_str())
        .is_ok()
}

/// Adds the functions of MySQL.
pub(super) fn register(connection: &Connection, around: &Surroundings) -> Result<()> {
    let add = Adding { connection };
    let now = Timestamp::now();
    constants(&add, around)?;
    clock(&add, now)?;
    calendar(&add)?;
    text(&add)?;
    numbers(&add)
}

struct Adding<'a> {
    connection: &'a Connection,
}

impl Adding<'_> {
    /// A function that is NULL where it has no answer.
    fn text<F>(&self, name: &str, count: i32, function: F) -> Result<()>
    where
        F: Fn(&Arguments<'_, '_>) -> Option<String> + Send + 'static,
    {
        self.connection
            .create_scalar_function(name, count, FLAGS, move |context| {
                Ok(function(&Arguments { context }))
            })
    }

    fn number<F>(&self, name: &str, count: i32, function: F) -> Result<()>
    where
        F: Fn(&Arguments<'_, '_>) -> Option<i64> + Send + 'static,
    {
        self.connection
            .create_scalar_function(name, count, FLAGS, move |context| {
                Ok(function(&Arguments { context }))
            })
    }

    fn real<F>(&self, name: &str, count: i32, function: F) -> Result<()>
    where
        F: Fn(&Arguments<'_, '_>) -> Option<f64> + Send + 'static,
    {
        self.connection
            .create_scalar_function(name, count, FLAGS, move |context| {
                Ok(function(&Arguments { context }))
            })
    }
}

/// The arguments of a call.
struct Arguments<'a, 'c> {
    context: &'a Context<'c>,
}

impl Arguments<'_, '_> {
    fn len(&self) -> usize {
        self.context.len()
    }

    fn text(&self, at: usize) -> Option<String> {
        match self.context.get_raw(at) {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Real(number) => Some(number.to_string()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                Some(String::from_utf8_lossy(bytes).into_owned())
            }
        }
    }

    fn real(&self, at: usize) -> Option<f64> {
        match self.context.get_raw(at) {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number as f64),
            ValueRef::Real(number) => Some(number),
            ValueRef::Text(_) | ValueRef::Blob(_) => {
                Some(self.text(at)?.trim().parse().unwrap_or(0.0))
            }
        }
    }

    fn whole(&self, at: usize) -> Option<i64> {
        self.real(at).map(|number| number.round() as i64)
    }

    fn time(&self, at: usize) -> Option<jiff::civil::DateTime> {
        time::parse(&self.text(at)?)
    }
}

fn constants(add: &Adding<'_>, around: &Surroundings) -> Result<()> {
    let version = around.version.clone();
    add.text("version", 0, move |_| Some(version.clone()))?;
    let schema = around.schema.clone();
    add.text("database", 0, move |_| schema.clone())?;
    for name in ["user", "current_user"] {
        let user = around.user.clone();
        add.text(name, 0, move |_| Some(user.clone()))?;
    }
    add.text("current_role", 0, |_| Some("NONE".to_owned()))?;
    let id = around.connection_id.cast_signed();
    add.number("connection_id", 0, move |_| Some(id))?;
    for name in ["found_rows", "last_insert_id"] {
        add.number(name, 0, |_| Some(0))?;
    }
    Ok(())
}

fn clock(add: &Adding<'_>, now: Timestamp) -> Result<()> {
    add.text("now", -1, move |arguments| {
        let digits = if arguments.len() > 0 {
            arguments.whole(0)?
        } else {
            0
        };
        Some(time::now(now, digits))
    })?;
    add.text("curdate", 0, move |_| {
        Some(time::now(now, 0).chars().take(10).collect())
    })?;
    add.text("curtime", 0, move |_| {
        Some(time::now(now, 0).chars().skip(11).collect())
    })?;
    add.real("unix_timestamp", -1, move |arguments| {
        match arguments.len() {
            0 => Some(now.as_second() as f64),
            _ => time::unix(arguments.time(0)?),
        }
    })
}

fn calendar(add: &Adding<'_>) -> Result<()> {
    add.text("from_unixtime", 1, |arguments| {
        time::from_unix(arguments.real(0)?).map(time::written)
    })?;
    add.text("date", 1, |arguments| {
        Some(arguments.time(0)?.strftime("%Y-%m-%d").to_string())
    })?;
    add.text("time", 1, |arguments| {
        Some(time::written(arguments.time(0)?).chars().skip(11).collect())
    })?;
    add.text("date_format", 2, |arguments| {
        Some(time::formatted(arguments.time(0)?, &arguments.text(1)?))
    })?;
    add.text("date_shift", 3, |arguments| {
        let (given, unit) = (arguments.text(0)?, arguments.text(2)?);
        let shifted = time::shifted(time::parse(&given)?, arguments.real(1)?, &unit)?;
        let clock_units = ["MICROSECOND", "SECOND", "MINUTE", "HOUR"];
        let keeps_date =
            time::is_date(&given) && !clock_units.contains(&unit.to_ascii_uppercase().as_str());
        let text = time::written(shifted);
        Some(if keeps_date {
            text.chars().take(10).collect()
        } else {
            text
        })
    })?;
    add.number("timestampdiff", 3, |arguments| {
        time::between(&arguments.text(0)?, arguments.time(1)?, arguments.time(2)?)
    })?;
    add.number("datediff", 2, |arguments| {
        let day = |at| Some(jiff::civil::DateTime::from(arguments.time(at)?.date()));
        time::between("DAY", day(1)?, day(0)?)
    })?;
    add.number("year", 1, |arguments| {
        Some(arguments.time(0)?.year().into())
    })?;
    add.number("month", 1, |arguments| {
        Some(arguments.time(0)?.month().into())
    })?;
    add.number("day", 1, |arguments| Some(arguments.time(0)?.day().into()))?;
    add.number("hour", 1, |arguments| {
        Some(arguments.time(0)?.hour().into())
    })?;
    add.number("minute", 1, |arguments| {
        Some(arguments.time(0)?.minute().into())
    })?;
    add.number("second", 1, |arguments| {
        Some(arguments.time(0)?.second().into())
    })
}

fn text(add: &Adding<'_>) -> Result<()> {
    add.number("length", 1, |arguments| {
        Some(length(arguments.text(0)?.len()))
    })?;
    add.number("char_length", 1, |arguments| {
        Some(length(arguments.text(0)?.chars().count()))
    })?;
    add.text("left_part", 2, |arguments| {
        Some(
            arguments
                .text(0)?
                .chars()
                .take(count(arguments.whole(1)?))
                .collect(),
        )
    })?;
    add.text("right_part", 2, |arguments| {
        let text = arguments.text(0)?;
        let skip = text
            .chars()
            .count()
            .saturating_sub(count(arguments.whole(1)?));
        Some(text.chars().skip(skip).collect())
    })?;
    add.text("reverse", 1, |arguments| {
        Some(arguments.text(0)?.chars().rev().collect())
    })?;
    add.text("lpad", 3, |arguments| {
        let (text, fill) = padding(arguments)?;
        Some(fill + &text)
    })?;
    add.text("rpad", 3, |arguments| {
        let (text, fill) = padding(arguments)?;
        Some(text + &fill)
    })?;
    add.text("substring_index", 3, |arguments| {
        let (text, mark) = (arguments.text(0)?, arguments.text(1)?);
        Some(substring_index(&text, &mark, arguments.whole(2)?))
    })?;
    add.number("locate", 2, |arguments| {
        let (part, text) = (
            arguments.text(0)?.to_lowercase(),
            arguments.text(1)?.to_lowercase(),
        );
        let at = text
            .find(&part)
            .map(|at| length(text[..at].chars().count()) + 1);
        Some(at.unwrap_or(0))
    })?;
    // SQLite turns `x REGEXP y` into regexp(y, x). The engine of `regex` takes linear time.
    add.number("regexp", 2, |arguments| {
        let (pattern, text) = (arguments.text(0)?, arguments.text(1)?);
        let mut builder = RegexBuilder::new(&pattern);
        let regex = builder
            .case_insensitive(true)
            .size_limit(1 << 20)
            .build()
            .ok()?;
        Some(i64::from(regex.is_match(&text)))
    })
}

fn numbers(add: &Adding<'_>) -> Result<()> {
    add.number("isnull", 1, |arguments| {
        Some(i64::from(arguments.text(0).is_none()))
    })?;
    for name in ["ceil", "ceiling"] {
        add.number(name, 1, |arguments| Some(arguments.real(0)?.ceil() as i64))?;
    }
    add.number("floor", 1, |arguments| {
        Some(arguments.real(0)?.floor() as i64)
    })?;
    add.real("truncate", 2, |arguments| {
        let scale = 10_f64.powi(arguments.whole(1)?.clamp(-30, 30) as i32);
        Some((arguments.real(0)? * scale).trunc() / scale)
    })?;
    add.number("mod", 2, |arguments| {
        arguments.whole(0)?.checked_rem(arguments.whole(1)?)
    })?;
    for name in ["pow", "power"] {
        add.real(name, 2, |arguments| {
            Some(arguments.real(0)?.powf(arguments.real(1)?))
        })?;
    }
    add.real("sqrt", 1, |arguments| {
        arguments
            .real(0)
            .filter(|number| *number >= 0.0)
            .map(f64::sqrt)
    })
}

/// No text is longer than an `i64` can say.
fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A length; a negative one is none.
fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// The text cut to the length, and what is missing to it.
fn padding(arguments: &Arguments<'_, '_>) -> Option<(String, String)> {
    let length = count(arguments.whole(1)?);
    let fill = arguments.text(2)?;
    let text: String = arguments.text(0)?.chars().take(length).collect();
    let missing = length - text.chars().count();
    if length > MOST_PADDING || (missing > 0 && fill.is_empty()) {
        return None;
    }
    Some((text, fill.chars().cycle().take(missing).collect()))
}

fn substring_index(text: &str, mark: &str, wanted: i64) -> String {
    if mark.is_empty() || wanted == 0 {
        return String::new();
    }
    let places: Vec<usize> = text.match_indices(mark).map(|(at, _)| at).collect();
    let number = usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX);
    if wanted > 0 {
        let end = places.get(number - 1).copied();
        return text[..end.unwrap_or(text.len())].to_owned();
    }
    let start = places
        .len()
        .checked_sub(number)
        .and_then(|at| places.get(at));
    text[start.map_or(0, |at| at + mark.len())..].to_owned()
}

/// The tables hold no longer texts.
const MOST_PADDING: usize = 1 << 16;

const FLAGS: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC);

/// So that the list stays sorted.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_functions_are_sorted() {
        assert!(KNOWN.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(is_known("COUNT") && !is_known("load_extension") && !is_known("randomblob"));
    }

    #[test]
    fn parts_of_a_text_are_counted_from_either_end() {
        assert_eq!(substring_index("a/b/c", "/", 2), "a/b");
        assert_eq!(substring_index("a/b/c", "/", -1), "c");
        assert_eq!(substring_index("a/b/c", "/", 9), "a/b/c");
        assert_eq!(substring_index("a/b/c", "/", i64::MIN), "a/b/c");
    }
}
