//! Sessions of clients that come over the MySQL protocol.

mod accounts;
mod config;

use std::sync::Arc;

use wire::server::{self, ColumnKind, Handler, Interruption, Refusal, Table, Value, Watch};

pub use accounts::EndpointAccounts;
pub use config::{Config, ConfigError, UserConfig, hashed};

use crate::access::{Identity, Privilege};
use crate::answer::{Answer, Column, ColumnType, ResultSet};
use crate::error::{Result, SqlError};
use crate::service::Service;
use crate::session::Session;

/// What answers the clients of a server.
#[derive(Debug)]
pub struct Clients(Arc<Service>);

impl Clients {
    /// Clients of this service.
    pub fn new(service: Arc<Service>) -> Self {
        Self(service)
    }
}

impl server::Handlers for Clients {
    fn handler(&self, client: &server::Session) -> Box<dyn Handler> {
        let identity = Identity {
            user: client.login.user.clone(),
            host: client.login.peer.to_string(),
            privileges: privileges(&client.grants),
        };
        let (id, connections) = (client.id, Arc::clone(&client.connections));
        let wake_up = move || {
            connections.kill(id);
        };
        Box::new(Client {
            session: Session::new(&self.0, id.into(), identity, wake_up)
                .over_tls(client.tls.clone()),
            watch: client.watch.clone(),
        })
    }
}

fn privileges(grants: &server::Grants) -> std::collections::BTreeSet<Privilege> {
    let implied = |privilege: Privilege| match privilege {
        Privilege::ConnectionAdmin
        | Privilege::ReplicationClient
        | Privilege::SystemVariablesAdmin => grants.has("SUPER"),
        _ => false,
    };
    let all = Privilege::ALL.into_iter();
    all.filter(|privilege| grants.has(privilege.name()) || implied(*privilege))
        .collect()
}

/// One client.
struct Client {
    session: Session,
    watch: Watch,
}

impl Handler for Client {
    /// A client that goes away in the middle of a statement cancels it.
    fn query(&mut self, sql: &str) -> server::Answer {
        let stopper = self.session.stopper();
        let session = &mut self.session;
        let interrupt = |why| match why {
            Interruption::QueryKilled => stopper.stop_statement(),
            Interruption::ConnectionKilled | Interruption::PeerGone => stopper.stop_session(),
        };
        let result = self.watch.during(interrupt, || session.execute(sql));
        told(result)
    }

    fn init_db(&mut self, name: &str) -> std::result::Result<(), Refusal> {
        self.session.use_schema(name).map_err(refusal)
    }

    fn statistics(&mut self) -> String {
        self.session.statistics()
    }

    fn reset(&mut self) {
        self.session.reset();
    }
}

fn told(result: Result<Answer>) -> server::Answer {
    match result {
        Ok(Answer::Done { warnings }) => server::Answer::Done {
            affected: 0,
            warnings,
            info: String::new(),
        },
        Ok(Answer::Rows(rows)) => server::Answer::Rows(table(rows)),
        Err(error) => server::Answer::Refused(refusal(error)),
    }
}

fn refusal(error: SqlError) -> Refusal {
    Refusal {
        code: error.code,
        sqlstate: error.sqlstate,
        message: error.message,
    }
}

fn table(set: ResultSet) -> Table {
    let kinds: Vec<ColumnType> = set.columns.iter().map(|column| column.kind).collect();
    let row = |row: Vec<Option<String>>| {
        let cells = row.into_iter().zip(&kinds);
        cells.map(|(text, kind)| value(text, *kind)).collect()
    };
    Table {
        rows: set.rows.into_iter().map(row).collect(),
        columns: set.columns.into_iter().map(column).collect(),
    }
}

fn column(column: Column) -> server::Column {
    let kind = match column.kind {
        ColumnType::Int => ColumnKind::Int,
        ColumnType::BigInt => ColumnKind::Integer,
        ColumnType::UnsignedBigInt => ColumnKind::Unsigned,
        ColumnType::Decimal(digits) => ColumnKind::Decimal(digits),
        ColumnType::Double => ColumnKind::Double,
        ColumnType::Char(size) => ColumnKind::Char(size),
        ColumnType::VarChar(size) => ColumnKind::VarChar(size),
        ColumnType::Timestamp(digits) => ColumnKind::Timestamp(digits),
        ColumnType::Text | ColumnType::Null => ColumnKind::Text,
    };
    server::Column::new(column.name, kind)
}

/// The prepared statements of a client get their values in binary, by type.
fn value(text: Option<String>, kind: ColumnType) -> Value {
    let Some(text) = text else {
        return Value::Null;
    };
    let number = match kind {
        ColumnType::Int | ColumnType::BigInt => text.parse().ok().map(Value::Integer),
        ColumnType::UnsignedBigInt => text.parse().ok().map(Value::Unsigned),
        ColumnType::Double => text.parse().ok().map(Value::Double),
        _ => None,
    };
    number.unwrap_or(Value::Text(text))
}
