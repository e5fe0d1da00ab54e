//! What a server contains, in a form that can be compared.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, bail};

use crate::client::{feed, quote_name, quote_text};
use crate::{Result, Server};

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

/// Reads the whole server. The caller keeps it quiet meanwhile.
pub fn snapshot(server: &Server) -> Result<Snapshot> {
    let gtid_executed = server.query_value("SELECT @@GLOBAL.gtid_executed")?;
    Ok(Snapshot {
        tables: tables(server)?,
        objects: objects(server)?,
        gtid_executed: gtid_executed.replace(['\n', ' '], ""),
    })
}

const SYSTEM: &str = "('mysql', 'information_schema', 'performance_schema', 'sys')";

fn tables(server: &Server) -> Result<BTreeMap<String, Table>> {
    let rows = server.sql_rows(&format!(
        "SELECT table_schema, table_name FROM information_schema.tables \
         WHERE table_type = 'BASE TABLE' AND table_schema NOT IN {SYSTEM} ORDER BY 1, 2"
    ))?;
    let names: Vec<String> = rows
        .iter()
        .filter_map(|row| match row.as_slice() {
            [schema, table] => Some(format!("{}.{}", quote_name(schema), quote_name(table))),
            _ => None,
        })
        .collect();
    // One client for all of them. Each statement's answer is led by a line of its own, because a
    // table with a discarded tablespace answers nothing.
    let mut script = String::new();
    for name in &names {
        for (what, statement) in [
            ("count", format!("SELECT COUNT(*) FROM {name}")),
            ("checksum", format!("CHECKSUM TABLE {name} EXTENDED")),
            ("definition", format!("SHOW CREATE TABLE {name}")),
        ] {
            let _ = writeln!(
                script,
                "SELECT {}, {}; {statement};",
                quote_text(MARK),
                quote_text(what)
            );
        }
    }
    let mut command = server.client().batch();
    command.arg("--force");
    let output = feed(command, &script)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if let Some(error) = errors.lines().find(|line| !line.contains(DISCARDED)) {
        bail!("snapshot: {error}");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&names, &text).context("snapshot: the client's output")
}

/// Begins a line that leads an answer; no value of the answers begins so.
const MARK: &str = "~answer~";

/// ER_TABLESPACE_DISCARDED
const DISCARDED: &str = "ERROR 1814 ";

fn parse(names: &[String], text: &str) -> Result<BTreeMap<String, Table>> {
    let mut answers: Vec<Option<&str>> = Vec::with_capacity(names.len() * 3);
    for line in text.lines() {
        if line.starts_with(MARK) {
            answers.push(None);
        } else if let Some(last) = answers.last_mut() {
            *last = Some(line);
        }
    }
    if answers.len() != names.len() * 3 {
        bail!("{} answers for {} tables", answers.len(), names.len());
    }
    let mut tables = BTreeMap::new();
    for (name, answers) in names.iter().zip(answers.chunks(3)) {
        let last_field = |answer: Option<&str>| Some(answer?.rsplit('\t').next()?.to_owned());
        let number = |answer| last_field(answer).and_then(|text| text.parse().ok());
        let definition =
            last_field(answers[2]).with_context(|| format!("no definition of {name}"))?;
        let definition = without_trailing_slashes(&definition.replace("\\n", "\n"));
        let (definition, auto_increment) = split_auto_increment(&definition);
        let rows = number(answers[0]);
        let table = Table {
            rows,
            // Of a discarded table the server says 0.
            checksum: rows.and(number(answers[1])),
            definition,
            auto_increment,
        };
        tables.insert(name.clone(), table);
    }
    Ok(tables)
}

fn split_auto_increment(definition: &str) -> (String, Option<u64>) {
    const WORD: &str = " AUTO_INCREMENT=";
    let options = definition.rfind("\n) ").unwrap_or(0);
    let Some(at) = definition[options..]
        .find(WORD)
        .map(|found| options + found)
    else {
        return (definition.to_owned(), None);
    };
    let digits = &definition[at + WORD.len()..];
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    (
        format!("{}{}", &definition[..at], &digits[end..]),
        digits[..end].parse().ok(),
    )
}

