//! The face of an agent: a handler for connections of the MySQL protocol.

use super::AgentDonor;
use crate::Error;
use crate::agent::{Question, json};
use crate::serve::admission::{PRIVILEGE, take_over};
use std::sync::Arc;
use wire::server::{Answer, Column, ColumnKind, Handler, Raw, Refusal, Session, Table, Value};

/// Serves clones to one connection, and answers questions about them.
#[derive(Debug)]
pub struct AgentFace {
    agent: Arc<AgentDonor>,
    session: Session,
}

impl AgentFace {
    /// The face for a client that has logged in.
    pub fn new(agent: Arc<AgentDonor>, session: Session) -> Self {
        Self { agent, session }
    }

    fn answer(&self, question: Question) -> Result<Answer, Refusal> {
        if !self.session.grants.has(PRIVILEGE) {
            return Err(Refusal::privilege(PRIVILEGE));
        }
        let text = match question {
            Question::Instance => json(&self.agent.instance().map_err(|error| refusal(&error))?),
            Question::Base(base) => json(&self.agent.weigh(base).map_err(|error| refusal(&error))?),
            Question::Snapshot(clone) => {
                let told = self.agent.snapshot(clone);
                let told = told.ok_or_else(|| Refusal::new(3862, "no such clone is complete"))?;
                json(&*told)
            }
        };
        Ok(one("answer", text.into(), ColumnKind::Text))
    }
}

impl Handler for AgentFace {
    fn query(&mut self, sql: &str) -> Answer {
        // What a client of innoclone says in the beginning.
        match sql {
            "SELECT CURRENT_USER()" => {
                let login = &self.session.login;
                let account = format!("{}@{}", login.user, login.peer);
                return one("account", account.into(), ColumnKind::Text);
            }
            "SELECT CONNECTION_ID()" => {
                let id = u64::from(self.session.id);
                return one("id", id.into(), ColumnKind::Unsigned);
            }
            _ if sql.starts_with("SET SESSION ") => return Answer::done(),
            _ => {}
        }
        let Some(question) = Question::parse(sql) else {
            let message = "This is an agent of innoclone: use 'innoclone backup --from'. It executes \
                           no statements";
            return Refusal::new(1235, message).into();
        };
        self.answer(question).unwrap_or_else(Answer::Refused)
    }

    fn take_over(
        &mut self,
        command: u8,
        _payload: &[u8],
        raw: &mut Raw<'_>,
    ) -> Option<Result<(), wire::Error>> {
        take_over(&self.agent, &self.session, command, raw)
    }
}

fn one(name: &str, value: Value, kind: ColumnKind) -> Answer {
    Answer::Rows(Table {
        columns: vec![Column::new(name, kind)],
        rows: vec![vec![value]],
    })
}

fn refusal(error: &Error) -> Refusal {
    Refusal::new(error.code(), super::with_hint(error))
}
