//! Forms that have to do with time: `INTERVAL`, `EXTRACT`, and functions with units.

use super::Translator;
use super::kind::Kind;
use super::operand::{Operand, quoted_text};
use crate::error::{Result, SqlError};
use crate::lexer::Kind as TokenKind;

/// `INTERVAL count unit`.
pub(super) struct Interval {
    count: String,
    unit: String,
}

impl Interval {
    /// A time with the interval added, or subtracted where `sign` is negative.
    pub(super) fn added_to(&self, time: &Operand, sign: i8) -> Operand {
        let count = if sign < 0 {
            format!("(- {})", self.count)
        } else {
            self.count.clone()
        };
        let is_of_clock = CLOCK_UNITS.contains(&self.unit.as_str());
        let kind = match time.kind {
            Kind::Date if !is_of_clock => Kind::Date,
            Kind::Date | Kind::DateTime(_) if self.unit == "MICROSECOND" => Kind::DateTime(6),
            Kind::Date => Kind::DateTime(0),
            Kind::DateTime(digits) => Kind::DateTime(digits),
            Kind::Time(digits) => Kind::Time(digits),
            _ => Kind::Text,
        };
        let sql = format!(
            "date_shift({}, {count}, {})",
            time.text(),
            quoted_text(&self.unit)
        );
        Operand::new(sql, kind)
    }
}

impl Translator<'_> {
    /// Whether `INTERVAL` is next, and not the function of that name.
    pub(super) fn is_interval(&self) -> bool {
        if !self.is_word(0, "INTERVAL") {
            return false;
        }
        if !self.is_symbol(1, "(") {
            return true;
        }
        // `INTERVAL (1 + 2) DAY`: behind the parenthesis stands a unit.
        let mut depth = 0_usize;
        for ahead in 1.. {
            match self.peek(ahead) {
                None => return false,
                Some(token) if token.is_symbol("(") => depth += 1,
                Some(token) if token.is_symbol(")") => {
                    depth -= 1;
                    if depth == 0 {
                        let unit = self
                            .peek(ahead + 1)
                            .map(|token| token.text.to_ascii_uppercase());
                        return unit.is_some_and(|unit| {
                            UNITS.contains(&unit.as_str()) || unit.contains('_')
                        });
                    }
                }
                Some(_) => {}
            }
        }
        false
    }

    pub(super) fn interval(&mut self) -> Result<Interval> {
        self.expect("INTERVAL")?;
        let count = self.expression()?;
        let unit = self.unit()?;
        Ok(Interval {
            count: count.number(),
            unit,
        })
    }

    fn unit(&mut self) -> Result<String> {
        let Some(token) = self.peek(0).filter(|token| token.kind == TokenKind::Word) else {
            return Err(self.error());
        };
        let unit = token.text.to_ascii_uppercase();
        let unit = unit.strip_prefix("SQL_TSI_").unwrap_or(&unit).to_owned();
        if UNITS.contains(&unit.as_str()) {
            self.at += 1;
            return Ok(unit);
        }
        if COMPOUND.contains(&unit.as_str()) {
            return Err(SqlError::unsupported(&format!("INTERVAL {unit}")));
        }
        Err(self.error())
    }

    /// Behind `DATE_ADD(` and the like.
    pub(super) fn date_add(&mut self, name: &str) -> Result<Operand> {
        let time = self.expression()?;
        self.expect_symbol(",")?;
        let sign = if name.contains("SUB") { -1 } else { 1 };
        let shifted = if self.is_interval() {
            self.interval()?.added_to(&time, sign)
        } else if name.starts_with("DATE") {
            return Err(self.error());
        } else {
            // `ADDDATE(x, days)`.
            let count = self.expression()?.number();
            let unit = "DAY".to_owned();
            Interval { count, unit }.added_to(&time, sign)
        };
        self.expect_symbol(")")?;
        Ok(shifted)
    }

    /// Behind `TIMESTAMPADD(`.
    pub(super) fn timestamp_add(&mut self) -> Result<Operand> {
        let unit = self.unit()?;
        self.expect_symbol(",")?;
        let count = self.expression()?.number();
        self.expect_symbol(",")?;
        let time = self.expression()?;
        self.expect_symbol(")")?;
        Ok(Interval { count, unit }.added_to(&time, 1))
    }

    /// Behind `TIMESTAMPDIFF(`.
    pub(super) fn timestamp_diff(&mut self) -> Result<Operand> {
        let unit = self.unit()?;
        self.expect_symbol(",")?;
        let from = self.expression()?.text();
        self.expect_symbol(",")?;
        let to = self.expression()?.text();
        self.expect_symbol(")")?;
        let sql = format!("timestampdiff({}, {from}, {to})", quoted_text(&unit));
        Ok(Operand::new(sql, Kind::Int))
    }

    /// Behind `EXTRACT(`.
    pub(super) fn extract(&mut self) -> Result<Operand> {
        let Some(token) = self.peek(0).filter(|token| token.kind == TokenKind::Word) else {
            return Err(self.error());
        };
        let unit = token.text.to_ascii_uppercase();
        if !UNITS.contains(&unit.as_str()) && !COMPOUND.contains(&unit.as_str()) {
            return Err(self.error());
        }
        self.at += 1;
        self.expect("FROM")?;
        let time = self.expression()?.text();
        self.expect_symbol(")")?;
        let sql = format!("extracted({}, {time})", quoted_text(&unit));
        Ok(Operand::new(sql, Kind::Int))
    }
}

pub(super) const UNITS: [&str; 9] = [
    "MICROSECOND",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "WEEK",
    "MONTH",
    "QUARTER",
    "YEAR",
];

const CLOCK_UNITS: [&str; 4] = ["MICROSECOND", "SECOND", "MINUTE", "HOUR"];

const COMPOUND: [&str; 11] = [
    "DAY_HOUR",
    "DAY_MICROSECOND",
    "DAY_MINUTE",
    "DAY_SECOND",
    "HOUR_MICROSECOND",
    "HOUR_MINUTE",
    "HOUR_SECOND",
    "MINUTE_MICROSECOND",
    "MINUTE_SECOND",
    "SECOND_MICROSECOND",
    "YEAR_MONTH",
];
