//! What operators are about: literals, names, variables, parentheses, calls.

use std::fmt::Write as _;

use super::Translator;
use super::kind::Kind;
use super::operand::{Operand, quoted_name};
use super::predicate::compared;
use crate::error::{Result, SqlError};
use crate::lexer::{Kind as TokenKind, Token};

impl<'a> Translator<'a> {
    pub(super) fn primary(&mut self) -> Result<Operand> {
        let operand = self.simple()?;
        self.json_path(operand)
    }

    fn simple(&mut self) -> Result<Operand> {
        let Some(token) = self.peek(0) else {
            return Err(self.error());
        };
        match token.kind {
            TokenKind::Text => self.string(),
            TokenKind::Number => self.number_literal(token),
            TokenKind::Quoted => self.name_or_call(),
            TokenKind::Word => self.word(token),
            TokenKind::Symbol if token.is_symbol("(") => self.parenthesis(),
            TokenKind::Symbol if token.is_symbol("@@") => self.system_variable(),
            TokenKind::Symbol if token.is_symbol("@") => self.user_variable(),
            TokenKind::Symbol if token.is_symbol("{") => Err(SqlError::unsupported("{ }")),
            TokenKind::Symbol | TokenKind::Host => Err(self.error()),
        }
    }

    fn word(&mut self, token: &Token<'a>) -> Result<Operand> {
        if let Some(literal) = self.word_literal(token)? {
            return Ok(literal);
        }
        if self.accept("CASE") {
            return self.case();
        }
        if self.is_word(0, "EXISTS") && self.is_symbol(1, "(") {
            self.at += 2;
            let query = self.query()?;
            self.expect_symbol(")")?;
            return Ok(Operand::new(format!("EXISTS ({})", query.sql), Kind::Int));
        }
        if self.is_word(0, "ROW") && self.is_symbol(1, "(") {
            return Err(SqlError::unsupported("ROW"));
        }
        // Functions that are written without parentheses.
        if !self.is_symbol(1, "(") {
            for (name, function, kind) in BARE {
                if token.is_word(name) {
                    self.at += 1;
                    return Ok(Operand::new(*function, *kind));
                }
            }
        }
        self.name_or_call()
    }

    fn name_or_call(&mut self) -> Result<Operand> {
        if self.is_symbol(1, "(") {
            return self.call();
        }
        // `sys.format_bytes(…)`.
        if self.is_symbol(1, ".")
            && self.is_symbol(3, "(")
            && self.peek(0).is_some_and(super::is_name)
        {
            return self.call_of_schema();
        }
        self.column()
    }

    /// `[[schema.]table.]column`.
    fn column(&mut self) -> Result<Operand> {
        let mut parts = vec![self.name()?];
        while parts.len() < 3 && self.accept_symbol(".") {
            parts.push(self.name_behind_dot()?);
        }
        let name = parts.pop().unwrap_or_default();
        // Tables have names of their own here, with no schema before them.
        let table = parts.pop();
        let mut kind = None;
        for scope in self.scopes.iter().rev() {
            kind = scope.column(table.as_deref(), &name);
            if kind.is_none()
                && table.is_none()
                && let Some(alias) = scope.alias(&name)
            {
                return Ok(Operand::new(quoted_name(&name), alias));
            }
            if kind.is_some() {
                break;
            }
        }
        let sql = match table {
            Some(table) => format!("{}.{}", quoted_name(&table), quoted_name(&name)),
            None => quoted_name(&name),
        };
        Ok(Operand {
            is_column: true,
            ..Operand::new(sql, kind.unwrap_or(Kind::Unknown))
        })
    }

    fn parenthesis(&mut self) -> Result<Operand> {
        if self.begins_query(0) {
            self.at += 1;
            let query = self.query()?;
            self.expect_symbol(")")?;
            return match query.columns.as_slice() {
                [(_, kind)] => Ok(Operand::new(format!("({})", query.sql), *kind)),
                _ => Err(SqlError::new(1241, "Operand should contain 1 column(s)")),
            };
        }
        self.at += 1;
        let inner = self.expression()?;
        if self.is_symbol(0, ",") {
            return Err(SqlError::unsupported("ROW"));
        }
        self.expect_symbol(")")?;
        Ok(Operand {
            literal: None,
            ..inner
        })
    }

