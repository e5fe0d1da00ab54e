//! The tables of a select: `FROM` and its joins.

use super::Translator;
use super::operand::quoted_name;
use super::query::renamed;
use super::scope::{Columns, Scope};
use crate::error::{Result, SqlError};

impl Translator<'_> {
    /// Everything behind `FROM`.
    pub(super) fn sources(&mut self, scope: &mut Scope) -> Result<String> {
        self.deeper(|translator| translator.source_list(scope))
    }

    fn source_list(&mut self, scope: &mut Scope) -> Result<String> {
        let mut sql = self.joined(scope)?;
        while self.accept_symbol(",") {
            sql = format!("{sql}, {}", self.joined(scope)?);
        }
        Ok(sql)
    }

    fn joined(&mut self, scope: &mut Scope) -> Result<String> {
        let mut sql = self.factor(scope)?;
        while let Some((words, is_natural)) = self.join()? {
            let right = self.factor(scope)?;
            sql = format!("{sql} {words} {right}");
            if is_natural {
                scope.is_merged = true;
            } else if self.accept("ON") {
                // The tables so far are what the condition is about.
                self.scopes.push(scope.clone());
                let condition = self.expression();
                self.scopes.pop();
                sql = format!("{sql} ON {}", condition?.sql);
            } else if self.accept("USING") {
                let names = self.name_list()?;
                let names: Vec<String> = names.iter().map(|name| quoted_name(name)).collect();
                sql = format!("{sql} USING ({})", names.join(", "));
                scope.is_merged = true;
            } else if words != "JOIN" && words != "CROSS JOIN" {
                return Err(self.error());
            }
        }
        Ok(sql)
    }

    /// The words of a join, if one is next, and whether it is by the names of columns.
    fn join(&mut self) -> Result<Option<(&'static str, bool)>> {
        let natural = self.accept("NATURAL");
        for (words, join) in [
            ("JOIN", "JOIN"),
            ("INNER JOIN", "JOIN"),
            ("STRAIGHT_JOIN", "JOIN"),
            ("CROSS JOIN", "CROSS JOIN"),
            ("LEFT JOIN", "LEFT JOIN"),
            ("LEFT OUTER JOIN", "LEFT JOIN"),
            ("RIGHT JOIN", "RIGHT JOIN"),
            ("RIGHT OUTER JOIN", "RIGHT JOIN"),
        ] {
            if self.accept(words) {
                return Ok(Some(match (natural, join) {
                    (true, "JOIN") => ("NATURAL JOIN", true),
                    (true, "LEFT JOIN") => ("NATURAL LEFT JOIN", true),
                    (true, "RIGHT JOIN") => ("NATURAL RIGHT JOIN", true),
                    (_, join) => (join, false),
                }));
            }
        }
        if natural {
            return Err(self.error());
        }
        Ok(None)
    }

    fn factor(&mut self, scope: &mut Scope) -> Result<String> {
        if self.is_word(0, "LATERAL") {
            return Err(SqlError::unsupported("LATERAL"));
        }
        if self.is_word(0, "JSON_TABLE") && self.is_symbol(1, "(") {
            return Err(SqlError::unsupported("JSON_TABLE"));
        }
        if !self.is_symbol(0, "(") {
            return self.table_by_name(scope);
        }
        if !self.begins_query(1) {
            self.at += 1;
            let sql = self.sources(scope)?;
            self.expect_symbol(")")?;
            return Ok(format!("({sql})"));
        }
        self.at += 1;
        let query = self.query()?;
        self.expect_symbol(")")?;
        let Some(name) = self.alias()? else {
            let message = "Every derived table must have its own alias";
            return Err(SqlError::new(1248, message));
        };
        let mut sql = query.sql;
        let mut columns = query.columns;
        if self.is_symbol(0, "(") {
            let names = self.name_list()?;
            columns = renamed(columns, &names)?;
            let list: Vec<String> = names.iter().map(|name| quoted_name(name)).collect();
            sql = format!(
                "WITH named ({}) AS ({sql}) SELECT * FROM named",
                list.join(", ")
            );
        }
        let sql = format!("({sql}) AS {}", quoted_name(&name));
        scope.add(name, Columns(columns));
        Ok(sql)
    }

    /// Whether a query begins `ahead` tokens from here, perhaps within parentheses.
    pub(super) fn begins_query(&self, ahead: usize) -> bool {
        let rest = self.tokens.get(self.at + ahead..).unwrap_or_default();
        let open = rest.iter().take_while(|token| token.is_symbol("(")).count();
        ["SELECT", "WITH", "TABLE", "VALUES"]
            .iter()
            .any(|word| self.is_word(ahead + open, word))
    }

    /// `[schema.]table [[AS] alias]`.
    pub(super) fn table_by_name(&mut self, scope: &mut Scope) -> Result<String> {
        let mut name = self.name()?;
        let mut schema = None;
        if self.accept_symbol(".") {
            schema = Some(name);
            name = self.name_behind_dot()?;
        }
        if self.is_word(0, "PARTITION") {
            return Err(SqlError::unsupported("PARTITION"));
        }
        let of_query = |(known, _): &&(String, Columns)| known.eq_ignore_ascii_case(&name);
        let of_query = self.named.iter().rev().find(of_query);
        let (sql, columns) = match of_query {
            Some((known, columns)) if schema.is_none() => (quoted_name(known), columns.clone()),
            _ => {
                let shape = self.lookup.table(schema.as_deref(), &name)?;
                if !self
                    .tables
                    .iter()
                    .any(|known| (known.schema, known.name) == (shape.schema, shape.name))
                {
                    self.tables.push(shape);
                }
                let sql = format!("{}.{}", quoted_name(shape.schema), quoted_name(shape.name));
                (sql, Columns::of(shape))
            }
        };
        let alias = self.alias()?;
        self.index_hints()?;
        let name = alias.unwrap_or(name);
        let sql = format!("{sql} AS {}", quoted_name(&name));
        scope.add(name, columns);
        Ok(sql)
    }

    /// There are no indexes to choose from.
    fn index_hints(&mut self) -> Result<()> {
        while ["USE", "IGNORE", "FORCE"]
            .iter()
            .any(|word| self.accept(word))
        {
            if !self.accept("INDEX") {
                self.expect("KEY")?;
            }
            self.expect_symbol("(")?;
            while !self.accept_symbol(")") {
                if self.peek(0).is_none() {
                    return Err(self.error());
                }
                self.at += 1;
            }
        }
        Ok(())
    }
}
