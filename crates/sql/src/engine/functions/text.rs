//! Texts.

use std::fmt::Write as _;

use rusqlite::Result;
use rusqlite::types::Value;

use super::numbers::count;
use super::{Adding, Arguments};
use crate::engine::collation;

pub(super) fn add(add: &mut Adding<'_>) -> Result<()> {
    add.text("as_text", |arguments| arguments.text(0))?;
    joined(add)?;
    sizes(add)?;
    parts(add)?;
    places(add)?;
    changed(add)
}

fn joined(add: &mut Adding<'_>) -> Result<()> {
    add.text("concat_all", |arguments| Some(arguments.texts()?.concat()))?;
    add.text("concat_with", |arguments| {
        let separator = arguments.text(0)?;
        let parts: Vec<String> = (1..arguments.len())
            .filter_map(|at| arguments.text(at))
            .collect();
        Some(parts.join(&separator))
    })?;
    // What tells rows apart; the separator is in no text of the tables.
    add.text("row_key", |arguments| {
        Some(arguments.texts()?.join("\u{1}"))
    })?;
    add.text("elt", |arguments| {
        let at = usize::try_from(arguments.whole(0)?).ok()?;
        (at > 0).then(|| arguments.text(at)).flatten()
    })?;
    add.text("repeat_text", |arguments| {
        let (text, times) = (arguments.text(0)?, count(arguments.whole(1)?));
        (text.len().checked_mul(times)? <= MOST_BYTES).then(|| text.repeat(times))
    })?;
    add.text("space", |arguments| {
        let times = count(arguments.whole(0)?);
        (times <= MOST_BYTES).then(|| " ".repeat(times))
    })
}

fn sizes(add: &mut Adding<'_>) -> Result<()> {
    add.number("length_bytes", |arguments| {
        Some(length(arguments.text(0)?.len()))
    })?;
    add.number("bit_length", |arguments| {
        Some(8 * length(arguments.text(0)?.len()))
    })?;
    add.number("char_length", |arguments| {
        Some(length(arguments.text(0)?.chars().count()))
    })?;
    add.number("ascii", |arguments| {
        Some(arguments.text(0)?.bytes().next().unwrap_or(0).into())
    })
}

fn parts(add: &mut Adding<'_>) -> Result<()> {
    add.text("left_part", |arguments| {
        let wanted = count(arguments.whole(1)?);
        Some(arguments.text(0)?.chars().take(wanted).collect())
    })?;
    add.text("right_part", |arguments| {
        let text = arguments.text(0)?;
        let wanted = count(arguments.whole(1)?);
        let skip = text.chars().count().saturating_sub(wanted);
        Some(text.chars().skip(skip).collect())
    })?;
    add.text("part", |arguments| {
        let text: Vec<char> = arguments.text(0)?.chars().collect();
        let wanted = if arguments.len() > 2 {
            count(arguments.whole(2)?)
        } else {
            text.len()
        };
        let from = arguments.whole(1)?;
        let start = match usize::try_from(from) {
            Ok(0) => return Some(String::new()),
            Ok(from) => from - 1,
            Err(_) => match text.len().checked_sub(count(from.checked_neg()?)) {
                Some(start) => start,
                None => return Some(String::new()),
            },
        };
        Some(text.iter().skip(start).take(wanted).collect())
    })?;
    add.text("substring_index", |arguments| {
        let (text, mark) = (arguments.text(0)?, arguments.text(1)?);
        Some(substring_index(&text, &mark, arguments.whole(2)?))
    })?;
    add.text("trimmed", |arguments| {
        let (text, what, side) = (arguments.text(0)?, arguments.text(1)?, arguments.whole(2)?);
        let mut rest = text.as_str();
        while side <= 0 && !what.is_empty() && rest.starts_with(&what) {
            rest = &rest[what.len()..];
        }
        while side >= 0 && !what.is_empty() && rest.ends_with(&what) {
            rest = &rest[..rest.len() - what.len()];
        }
        Some(rest.to_owned())
    })?;
    add.text("ltrimmed", |arguments| {
        Some(arguments.text(0)?.trim_start_matches(' ').to_owned())
    })?;
    add.text("rtrimmed", |arguments| {
        Some(arguments.text(0)?.trim_end_matches(' ').to_owned())
    })
}