/// A partition's DATA DIRECTORY is shown with a slash at its end until the table is opened anew.
fn without_trailing_slashes(definition: &str) -> String {
    let mut parts = definition.split("DATA DIRECTORY");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("DATA DIRECTORY");
        let end = part
            .find('\'')
            .and_then(|start| Some(start + 1 + part[start + 1..].find('\'')?));
        let (value, rest) = part.split_at(end.unwrap_or(0));
        text.push_str(value.trim_end_matches('/'));
        text.push_str(rest);
    }
    text
}

/// Each query gives name and definition. `SHOW CREATE` would need one statement per object; these
/// columns hold the same.
fn objects(server: &Server) -> Result<BTreeMap<String, String>> {
    let user = |column: &str| format!("{column} NOT IN {SYSTEM}");
    let queries = [
        format!(
            "SELECT 'schema', schema_name, CONCAT_WS(' ', default_character_set_name, default_collation_name, \
             default_encryption) FROM information_schema.schemata WHERE {}",
            user("schema_name")
        ),
        format!(
            "SELECT 'view', CONCAT(table_schema, '.', table_name), view_definition \
             FROM information_schema.views WHERE {}",
            user("table_schema")
        ),
        format!(
            "SELECT 'trigger', CONCAT(trigger_schema, '.', trigger_name), CONCAT_WS(' ', action_timing, \
             event_manipulation, event_object_table, action_order, action_statement) \
             FROM information_schema.triggers WHERE {}",
            user("trigger_schema")
        ),
        format!(
            "SELECT 'routine', CONCAT(routine_schema, '.', routine_name), CONCAT_WS(' ', routine_type, \
             dtd_identifier, routine_definition) FROM information_schema.routines WHERE {}",
            user("routine_schema")
        ),
        format!(
            "SELECT 'event', CONCAT(event_schema, '.', event_name), CONCAT_WS(' ', status, execute_at, \
             interval_value, interval_field, event_definition) FROM information_schema.events WHERE {}",
            user("event_schema")
        ),
        "SELECT 'account', CONCAT(user, '@', host), CONCAT_WS(' ', plugin, SHA2(authentication_string, 256)) \
         FROM mysql.user"
            .to_owned(),
        "SELECT 'tablespace', name, CONCAT_WS(' ', row_format, page_size, zip_page_size, encryption) \
         FROM information_schema.innodb_tablespaces WHERE space_type = 'General' AND name <> 'mysql'"
            .to_owned(),
        "SELECT 'undo tablespace', name, '' FROM information_schema.innodb_tablespaces \
         WHERE space_type = 'Undo'"
            .to_owned(),
    ];
    let mut objects = BTreeMap::new();
    for row in server.sql_rows(&queries.join(";\n"))? {
        let [kind, name, definition] = row.as_slice() else {
            bail!("snapshot: unexpected row {row:?}");
        };
        objects.insert(format!("{kind} {name}"), definition.clone());
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_increment_is_taken_out_of_the_options_only() {
        let text = "CREATE TABLE `t` (\n  `a` text COMMENT ' AUTO_INCREMENT=1'\n) ENGINE=InnoDB AUTO_INCREMENT=10 X";
        let (definition, number) = split_auto_increment(text);
        assert_eq!(number, Some(10));
        assert!(definition.ends_with(") ENGINE=InnoDB X") && definition.contains("=1'"));
    }

    #[test]
    fn data_directories_are_compared_without_trailing_slash() {
        let text = "a DATA DIRECTORY = '/x/y/' b, DATA DIRECTORY='/z' c/'d/'";
        let expected = "a DATA DIRECTORY = '/x/y' b, DATA DIRECTORY='/z' c/'d/'";
        assert_eq!(without_trailing_slashes(text), expected);
        assert_eq!(without_trailing_slashes("a/'"), "a/'");
    }

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