    /// Behind `CASE`.
    fn case(&mut self) -> Result<Operand> {
        let subject = if self.is_word(0, "WHEN") {
            None
        } else {
            Some(self.expression()?)
        };
        let (mut tests, mut results) = (Vec::new(), Vec::new());
        while self.accept("WHEN") {
            let when = self.expression()?;
            tests.push(match &subject {
                Some(subject) => compared(subject, "=", &when).sql,
                None => when.number(),
            });
            self.expect("THEN")?;
            results.push(self.expression()?);
        }
        if tests.is_empty() {
            return Err(self.error());
        }
        let otherwise = if self.accept("ELSE") {
            Some(self.expression()?)
        } else {
            None
        };
        self.expect("END")?;
        let all = results.iter().chain(&otherwise);
        let kind = all.fold(Kind::Null, |kind, result| kind.or(result.kind));
        let mut sql = "CASE".to_owned();
        for (test, result) in tests.iter().zip(&results) {
            // Writing to a string does not fail.
            let _ = write!(sql, " WHEN {test} THEN {}", result.as_kind(kind));
        }
        if let Some(otherwise) = otherwise {
            let _ = write!(sql, " ELSE {}", otherwise.as_kind(kind));
        }
        Ok(Operand::new(format!("({sql} END)"), kind))
    }

    fn system_variable(&mut self) -> Result<Operand> {
        self.at += 1;
        let mut parts = vec![self.name_behind_dot()?.to_ascii_lowercase()];
        while self.accept_symbol(".") {
            parts.push(self.name_behind_dot()?.to_ascii_lowercase());
        }
        let scope = match parts.as_slice() {
            [scope, _] if ["global", "session", "local", "persist"].contains(&scope.as_str()) => {
                Some(scope.as_str())
            }
            [_] => None,
            _ => {
                let name = parts.join(".");
                let message = format!("Unknown system variable '{name}'");
                return Err(SqlError::new(1193, message));
            }
        };
        let name = parts.last().map_or("", String::as_str);
        Ok(literal(self.lookup.system(scope, name)?))
    }

    fn user_variable(&mut self) -> Result<Operand> {
        self.at += 1;
        let named = |token: &&Token<'_>| {
            matches!(
                token.kind,
                TokenKind::Host | TokenKind::Quoted | TokenKind::Text
            )
        };
        let Some(name) = self.peek(0).filter(named) else {
            return Err(self.error());
        };
        self.at += 1;
        if self.is_symbol(0, ":=") {
            return Err(SqlError::unsupported(":="));
        }
        Ok(literal(self.lookup.user(&name.text.to_lowercase())))
    }
}

/// A value as a literal of SQLite.
fn literal(sql: String) -> Operand {
    let kind = match sql.as_str() {
        "NULL" => Kind::Null,
        text if text.starts_with('\'') => Kind::Text,
        text => match text.split_once('.') {
            _ if text.contains(['e', 'E']) => Kind::Double,
            Some((_, digits)) => Kind::Decimal(
                u8::try_from(digits.len())
                    .unwrap_or(u8::MAX)
                    .min(super::kind::MOST_DIGITS),
            ),
            None => Kind::Int,
        },
    };
    let sql = if sql.starts_with('-') {
        format!("({sql})")
    } else {
        sql
    };
    Operand::new(sql, kind)
}

/// Functions that are also written without parentheses.
const BARE: &[(&str, &str, Kind)] = &[
    ("CURRENT_DATE", "curdate()", Kind::Date),
    ("CURRENT_ROLE", "current_role()", Kind::Text),
    ("CURRENT_TIME", "curtime(0)", Kind::Time(0)),
    ("CURRENT_TIMESTAMP", "now(0)", Kind::DateTime(0)),
    ("CURRENT_USER", "user()", Kind::Text),
    ("LOCALTIME", "now(0)", Kind::DateTime(0)),
    ("LOCALTIMESTAMP", "now(0)", Kind::DateTime(0)),
    ("UTC_DATE", "utc_date()", Kind::Date),
    ("UTC_TIME", "utc_time(0)", Kind::Time(0)),
    ("UTC_TIMESTAMP", "utc_timestamp(0)", Kind::DateTime(0)),
];