fn places(add: &mut Adding<'_>) -> Result<()> {
    add.number("locate", |arguments| {
        let from = if arguments.len() > 2 {
            arguments.whole(2)?
        } else {
            1
        };
        Some(place(&arguments.text(0)?, &arguments.text(1)?, from))
    })?;
    add.number("position", |arguments| {
        Some(place(&arguments.text(1)?, &arguments.text(0)?, 1))
    })?;
    add.number("field", |arguments| {
        let wanted = arguments.text(0).unwrap_or_default();
        let is_wanted = |at: &usize| {
            let text = arguments.text(*at);
            text.is_some_and(|text| collation::compare(&text, &wanted).is_eq())
        };
        let found = (1..arguments.len()).find(is_wanted);
        Some(found.filter(|_| !arguments.is_null(0)).map_or(0, length))
    })?;
    add.number("find_in_set", |arguments| {
        let (wanted, set) = (arguments.text(0)?, arguments.text(1)?);
        let found = set
            .split(',')
            .position(|item| collation::compare(item, &wanted).is_eq());
        Some(
            found
                .filter(|_| !set.is_empty())
                .map_or(0, |at| length(at) + 1),
        )
    })?;
    add.number("strcmp", |arguments| {
        Some(collation::compare(&arguments.text(0)?, &arguments.text(1)?) as i64)
    })
}

fn changed(add: &mut Adding<'_>) -> Result<()> {
    add.text("lower_text", |arguments| {
        Some(arguments.text(0)?.to_lowercase())
    })?;
    add.text("upper_text", |arguments| {
        Some(arguments.text(0)?.to_uppercase())
    })?;
    add.text("reverse", |arguments| {
        Some(arguments.text(0)?.chars().rev().collect())
    })?;
    add.text("lpad", |arguments| {
        let (text, fill) = padding(arguments)?;
        Some(fill + &text)
    })?;
    add.text("rpad", |arguments| {
        let (text, fill) = padding(arguments)?;
        Some(text + &fill)
    })?;
    add.text("replace_text", |arguments| {
        let (text, from, to) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
        if from.is_empty() {
            return Some(text);
        }
        let more = text.matches(&from).count().checked_mul(to.len())?;
        (text.len() + more <= MOST_BYTES).then(|| text.replace(&from, &to))
    })?;
    add.text("insert_text", |arguments| {
        let (text, new) = (arguments.text(0)?, arguments.text(3)?);
        let (from, wanted) = (arguments.whole(1)?, arguments.whole(2)?);
        let size = text.chars().count();
        let Some(start) = usize::try_from(from)
            .ok()
            .filter(|from| (1..=size).contains(from))
        else {
            return Some(text);
        };
        let gone = usize::try_from(wanted).unwrap_or(size);
        let head = text.chars().take(start - 1);
        let tail = text.chars().skip((start - 1).saturating_add(gone));
        Some(head.chain(new.chars()).chain(tail).collect())
    })?;
    add.text("quote_text", |arguments| {
        Some(arguments.text(0).map_or("NULL".to_owned(), |text| {
            let escaped = text.replace('\\', "\\\\").replace('\'', "\\'");
            format!("'{escaped}'")
        }))
    })?;
    add.text("hexed", |arguments| match arguments.raw(0) {
        Value::Integer(number) => Some(format!("{number:X}")),
        Value::Real(number) => Some(format!("{:X}", number.round() as i64)),
        _ => {
            let mut digits = String::new();
            for byte in arguments.text(0)?.bytes() {
                // Writing to a string does not fail.
                let _ = write!(digits, "{byte:02X}");
            }
            Some(digits)
        }
    })?;
    add.text("unhexed", |arguments| {
        let digits = arguments.text(0)?;
        let digits = if digits.len() % 2 == 1 {
            format!("0{digits}")
        } else {
            digits
        };
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
        String::from_utf8(bytes?).ok()
    })
}

/// Where a part is in a text, counted in characters from 1; 0 if it is not in it.
fn place(part: &str, text: &str, from: i64) -> i64 {
    let fold = |text: &str| -> Vec<char> { text.chars().map(collation::folded_char).collect() };
    let (part, text) = (fold(part), fold(text));
    let Some(start) = usize::try_from(from)
        .ok()
        .and_then(|from| from.checked_sub(1))
    else {
        return 0;
    };
    if start > text.len() {
        return 0;
    }
    if part.is_empty() {
        return length(start) + 1;
    }
    let found = text[start..]
        .windows(part.len())
        .position(|window| window == part);
    found.map_or(0, |at| length(start + at) + 1)
}

/// No text is longer than an `i64` can say.
fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The text cut to the length, and what is missing to it.
fn padding(arguments: &Arguments<'_, '_>) -> Option<(String, String)> {
    let length = usize::try_from(arguments.whole(1)?).ok()?;
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
const MOST_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_text_are_counted_from_either_end() {
        assert_eq!(substring_index("a/b/c", "/", 2), "a/b");
        assert_eq!(substring_index("a/b/c", "/", -1), "c");
        assert_eq!(substring_index("a/b/c", "/", 9), "a/b/c");
        assert_eq!(substring_index("a/b/c", "/", i64::MIN), "a/b/c");
    }

    #[test]
    fn places_are_counted_in_characters() {
        assert_eq!(place("B", "äbc", 1), 2);
        assert_eq!(place("b", "abab", 3), 4);
        assert_eq!(
            (place("", "ab", 3), place("x", "ab", 1), place("a", "ab", 0)),
            (3, 0, 0)
        );
    }
}
