//! `LIKE` and regular expressions. The engine of `regex` takes linear time.

use regex::{Regex, RegexBuilder};
use rusqlite::Result;
use rusqlite::types::Value;

use super::{Adding, Arguments, failed};
use crate::engine::collation;

pub(super) fn add(add: &mut Adding<'_>) -> Result<()> {
    add.value("like_text", |arguments| {
        let escape = arguments.text(2).unwrap_or_default();
        let mut escape = escape.chars();
        let first = escape.next();
        if escape.next().is_some() {
            return failed(1210, "Incorrect arguments to ESCAPE");
        }
        let (Some(text), Some(pattern)) = (arguments.text(0), arguments.text(1)) else {
            return Ok(Value::Null);
        };
        let tells_cases = arguments.whole(3) == Some(1);
        Ok(collation::like(&text, &pattern, first, tells_cases).into())
    })?;
    add.value("regexp_like", |arguments| {
        let of = |text: &str, regex: &Regex| regex.is_match(text).into();
        with_regex(arguments, of)
    })?;
    add.value("regexp_substr", |arguments| {
        let of = |text: &str, regex: &Regex| {
            let found = regex.find(text);
            found.map(|found| found.as_str().to_owned()).into()
        };
        with_regex(arguments, of)
    })?;
    add.value("regexp_replace", |arguments| {
        let Some(new) = arguments.text(2) else {
            return Ok(Value::Null);
        };
        let of =
            |text: &str, regex: &Regex| regex.replace_all(text, new.as_str()).into_owned().into();
        with_regex(arguments, of)
    })
}

/// The first argument is the text, the second the pattern; 1 as third one tells cases apart.
fn with_regex(arguments: &Arguments<'_, '_>, of: impl Fn(&str, &Regex) -> Value) -> Result<Value> {
    let (Some(text), Some(pattern)) = (arguments.text(0), arguments.text(1)) else {
        return Ok(Value::Null);
    };
    let mut builder = RegexBuilder::new(&pattern);
    builder
        .case_insensitive(arguments.whole(2) != Some(1))
        .size_limit(1 << 20);
    match builder.build() {
        Ok(regex) => Ok(of(&text, &regex)),
        Err(error) if error.to_string().contains("group") => {
            failed(3691, "Mismatched parenthesis in regular expression.")
        }
        Err(_) => failed(3685, "Illegal argument to a regular expression."),
    }
}
