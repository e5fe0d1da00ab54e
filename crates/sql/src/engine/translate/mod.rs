//! From MySQL's SELECT to SQLite's.
//!
//! A recursive descent over the statement's tokens writes the engine's language as it reads, and
//! knows of each expression what kind of value it has: so texts compare as the server compares
//! them, quotients have the digits they have there, and what has no counterpart is refused by name,
//! so that no statement gets an answer to another question. The grammar is that of the server's
//! manual; nothing of a client's text gets into the engine but literals and names, both quoted
//! anew.

mod aggregate;
mod call;
mod cast;
mod clock;
mod expression;
mod kind;
mod library;
mod literal;
mod operand;
mod predicate;
mod primary;
mod query;
mod scope;
mod select;
mod source;
mod window;

pub(crate) use kind::Kind;
pub(crate) use operand::{AI_CI, quoted_text};

use super::Shape;
use crate::error::{Result, SqlError};
use crate::lexer::{Kind as TokenKind, Token};
use crate::parser::Parser;
use scope::{Columns, Scope};

/// What a statement may refer to outside of itself.
pub(crate) trait Lookup {
    /// The value of `@@[scope.]name`, as a literal of SQLite.
    fn system(&self, scope: Option<&str>, name: &str) -> Result<String>;
    /// The value of `@name`, as a literal of SQLite.
    fn user(&self, name: &str) -> String;
    /// The table of this name, in the schema or in that of the session.
    fn table(&self, schema: Option<&str>, name: &str) -> Result<Shape>;
}

/// A statement in SQLite's language.
#[derive(Debug)]
pub(crate) struct Translated {
    pub(crate) sql: String,
    /// What the columns of the result hold.
    pub(crate) kinds: Vec<Kind>,
    /// The tables that it reads.
    pub(crate) tables: Vec<Shape>,
}

/// The statement in SQLite's language.
pub(crate) fn translated(parser: &Parser<'_>, lookup: &dyn Lookup) -> Result<Translated> {
    if parser.tokens().len() > MOST_TOKENS {
        return Err(SqlError::new(
            1038,
            "The statement needs more memory than it may have",
        ));
    }
    let mut translator = Translator::new(parser, 0, lookup);
    let query = translator.query()?;
    translator.end()?;
    Ok(Translated {
        sql: query.sql,
        kinds: query.columns.into_iter().map(|(_, kind)| kind).collect(),
        tables: translator.tables,
    })
}

/// A condition in SQLite's language on a table of these columns, from a token of the statement to
/// its end.
pub(crate) fn condition(
    parser: &Parser<'_>,
    from: usize,
    shape: Shape,
    lookup: &dyn Lookup,
) -> Result<String> {
    let mut translator = Translator::new(parser, from, lookup);
    let mut scope = Scope::default();
    scope.add(shape.name.to_owned(), Columns::of(shape));
    translator.scopes.push(scope);
    let condition = translator.expression()?;
    translator.end()?;
    if let Some(table) = translator.tables.first() {
        return Err(SqlError::unsupported(&format!(
            "SHOW … WHERE with a query on {}",
            table.name
        )));
    }
    Ok(condition.sql)
}

/// A statement being translated.
struct Translator<'a> {
    parser: &'a Parser<'a>,
    tokens: &'a [Token<'a>],
    at: usize,
    lookup: &'a dyn Lookup,
    /// The selects around this place, the innermost last.
    scopes: Vec<Scope>,
    /// Tables of `WITH`, the nearest last.
    named: Vec<(String, Columns)>,
    tables: Vec<Shape>,
    depth: usize,
}

impl<'a> Translator<'a> {
    fn new(parser: &'a Parser<'a>, at: usize, lookup: &'a dyn Lookup) -> Self {
        Self {
            parser,
            tokens: parser.tokens(),
            at,
            lookup,
            scopes: Vec::new(),
            named: Vec::new(),
            tables: Vec::new(),
            depth: 0,
        }
    }

