//! Whole queries: `WITH`, `UNION`, `ORDER BY`, `LIMIT`, and what comes behind.

use super::Translator;
use super::kind::Kind;
use super::operand::quoted_name;
use super::scope::{Columns, Scope};
use crate::error::{Result, SqlError};
use crate::lexer::Kind as TokenKind;
use crate::parser::parse_number;

/// A query in the engine's language.
pub(super) struct Query {
    pub(super) sql: String,
    /// Names and kinds of its columns.
    pub(super) columns: Vec<(String, Kind)>,
    /// What its `ORDER BY` sees.
    pub(super) scope: Scope,
}

impl Translator<'_> {
    /// `[WITH …] body [ORDER BY …] [LIMIT …] [FOR UPDATE …]`.
    pub(super) fn query(&mut self) -> Result<Query> {
        self.deeper(Self::query_expression)
    }

    fn query_expression(&mut self) -> Result<Query> {
        let names = self.named.len();
        let with = if self.is_word(0, "WITH") {
            self.with()?
        } else {
            String::new()
        };
        let mut query = self.body()?;
        let mut sql = format!("{with}{}", query.sql);
        let scope = std::mem::take(&mut query.scope);
        self.scopes.push(scope);
        if self.accept("ORDER BY") {
            sql.push_str(" ORDER BY ");
            sql.push_str(&self.sort_list()?);
        }
        self.scopes.pop();
        if self.accept("LIMIT") {
            sql.push_str(&self.limit()?);
        }
        self.locking()?;
        self.named.truncate(names);
        query.sql = sql;
        Ok(query)
    }

    fn with(&mut self) -> Result<String> {
        self.expect("WITH")?;
        let is_recursive = self.accept("RECURSIVE");
        let mut parts = Vec::new();
        loop {
            let name = self.name()?;
            let mut listed = Vec::new();
            if self.is_symbol(0, "(") {
                listed = self.name_list()?;
            }
            self.expect("AS")?;
            self.expect_symbol("(")?;
            if is_recursive {
                // What the columns hold shows only when they have been read.
                let unknown = listed
                    .iter()
                    .map(|name| (name.clone(), Kind::Unknown))
                    .collect();
                self.named.push((name.clone(), Columns(unknown)));
            }
            let query = self.query()?;
            self.expect_symbol(")")?;
            if is_recursive {
                self.named.pop();
            }
            let columns = renamed(query.columns, &listed)?;
            let names: Vec<String> = columns.iter().map(|(name, _)| quoted_name(name)).collect();
            let columns = if is_recursive {
                // The first part decides in the server, all of them in the engine.
                columns
                    .into_iter()
                    .map(|(name, kind)| (name, integral(kind)))
                    .collect()
            } else {
                columns
            };
            let list = if names.is_empty() {
                String::new()
            } else {
                format!(" ({})", names.join(", "))
            };
            parts.push(format!("{}{list} AS ({})", quoted_name(&name), query.sql));
            self.named.push((name, Columns(columns)));
            if !self.accept_symbol(",") {
                break;
            }
        }
        let recursive = if is_recursive { "RECURSIVE " } else { "" };
        Ok(format!("WITH {recursive}{} ", parts.join(", ")))
    }

    /// `(a, b)`.
    pub(super) fn name_list(&mut self) -> Result<Vec<String>> {
        self.expect_symbol("(")?;
        let mut names = vec![self.name()?];
        while self.accept_symbol(",") {
            names.push(self.name()?);
        }
        self.expect_symbol(")")?;
        Ok(names)
    }

    /// Selects put together. `INTERSECT` goes first.
    fn body(&mut self) -> Result<Query> {
        let mut left = self.intersection()?;
        loop {
            let operator = if self.accept("UNION") {
                "UNION"
            } else if self.accept("EXCEPT") {
                "EXCEPT"
            } else {
                return Ok(left);
            };
            let all = self.all_of(operator)?;
            let right = self.intersection()?;
            left = combined(left, &format!("{operator}{all}"), right)?;
        }
    }

    fn intersection(&mut self) -> Result<Query> {
        let mut left = self.query_primary()?;
        let mut is_one = true;
        while self.accept("INTERSECT") {
            let all = self.all_of("INTERSECT")?;
            let right = self.query_primary()?;
            left = combined(left, &format!("INTERSECT{all}"), right)?;
            is_one = false;
        }
        if !is_one {
            left.sql = format!("SELECT * FROM ({})", left.sql);
        }
        Ok(left)
    }

    fn all_of(&mut self, operator: &str) -> Result<&'static str> {
        if !self.accept("ALL") {
            self.accept("DISTINCT");
            return Ok("");
        }
        if operator == "UNION" {
            return Ok(" ALL");
        }
        Err(SqlError::unsupported(&format!("{operator} ALL")))
    }

    fn query_primary(&mut self) -> Result<Query> {
        if self.accept_symbol("(") {
            let mut query = self.query()?;
            self.expect_symbol(")")?;
            query.sql = format!("SELECT * FROM ({})", query.sql);
            query.scope = Scope::of_items(&query.columns);
            return Ok(query);
        }
        if self.is_word(0, "VALUES") {
            return Err(SqlError::unsupported("VALUES"));
        }
        if self.accept("TABLE") {
            let mut scope = Scope::default();
            let sql = self.table_by_name(&mut scope)?;
            let columns = scope.all(None).unwrap_or_default();
            return Ok(Query {
                sql: format!("SELECT * FROM {sql}"),
                columns,
                scope,
            });
        }
        self.select()
    }

    /// Expressions with their directions, behind `ORDER BY`.
    pub(super) fn sort_list(&mut self) -> Result<String> {
        let mut parts = Vec::new();
        loop {
            let key = self.expression()?;
            let direction = if self.accept("DESC") {
                " DESC"
            } else {
                self.accept("ASC");
                ""
            };
            parts.push(format!("{}{direction}", key.sorted()));
            if !self.accept_symbol(",") {
                return Ok(parts.join(", "));
            }
        }
    }

    fn limit(&mut self) -> Result<String> {
        let first = self.limit_number()?;
        if self.accept_symbol(",") {
            let count = self.limit_number()?;
            return Ok(format!(" LIMIT {count} OFFSET {first}"));
        }
        if self.accept("OFFSET") {
            let skipped = self.limit_number()?;
            return Ok(format!(" LIMIT {first} OFFSET {skipped}"));
        }
        Ok(format!(" LIMIT {first}"))
    }

    fn limit_number(&mut self) -> Result<i64> {
        let number = self.peek(0).filter(|token| token.kind == TokenKind::Number);
        let number = number.and_then(|token| parse_number(&token.text));
        let number = number.ok_or_else(|| self.error())?;
        self.at += 1;
        // Clients ask for 18446744073709551615 rows when they want all of them.
        Ok(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// There is nothing to lock; `INTO` would write.
    fn locking(&mut self) -> Result<()> {
        loop {
            if self.accept("FOR UPDATE") || self.accept("FOR SHARE") {
                if self.accept("OF") {
                    self.name()?;
                    while self.accept_symbol(",") {
                        self.name()?;
                    }
                }
                if !self.accept("NOWAIT") {
                    self.accept("SKIP LOCKED");
                }
            } else if self.is_word(0, "INTO") {
                return Err(SqlError::unsupported("INTO"));
            } else if !self.accept("LOCK IN SHARE MODE") {
                return Ok(());
            }
        }
    }
}

/// The columns under other names.
pub(super) fn renamed(
    columns: Vec<(String, Kind)>,
    names: &[String],
) -> Result<Vec<(String, Kind)>> {
    if names.is_empty() {
        return Ok(columns);
    }
    if names.len() != columns.len() {
        let message = "In definition of view, derived table or common table expression, SELECT \
                       list and column names list have different column counts";
        return Err(SqlError::new(1353, message));
    }
    let pairs = names.iter().cloned().zip(columns);
    Ok(pairs.map(|(name, (_, kind))| (name, kind)).collect())
}

/// A number that began as a whole one.
fn integral(kind: Kind) -> Kind {
    if kind == Kind::Null {
        Kind::Unknown
    } else {
        kind
    }
}

fn combined(left: Query, operator: &str, right: Query) -> Result<Query> {
    if left.columns.len() != right.columns.len() {
        return Err(SqlError::new(
            1222,
            "The used SELECT statements have a different number of columns",
        ));
    }
    let pairs = left.columns.into_iter().zip(right.columns);
    let columns: Vec<_> = pairs.map(|((name, a), (_, b))| (name, a.or(b))).collect();
    Ok(Query {
        sql: format!("{} {operator} {}", left.sql, right.sql),
        scope: Scope::of_items(&columns),
        columns,
    })
}
