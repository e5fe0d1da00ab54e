//! Reading what a server contains.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, bail};

use super::{Snapshot, Table};
use crate::client::{feed, quote_name, quote_text};
use crate::{Result, Server};

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
}
