//! Functions over many rows.

use super::Translator;
use super::cast::tag;
use super::kind::Kind;
use super::operand::{Operand, quoted_text};
use crate::error::{Result, SqlError};

impl Translator<'_> {
    /// The aggregate or window function of this name, if there is one, behind its parenthesis.
    pub(super) fn aggregate(&mut self, name: &str) -> Result<Option<Operand>> {
        let operand = match name {
            "COUNT" => self.count()?,
            "SUM" | "AVG" | "MIN" | "MAX" => self.of_one(name)?,
            "GROUP_CONCAT" => self.group_concat()?,
            "JSON_ARRAYAGG" | "JSON_OBJECTAGG" => self.json_aggregate(name)?,
            "ANY_VALUE" => {
                let operand = self.expression()?;
                self.expect_symbol(")")?;
                return Ok(Some(operand));
            }
            "ROW_NUMBER" | "RANK" | "DENSE_RANK" | "PERCENT_RANK" | "CUME_DIST" | "NTILE"
            | "LAG" | "LEAD" | "FIRST_VALUE" | "LAST_VALUE" | "NTH_VALUE" => {
                return self.of_window(name).map(Some);
            }
            _ => return Ok(None),
        };
        match self.over()? {
            Some(_) if ["GROUP_CONCAT", "JSON_ARRAYAGG", "JSON_OBJECTAGG"].contains(&name) => {
                Err(SqlError::unsupported(&format!("{name} OVER")))
            }
            Some(over) => Ok(Some(Operand::new(
                format!("{}{over}", operand.sql),
                operand.kind,
            ))),
            None => {
                if let Some(scope) = self.scopes.last_mut() {
                    scope.is_aggregate = true;
                }
                Ok(Some(operand))
            }
        }
    }

    fn count(&mut self) -> Result<Operand> {
        if self.accept_symbol("*") {
            self.expect_symbol(")")?;
            return Ok(Operand::new("count(*)", Kind::Int));
        }
        let is_distinct = self.accept("DISTINCT");
        let mut counted = vec![self.expression()?];
        while is_distinct && self.accept_symbol(",") {
            counted.push(self.expression()?);
        }
        self.expect_symbol(")")?;
        let sql = match (counted.as_slice(), is_distinct) {
            ([one], true) => format!("count(DISTINCT {})", one.sorted()),
            ([one], false) => format!("count({})", one.sql),
            (many, _) => {
                let parts: Vec<String> = many.iter().map(Operand::text).collect();
                format!(
                    "count(DISTINCT row_key({}) COLLATE ai_ci)",
                    parts.join(", ")
                )
            }
        };
        Ok(Operand::new(sql, Kind::Int))
    }

    fn of_one(&mut self, name: &str) -> Result<Operand> {
        let distinct = if self.accept("DISTINCT") {
            "DISTINCT "
        } else {
            ""
        };
        let of = self.expression()?;
        self.expect_symbol(")")?;
        let number = of.number();
        let scale = if of.kind.is_text() {
            None
        } else {
            of.kind.scale()
        };
        let (sql, kind) = match name {
            "SUM" => (
                format!("sum({distinct}{number})"),
                scale.map_or(Kind::Double, Kind::Decimal),
            ),
            "AVG" => (
                format!("avg({distinct}{number})"),
                scale.map_or(Kind::Double, |scale| Kind::Decimal(scale + 4)),
            ),
            _ => (
                format!("{}({})", name.to_ascii_lowercase(), of.sorted()),
                of.kind,
            ),
        };
        Ok(Operand::new(sql, kind))
    }

    /// `GROUP_CONCAT([DISTINCT] x, … [ORDER BY …] [SEPARATOR s])`.
    fn group_concat(&mut self) -> Result<Operand> {
        let is_distinct = self.accept("DISTINCT");
        let mut parts = vec![self.expression()?.text()];
        while self.accept_symbol(",") {
            parts.push(self.expression()?.text());
        }
        let order = if self.accept("ORDER BY") {
            format!(" ORDER BY {}", self.sort_list()?)
        } else {
            String::new()
        };
        let separator = if self.accept("SEPARATOR") {
            self.text()?
        } else {
            ",".to_owned()
        };
        self.expect_symbol(")")?;
        let value = match parts.as_slice() {
            [one] => one.clone(),
            many => format!("concat({})", many.join(", ")),
        };
        let sql = format!(
            "collected({value}, {}, {}{order})",
            quoted_text(&separator),
            u8::from(is_distinct)
        );
        Ok(Operand::new(sql, Kind::Text))
    }

    fn json_aggregate(&mut self, name: &str) -> Result<Operand> {
        let first = self.expression()?;
        let sql = if name == "JSON_ARRAYAGG" {
            format!("json_arrayagg({}, {})", first.text(), tag(first.kind))
        } else {
            self.expect_symbol(",")?;
            let value = self.expression()?;
            let (key, kind) = (first.text(), tag(value.kind));
            format!("json_objectagg({key}, {}, {kind})", value.text())
        };
        self.expect_symbol(")")?;
        Ok(Operand::new(sql, Kind::Json))
    }

    fn of_window(&mut self, name: &str) -> Result<Operand> {
        let mut parts = Vec::new();
        let mut kind = match name {
            "PERCENT_RANK" | "CUME_DIST" => Kind::Double,
            "ROW_NUMBER" | "RANK" | "DENSE_RANK" | "NTILE" => Kind::Unsigned,
            _ => Kind::Null,
        };
        while !self.is_symbol(0, ")") {
            let part = self.expression()?;
            if kind == Kind::Null && parts.is_empty() {
                kind = part.kind;
            }
            parts.push(part.sql);
            if !self.accept_symbol(",") {
                break;
            }
        }
        self.expect_symbol(")")?;
        for words in ["RESPECT NULLS", "FROM FIRST"] {
            self.accept(words);
        }
        let Some(over) = self.over()? else {
            return Err(self.error());
        };
        let sql = format!("{}({}){over}", name.to_ascii_lowercase(), parts.join(", "));
        Ok(Operand::new(sql, kind))
    }
}
