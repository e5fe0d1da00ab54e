//! `SHOW …` and `DESC …`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::types::Value;

use super::{forward, query, values};
use crate::access::Privilege;
use crate::answer::{Answer, ResultSet};
use crate::engine::{SCHEMAS, condition, quoted_text};
use crate::error::{Result, SqlError};
use crate::parser::Parser;
use crate::session::Session;
use crate::statement::{Filter, Scope, Show, TableName};
use crate::tables::{self, Columns, Definition, text};

/// Runs one `SHOW`.
pub(super) fn show(
    session: &Session,
    parser: &Parser<'_>,
    show: &Show,
    cancelled: &Arc<AtomicBool>,
) -> Result<Answer> {
    let shower = Shower {
        session,
        parser,
        cancelled,
    };
    let result = match show {
        Show::Variables { scope, filter } => {
            let rows = values::all(session, *scope == Scope::Global);
            shower.filtered(NAME_VALUE, rows, filter)
        }
        Show::Status { filter } => {
            let mut rows = tls_status(session);
            // What the session knows itself is not asked of the instance.
            let is_own = matches!(filter, Filter::Like(pattern)
                if pattern.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("ssl")));
            if !is_own {
                rows.extend(forward::status(session, cancelled)?);
            }
            shower.filtered(NAME_VALUE, rows, filter)
        }
        Show::ProcessList { full } => shower.processes(*full),
        Show::BinaryLogStatus => forward::binary_log_status(session, cancelled),
        Show::BinaryLogs => forward::binary_logs(session, cancelled),
        Show::Warnings { errors_only, count } => Ok(warnings(session, *errors_only, *count)),
        Show::Databases { filter } => {
            let rows = SCHEMAS.map(|schema| vec![text(schema)]).to_vec();
            shower.filtered(&[("Database", "varchar(64)")], rows, filter)
        }
        Show::Tables {
            schema,
            full,
            filter,
        } => shower.tables(schema.as_deref(), *full, filter),
        Show::CreateTable(table) => shower.create_table(table),
        Show::Columns {
            table,
            full,
            filter,
        } => shower.columns(table, *full, filter),
        Show::Grants => {
            let mut result = ResultSet::with_columns(&[("Grants", "varchar(1024)")]);
            result.columns[0].name = format!("Grants for {}@%", session.identity.user);
            result.rows.push(vec![Some(session.identity.grants())]);
            Ok(result)
        }
    };
    result.map(Answer::Rows)
}

struct Shower<'a> {
    session: &'a Session,
    parser: &'a Parser<'a>,
    cancelled: &'a Arc<AtomicBool>,
}

