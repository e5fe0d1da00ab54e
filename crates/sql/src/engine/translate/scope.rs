//! What names mean at a place of a statement.

use super::super::Shape;
use super::kind::Kind;

/// Names and kinds of the columns of a table or query.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns(pub(super) Vec<(String, Kind)>);

impl Columns {
    pub(super) fn of(shape: Shape) -> Self {
        let column = |(name, kind): &(&str, &str)| ((*name).to_owned(), Kind::declared(kind));
        Self(shape.columns.iter().map(column).collect())
    }

    fn find(&self, name: &str) -> Option<Kind> {
        let found = self
            .0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, kind)| *kind)
    }
}

/// One select: its tables, and the names it gives to its items.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    tables: Vec<(String, Columns)>,
    aliases: Vec<(String, Kind)>,
    /// Columns with the same name are one: nobody here counts those of `*` then.
    pub(super) is_merged: bool,
    /// An aggregate function was called.
    pub(super) is_aggregate: bool,
}

impl Scope {
    pub(super) fn add(&mut self, name: String, columns: Columns) {
        self.tables.push((name, columns));
    }

    pub(super) fn name_item(&mut self, name: &str, kind: Kind) {
        self.aliases.push((name.to_owned(), kind));
    }

    /// The kind of a column of one of the tables.
    pub(super) fn column(&self, table: Option<&str>, name: &str) -> Option<Kind> {
        let of_table = |known: &str| table.is_none_or(|table| known.eq_ignore_ascii_case(table));
        let mut tables = self.tables.iter().filter(|(known, _)| of_table(known));
        tables.find_map(|(_, columns)| columns.find(name))
    }

    pub(super) fn alias(&self, name: &str) -> Option<Kind> {
        let found = self
            .aliases
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, kind)| *kind)
    }

    /// The columns of `*`, or of `table.*`; `None` where there is no such table.
    pub(super) fn all(&self, table: Option<&str>) -> Option<Vec<(String, Kind)>> {
        let of_table = |known: &str| table.is_none_or(|table| known.eq_ignore_ascii_case(table));
        let tables = self.tables.iter().filter(|(known, _)| of_table(known));
        let found: Vec<_> = tables.map(|(_, columns)| columns.0.clone()).collect();
        (!found.is_empty()).then(|| found.concat())
    }

    /// Only the names of the items: what `ORDER BY` behind a `UNION` sees.
    pub(super) fn of_items(items: &[(String, Kind)]) -> Self {
        Self {
            aliases: items.to_vec(),
            ..Self::default()
        }
    }
}
