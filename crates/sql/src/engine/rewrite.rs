//! From MySQL's SELECT to SQLite's, token by token.
//!
//! Most of the language is the same in both. What is not is replaced here; what has no replacement
//! is refused, so that no statement gets an answer to another question.

use super::names;
use super::shift::Operands;
use crate::error::{Result, SqlError};
use crate::lexer::{Kind, Token};
use crate::parser::Parser;

/// Values of variables, as literals of SQLite.
pub(crate) trait Lookup {
    /// The value of `@@[scope.]name`.
    fn system(&self, scope: Option<&str>, name: &str) -> Result<String>;
    /// The value of `@name`.
    fn user(&self, name: &str) -> String;
}

/// The statement in SQLite's language.
pub(crate) fn rewritten(parser: &Parser<'_>, lookup: &dyn Lookup) -> Result<String> {
    let tokens = parser.tokens();
    let aliases = names::missing(parser.source(), tokens);
    rewrite(parser, tokens, aliases, lookup)
}

/// A condition in SQLite's language, from a token of the statement to its end.
pub(crate) fn condition(parser: &Parser<'_>, from: usize, lookup: &dyn Lookup) -> Result<String> {
    let tokens = parser.tokens().get(from..).unwrap_or_default();
    rewrite(parser, tokens, Vec::new(), lookup)
}

fn rewrite(
    parser: &Parser<'_>,
    tokens: &[Token<'_>],
    aliases: Vec<names::Alias>,
    lookup: &dyn Lookup,
) -> Result<String> {
    let mut rewriter = Rewriter {
        parser,
        tokens,
        at: 0,
        out: String::new(),
        operands: Operands::default(),
        escape_behind: None,
        lookup,
    };
    let mut aliases = aliases.into_iter().peekable();
    loop {
        if let Some(alias) = aliases.next_if(|alias| alias.before == rewriter.at) {
            rewriter.finish_like();
            rewriter.emit(&format!("AS {}", quoted_name(&alias.name)));
        }
        if rewriter.at >= tokens.len() {
            rewriter.finish_like();
            return Ok(rewriter.out);
        }
        rewriter.step()?;
    }
}

struct Rewriter<'a> {
    parser: &'a Parser<'a>,
    tokens: &'a [Token<'a>],
    at: usize,
    out: String,
    operands: Operands,
    /// Behind the operand of this LIKE belongs an ESCAPE: depth of parentheses.
    escape_behind: Option<usize>,
    lookup: &'a dyn Lookup,
}