impl Shower<'_> {
    /// The rows that pass; `LIKE` is about the first column.
    fn filtered(
        &self,
        columns: Columns,
        rows: Vec<Vec<Value>>,
        filter: &Filter,
    ) -> Result<ResultSet> {
        let first = columns.first().map_or("", |(name, _)| name);
        let condition = match filter {
            Filter::None => None,
            Filter::Like(pattern) => Some(format!(
                "`{first}` LIKE {} ESCAPE '\\'",
                quoted_text(pattern)
            )),
            Filter::Where { from } => Some(condition(self.parser, *from, self.session)?),
        };
        query::filtered(
            self.session,
            columns,
            rows,
            condition.as_deref(),
            self.cancelled,
        )
    }

    /// Statements are cut to 100 characters unless all of them is asked for.
    fn processes(&self, full: bool) -> Result<ResultSet> {
        let mut rows = query::processes(self.session);
        if !full {
            for row in &mut rows {
                if let Some(Value::Text(info)) = row.last_mut() {
                    *info = info.chars().take(100).collect();
                }
            }
        }
        self.filtered(SHOW_PROCESSLIST, rows, &Filter::None)
    }

    fn schema<'a>(&'a self, given: Option<&'a str>) -> Result<&'a str> {
        let schema = given.or(self.session.schema.as_deref());
        let schema = schema.ok_or_else(|| SqlError::new(1046, "No database selected"))?;
        if SCHEMAS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(schema))
        {
            return Ok(schema);
        }
        Err(SqlError::new(1049, format!("Unknown database '{schema}'")))
    }

    fn tables(&self, schema: Option<&str>, full: bool, filter: &Filter) -> Result<ResultSet> {
        let schema = self.schema(schema)?;
        let of_schema = |table: &&Definition| table.schema.eq_ignore_ascii_case(schema);
        let row = |table: &Definition| {
            let mut row = vec![text(table.name)];
            if full {
                row.push(text(table.kind()));
            }
            row
        };
        let rows = tables::ALL.iter().filter(of_schema).map(row).collect();
        let columns: Columns = if full { TABLES_FULL } else { &TABLES_FULL[..1] };
        let mut result = self.filtered(columns, rows, filter)?;
        if let Some(column) = result.columns.first_mut() {
            column.name = format!("Tables_in_{}", schema.to_ascii_lowercase());
        }
        Ok(result)
    }

    fn table(&self, name: &TableName) -> Result<&'static Definition> {
        let schema = self.schema(name.schema.as_deref())?;
        let table = tables::find(schema, &name.name)?;
        if table.schema != "information_schema" {
            self.session
                .identity
                .require_on(Privilege::Select, table.name)?;
        }
        Ok(table)
    }

    fn create_table(&self, name: &TableName) -> Result<ResultSet> {
        let table = self.table(name)?;
        let mut result =
            ResultSet::with_columns(&[("Table", "varchar(64)"), ("Create Table", "varchar(1024)")]);
        result
            .rows
            .push(vec![Some(table.name.to_owned()), Some(table.ddl())]);
        Ok(result)
    }

    fn columns(&self, name: &TableName, full: bool, filter: &Filter) -> Result<ResultSet> {
        let table = self.table(name)?;
        let is_history = table.content == tables::Content::History;
        let row = |(name, kind): &(&str, &str)| {
            let is_key = is_history && *name == "ID";
            let is_text = kind.contains("char");
            let default = match *name {
                "PID" if is_history => text("0"),
                _ => Value::Null,
            };
            let null = text(if is_key { "NO" } else { "YES" });
            let key = text(if is_key { "PRI" } else { "" });
            let extra = text(if is_key { "auto_increment" } else { "" });
            if !full {
                return vec![text(name), text(kind), null, key, default, extra];
            }
            let collation = if is_text {
                text("utf8mb4_0900_ai_ci")
            } else {
                Value::Null
            };
            let (privileges, comment) = (text("select"), text(""));
            vec![
                text(name),
                text(kind),
                collation,
                null,
                key,
                default,
                extra,
                privileges,
                comment,
            ]
        };
        let rows = table.columns.iter().map(row).collect();
        self.filtered(if full { COLUMNS_FULL } else { COLUMNS }, rows, filter)
    }
}

/// `Ssl_cipher` and `Ssl_version`, empty without TLS.
fn tls_status(session: &Session) -> Vec<Vec<Value>> {
    let (version, cipher) = session
        .tls
        .as_ref()
        .map_or(("", ""), |(version, cipher)| (*version, cipher.as_str()));
    vec![
        vec![text("Ssl_cipher"), text(cipher)],
        vec![text("Ssl_version"), text(version)],
    ]
}

fn warnings(session: &Session, errors_only: bool, count: bool) -> ResultSet {
    let wanted = session.messages.iter();
    let wanted = wanted.filter(|message| !errors_only || message.level == "Error");
    if count {
        let name = if errors_only {
            "@@session.error_count"
        } else {
            "@@session.warning_count"
        };
        let mut result = ResultSet::with_columns(&[(name, "bigint")]);
        result.rows.push(vec![Some(wanted.count().to_string())]);
        return result;
    }
    let mut result = ResultSet::with_columns(&[
        ("Level", "varchar(7)"),
        ("Code", "int"),
        ("Message", "varchar(512)"),
    ]);
    for message in wanted {
        let code = message.code.to_string();
        let row = [message.level.to_owned(), code, message.text.clone()];
        result.rows.push(row.map(Some).to_vec());
    }
    result
}

const NAME_VALUE: Columns = &[("Variable_name", "varchar(64)"), ("Value", "varchar(1024)")];

const SHOW_PROCESSLIST: Columns = &[
    ("Id", "bigint unsigned"),
    ("User", "varchar(32)"),
    ("Host", "varchar(261)"),
    ("db", "varchar(64)"),
    ("Command", "varchar(16)"),
    ("Time", "int"),
    ("State", "varchar(64)"),
    ("Info", "varchar(65535)"),
];

const TABLES_FULL: Columns = &[("Tables", "varchar(64)"), ("Table_type", "varchar(64)")];

const COLUMNS: Columns = &[
    ("Field", "varchar(64)"),
    ("Type", "text"),
    ("Null", "varchar(3)"),
    ("Key", "varchar(3)"),
    ("Default", "text"),
    ("Extra", "varchar(256)"),
];

const COLUMNS_FULL: Columns = &[
    ("Field", "varchar(64)"),
    ("Type", "text"),
    ("Collation", "varchar(64)"),
    ("Null", "varchar(3)"),
    ("Key", "varchar(3)"),
    ("Default", "text"),
    ("Extra", "varchar(256)"),
    ("Privileges", "varchar(154)"),
    ("Comment", "text"),
];
