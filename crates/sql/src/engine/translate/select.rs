//! One `SELECT`: its items and clauses.
//!
//! A column without an alias has the text of its expression as name, as it was written; a plain
//! column reference has the column's name as it was written. SQLite has other rules, so every item
//! gets its name here.

use super::Translator;
use super::kind::Kind;
use super::operand::quoted_name;
use super::query::Query;
use super::scope::Scope;
use crate::error::{Result, SqlError};
use crate::lexer::{Kind as TokenKind, Token};

impl Translator<'_> {
    pub(super) fn select(&mut self) -> Result<Query> {
        self.expect("SELECT")?;
        let is_distinct = self.modifiers();
        let list = self.at;
        let from = self.find_from();
        self.scopes.push(Scope::default());
        // What the items mean depends on the tables.
        let (mut sources, mut behind) = (String::new(), list);
        if let Some(from) = from {
            self.at = from + 1;
            if !self.accept("DUAL") {
                let mut scope = Scope::default();
                sources = format!(" FROM {}", self.sources(&mut scope)?);
                self.set_tables(scope);
            }
            behind = self.at;
            self.at = list;
        }
        let (items, columns) = self.items()?;
        if let Some(from) = from {
            if self.at != from {
                return Err(self.error());
            }
            self.at = behind;
        }
        let distinct = if is_distinct { "DISTINCT " } else { "" };
        let mut sql = format!("SELECT {distinct}{items}{sources}");
        self.clauses(&mut sql)?;
        let scope = self.scopes.pop().unwrap_or_default();
        Ok(Query {
            sql,
            columns,
            scope,
        })
    }

    fn set_tables(&mut self, scope: Scope) {
        if let Some(innermost) = self.scopes.last_mut() {
            *innermost = scope;
        }
    }

    /// Whether the rows are to be distinct; hints to the optimizer are dropped.
    fn modifiers(&mut self) -> bool {
        let mut is_distinct = false;
        loop {
            if self.accept("DISTINCT") || self.accept("DISTINCTROW") {
                is_distinct = true;
            } else if !self.accept("ALL") && !HINTS.iter().any(|hint| self.accept(hint)) {
                return is_distinct;
            }
        }
    }

    /// The `FROM` of this select, if it has one.
    fn find_from(&self) -> Option<usize> {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().skip(self.at) {
            if token.is_symbol("(") {
                depth += 1;
            } else if token.is_symbol(")") {
                depth = depth.checked_sub(1)?;
            } else if depth == 0 && ENDS.iter().any(|word| token.is_word(word)) {
                return token.is_word("FROM").then_some(at);
            }
        }
        None
    }

    fn items(&mut self) -> Result<(String, Vec<(String, Kind)>)> {
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        loop {
            if let Some(sql) = self.star(&mut columns)? {
                items.push(sql);
            } else {
                let start = self.at;
                let item = self.expression()?;
                let end = self.at;
                let name = match self.alias()? {
                    Some(name) => name,
                    None => self.name_of(start, end),
                };
                items.push(format!("{} AS {}", item.shown(), quoted_name(&name)));
                if let Some(scope) = self.scopes.last_mut() {
                    scope.name_item(&name, item.kind);
                }
                let kind = if item.as_text.is_some() {
                    Kind::Text
                } else {
                    item.kind
                };
                columns.push((name, kind));
            }
            if !self.accept_symbol(",") {
                return Ok((items.join(", "), columns));
            }
        }
    }

    /// `*` or `table.*`.
    fn star(&mut self, columns: &mut Vec<(String, Kind)>) -> Result<Option<String>> {
        let mut table = None;
        let mut ahead = 0;
        while self.peek(ahead).is_some_and(super::is_name) && self.is_symbol(ahead + 1, ".") {
            table = self
                .peek(ahead)
                .map(|token| token.text.clone().into_owned());
            ahead += 2;
        }
        if !self.is_symbol(ahead, "*") {
            return Ok(None);
        }
        let scope = self.scopes.last();
        let is_merged = scope.is_some_and(|scope| scope.is_merged);
        let Some(all) = scope.and_then(|scope| scope.all(table.as_deref())) else {
            return Err(match table {
                Some(table) => SqlError::new(1051, format!("Unknown table '{table}'")),
                None => SqlError::new(1096, "No tables used"),
            });
        };
        self.at += ahead + 1;
        columns.extend(all);
        if is_merged && table.is_none() {
            columns.clear();
        }
        Ok(Some(match table {
            Some(table) => format!("{}.*", quoted_name(&table)),
            None => "*".to_owned(),
        }))
    }

    /// `[AS] name`; a text is a name here too.
    pub(super) fn alias(&mut self) -> Result<Option<String>> {
        let is_alias = |token: &Token<'_>| token.kind == TokenKind::Text || super::is_name(token);
        if self.accept("AS") {
            let token = self.peek(0).filter(|token| is_alias(token));
            let token = token.ok_or_else(|| self.error())?;
            self.at += 1;
            return Ok(Some(token.text.clone().into_owned()));
        }
        let token = self.peek(0).filter(|token| is_alias(token));
        self.at += usize::from(token.is_some());
        Ok(token.map(|token| token.text.clone().into_owned()))
    }

    fn name_of(&self, start: usize, end: usize) -> String {
        let item = self.tokens.get(start..end).unwrap_or_default();
        let is_reference = item.iter().enumerate().all(|(at, token)| match at % 2 {
            0 => super::is_name(token) || (at > 0 && token.kind == TokenKind::Word),
            _ => token.is_symbol("."),
        });
        match item {
            [first] if first.kind == TokenKind::Text => first.text.trim_start().to_owned(),
            [.., last] if is_reference => last.text.clone().into_owned(),
            _ => self.source(start, end).to_owned(),
        }
    }

    /// What stands behind the tables.
    fn clauses(&mut self, sql: &mut String) -> Result<()> {
        let mut conditions = Vec::new();
        if self.accept("WHERE") {
            conditions.push(self.expression()?.sql);
        }
        let mut grouped = String::new();
        if self.accept("GROUP BY") {
            let mut keys = vec![self.expression()?.sorted()];
            while self.accept_symbol(",") {
                keys.push(self.expression()?.sorted());
            }
            grouped = format!(" GROUP BY {}", keys.join(", "));
            if self.is_word(0, "WITH") && self.is_word(1, "ROLLUP") {
                return Err(SqlError::unsupported("WITH ROLLUP"));
            }
        }
        let mut having = String::new();
        if self.accept("HAVING") {
            let condition = self.expression()?.sql;
            let is_aggregate = self.scopes.last().is_some_and(|scope| scope.is_aggregate);
            if grouped.is_empty() && !is_aggregate {
                // The server filters rows by it then; the engine has no such form.
                conditions.push(condition);
            } else {
                having = format!(" HAVING {condition}");
            }
        }
        if !conditions.is_empty() {
            sql.push_str(" WHERE ");
            sql.push_str(&conditions.join(" AND "));
        }
        sql.push_str(&grouped);
        sql.push_str(&having);
        if self.accept("WINDOW") {
            sql.push_str(&self.windows()?);
        }
        Ok(())
    }
}

/// What the optimizer of the server would heed.
const HINTS: [&str; 8] = [
    "HIGH_PRIORITY",
    "STRAIGHT_JOIN",
    "SQL_SMALL_RESULT",
    "SQL_BIG_RESULT",
    "SQL_BUFFER_RESULT",
    "SQL_NO_CACHE",
    "SQL_CACHE",
    "SQL_CALC_FOUND_ROWS",
];

/// Words in front of which a list of items ends.
const ENDS: [&str; 12] = [
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "FOR",
    "LOCK",
    "INTO",
];