impl Rewriter<'_> {
    fn token(&self, ahead: usize) -> Option<&Token<'_>> {
        self.tokens.get(self.at + ahead)
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        self.token(ahead).is_some_and(|token| token.is_word(word))
    }

    fn is_symbol(&self, ahead: usize, symbol: &str) -> bool {
        self.token(ahead)
            .is_some_and(|token| token.is_symbol(symbol))
    }

    fn emit(&mut self, text: &str) {
        if !self.out.is_empty() {
            self.out.push(' ');
        }
        self.out.push_str(text);
    }

    /// Writes an operand and remembers where it begins.
    fn emit_operand(&mut self, text: &str, joins: bool) {
        let start = self.out.len();
        self.emit(text);
        self.operands.operand(start, joins);
    }

    fn step(&mut self) -> Result<()> {
        let Some(token) = self.tokens.get(self.at).cloned() else {
            return Ok(());
        };
        self.finish_like_at(&token);
        self.at += 1;
        match token.kind {
            Kind::Text => self.string(&token),
            Kind::Number => {
                self.emit_operand(&token.text, false);
                Ok(())
            }
            Kind::Quoted => {
                let joins = self.follows_dot();
                self.emit_operand(&quoted_name(&token.text), joins);
                Ok(())
            }
            Kind::Host => Err(self.unknown(&token)),
            Kind::Symbol => self.symbol(&token),
            Kind::Word => self.word(&token),
        }
    }

    /// A string, with those beside it, which MySQL takes for one.
    fn string(&mut self, token: &Token<'_>) -> Result<()> {
        let mut text = token.text.clone().into_owned();
        while let Some(next) = self.token(0)
            && next.kind == Kind::Text
        {
            text.push_str(&next.text);
            self.at += 1;
        }
        if text.contains('\0') {
            return Err(SqlError::unsupported("a zero byte in a string"));
        }
        self.emit_operand(&quoted_text(&text), false);
        Ok(())
    }

    fn symbol(&mut self, token: &Token<'_>) -> Result<()> {
        match &*token.text {
            "@@" => return self.system_variable(),
            "@" => return self.user_variable(),
            "&&" => self.emit("AND"),
            "||" => self.emit("OR"),
            "<=>" => self.emit("IS"),
            "!" => self.emit("NOT"),
            // Division has a fraction also between whole numbers.
            "/" => self.emit("* 1.0 /"),
            "(" => {
                self.operands.open(self.out.len());
                self.emit("(");
            }
            ")" => {
                self.operands.close();
                self.emit(")");
            }
            ":=" => return Err(SqlError::unsupported(":=")),
            other if KEPT.contains(&other) => self.emit(other),
            _ => return Err(self.unknown(token)),
        }
        Ok(())
    }

    fn system_variable(&mut self) -> Result<()> {
        let mut parts = Vec::new();
        loop {
            let part = self
                .token(0)
                .filter(|token| matches!(token.kind, Kind::Word | Kind::Quoted));
            let Some(part) = part else {
                return Err(self.unknown_next());
            };
            parts.push(part.text.to_ascii_lowercase());
            self.at += 1;
            if !self.is_symbol(0, ".") {
                break;
            }
            self.at += 1;
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
        let value = self.lookup.system(scope, name)?;
        self.emit_operand(&value, false);
        Ok(())
    }

    fn user_variable(&mut self) -> Result<()> {
        let named =
            |token: &&Token<'_>| matches!(token.kind, Kind::Host | Kind::Quoted | Kind::Text);
        let Some(name) = self.token(0).filter(named) else {
            return Err(self.unknown_next());
        };
        let value = self.lookup.user(&name.text.to_lowercase());
        self.at += 1;
        self.emit_operand(&value, false);
        Ok(())
    }

    fn word(&mut self, token: &Token<'_>) -> Result<()> {
        let upper = token.text.to_ascii_uppercase();
        let joins = self.follows_dot();
        if joins || self.is_symbol(0, ".") {
            self.emit_operand(&quoted_name(&token.text), joins);
            return Ok(());
        }
        if self.is_symbol(0, "(") {
            return self.call(&upper, token);
        }
        match upper.as_str() {
            "DIV" => self.emit("/"),
            "MOD" => self.emit("%"),
            "RLIKE" => self.emit("REGEXP"),
            "LIKE" => {
                self.emit("LIKE");
                self.escape_behind = Some(self.operands.depth());
            }
            "ESCAPE" => {
                self.escape_behind = None;
                self.emit("ESCAPE");
            }
            "SEPARATOR" => self.emit(","),
            "INTERVAL" => return self.interval(),
            "COLLATE" => return self.collate(),
            "CURRENT_USER" => self.emit_operand("current_user()", false),
            "CURRENT_TIMESTAMP" | "LOCALTIME" | "LOCALTIMESTAMP" => {
                self.emit_operand("now()", false);
            }
            "CURRENT_DATE" => self.emit_operand("curdate()", false),
            "CURRENT_TIME" => self.emit_operand("curtime()", false),
            "DISTINCTROW" => self.emit("DISTINCT"),
            "TABLE" if self.at == 1 => self.emit("SELECT * FROM"),
            "FROM" if self.is_word(0, "DUAL") => self.at += 1,
            "FOR" if self.is_word(0, "UPDATE") || self.is_word(0, "SHARE") => {
                self.at += 1;
            }
            "LOCK" if self.is_word(0, "IN") && self.is_word(2, "MODE") => self.at += 3,
            _ if DROPPED.contains(&upper.as_str()) => {}
            _ if REFUSED.contains(&upper.as_str()) => return Err(SqlError::unsupported(&upper)),
            _ if self.introduces_string(token) => match upper.as_str() {
                "X" | "B" => return Err(SqlError::unsupported("a bit string")),
                // Everything is UTF-8 here.
                _ => {}
            },
            "DATE" | "TIME" | "DATETIME" if self.is_type() => {
                return Err(SqlError::unsupported(&format!("CAST AS {upper}")));
            }
            _ if KEYWORDS.contains(&upper.as_str()) => self.emit(&token.text),
            // The server's own client asks for `$$` to see whether that is an error.
            _ if upper.starts_with('$') => return Err(self.unknown(token)),
            _ if BARE.contains(&upper.as_str()) => self.emit_operand(&token.text, false),
            // SQLite has keywords that are names in MySQL.
            _ => self.emit_operand(&quoted_name(&token.text), false),
        }
        Ok(())
    }

    /// A name in front of a parenthesis: a function, or a keyword.
    fn call(&mut self, upper: &str, token: &Token<'_>) -> Result<()> {
        let renamed = RENAMED.iter().find(|(from, _)| *from == upper);
        if renamed.is_none() && KEYWORDS.contains(&upper) {
            if upper == "LIKE" {
                self.escape_behind = Some(self.operands.depth());
            }
            self.emit(&token.text);
            return Ok(());
        }
        match upper {
            "DIV" | "RLIKE" => {
                self.emit(if upper == "DIV" { "/" } else { "REGEXP" });
                return Ok(());
            }
            "INTERVAL" => return self.interval(),
            "TIMESTAMPDIFF" => {
                let unit = self.token(1).filter(|unit| unit.kind == Kind::Word);
                let unit = unit.map(|unit| quoted_text(&unit.text));
                let unit = unit.ok_or_else(|| self.unknown(token))?;
                self.open_call("timestampdiff");
                self.emit(&unit);
                self.at += 1;
                return Ok(());
            }
            "CONVERT" | "EXTRACT" | "TIMESTAMPADD" | "POSITION" | "VALUES" => {
                return Err(SqlError::unsupported(upper));
            }
            _ if REFUSED.contains(&upper) => return Err(SqlError::unsupported(upper)),
            "CAST" => {
                self.open_call("CAST");
                return Ok(());
            }
            _ => {}
        }
        let name = renamed.map_or(&*token.text, |(_, to)| *to);
        if BARE.contains(&upper) {
            self.open_call(name);
        } else {
            self.open_call(&quoted_name(name));
        }
        if matches!(upper, "DATE_SUB" | "SUBDATE") {
            self.operands.subtract();
        }
        Ok(())
    }

    /// Writes `name (`; the whole call is one operand.
    fn open_call(&mut self, name: &str) {
        let start = self.out.len();
        self.emit(name);
        self.emit("(");
        self.operands.open(start);
        self.at += 1;
    }

    /// `a ± INTERVAL n unit`, or the same behind the comma of `DATE_ADD`.
    fn interval(&mut self) -> Result<()> {
        let unknown =
            |rewriter: &Self| SqlError::unsupported(&format!("INTERVAL {}", rewriter.rest()));
        let negative = usize::from(self.is_symbol(0, "-"));
        let count = self
            .token(negative)
            .filter(|token| matches!(token.kind, Kind::Number | Kind::Text));
        let Some(count) = count.and_then(|token| token.text.parse::<f64>().ok()) else {
            return Err(unknown(self));
        };
        let count = if negative == 1 { -count } else { count };
        let unit = self
            .token(negative + 1)
            .filter(|token| token.kind == Kind::Word);
        let unit = unit.map(|token| token.text.to_ascii_uppercase());
        let Some(unit) = unit.filter(|unit| UNITS.contains(&unit.as_str())) else {
            return Err(unknown(self));
        };
        self.at += negative + 2;
        let Some((place, sign)) = self.operands.shift(&mut self.out) else {
            return Err(unknown(self));
        };
        let count = if sign { count } else { -count };
        match place {
            // In place of the operand before stands a call with it.
            Some(start) => {
                let operand = self.out.split_off(start);
                self.emit(&format!(
                    "date_shift({}, {count}, '{unit}')",
                    operand.trim()
                ));
            }
            None => self.emit(&format!("{count}, '{unit}'")),
        }
        Ok(())
    }

    /// Collations are case-sensitive or not; more there is not.
    fn collate(&mut self) -> Result<()> {
        let Some(name) = self.token(0) else {
            return Err(self.unknown_next());
        };
        let lower = name.text.to_ascii_lowercase();
        let binary = lower == "binary" || lower.ends_with("_bin") || lower.ends_with("_cs");
        self.at += 1;
        self.emit(if binary {
            "COLLATE BINARY"
        } else {
            "COLLATE NOCASE"
        });
        Ok(())
    }

    /// MySQL's LIKE has the backslash as escape unless it says otherwise.
    fn finish_like(&mut self) {
        if self.escape_behind.take().is_some() {
            self.emit("ESCAPE '\\'");
        }
    }

    /// The operand of LIKE ends in front of a word or mark that is no part of it.
    fn finish_like_at(&mut self, next: &Token<'_>) {
        if self.escape_behind != Some(self.operands.depth()) {
            return;
        }
        let ends = match next.kind {
            Kind::Word => LIKE_ENDS.iter().any(|word| next.is_word(word)),
            Kind::Symbol => [")", ",", "&&", "||"]
                .iter()
                .any(|mark| next.is_symbol(mark)),
            _ => false,
        };
        if ends {
            self.finish_like();
        }
    }

    /// `_utf8mb4'…'`, `N'…'`, `x'…'`.
    fn introduces_string(&self, token: &Token<'_>) -> bool {
        let text = token.text.to_ascii_uppercase();
        let is_introducer = text.starts_with('_') || ["N", "X", "B"].contains(&text.as_str());
        let next = self.token(0).filter(|next| next.kind == Kind::Text);
        is_introducer && next.is_some_and(|next| text.starts_with('_') || next.start == token.end)
    }

    /// `… AS TYPE)`: SQLite would take the type of a time for a number's.
    fn is_type(&self) -> bool {
        let before = self.at.checked_sub(2).and_then(|at| self.tokens.get(at));
        self.is_symbol(0, ")") && before.is_some_and(|token| token.is_word("AS"))
    }

    fn follows_dot(&self) -> bool {
        self.at >= 2
            && self
                .tokens
                .get(self.at - 2)
                .is_some_and(|token| token.is_symbol("."))
    }

    fn rest(&self) -> &str {
        let start = self.token(0).map_or(0, |token| token.start);
        let end = self.tokens.last().map_or(start, |token| token.end);
        self.parser.source().get(start..end).unwrap_or_default()
    }

    fn unknown(&self, token: &Token<'_>) -> SqlError {
        self.parser.error_at(token.start)
    }

    fn unknown_next(&self) -> SqlError {
        let end = self.tokens.last().map_or(0, |token| token.end);
        let start = self.token(0).map_or(end, |token| token.start);
        self.parser.error_at(start)
    }
}

