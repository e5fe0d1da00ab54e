//! What a server contains, in a form that can be compared.

mod taking;

use std::collections::BTreeMap;
use std::fmt::Write;

pub use taking::snapshot;

/// Everything a user could tell two servers apart by. Made by [`snapshot`], compared by
/// [`assert_same`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// By `` `schema`.`table` ``: every table of the user's schemas.
    pub tables: BTreeMap<String, Table>,
    /// Other objects by kind and name with their definition: schemas, views, triggers, routines,
    /// events, accounts, general and undo tablespaces.
    pub objects: BTreeMap<String, String>,
    /// `gtid_executed` on one line.
    pub gtid_executed: String,
}

/// One table of a [`Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `CHECKSUM TABLE … EXTENDED`; `None` when the table cannot be read because its tablespace is
    /// discarded.
    pub checksum: Option<u64>,
    /// Number of rows; `None` as above.
    pub rows: Option<u64>,
    /// `SHOW CREATE TABLE` without the auto-increment counter.
    pub definition: String,
    /// The auto-increment counter that `SHOW CREATE TABLE` shows. A statement that inserts many
    /// rows reserves more numbers than it uses, and a crash forgets those: for the counters to be
    /// comparable, write such ids explicitly.
    pub auto_increment: Option<u64>,
}

impl Snapshot {
    /// The same without auto-increment counters: a replayed binary log does not repeat the numbers
    /// that rolled back transactions have used up.
    #[must_use]
    pub fn ignoring_auto_increment(mut self) -> Self {
        self.tables
            .values_mut()
            .for_each(|table| table.auto_increment = None);
        self
    }

    /// The same without objects of a kind (`undo tablespace`, `account`, …).
    #[must_use]
    pub fn ignoring_objects(mut self, kind: &str) -> Self {
        self.objects
            .retain(|name, _| !name.starts_with(&format!("{kind} ")));
        self
    }

    /// One line per difference; empty when equal.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        compare(
            &mut found,
            &self.tables,
            &other.tables,
            |found, name, left, right| {
                let mut field = |what: &str, left: String, right: String| {
                    if left != right {
                        found.push(format!("table {name}: {what}: {left} | {right}"));
                    }
                };
                field(
                    "rows",
                    format!("{:?}", left.rows),
                    format!("{:?}", right.rows),
                );
                field(
                    "checksum",
                    format!("{:?}", left.checksum),
                    format!("{:?}", right.checksum),
                );
                field(
                    "auto_increment",
                    format!("{:?}", left.auto_increment),
                    format!("{:?}", right.auto_increment),
                );
                field(
                    "definition",
                    left.definition.clone(),
                    right.definition.clone(),
                );
            },
        );
        compare(
            &mut found,
            &self.objects,
            &other.objects,
            |found, name, left, right| {
                if left != right {
                    found.push(format!("{name}: {left} | {right}"));
                }
            },
        );
        if self.gtid_executed != other.gtid_executed {
            found.push(format!(
                "gtid_executed: {} | {}",
                self.gtid_executed, other.gtid_executed
            ));
        }
        found
    }
}

fn compare<V>(
    found: &mut Vec<String>,
    left: &BTreeMap<String, V>,
    right: &BTreeMap<String, V>,
    mut both: impl FnMut(&mut Vec<String>, &str, &V, &V),
) {
    for (name, value) in left {
        match right.get(name) {
            Some(other) => both(found, name, value, other),
            None => found.push(format!("{name}: only on the left")),
        }
    }
    let missing = right.keys().filter(|name| !left.contains_key(*name));
    found.extend(missing.map(|name| format!("{name}: only on the right")));
}

/// Panics with a readable list when two snapshots differ.
#[track_caller]
pub fn assert_same(left: &Snapshot, right: &Snapshot) {
    const SHOWN: usize = 40;
    let differences = left.differences(right);
    if differences.is_empty() {
        return;
    }
    let mut text = format!("{} differences (left | right):\n", differences.len());
    for line in differences.iter().take(SHOWN) {
        let _ = writeln!(text, "  {line}");
    }
    if differences.len() > SHOWN {
        text.push_str("  …\n");
    }
    panic!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_named() {
        let table = Table {
            checksum: Some(1),
            rows: Some(1),
            definition: String::new(),
            auto_increment: None,
        };
        let one = Snapshot {
            tables: [
                ("`s`.`t`".to_owned(), table.clone()),
                ("`s`.`u`".to_owned(), table.clone()),
            ]
            .into(),
            objects: [("view s.v".to_owned(), "a".to_owned())].into(),
            gtid_executed: "x:1".to_owned(),
        };
        let mut two = one.clone();
        assert_same(&one, &two);
        two.tables.insert(
            "`s`.`t`".to_owned(),
            Table {
                rows: Some(2),
                ..table
            },
        );
        two.tables.remove("`s`.`u`");
        two.objects.insert("view s.v".to_owned(), "b".to_owned());
        two.gtid_executed.clear();
        assert_eq!(one.differences(&two).len(), 4);
    }
}