    fn peek(&self, ahead: usize) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at + ahead)
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.is_word(word))
    }

    fn is_one_of(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(0, word))
    }

    fn is_symbol(&self, ahead: usize, symbol: &str) -> bool {
        self.peek(ahead)
            .is_some_and(|token| token.is_symbol(symbol))
    }

    /// Takes these keywords, all or none of them.
    fn accept(&mut self, words: &str) -> bool {
        let count = words.split(' ').count();
        let found = words
            .split(' ')
            .enumerate()
            .all(|(at, word)| self.is_word(at, word));
        self.at += if found { count } else { 0 };
        found
    }

    fn accept_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(0, symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, words: &str) -> Result<()> {
        for word in words.split(' ') {
            if !self.accept(word) {
                return Err(self.error());
            }
        }
        Ok(())
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<()> {
        if self.accept_symbol(symbol) {
            return Ok(());
        }
        Err(self.error())
    }

    /// Takes a name, in backticks or not.
    fn name(&mut self) -> Result<String> {
        let token = self.peek(0).filter(|token| is_name(token));
        let token = token.ok_or_else(|| self.error())?;
        self.at += 1;
        Ok(token.text.clone().into_owned())
    }

    /// Takes a name behind a dot: also a word that is a keyword elsewhere.
    fn name_behind_dot(&mut self) -> Result<String> {
        let token = self
            .peek(0)
            .filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted));
        let token = token.ok_or_else(|| self.error())?;
        self.at += 1;
        Ok(token.text.clone().into_owned())
    }

    fn end(&self) -> Result<()> {
        if self.at >= self.tokens.len() {
            return Ok(());
        }
        Err(self.error())
    }

    /// The syntax error at the next token.
    fn error(&self) -> SqlError {
        let end = self.tokens.last().map_or(0, |token| token.end);
        self.parser
            .error_at(self.peek(0).map_or(end, |token| token.start))
    }

    /// The text of the statement between two tokens.
    fn source(&self, from: usize, to: usize) -> &'a str {
        match (
            self.tokens.get(from),
            to.checked_sub(1).and_then(|at| self.tokens.get(at)),
        ) {
            (Some(first), Some(last)) => self
                .parser
                .source()
                .get(first.start..last.end)
                .unwrap_or_default(),
            _ => "",
        }
    }

    /// Runs `inner` one level deeper: what nests too deeply is refused, before the stack ends.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEEPEST {
            return Err(SqlError::new(
                1436,
                format!("Thread stack overrun: the statement nests deeper than {DEEPEST} levels"),
            ));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }
}

/// Whether a token can be the name of a column or table.
fn is_name(token: &Token<'_>) -> bool {
    match token.kind {
        TokenKind::Quoted => true,
        // The server's own client asks for `$$` to see whether that is an error.
        TokenKind::Word => !is_reserved(&token.text) && !token.text.starts_with('$'),
        _ => false,
    }
}

/// Words that are never names without quotes.
fn is_reserved(word: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(word))
}

/// Longer statements are no questions about clones.
const MOST_TOKENS: usize = 20_000;
/// Parentheses, subqueries and the like within each other.
const DEEPEST: usize = 48;

const RESERVED: &[&str] = &[
    "ALL",
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BINARY",
    "BY",
    "CASE",
    "COLLATE",
    "CONVERT",
    "CROSS",
    "DELAYED",
    "DELETE",
    "DESC",
    "DISTINCT",
    "DISTINCTROW",
    "DIV",
    "DUAL",
    "ELSE",
    "EXCEPT",
    "EXISTS",
    "FALSE",
    "FOR",
    "FORCE",
    "FROM",
    "GROUP",
    "HAVING",
    "HIGH_PRIORITY",
    "IF",
    "IGNORE",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LOCK",
    "MOD",
    "NATURAL",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PROCEDURE",
    "RANGE",
    "RECURSIVE",
    "REGEXP",
    "REPLACE",
    "RIGHT",
    "RLIKE",
    "ROWS",
    "SELECT",
    "SEPARATOR",
    "SET",
    "SQL_BIG_RESULT",
    "SQL_CALC_FOUND_ROWS",
    "SQL_SMALL_RESULT",
    "STRAIGHT_JOIN",
    "TABLE",
    "THEN",
    "TRUE",
    "UNION",
    "UPDATE",
    "USE",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "XOR",
];
