//! Comparisons, and the tests `IS`, `IN`, `BETWEEN`, `LIKE` and `REGEXP`.

use super::Translator;
use super::expression::truth;
use super::kind::Kind;
use super::operand::{Operand, comparable, quoted_text};
use crate::error::{Result, SqlError};

impl Translator<'_> {
    pub(super) fn comparison(&mut self) -> Result<Operand> {
        let mut left = self.predicate()?;
        loop {
            if self.accept("IS") {
                left = self.is_test(&left)?;
                continue;
            }
            let Some(operator) = self.operator() else {
                return Ok(left);
            };
            if self.is_one_of(&["ANY", "SOME", "ALL"]) && self.is_symbol(1, "(") {
                left = self.quantified(&left, operator)?;
                continue;
            }
            let right = self.predicate()?;
            left = compared(&left, operator, &right);
        }
    }

    fn operator(&mut self) -> Option<&'static str> {
        for (written, operator) in [
            ("<=>", "IS"),
            ("=", "="),
            ("<>", "<>"),
            ("!=", "<>"),
            ("<=", "<="),
            (">=", ">="),
            ("<", "<"),
            (">", ">"),
        ] {
            if self.accept_symbol(written) {
                return Some(operator);
            }
        }
        None
    }

    /// `IS [NOT] NULL | TRUE | FALSE | UNKNOWN`.
    fn is_test(&mut self, left: &Operand) -> Result<Operand> {
        let not = if self.accept("NOT") { " NOT" } else { "" };
        let sql = if self.accept("NULL") || self.accept("UNKNOWN") {
            format!("({} IS{not} NULL)", left.sql)
        } else if self.accept("TRUE") {
            format!("({} IS{not} TRUE)", truth(left))
        } else if self.accept("FALSE") {
            format!("({} IS{not} FALSE)", truth(left))
        } else {
            return Err(self.error());
        };
        Ok(Operand::new(sql, Kind::Int))
    }

    /// `= ANY (…)` and `<> ALL (…)` are `IN` and `NOT IN`.
    fn quantified(&mut self, left: &Operand, operator: &str) -> Result<Operand> {
        let is_all = self.is_word(0, "ALL");
        let not = match (operator, is_all) {
            ("=", false) => "",
            ("<>", true) => "NOT ",
            _ => {
                let word = if is_all { "ALL" } else { "ANY" };
                return Err(SqlError::unsupported(&format!("{operator} {word}")));
            }
        };
        self.at += 1;
        self.membership(left, not)
    }

    fn predicate(&mut self) -> Result<Operand> {
        let left = self.bits()?;
        let not = if self.accept("NOT") { "NOT " } else { "" };
        if self.accept("IN") {
            return self.membership(&left, not);
        }
        if self.accept("BETWEEN") {
            let least = self.bits()?;
            self.expect("AND")?;
            let most = self.predicate()?;
            let (low, high) = (compared(&left, ">=", &least), compared(&left, "<=", &most));
            let sql = format!("({not}({} AND {}))", low.sql, high.sql);
            return Ok(Operand::new(sql, Kind::Int));
        }
        if self.accept("LIKE") {
            return self.like(&left, not);
        }
        if self.accept("REGEXP") || self.accept("RLIKE") {
            let pattern = self.bits()?;
            let sql = format!(
                "({not}regexp_like({}, {}, {}))",
                left.text(),
                pattern.text(),
                case_of(&left, &pattern)
            );
            return Ok(Operand::new(sql, Kind::Int));
        }
        if not.is_empty() {
            for word in ["SOUNDS", "MEMBER"] {
                if self.is_word(0, word) && (self.is_word(1, "LIKE") || self.is_word(1, "OF")) {
                    return Err(SqlError::unsupported(word));
                }
            }
            return Ok(left);
        }
        Err(self.error())
    }

    fn like(&mut self, left: &Operand, not: &str) -> Result<Operand> {
        let pattern = self.bits()?;
        let escape = if self.accept("ESCAPE") {
            self.bits()?.text()
        } else {
            quoted_text("\\")
        };
        let sql = format!(
            "({not}like_text({}, {}, {escape}, {}))",
            left.text(),
            pattern.text(),
            case_of(left, &pattern)
        );
        Ok(Operand::new(sql, Kind::Int))
    }

    /// Behind `IN`: a list or a query.
    fn membership(&mut self, left: &Operand, not: &str) -> Result<Operand> {
        if self.begins_query(0) && self.is_symbol(0, "(") {
            self.at += 1;
            let query = self.query()?;
            self.expect_symbol(")")?;
            if query.columns.len() > 1 {
                return Err(SqlError::new(1241, "Operand should contain 1 column(s)"));
            }
            let kind = query
                .columns
                .first()
                .map_or(Kind::Unknown, |(_, kind)| *kind);
            // One column stands for all of them.
            let any = Operand::new("", kind);
            let (left, _) = comparable(left, &any);
            return Ok(Operand::new(
                format!("({left} {not}IN ({}))", query.sql),
                Kind::Int,
            ));
        }
        self.expect_symbol("(")?;
        let mut pairs = Vec::new();
        loop {
            let item = self.expression()?;
            pairs.push(comparable(left, &item));
            if !self.accept_symbol(",") {
                break;
            }
        }
        self.expect_symbol(")")?;
        let first = &pairs[0].0;
        let sql = if pairs.iter().all(|(left, _)| left == first) {
            let items: Vec<&str> = pairs.iter().map(|(_, item)| item.as_str()).collect();
            format!("({first} {not}IN ({}))", items.join(", "))
        } else {
            let tests: Vec<String> = pairs.iter().map(|(a, b)| format!("{a} = {b}")).collect();
            format!("({not}({}))", tests.join(" OR "))
        };
        Ok(Operand::new(sql, Kind::Int))
    }
}

/// A comparison by the rules of the server.
pub(super) fn compared(left: &Operand, operator: &str, right: &Operand) -> Operand {
    let (a, b) = comparable(left, right);
    Operand::new(format!("({a} {operator} {b})"), Kind::Int)
}

/// 1 where cases are told apart.
fn case_of(left: &Operand, pattern: &Operand) -> u8 {
    u8::from(left.kind == Kind::Binary || pattern.kind == Kind::Binary)
}
