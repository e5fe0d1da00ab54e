//! A value of a variable, and how a text becomes one.

use super::definition::{Domain, Variable};
use crate::error::{Result, SqlError};
use crate::statement::Expression;

/// A value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    Switch(bool),
    /// Position in the list of words.
    Word(usize),
    /// `None` is NULL.
    Text(Option<String>),
}

impl Value {
    /// As `SHOW VARIABLES` has it.
    pub(crate) fn shown(&self, domain: Domain) -> String {
        match (self, domain) {
            (Self::Number(number), _) => number.to_string(),
            (Self::Switch(on), _) => if *on { "ON" } else { "OFF" }.to_owned(),
            (Self::Word(at), Domain::Words(words)) => {
                words.get(*at).copied().unwrap_or_default().to_owned()
            }
            (Self::Word(at), _) => at.to_string(),
            (Self::Text(text), _) => text.clone().unwrap_or_default(),
        }
    }
}

/// The value that an assignment gives, and the text to warn of where the value had to be changed.
pub(super) fn assigned(variable: Variable, given: &Expression) -> Result<(Value, Option<String>)> {
    let definition = variable.definition();
    if *given == Expression::Default {
        return Ok((variable.default(), None));
    }
    let is_number = matches!(given, Expression::Number(_));
    let text = match given {
        Expression::Name(text) | Expression::Text(text) | Expression::Number(text) => text,
        Expression::Default | Expression::Other(_) => return Err(wrong_type(variable)),
    };
    match definition.domain {
        Domain::Number { least, most, step } => {
            if !is_number {
                return Err(wrong_type(variable));
            }
            // `0x10` is a string to the server, `1e1` no whole number.
            let number: i128 = text.parse().map_err(|_| wrong_type(variable))?;
            let kept = u64::try_from(number.max(0))
                .unwrap_or(u64::MAX)
                .clamp(least, most);
            let kept = (kept - kept % step).max(least);
            let changed = i128::from(kept) != number;
            Ok((Value::Number(kept), changed.then(|| text.clone())))
        }
        Domain::Switch => match text.to_ascii_uppercase().as_str() {
            "ON" | "TRUE" | "1" => Ok((Value::Switch(true), None)),
            "OFF" | "FALSE" | "0" => Ok((Value::Switch(false), None)),
            _ => Err(wrong_value(variable, text)),
        },
        Domain::Words(words) => {
            let at = if is_number {
                text.parse().ok().filter(|at| *at < words.len())
            } else {
                words
                    .iter()
                    .position(|word| word.eq_ignore_ascii_case(text))
            };
            let at = at.ok_or_else(|| wrong_value(variable, text))?;
            Ok((Value::Word(at), None))
        }
        Domain::Text if is_number => Err(wrong_type(variable)),
        Domain::Text => {
            let is_null = matches!(given, Expression::Name(_)) && text.eq_ignore_ascii_case("NULL");
            Ok((Value::Text((!is_null).then(|| text.clone())), None))
        }
    }
}

pub(crate) fn wrong_value(variable: Variable, text: &str) -> SqlError {
    SqlError::new(
        1231,
        format!(
            "Variable '{}' can't be set to the value of '{text}'",
            variable.name()
        ),
    )
}

fn wrong_type(variable: Variable) -> SqlError {
    SqlError::new(
        1232,
        format!("Incorrect argument type to variable '{}'", variable.name()),
    )
}
