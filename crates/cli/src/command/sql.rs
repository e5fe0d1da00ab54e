//! `innoclone sql`: statements of CLONE and queries on the history, once.

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use sql::{Answer as Told, Identity, ResultSet, Service, ServiceOptions, Session};

use super::RowArgs;
use crate::answer::{self, Answer, Ending};
use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::job::given_or;
use crate::monitor::Show;
use crate::settings::Settings;
use crate::signals;
use crate::table::{Cell, Table};

/// Arguments of `sql`.
#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// Statements, separated by semicolons. A last one that ends in \G is answered vertically.
    #[arg(short = 'e', long, value_name = "STATEMENT")]
    execute: String,
    #[command(flatten)]
    rows: RowArgs,
    /// The server's data directory, where it is not where the server says.
    #[arg(long, value_name = "DIR")]
    datadir: Option<std::path::PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// The answer to a statement, for `--json`.
#[derive(Debug, Serialize)]
struct Outcome {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    warnings: u16,
}

impl SqlArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        let datadir = given_or(self.datadir.clone(), &settings.options, "datadir")?;
        let local = self.connection.resolve(&settings.options)?;
        let identity = Identity::local(&local.user);
        let service = Service::open(ServiceOptions {
            local,
            datadir,
            state_dir: settings.state_dir()?,
        })?;
        let cancelled = signals::cancel_flag().map_err(|source| Failure::System {
            action: "handle signals",
            source,
        })?;
        let mut session = Session::alone(&service, identity, cancelled);
        let (text, vertical) = self.text();
        let mut results = Vec::new();
        session.execute_all(text, |told| {
            if settings.show == Show::Fields {
                results.push(Outcome::from(told));
                return Ok(());
            }
            answer::tell(&shown(told, vertical))
        })?;
        for (code, text) in session.warnings() {
            tracing::warn!(code, "{text}");
        }
        Answer::new("sql", &results, String::new(), Ending::Told)
    }

    /// The statements, and whether their answers are to be shown vertically.
    fn text(&self) -> (&str, bool) {
        let text = self.execute.trim_end_matches([' ', '\n', '\t', ';']);
        match text.strip_suffix("\\G") {
            Some(text) => (text, true),
            None => (
                text.strip_suffix("\\g").unwrap_or(text),
                self.rows.is_vertical(),
            ),
        }
    }
}

impl From<Told> for Outcome {
    fn from(told: Told) -> Self {
        let ResultSet {
            columns,
            rows,
            warnings,
        } = match told {
            Told::Rows(rows) => rows,
            Told::Done { warnings } => ResultSet {
                warnings,
                ..ResultSet::default()
            },
        };
        let is_number: Vec<bool> = columns
            .iter()
            .map(|column| column.kind.is_number())
            .collect();
        let value = |(text, is_number): (Option<String>, &bool)| match text {
            None => Value::Null,
            Some(text) if *is_number => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            Some(text) => Value::String(text),
        };
        let row = |row: Vec<Option<String>>| row.into_iter().zip(&is_number).map(value).collect();
        Self {
            rows: rows.into_iter().map(row).collect(),
            columns: columns.into_iter().map(|column| column.name).collect(),
            warnings,
        }
    }
}

/// As MySQL's client shows it.
fn shown(told: Told, vertical: bool) -> String {
    let set = match told {
        Told::Done { .. } => return "Query OK, 0 rows affected\n".to_owned(),
        Told::Rows(set) if set.rows.is_empty() => return "Empty set\n".to_owned(),
        Told::Rows(set) => set,
    };
    let is_number: Vec<bool> = set
        .columns
        .iter()
        .map(|column| column.kind.is_number())
        .collect();
    let cell = |(text, is_number): (Option<String>, &bool)| match text {
        None => Cell::Null,
        Some(text) if *is_number => Cell::Number(text),
        Some(text) => Cell::Text(text),
    };
    let row = |row: Vec<Option<String>>| row.into_iter().zip(&is_number).map(cell).collect();
    let table = Table {
        columns: set.columns.into_iter().map(|column| column.name).collect(),
        rows: set.rows.into_iter().map(row).collect(),
    };
    if vertical {
        table.vertical()
    } else {
        table.aligned()
    }
}