/// A string of SQLite.
pub(crate) fn quoted_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name of SQLite. Not in `"`: a name that is unknown would be a string then.
fn quoted_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Marks that mean the same in both.
const KEPT: [&str; 18] = [
    "+", "-", "*", "%", "=", "<", ">", "<=", ">=", "<>", "!=", ",", ".", "<<", ">>", "&", "|", "~",
];

/// Words that are operators and clauses: never the name of a function, nor an operand.
const KEYWORDS: [&str; 55] = [
    "ALL",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CROSS",
    "CURRENT",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "FIRST",
    "FOLLOWING",
    "FROM",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "INTERSECT",
    "IS",
    "JOIN",
    "LAST",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NATURAL",
    "NOT",
    "NULLS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PRECEDING",
    "RANGE",
    "RECURSIVE",
    "REGEXP",
    "RIGHT",
    "ROW",
    "ROWS",
    "SELECT",
    "THEN",
    "UNBOUNDED",
    "UNION",
    "USING",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Words that are no names: values, types, and parts of windows.
const BARE: [&str; 17] = [
    "CHAR", "DECIMAL", "DOUBLE", "EXCLUDE", "FALSE", "FILTER", "FLOAT", "GROUPS", "INTEGER", "NO",
    "NULL", "OTHERS", "SIGNED", "TIES", "TRUE", "UNSIGNED", "WINDOW",
];

/// What ends the operand of a LIKE.
const LIKE_ENDS: [&str; 22] = [
    "AND",
    "OR",
    "XOR",
    "AS",
    "THEN",
    "ELSE",
    "END",
    "WHEN",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "FROM",
    "WINDOW",
    "FOR",
    "LOCK",
    "IS",
    "JOIN",
    "LEFT",
];

/// Hints to MySQL's optimizer.
const DROPPED: [&str; 7] = [
    "HIGH_PRIORITY",
    "SQL_BIG_RESULT",
    "SQL_CACHE",
    "SQL_CALC_FOUND_ROWS",
    "SQL_NO_CACHE",
    "SQL_SMALL_RESULT",
    "STRAIGHT_JOIN",
];

/// What has no counterpart.
const REFUSED: [&str; 9] = [
    "BINARY", "ESCAPED", "INTO", "LATERAL", "OUTFILE", "ROLLUP", "SOUNDS", "XOR", "MEMBER",
];

/// Functions that have another name in SQLite.
const RENAMED: [(&str, &str); 18] = [
    ("ADDDATE", "date_shift"),
    ("CHARACTER_LENGTH", "char_length"),
    ("CURRENT_TIMESTAMP", "now"),
    ("DATE_ADD", "date_shift"),
    ("DATE_SUB", "date_shift"),
    ("DAYOFMONTH", "day"),
    ("GREATEST", "max"),
    ("IF", "iif"),
    ("LCASE", "lower"),
    ("LEAST", "min"),
    ("LEFT", "left_part"),
    ("MID", "substr"),
    ("RIGHT", "right_part"),
    ("SCHEMA", "database"),
    ("SESSION_USER", "user"),
    ("SUBDATE", "date_shift"),
    ("SYSTEM_USER", "user"),
    ("UCASE", "upper"),
];

const UNITS: [&str; 9] = [
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
