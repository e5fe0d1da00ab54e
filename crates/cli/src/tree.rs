//! A serialised value with its fields in their order, for rendering to people.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::table::{Cell, Table};

/// What a value serialises to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Null,
    Text(String),
    Number(String),
    List(Vec<Tree>),
    Fields(Vec<(String, Tree)>),
}

impl Tree {
    /// What `value` serialises to.
    pub(crate) fn of(value: &impl Serialize) -> serde_json::Result<Self> {
        serde_json::from_str(&serde_json::to_string(value)?)
    }

    /// One `name: value` a line, the fields of fields among them. Empty values are left out.
    pub(crate) fn lines(&self) -> String {
        let mut lines = Vec::new();
        self.collect("", &mut lines);
        let names = lines.iter().map(|(name, _)| name.chars().count());
        let width = names.max().unwrap_or(0) + 2;
        let mut text = String::new();
        for (name, value) in lines {
            let name = format!("{name}:");
            let _ = writeln!(text, "{name:width$}{value}");
        }
        text
    }

    /// Rows of fields as a table; the first row names the columns.
    pub(crate) fn table(&self) -> Table {
        let Self::List(rows) = self else {
            return Table::default();
        };
        let fields = |row: &Tree| match row {
            Self::Fields(fields) => fields.clone(),
            _ => Vec::new(),
        };
        let names = rows.first().map(fields).unwrap_or_default();
        let columns = names.into_iter().map(|(name, _)| name).collect();
        let row = |row| -> Vec<Cell> {
            let values = fields(row).into_iter();
            values.map(|(_, value)| value.cell()).collect()
        };
        Table {
            columns,
            rows: rows.iter().map(row).collect(),
        }
    }

    fn cell(&self) -> Cell {
        match self {
            Self::Null => Cell::Null,
            Self::Number(text) => Cell::Number(text.clone()),
            other => Cell::Text(other.inline()),
        }
    }

    fn collect(&self, name: &str, lines: &mut Vec<(String, String)>) {
        match self {
            Self::Fields(fields) => {
                for (field, value) in fields {
                    let field = field.replace('_', " ");
                    let full = if name.is_empty() {
                        field
                    } else {
                        format!("{name} {field}")
                    };
                    value.collect(&full, lines);
                }
            }
            other => {
                let text = other.inline();
                if !text.is_empty() {
                    lines.push((name.to_owned(), text));
                }
            }
        }
    }

    fn inline(&self) -> String {
        match self {
            Self::Null => String::new(),
            // A GTID set has a line break after each comma.
            Self::Text(text) | Self::Number(text) => text.replace('\n', ""),
            Self::List(all) => {
                let all: Vec<String> = all.iter().map(Self::inline).collect();
                all.join(", ")
            }
            Self::Fields(fields) => {
                let each = fields.iter();
                let all: Vec<String> = each
                    .map(|(name, value)| format!("{name}={}", value.inline()))
                    .collect();
                all.join(" ")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Text(if value { "yes" } else { "no" }.to_owned()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(format!("{value:.3}")))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = seq.next_element()? {
            all.push(value);
        }
        Ok(Tree::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(field) = map.next_entry()? {
            all.push(field);
        }
        Ok(Tree::Fields(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Report {
        set_id: &'static str,
        lsn: Lsns,
        chain: Vec<u8>,
        nothing: Option<u8>,
        empty: &'static str,
        seconds: f64,
    }

    #[derive(Serialize)]
    struct Lsns {
        start: u64,
        page_track: i64,
    }

    #[test]
    fn fields_keep_their_order_and_empty_ones_are_left_out() {
        let report = Report {
            set_id: "a,\nb",
            lsn: Lsns {
                start: 5,
                page_track: -1,
            },
            chain: vec![1, 2],
            nothing: None,
            empty: "",
            seconds: 0.5,
        };
        let expected = "\
set id:         a,b
lsn start:      5
lsn page track: -1
chain:          1, 2
seconds:        0.500
";
        assert_eq!(Tree::of(&report).unwrap().lines(), expected);
    }

    #[test]
    fn rows_become_a_table() {
        let rows = [Lsns {
            start: 5,
            page_track: 6,
        }];
        let table = Tree::of(&rows).unwrap().table();
        assert_eq!(table.columns, ["start", "page_track"]);
        assert_eq!(table.rows[0][1], Cell::Number("6".to_owned()));
        let none: [Lsns; 0] = [];
        assert_eq!(Tree::of(&none).unwrap().table(), Table::default());
    }
}
