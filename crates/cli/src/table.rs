//! Rows as text: aligned under their column names, or one value a line.

use std::fmt::Write as _;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Shown as `NULL`.
    Null,
    /// Aligned to the left.
    Text(String),
    /// Aligned to the right.
    Number(String),
}

impl Cell {
    /// On one line whatever it holds: a GTID set has line breaks.
    fn shown(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Text(text) | Self::Number(text) => text
                .chars()
                .filter(|character| *character != '\n')
                .map(|character| {
                    if character.is_control() {
                        ' '
                    } else {
                        character
                    }
                })
                .collect(),
        }
    }
}

/// Column names, and rows of as many values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// As MySQL's client draws a result.
    pub(crate) fn aligned(&self) -> String {
        let names = self.columns.iter().map(|name| Cell::Text(name.clone()));
        let names: Vec<Cell> = names.collect();
        let all = || std::iter::once(&names).chain(&self.rows);
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|at| {
                let cells = all().filter_map(|row| row.get(at));
                cells.map(|cell| width(&cell.shown())).max().unwrap_or(0)
            })
            .collect();
        let mut rule = "+".to_owned();
        for width in &widths {
            rule.push_str(&"-".repeat(width + 2));
            rule.push('+');
        }
        let mut text = format!("{rule}\n");
        for (at, row) in all().enumerate() {
            text.push('|');
            for (cell, width) in row.iter().zip(&widths) {
                push_cell(&mut text, cell, *width);
            }
            text.push('\n');
            if at == 0 {
                text.push_str(&rule);
                text.push('\n');
            }
        }
        text.push_str(&rule);
        text.push('\n');
        text
    }

    /// As MySQL's client answers a statement that ends in `\G`.
    pub(crate) fn vertical(&self) -> String {
        let names = self.columns.iter().map(|name| width(name));
        let indent = names.max().unwrap_or(0);
        let mut text = String::new();
        for (at, row) in (1..).zip(&self.rows) {
            let stars = "*".repeat(27);
            let _ = writeln!(text, "{stars} {at}. row {stars}");
            for (name, cell) in self.columns.iter().zip(row) {
                let _ = writeln!(text, "{name:>indent$}: {}", cell.shown());
            }
        }
        text
    }
}

fn push_cell(text: &mut String, cell: &Cell, width_wanted: usize) {
    let shown = cell.shown();
    let fill = " ".repeat(width_wanted.saturating_sub(width(&shown)));
    let _ = match cell {
        Cell::Number(_) => write!(text, " {fill}{shown} |"),
        Cell::Null | Cell::Text(_) => write!(text, " {shown}{fill} |"),
    };
}

/// Columns on a terminal: two for the characters of East Asian scripts, one for others.
fn width(text: &str) -> usize {
    let wide = |c: char| {
        matches!(c, '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7A3}'
            | '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE6F}' | '\u{FF00}'..='\u{FF60}'
            | '\u{FFE0}'..='\u{FFE6}' | '\u{20000}'..='\u{3FFFD}')
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let columns = ["ID", "DESTINATION", "END_TIME"]
            .map(str::to_owned)
            .to_vec();
        let row = |id: &str, dir: &str, end| {
            vec![Cell::Number(id.to_owned()), Cell::Text(dir.to_owned()), end]
        };
        let rows = vec![
            row("1", "/数据", Cell::Null),
            row("12", "/a\nb\tc", Cell::Text("now".to_owned())),
        ];
        Table { columns, rows }
    }

    #[test]
    fn rows_are_aligned_under_their_columns() {
        let expected = "\
+----+-------------+----------+
| ID | DESTINATION | END_TIME |
+----+-------------+----------+
|  1 | /数据       | NULL     |
| 12 | /ab c       | now      |
+----+-------------+----------+
";
        assert_eq!(table().aligned(), expected);
    }

    #[test]
    fn vertical_rows_have_a_value_a_line() {
        let mut table = table();
        table.rows.truncate(1);
        let stars = "*".repeat(27);
        let expected = format!(
            "{stars} 1. row {stars}\n         ID: 1\nDESTINATION: /数据\n   END_TIME: NULL\n"
        );
        assert_eq!(table.vertical(), expected);
    }
}
