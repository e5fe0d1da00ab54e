//! Windows: `OVER`, `WINDOW`.

use super::Translator;
use super::operand::quoted_name;
use crate::error::{Result, SqlError};

impl Translator<'_> {
    /// Behind `WINDOW`.
    pub(super) fn windows(&mut self) -> Result<String> {
        let mut parts = Vec::new();
        loop {
            let name = self.name()?;
            self.expect("AS")?;
            parts.push(format!("{} AS {}", quoted_name(&name), self.window()?));
            if !self.accept_symbol(",") {
                return Ok(format!(" WINDOW {}", parts.join(", ")));
            }
        }
    }

    /// `OVER …`, if it is next.
    pub(super) fn over(&mut self) -> Result<Option<String>> {
        if !self.accept("OVER") {
            return Ok(None);
        }
        if self.is_symbol(0, "(") {
            return Ok(Some(format!(" OVER {}", self.window()?)));
        }
        Ok(Some(format!(" OVER {}", quoted_name(&self.name()?))))
    }

    /// `([name] [PARTITION BY …] [ORDER BY …] [frame])`.
    fn window(&mut self) -> Result<String> {
        self.expect_symbol("(")?;
        let mut parts = Vec::new();
        if !self.is_one_of(&["PARTITION", "ORDER", "ROWS", "RANGE", "GROUPS"])
            && !self.is_symbol(0, ")")
        {
            parts.push(quoted_name(&self.name()?));
        }
        if self.accept("PARTITION BY") {
            let mut keys = vec![self.expression()?.sorted()];
            while self.accept_symbol(",") {
                keys.push(self.expression()?.sorted());
            }
            parts.push(format!("PARTITION BY {}", keys.join(", ")));
        }
        if self.accept("ORDER BY") {
            parts.push(format!("ORDER BY {}", self.sort_list()?));
        }
        if self.is_word(0, "GROUPS") {
            return Err(SqlError::unsupported("GROUPS"));
        }
        for unit in ["ROWS", "RANGE"] {
            if self.accept(unit) {
                parts.push(format!("{unit} {}", self.frame()?));
            }
        }
        self.expect_symbol(")")?;
        Ok(format!("({})", parts.join(" ")))
    }

    fn frame(&mut self) -> Result<String> {
        if !self.accept("BETWEEN") {
            return self.bound();
        }
        let from = self.bound()?;
        self.expect("AND")?;
        Ok(format!("BETWEEN {from} AND {}", self.bound()?))
    }

    fn bound(&mut self) -> Result<String> {
        for bound in ["CURRENT ROW", "UNBOUNDED PRECEDING", "UNBOUNDED FOLLOWING"] {
            if self.accept(bound) {
                return Ok(bound.to_owned());
            }
        }
        if self.is_interval() {
            return Err(SqlError::unsupported("INTERVAL in a frame"));
        }
        let count = self.whole_number()?;
        for direction in ["PRECEDING", "FOLLOWING"] {
            if self.accept(direction) {
                return Ok(format!("{count} {direction}"));
            }
        }
        Err(self.error())
    }
}
