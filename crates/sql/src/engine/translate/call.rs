//! Calls of functions.

use super::Translator;
use super::cast::tag;
use super::kind::{Kind, MOST_DIGITS};
use super::library::{self, Function, Yields};
use super::operand::{Operand, quoted_name};
use crate::error::{Result, SqlError};
use crate::lexer::Kind as TokenKind;

impl Translator<'_> {
    /// `name(…)`.
    pub(super) fn call(&mut self) -> Result<Operand> {
        let Some(token) = self.peek(0) else {
            return Err(self.error());
        };
        let (written, name) = (token.text.clone(), token.text.to_ascii_uppercase());
        let is_keyword = token.kind == TokenKind::Word
            && super::is_reserved(&name)
            && !CALLED_KEYWORDS.contains(&name.as_str());
        if is_keyword {
            return Err(self.error());
        }
        self.at += 2;
        if let Some(operand) = self.aggregate(&name)? {
            return Ok(operand);
        }
        if let Some(operand) = self.special(&name)? {
            return Ok(operand);
        }
        match library::find(&name) {
            Some(function) => self.plain_call(function),
            None if library::is_of_the_server(&name) => Err(SqlError::unsupported(&name)),
            None => Err(library::unknown(&written)),
        }
    }

    /// `sys.name(…)`.
    pub(super) fn call_of_schema(&mut self) -> Result<Operand> {
        let schema = self.name()?;
        self.expect_symbol(".")?;
        let name = self.name_behind_dot()?;
        self.expect_symbol("(")?;
        match library::find_in(&schema, &name) {
            Some(function) => self.plain_call(function),
            None if schema.eq_ignore_ascii_case("sys") => {
                Err(SqlError::unsupported(&format!("sys.{name}")))
            }
            None => Err(library::unknown(&format!("{schema}.{name}"))),
        }
    }

    /// Functions with a grammar of their own.
    fn special(&mut self, name: &str) -> Result<Option<Operand>> {
        Ok(Some(match name {
            "CAST" => self.cast()?,
            "CONVERT" => self.convert()?,
            "EXTRACT" => self.extract()?,
            "DATE_ADD" | "DATE_SUB" | "ADDDATE" | "SUBDATE" => self.date_add(name)?,
            "TIMESTAMPADD" => self.timestamp_add()?,
            "TIMESTAMPDIFF" => self.timestamp_diff()?,
            "TRIM" => self.trim()?,
            "POSITION" => {
                let part = self.bits()?.text();
                self.expect("IN")?;
                let text = self.expression()?.text();
                self.expect_symbol(")")?;
                Operand::new(format!("locate({part}, {text})"), Kind::Int)
            }
            "SUBSTRING" | "SUBSTR" | "MID" => self.substring()?,
            "IF" => {
                let arguments = self.arguments()?;
                let [test, yes, no] = arguments.as_slice() else {
                    return Err(library::wrong_count("IF"));
                };
                let kind = yes.kind.or(no.kind);
                let (test, yes, no) = (test.number(), yes.as_kind(kind), no.as_kind(kind));
                Operand::new(format!("iif({test}, {yes}, {no})"), kind)
            }
            "NULLIF" => {
                let arguments = self.arguments()?;
                let [a, b] = arguments.as_slice() else {
                    return Err(library::wrong_count("NULLIF"));
                };
                let same = super::predicate::compared(a, "=", b).sql;
                Operand::new(format!("iif({same}, NULL, {})", a.sql), a.kind)
            }
            "JSON_OBJECT" | "JSON_ARRAY" => {
                let arguments = self.arguments()?;
                let parts: Vec<String> = arguments
                    .iter()
                    .map(|part| format!("{}, {}", part.text(), tag(part.kind)))
                    .collect();
                let function = name.to_ascii_lowercase();
                Operand::new(format!("{function}({})", parts.join(", ")), Kind::Json)
            }
            "FROM_UNIXTIME" => self.unixtime()?,
            "UNIX_TIMESTAMP" => self.unix_timestamp()?,
            "ROUND" | "TRUNCATE" => self.rounding(name)?,
            _ => return Ok(None),
        }))
    }

    /// The arguments up to the parenthesis.
    pub(super) fn arguments(&mut self) -> Result<Vec<Operand>> {
        let mut arguments = Vec::new();
        if self.accept_symbol(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression()?);
            if !self.accept_symbol(",") {
                break;
            }
        }
        self.expect_symbol(")")?;
        if arguments.len() > MOST_ARGUMENTS {
            let message = format!("more than {MOST_ARGUMENTS} arguments of a function");
            return Err(SqlError::unsupported(&message));
        }
        Ok(arguments)
    }

    fn plain_call(&mut self, function: &Function) -> Result<Operand> {
        let arguments = self.arguments()?;
        let (least, most) = function.count;
        if arguments.len() < least || arguments.len() > most {
            return Err(library::wrong_count(function.name));
        }
        let kinds = arguments.iter().map(|argument| argument.kind);
        let widest = kinds.clone().fold(Kind::Null, Kind::or);
        let first = kinds.clone().next().unwrap_or(Kind::Null);
        let digits = || {
            let literal = arguments
                .first()
                .and_then(|argument| argument.literal.as_deref());
            literal
                .and_then(|text| text.parse::<u8>().ok())
                .unwrap_or(0)
                .min(6)
        };
        let kind = match function.yields {
            Yields::Kind(kind) => kind,
            Yields::First => first,
            Yields::Widest => widest,
            Yields::Sum => kinds.fold(
                Kind::Null,
                |a, b| if a == Kind::Null { b } else { a.plus(b) },
            ),
            Yields::Now(kind) => kind(digits()),
            Yields::Fraction(kind) => kind(arguments.iter().map(digits_of).max().unwrap_or(0)),
        };
        let mut forms = function.arguments.chars();
        let mut form = 'r';
        let mut parts = Vec::new();
        for argument in &arguments {
            form = forms.next().unwrap_or(form);
            parts.push(match form {
                't' => argument.text(),
                'n' => argument.number(),
                'w' => argument.as_kind(kind),
                'c' => format!("{} COLLATE {}", argument.as_kind(kind), super::AI_CI),
                _ => argument.sql.clone(),
            });
        }
        if arguments.is_empty() && matches!(function.yields, Yields::Now(_)) {
            parts.push("0".to_owned());
        }
        Ok(Operand::new(
            format!("{}({})", quoted_name(function.target), parts.join(", ")),
            kind,
        ))
    }

    /// Behind `TRIM(`.
    fn trim(&mut self) -> Result<Operand> {
        let side = if self.accept("LEADING") {
            -1
        } else if self.accept("TRAILING") {
            1
        } else {
            self.accept("BOTH");
            0
        };
        let mut what = "' '".to_owned();
        let text = if self.accept("FROM") {
            self.expression()?
        } else {
            let first = self.expression()?;
            if self.accept("FROM") {
                what = first.text();
                self.expression()?
            } else {
                first
            }
        };
        self.expect_symbol(")")?;
        let sql = format!("trimmed({}, {what}, {side})", text.text());
        Ok(Operand::new(sql, Kind::Text))
    }

    /// Behind `SUBSTRING(`: `text, from, count` or `text FROM from FOR count`.
    fn substring(&mut self) -> Result<Operand> {
        let mut parts = vec![self.expression()?.text()];
        for word in ["FROM", "FOR"] {
            if self.accept(word) || self.accept_symbol(",") {
                parts.push(self.expression()?.number());
            }
        }
        self.expect_symbol(")")?;
        if parts.len() < 2 {
            return Err(library::wrong_count("SUBSTRING"));
        }
        Ok(Operand::new(
            format!("part({})", parts.join(", ")),
            Kind::Text,
        ))
    }

    fn unixtime(&mut self) -> Result<Operand> {
        let arguments = self.arguments()?;
        match arguments.as_slice() {
            [seconds] => {
                let digits = seconds.kind.scale().unwrap_or(6).min(6);
                let sql = format!("from_unixtime({})", seconds.number());
                Ok(Operand::new(sql, Kind::DateTime(digits)))
            }
            [seconds, format] => {
                let sql = format!("from_unixtime({}, {})", seconds.number(), format.text());
                Ok(Operand::new(sql, Kind::Text))
            }
            _ => Err(library::wrong_count("FROM_UNIXTIME")),
        }
    }

    fn unix_timestamp(&mut self) -> Result<Operand> {
        let arguments = self.arguments()?;
        let [time] = arguments.as_slice() else {
            return match arguments.len() {
                0 => Ok(Operand::new("unix_timestamp()", Kind::Int)),
                _ => Err(library::wrong_count("UNIX_TIMESTAMP")),
            };
        };
        let digits = match (&time.literal, time.kind) {
            (Some(text), _) => text
                .split_once('.')
                .map_or(0, |(_, digits)| digits.len().min(6)),
            (None, Kind::DateTime(digits)) => digits.into(),
            (None, Kind::Date) => 0,
            _ => 6,
        };
        let kind = match digits {
            0 => Kind::Int,
            _ => Kind::Decimal(digits as u8),
        };
        let call = format!("unix_timestamp({})", time.text());
        let sql = if digits == 0 {
            format!("whole({call})")
        } else {
            call
        };
        Ok(Operand::new(sql, kind))
    }

    /// Digits behind the point as the second argument says, where it is a literal.
    fn rounding(&mut self, name: &str) -> Result<Operand> {
        let arguments = self.arguments()?;
        let (number, digits) = match arguments.as_slice() {
            [number] if name == "ROUND" => (number, None),
            [number, digits] => (number, Some(digits)),
            _ => return Err(library::wrong_count(name)),
        };
        let said = match digits {
            None => Some(0),
            Some(digits) => digits
                .literal
                .as_deref()
                .and_then(|text| text.parse::<i32>().ok()),
        };
        let kind = match (number.kind, said) {
            (Kind::Decimal(scale), Some(said)) => {
                Kind::Decimal(u8::try_from(said.max(0)).unwrap_or(MOST_DIGITS).min(scale))
            }
            (Kind::Text | Kind::Binary | Kind::Json, _) => Kind::Double,
            (kind, _) => kind,
        };
        let function = if name == "ROUND" {
            "rounded"
        } else {
            "truncated"
        };
        let digits = digits.map_or("0".to_owned(), Operand::number);
        let sql = format!("{function}({}, {digits})", number.number());
        let sql = if matches!(kind, Kind::Int | Kind::Unsigned) {
            format!("whole({sql})")
        } else {
            sql
        };
        Ok(Operand::new(sql, kind))
    }
}

/// Digits behind the point of a time or number: of a text those that are written, if it is there.
fn digits_of(argument: &Operand) -> u8 {
    let written = argument
        .literal
        .as_deref()
        .filter(|_| argument.kind == Kind::Text);
    let written = written.map(|text| text.split_once('.').map_or(0, |(_, digits)| digits.len()));
    let digits = written.map(|digits| u8::try_from(digits).unwrap_or(6));
    digits.or(argument.kind.scale()).unwrap_or(6).min(6)
}

/// As many as the engine takes.
const MOST_ARGUMENTS: usize = 60;

/// Words that are reserved and yet names of functions.
const CALLED_KEYWORDS: [&str; 11] = [
    "CONVERT", "IF", "INSERT", "LEFT", "MOD", "REPLACE", "RIGHT", "TRUNCATE", "VALUES", "INTERVAL",
    "RANGE",
];
