//! Operators, by their precedence in the server.

use super::Translator;
use super::kind::Kind;
use super::operand::Operand;
use crate::error::{Result, SqlError};

impl Translator<'_> {
    /// Any expression.
    pub(super) fn expression(&mut self) -> Result<Operand> {
        self.deeper(Self::disjunction)
    }

    fn disjunction(&mut self) -> Result<Operand> {
        let first = self.exclusion()?;
        let mut parts = vec![first];
        while self.accept("OR") || self.accept_symbol("||") {
            parts.push(self.exclusion()?);
        }
        Ok(joined(parts, "OR"))
    }

    fn exclusion(&mut self) -> Result<Operand> {
        let mut left = self.conjunction()?;
        while self.accept("XOR") {
            let right = self.conjunction()?;
            let sql = format!("((NOT {}) <> (NOT {}))", truth(&left), truth(&right));
            left = Operand::new(sql, Kind::Int);
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Operand> {
        let first = self.negation()?;
        let mut parts = vec![first];
        while self.accept("AND") || self.accept_symbol("&&") {
            parts.push(self.negation()?);
        }
        Ok(joined(parts, "AND"))
    }

    fn negation(&mut self) -> Result<Operand> {
        let mut count = 0_usize;
        while self.accept("NOT") {
            count += 1;
        }
        let operand = self.comparison()?;
        if count == 0 {
            return Ok(operand);
        }
        let sql = match count % 2 {
            0 => format!("(NOT (NOT {}))", truth(&operand)),
            _ => format!("(NOT {})", truth(&operand)),
        };
        Ok(Operand::new(sql, Kind::Int))
    }

    /// `|`, which binds less than `&`, and so on down to `^`.
    pub(super) fn bits(&mut self) -> Result<Operand> {
        let mut left = self.bits_and()?;
        while self.accept_symbol("|") {
            let right = self.bits_and()?;
            left = bitwise(&left, "|", &right);
        }
        Ok(left)
    }

    fn bits_and(&mut self) -> Result<Operand> {
        let mut left = self.shift()?;
        while self.accept_symbol("&") {
            let right = self.shift()?;
            left = bitwise(&left, "&", &right);
        }
        Ok(left)
    }

    fn shift(&mut self) -> Result<Operand> {
        let mut left = self.sum()?;
        loop {
            let function = if self.accept_symbol("<<") {
                "shift_left"
            } else if self.accept_symbol(">>") {
                "shift_right"
            } else {
                return Ok(left);
            };
            let right = self.sum()?;
            let sql = format!("{function}({}, {})", left.number(), right.number());
            left = Operand::new(sql, Kind::Unsigned);
        }
    }

    fn sum(&mut self) -> Result<Operand> {
        let mut left = if self.is_interval() {
            // `INTERVAL 1 DAY + x`.
            let interval = self.interval()?;
            self.expect_symbol("+")?;
            let right = self.product()?;
            interval.added_to(&right, 1)
        } else {
            self.product()?
        };
        loop {
            let sign = if self.accept_symbol("+") {
                1
            } else if self.accept_symbol("-") {
                -1
            } else {
                return Ok(left);
            };
            if self.is_interval() {
                left = self.interval()?.added_to(&left, sign);
                continue;
            }
            let right = self.product()?;
            let operator = if sign == 1 { '+' } else { '-' };
            let sql = format!("({} {operator} {})", left.number(), right.number());
            left = Operand::new(sql, left.kind.plus(right.kind));
        }
    }

    fn product(&mut self) -> Result<Operand> {
        let mut left = self.bits_xor()?;
        loop {
            let (function, of): (&str, fn(Kind, Kind) -> Kind) = if self.accept_symbol("*") {
                ("", Kind::times)
            } else if self.accept_symbol("/") {
                ("divided", Kind::divided)
            } else if self.accept("DIV") {
                ("whole_quotient", |_, _| Kind::Int)
            } else if self.accept_symbol("%") || self.accept("MOD") {
                ("remainder", Kind::plus)
            } else {
                return Ok(left);
            };
            let right = self.bits_xor()?;
            let (a, b) = (left.number(), right.number());
            let sql = match function {
                "" => format!("({a} * {b})"),
                _ => format!("{function}({a}, {b})"),
            };
            left = Operand::new(sql, of(left.kind, right.kind));
        }
    }

    fn bits_xor(&mut self) -> Result<Operand> {
        let mut left = self.unary()?;
        while self.accept_symbol("^") {
            let right = self.unary()?;
            let sql = format!("bits_xor({}, {})", left.number(), right.number());
            left = Operand::new(sql, Kind::Unsigned);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Operand> {
        self.deeper(|translator| {
            if translator.accept_symbol("-") {
                let operand = translator.unary()?;
                return Ok(negative(&operand));
            }
            if translator.accept_symbol("+") {
                return translator.unary();
            }
            if translator.accept_symbol("~") {
                let operand = translator.unary()?;
                return Ok(Operand::new(
                    format!("(~ {})", operand.number()),
                    Kind::Unsigned,
                ));
            }
            if translator.accept_symbol("!") {
                let operand = translator.unary()?;
                return Ok(Operand::new(
                    format!("(NOT {})", truth(&operand)),
                    Kind::Int,
                ));
            }
            if translator.accept("BINARY") {
                let operand = translator.unary()?;
                return Ok(Operand::new(operand.text(), Kind::Binary));
            }
            translator.collated()
        })
    }

    /// `x COLLATE name`: collations tell cases apart or not; more there is not.
    fn collated(&mut self) -> Result<Operand> {
        let mut operand = self.primary()?;
        while self.accept("COLLATE") {
            let name = match self.peek(0) {
                Some(token) if token.is_word("BINARY") => "binary".to_owned(),
                Some(token) => token.text.to_ascii_lowercase(),
                None => return Err(self.error()),
            };
            self.at += 1;
            let is_binary = name == "binary" || name.ends_with("_bin") || name.ends_with("_cs");
            let charset = name.split('_').next().unwrap_or_default();
            let is_known = name == "binary" || CHARSETS.contains(&charset);
            if !is_known || (!is_binary && !name.ends_with("_ci")) {
                return Err(SqlError::new(1273, format!("Unknown collation: '{name}'")));
            }
            let kind = if is_binary { Kind::Binary } else { Kind::Text };
            operand = Operand::new(operand.text(), kind);
        }
        Ok(operand)
    }
}

/// As a condition: what is no number is one by its first digits.
pub(super) fn truth(operand: &Operand) -> String {
    operand.number()
}

fn joined(mut parts: Vec<Operand>, operator: &str) -> Operand {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let parts: Vec<String> = parts.iter().map(truth).collect();
    Operand::new(
        format!("({})", parts.join(&format!(" {operator} "))),
        Kind::Int,
    )
}

fn bitwise(left: &Operand, operator: &str, right: &Operand) -> Operand {
    let sql = format!("({} {operator} {})", left.number(), right.number());
    Operand::new(sql, Kind::Unsigned)
}

fn negative(operand: &Operand) -> Operand {
    let kind = match operand.kind {
        Kind::Text | Kind::Binary | Kind::Json => Kind::Double,
        Kind::Unsigned | Kind::DateTime(0) | Kind::Date | Kind::Time(0) => Kind::Int,
        Kind::DateTime(digits) | Kind::Time(digits) => Kind::Decimal(digits),
        kind => kind,
    };
    let literal = operand
        .literal
        .as_deref()
        .filter(|_| operand.kind.is_number());
    Operand {
        literal: literal.map(|text| format!("-{text}")),
        ..Operand::new(format!("(- {})", operand.number()), kind)
    }
}

/// Character sets whose collations clients name.
const CHARSETS: [&str; 5] = ["ascii", "latin1", "utf8", "utf8mb3", "utf8mb4"];
