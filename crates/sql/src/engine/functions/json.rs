//! JSON: values made of others, and parts of them, written as the server writes them.

use rusqlite::Result;
use rusqlite::types::Value;
use serde_json::Value as Json;

use super::{Adding, Arguments, failed};

pub(super) fn add(add: &mut Adding<'_>) -> Result<()> {
    add.value("json_array", |arguments| {
        let pairs = 0..arguments.len() / 2;
        let items: Result<Vec<Json>> = pairs.map(|at| made(arguments, 2 * at)).collect();
        Ok(written(&Json::Array(items?)).into())
    })?;
    // Each argument has a second one that says how it becomes JSON.
    add.value("json_object", |arguments| {
        if arguments.len() % 4 != 0 {
            return failed(
                1582,
                "Incorrect parameter count in the call to native function 'JSON_OBJECT'",
            );
        }
        let mut members = serde_json::Map::new();
        for at in (0..arguments.len()).step_by(4) {
            let Some(key) = arguments.text(at) else {
                return failed(3158, "JSON documents may not contain NULL member names.");
            };
            members.insert(key, made(arguments, at + 2)?);
        }
        Ok(written(&Json::Object(members)).into())
    })?;
    add.value("json_cast", |arguments| {
        if arguments.is_null(0) {
            return Ok(Value::Null);
        }
        let text = arguments.text(0).unwrap_or_default();
        Ok(written(&parsed(&text, "cast_as_json")?).into())
    })?;
    add.value("json_at", |arguments| {
        found(arguments, |value| written(value).into())
    })?;
    add.value("json_text_at", |arguments| {
        found(arguments, |value| match value {
            Json::String(text) => text.clone().into(),
            other => written(other).into(),
        })
    })?;
    add.value("json_size", |arguments| {
        of_document(arguments, "json_length", |value| {
            let size = match value {
                Json::Array(items) => items.len(),
                Json::Object(members) => members.len(),
                _ => 1,
            };
            i64::try_from(size).unwrap_or(i64::MAX).into()
        })
    })?;
    add.value("json_kind", |arguments| {
        of_document(arguments, "json_type", |value| {
            let name = match value {
                Json::Null => "NULL",
                Json::Bool(_) => "BOOLEAN",
                Json::Number(number) if number.is_f64() => "DOUBLE",
                Json::Number(_) => "INTEGER",
                Json::String(_) => "STRING",
                Json::Array(_) => "ARRAY",
                Json::Object(_) => "OBJECT",
            };
            name.to_owned().into()
        })
    })?;
    add.number("json_is_valid", |arguments| {
        let text = arguments.text(0)?;
        Some(i64::from(serde_json::from_str::<Json>(&text).is_ok()))
    })?;
    add.text("json_quoted", |arguments| {
        Some(Json::String(arguments.text(0)?).to_string())
    })?;
    add.text("json_unquoted", |arguments| {
        let text = arguments.text(0)?;
        match serde_json::from_str(&text) {
            Ok(Json::String(inner)) => Some(inner),
            _ => Some(text),
        }
    })
}

/// The argument at a place as JSON; the one behind it says how.
pub(super) fn made(arguments: &Arguments<'_, '_>, at: usize) -> Result<Json> {
    let Some(text) = arguments.text(at) else {
        return Ok(Json::Null);
    };
    let tag = arguments.text(at + 1).unwrap_or_default();
    let is_number = match arguments.raw(at) {
        Value::Integer(_) | Value::Real(_) => true,
        _ => tag == "n",
    };
    match tag.as_str() {
        "j" => parsed(&text, "json"),
        _ if is_number => Ok(serde_json::from_str(&text).unwrap_or(Json::String(text))),
        _ => Ok(Json::String(text)),
    }
}

/// As the server writes it: blanks behind commas and colons, short keys first.
pub(super) fn written(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(written).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(members) => {
            let mut members: Vec<(&String, &Json)> = members.iter().collect();
            members.sort_by_key(|(key, _)| (key.len(), key.as_bytes()));
            let member = |(key, value): (&String, &Json)| {
                format!("{}: {}", Json::String(key.clone()), written(value))
            };
            let members: Vec<String> = members.into_iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

fn parsed(text: &str, function: &str) -> Result<Json> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(_) => failed(
            3141,
            &format!("Invalid JSON text in argument 1 to function {function}: \"Invalid value.\""),
        ),
    }
}

fn of_document(
    arguments: &Arguments<'_, '_>,
    function: &str,
    of: impl Fn(&Json) -> Value,
) -> Result<Value> {
    match arguments.text(0) {
        Some(text) => Ok(of(&parsed(&text, function)?)),
        None => Ok(Value::Null),
    }
}

/// What a path leads to.
fn found(arguments: &Arguments<'_, '_>, of: impl Fn(&Json) -> Value) -> Result<Value> {
    let (Some(text), Some(path)) = (arguments.text(0), arguments.text(1)) else {
        return Ok(Value::Null);
    };
    let document = parsed(&text, "json_extract")?;
    let Some(steps) = steps(&path) else {
        let message =
            "Invalid JSON path expression, or one with a wildcard, which is not supported.";
        return failed(3143, message);
    };
    let mut at = Some(&document);
    for step in &steps {
        at = at.and_then(|value| match step {
            Step::Member(name) => value.get(name),
            Step::Item(0) if !value.is_array() => Some(value),
            Step::Item(number) => value.get(number),
            Step::Last => value.as_array().and_then(|items| items.last()),
        });
    }
    Ok(at.map_or(Value::Null, of))
}

enum Step {
    Member(String),
    Item(usize),
    Last,
}

/// `$.name."name"[0][last]`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.trim().strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(".\"") {
            let (name, behind) = behind.split_once('"')?;
            steps.push(Step::Member(name.to_owned()));
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('.') {
            let end = behind.find(['.', '[']).unwrap_or(behind.len());
            let name = &behind[..end];
            let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
            if name.is_empty() || !name.chars().all(is_name) {
                return None;
            }
            steps.push(Step::Member(name.to_owned()));
            rest = &behind[end..];
        } else {
            let (number, behind) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(match number.trim() {
                "last" => Step::Last,
                number => Step::Item(number.parse().ok()?),
            });
            rest = behind;
        }
    }
    Some(steps)
}
