//! `SHOW …` and `DESC …`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::types::Value;

use super::{forward, lists, query, values};
use crate::access::Privilege;
use crate::answer::{Answer, ResultSet};
use crate::engine::{SCHEMAS, condition, quoted_text};
use crate::error::{Result, SqlError};
use crate::parser::Parser;
use crate::session::Session;
use crate::statement::{Filter, List, Scope, Show, TableName};
use crate::tables::{self, Columns, Definition, catalog, text};

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
        Show::Listed {
            list,
            table,
            filter,
        } => shower.listed(*list, table.as_ref(), filter),
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
                "like_text(`{first}`, {}, '\\', 0)",
                quoted_text(pattern)
            )),
            Filter::Where { from } => Some(condition(
                self.parser,
                *from,
                query::shown(columns),
                self.session,
            )?),
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

    fn schema(&self, given: Option<&str>) -> Result<&'static str> {
        let schema = given.or(self.session.schema.as_deref());
        tables::schema(schema.ok_or_else(|| SqlError::new(1046, "No database selected"))?)
    }

    fn tables(&self, schema: Option<&str>, full: bool, filter: &Filter) -> Result<ResultSet> {
        let schema = self.schema(schema)?;
        let of_schema = |table: &&Definition| table.shape.schema == schema;
        let row = |table: &Definition| {
            let mut row = vec![text(table.shape.name)];
            if full {
                row.push(text(table.kind()));
            }
            row
        };
        let rows = tables::ALL.iter().filter(of_schema).map(row).collect();
        let columns: Columns = if full { TABLES_FULL } else { &TABLES_FULL[..1] };
        let mut result = self.filtered(columns, rows, filter)?;
        if let Some(column) = result.columns.first_mut() {
            column.name = format!("Tables_in_{schema}");
        }
        Ok(result)
    }

    fn table(&self, name: &TableName) -> Result<&'static Definition> {
        let default = self.session.schema.as_deref();
        let table = tables::meant(name.schema.as_deref(), default, &name.name)?;
        if table.shape.schema != "information_schema" {
            self.session
                .identity
                .require_on(Privilege::Select, table.shape.name)?;
        }
        Ok(table)
    }

    fn listed(&self, list: List, table: Option<&TableName>, filter: &Filter) -> Result<ResultSet> {
        let (columns, rows) = match list {
            List::TableStatus => {
                let schema = self.schema(table.and_then(|table| table.schema.as_deref()))?;
                lists::table_status(schema)
            }
            List::Indexes => {
                let Some(table) = table else {
                    return Err(self.parser.error());
                };
                lists::indexes(self.table(table)?)
            }
            List::CharacterSets => lists::character_sets(),
            List::Collations => lists::collations(),
            List::Engines => lists::engines(),
            List::Plugins => lists::plugins(),
        };
        self.filtered(columns, rows, filter)
    }

    fn create_table(&self, name: &TableName) -> Result<ResultSet> {
        let table = self.table(name)?;
        let mut result =
            ResultSet::with_columns(&[("Table", "varchar(64)"), ("Create Table", "varchar(1024)")]);
        result
            .rows
            .push(vec![Some(table.shape.name.to_owned()), Some(table.ddl())]);
        Ok(result)
    }

    fn columns(&self, name: &TableName, full: bool, filter: &Filter) -> Result<ResultSet> {
        let table = self.table(name)?;
        let row = |at: usize| {
            let column = table.described(at);
            let default = column.default.map_or(Value::Null, text);
            let [name, kind, null, key, extra] = [
                column.name,
                column.kind,
                column.null,
                column.key,
                column.extra,
            ]
            .map(text);
            if !full {
                return vec![name, kind, null, key, default, extra];
            }
            let is_text = ["char", "text"]
                .iter()
                .any(|word| column.kind.contains(word));
            let collation = if is_text {
                text(catalog::COLLATION)
            } else {
                Value::Null
            };
            let (privileges, comment) = (text("select"), text(""));
            vec![
                name, kind, collation, null, key, default, extra, privileges, comment,
            ]
        };
        let rows = (0..table.shape.columns.len()).map(row).collect();
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
