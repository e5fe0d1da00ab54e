//! Literals.

use super::Translator;
use super::kind::{Kind, MOST_DIGITS};
use super::operand::{Operand, quoted_text};
use crate::error::{Result, SqlError};
use crate::lexer::{Kind as TokenKind, Token};

impl<'a> Translator<'a> {
    /// A string, with those beside it, which are one with it.
    pub(super) fn string(&mut self) -> Result<Operand> {
        let text = self.text()?;
        Ok(Operand::literal(quoted_text(&text), Kind::Text, text))
    }

    /// The text of a string.
    pub(super) fn text(&mut self) -> Result<String> {
        let mut text = String::new();
        let mut is_some = false;
        while let Some(token) = self.peek(0)
            && token.kind == TokenKind::Text
        {
            text.push_str(&token.text);
            is_some = true;
            self.at += 1;
        }
        if !is_some {
            return Err(self.error());
        }
        if text.contains('\0') {
            return Err(SqlError::unsupported("a zero byte in a string"));
        }
        Ok(text)
    }

    pub(super) fn number_literal(&mut self, token: &Token<'a>) -> Result<Operand> {
        self.at += 1;
        let text = &*token.text;
        if let Some(digits) = text.strip_prefix("0x") {
            return bits(digits, 4);
        }
        if let Some(digits) = text.strip_prefix("0b") {
            return bits(digits, 1);
        }
        if text.contains(['e', 'E']) {
            let number: f64 = text.parse().map_err(|_| self.error())?;
            if !number.is_finite() {
                let message = format!("Illegal double '{text}' value found during parsing");
                return Err(SqlError::new(1367, message));
            }
            return Ok(Operand::literal(format!("{number:e}"), Kind::Double, text));
        }
        if let Some((whole, digits)) = text.split_once('.') {
            let scale = u8::try_from(digits.len())
                .unwrap_or(MOST_DIGITS)
                .min(MOST_DIGITS);
            let whole = if whole.is_empty() { "0" } else { whole };
            return Ok(Operand::literal(
                format!("{whole}.{digits}0"),
                Kind::Decimal(scale),
                text,
            ));
        }
        match text.parse::<i64>() {
            Ok(number) => Ok(Operand::literal(number.to_string(), Kind::Int, text)),
            // More than the engine's whole numbers hold.
            Err(_) => Ok(Operand::literal(
                format!("{text}.0"),
                Kind::Decimal(0),
                text,
            )),
        }
    }

    /// Literals that begin with a word: `NULL`, `_utf8mb4'…'`, `x'…'`, `DATE '…'`.
    pub(super) fn word_literal(&mut self, token: &Token<'a>) -> Result<Option<Operand>> {
        for (word, sql, kind) in [
            ("NULL", "NULL", Kind::Null),
            ("TRUE", "1", Kind::Int),
            ("FALSE", "0", Kind::Int),
        ] {
            if self.accept(word) {
                return Ok(Some(Operand::literal(sql, kind, sql)));
            }
        }
        let next = self.peek(1).filter(|next| next.kind == TokenKind::Text);
        let Some(next) = next else {
            return Ok(None);
        };
        let upper = token.text.to_ascii_uppercase();
        let is_joined = next.start == token.end;
        Ok(Some(match upper.as_str() {
            "X" | "B" if is_joined => {
                self.at += 1;
                let digits = self.text()?;
                bits(&digits, if upper == "X" { 4 } else { 1 })?
            }
            "DATE" | "TIME" | "TIMESTAMP" => {
                self.at += 1;
                let text = self.text()?;
                moment(&upper, &text)?
            }
            // Everything is UTF-8 here.
            _ if upper.starts_with('_') || (upper == "N" && is_joined) => {
                self.at += 1;
                self.string()?
            }
            _ => return Ok(None),
        }))
    }
}

/// A literal of digits with so many bits each: a number among numbers, a text elsewhere.
fn bits(digits: &str, each: u32) -> Result<Operand> {
    let padded = match each {
        4 => format!("{}{digits}", if digits.len() % 2 == 1 { "0" } else { "" }),
        _ => format!("{}{digits}", "0".repeat((8 - digits.len() % 8) % 8)),
    };
    let per_byte = (8 / each) as usize;
    let bytes: Option<Vec<u8>> = padded
        .as_bytes()
        .chunks(per_byte)
        .map(|chunk| u8::from_str_radix(std::str::from_utf8(chunk).ok()?, 1 << each).ok())
        .collect();
    let unsupported = || SqlError::unsupported("a binary string");
    let bytes = bytes.ok_or_else(unsupported)?;
    let text = String::from_utf8(bytes.clone()).map_err(|_| unsupported())?;
    let number = bytes.iter().try_fold(0_u64, |sum, byte| {
        sum.checked_mul(256)?.checked_add(u64::from(*byte))
    });
    let text = quoted_text(&text.replace('\0', ""));
    let Some(number) = number.and_then(|number| i64::try_from(number).ok()) else {
        return Ok(Operand::new(text, Kind::Binary));
    };
    Ok(Operand {
        as_text: Some(text),
        ..Operand::new(number.to_string(), Kind::Unsigned)
    })
}

/// `DATE '2024-06-10'` and its like.
fn moment(word: &str, text: &str) -> Result<Operand> {
    let digits = text
        .split_once('.')
        .map_or(0, |(_, digits)| digits.len().min(6) as u8);
    let (kind, sql) = match word {
        "DATE" => (
            Kind::Date,
            super::super::time::parse(text).map(|time| time.date().to_string()),
        ),
        "TIME" => (
            Kind::Time(digits),
            super::super::time::Clock::parse(text).map(|clock| clock.written(digits)),
        ),
        _ => (
            Kind::DateTime(digits),
            super::super::time::parse(text)
                .map(|time| super::super::time::with_digits(time, digits)),
        ),
    };
    let name = if word == "TIMESTAMP" {
        "DATETIME"
    } else {
        word
    };
    let sql =
        sql.ok_or_else(|| SqlError::new(1525, format!("Incorrect {name} value: '{text}'")))?;
    Ok(Operand::new(quoted_text(&sql), kind))
}
