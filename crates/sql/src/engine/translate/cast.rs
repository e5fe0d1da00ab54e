//! `CAST`, `CONVERT`, and the paths of JSON.

use super::Translator;
use super::kind::{Kind, MOST_DIGITS};
use super::operand::{Operand, quoted_text};
use crate::error::{Result, SqlError};
use crate::lexer::Kind as TokenKind;
use crate::parser::parse_number;

impl Translator<'_> {
    /// Behind `CAST(`.
    pub(super) fn cast(&mut self) -> Result<Operand> {
        let operand = self.expression()?;
        if self.is_word(0, "AT") {
            return Err(SqlError::unsupported("AT TIME ZONE"));
        }
        self.expect("AS")?;
        let cast = self.as_type(&operand)?;
        if self.is_word(0, "ARRAY") {
            return Err(SqlError::unsupported("ARRAY"));
        }
        self.expect_symbol(")")?;
        Ok(cast)
    }

    /// Behind `CONVERT(`.
    pub(super) fn convert(&mut self) -> Result<Operand> {
        let operand = self.expression()?;
        let converted = if self.accept("USING") {
            let is_binary = self.is_word(0, "BINARY");
            if is_binary {
                self.at += 1;
            } else {
                self.name()?;
            }
            let kind = if is_binary { Kind::Binary } else { Kind::Text };
            Operand::new(operand.text(), kind)
        } else {
            self.expect_symbol(",")?;
            self.as_type(&operand)?
        };
        self.expect_symbol(")")?;
        Ok(converted)
    }

    fn as_type(&mut self, operand: &Operand) -> Result<Operand> {
        let Some(token) = self.peek(0).filter(|token| token.kind == TokenKind::Word) else {
            return Err(self.error());
        };
        let name = token.text.to_ascii_uppercase();
        self.at += 1;
        let (number, text) = (operand.number(), operand.text());
        Ok(match name.as_str() {
            "SIGNED" | "UNSIGNED" => {
                if !self.accept("INTEGER") {
                    self.accept("INT");
                }
                match (name.as_str(), operand.kind) {
                    ("SIGNED", Kind::Int) => operand.clone(),
                    (_, Kind::Text | Kind::Binary) if operand.as_text.is_none() => {
                        let kind = if name == "SIGNED" {
                            Kind::Int
                        } else {
                            Kind::Unsigned
                        };
                        Operand::new(format!("whole_prefix({text})"), kind)
                    }
                    ("SIGNED", _) => Operand::new(format!("whole({number})"), Kind::Int),
                    _ => Operand::new(format!("whole({number})"), Kind::Unsigned),
                }
            }
            "CHAR" | "NCHAR" => {
                let size = self.size()?;
                let names_charset = self.accept("CHARACTER SET") || self.accept("CHARSET");
                self.at += usize::from(names_charset || self.is_word(0, "BINARY"));
                Operand::new(cut(&text, size.map(|(size, _)| size)), Kind::Text)
            }
            "BINARY" => {
                let size = self.size()?;
                Operand::new(cut(&text, size.map(|(size, _)| size)), Kind::Binary)
            }
            "DECIMAL" | "DEC" | "NUMERIC" => {
                let scale = self.size()?.map_or(0, |(_, scale)| scale);
                let scale = u8::try_from(scale).unwrap_or(MOST_DIGITS).min(MOST_DIGITS);
                Operand::new(format!("rounded({number}, {scale})"), Kind::Decimal(scale))
            }
            "DOUBLE" | "FLOAT" | "REAL" => {
                self.accept("PRECISION");
                self.size()?;
                Operand::new(format!("({number} + 0.0)"), Kind::Double)
            }
            "DATE" => Operand::new(format!("date({text})"), Kind::Date),
            "DATETIME" | "TIMESTAMP" | "TIME" => {
                let digits = self.size()?.map_or(0, |(digits, _)| digits);
                if digits > 6 {
                    let message =
                        format!("Too-big precision {digits} specified for 'CAST'. Maximum is 6.");
                    return Err(SqlError::new(1426, message));
                }
                let digits = digits as u8;
                match name.as_str() {
                    "TIME" => Operand::new(format!("clock({text}, {digits})"), Kind::Time(digits)),
                    _ => Operand::new(
                        format!("datetime({text}, {digits})"),
                        Kind::DateTime(digits),
                    ),
                }
            }
            "YEAR" => Operand::new(format!("whole({number})"), Kind::Int),
            "JSON" => Operand::new(
                format!("json_cast({}, {})", operand.text(), tag(operand.kind)),
                Kind::Json,
            ),
            _ => {
                self.at -= 1;
                return Err(self.error());
            }
        })
    }

    /// `(size)` or `(size, scale)`.
    fn size(&mut self) -> Result<Option<(u64, u64)>> {
        if !self.accept_symbol("(") {
            return Ok(None);
        }
        let size = self.whole_number()?;
        let scale = if self.accept_symbol(",") {
            self.whole_number()?
        } else {
            0
        };
        self.expect_symbol(")")?;
        Ok(Some((size, scale)))
    }

    pub(super) fn whole_number(&mut self) -> Result<u64> {
        let number = self.peek(0).filter(|token| token.kind == TokenKind::Number);
        let number = number.and_then(|token| parse_number(&token.text));
        let number = number.ok_or_else(|| self.error())?;
        self.at += 1;
        Ok(number)
    }

    /// `column->'$.path'` and `column->>'$.path'`.
    pub(super) fn json_path(&mut self, mut operand: Operand) -> Result<Operand> {
        loop {
            let function = if self.accept_symbol("->>") {
                "json_text_at"
            } else if self.accept_symbol("->") {
                "json_at"
            } else {
                return Ok(operand);
            };
            let path = self.text()?;
            let kind = if function == "json_at" {
                Kind::Json
            } else {
                Kind::Text
            };
            let sql = format!("{function}({}, {})", operand.text(), quoted_text(&path));
            operand = Operand::new(sql, kind);
        }
    }
}

/// How a value becomes one of JSON.
pub(super) fn tag(kind: Kind) -> String {
    let tag = match kind {
        Kind::Json => "j",
        Kind::Int | Kind::Unsigned | Kind::Decimal(_) | Kind::Double => "n",
        Kind::Unknown => "u",
        _ => "t",
    };
    quoted_text(tag)
}

fn cut(text: &str, size: Option<u64>) -> String {
    match size {
        Some(size) => format!("left_part({text}, {})", size.min(1 << 20)),
        None => format!("as_text({text})"),
    }
}
