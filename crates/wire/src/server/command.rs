//! The commands of a session, and the packets of their answers.

use super::answer::{Answer, Refusal, Table};
use super::connections::{Activity, Registered};
use super::encode::{self, Form};
use super::raw::Raw;
use super::session::Handler;
use super::statement::Statements;
use super::watch::Watch;
use crate::frame::Frames;
use crate::handshake::Capabilities;
use crate::stream::Stream;
use crate::{Error, cursor, reply};

/// A session that executes commands.
pub(super) struct Commands<'a> {
    frames: Frames<Stream>,
    capabilities: Capabilities,
    handler: &'a mut dyn Handler,
    place: &'a Registered,
    watch: &'a Watch,
    statements: Statements,
}

impl<'a> Commands<'a> {
    pub(super) fn new(
        frames: Frames<Stream>,
        capabilities: Capabilities,
        handler: &'a mut dyn Handler,
        place: &'a Registered,
        watch: &'a Watch,
    ) -> Self {
        Self {
            frames,
            capabilities,
            handler,
            place,
            watch,
            statements: Statements::default(),
        }
    }

    /// Answers the login. False: its schema is unknown, and the session ends.
    pub(super) fn begin(&mut self, database: Option<&str>) -> Result<bool, Error> {
        let used = database.map_or(Ok(()), |name| self.use_database(name));
        let welcome = used.is_ok();
        self.answer(
            &used.map_or_else(Answer::Refused, |()| Answer::done()),
            Form::Text,
        )?;
        Ok(welcome)
    }

    /// Executes commands until the client says goodbye, goes away, or is killed.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        let mut packet = Vec::new();
        while self.place.now(Activity::Idle) {
            self.frames.begin(true);
            match self.frames.read(&mut packet) {
                Ok(()) => {}
                Err(Error::TooLarge { .. }) => {
                    // The rest of the packet is still on its way: there is no going on.
                    let refusal =
                        Refusal::new(1153, "Got a packet bigger than 'max_allowed_packet' bytes");
                    return self.answer(&refusal.into(), Form::Text);
                }
                Err(error) => return Err(error),
            }
            let Some((&command, payload)) = packet.split_first() else {
                return Err(Error::protocol("empty command"));
            };
            if command == COM_QUIT {
                return Ok(());
            }
            self.execute(command, payload)?;
        }
        self.frames.stream_mut().close_notify();
        Ok(())
    }

    fn execute(&mut self, command: u8, payload: &[u8]) -> Result<(), Error> {
        let text = |what| {
            std::str::from_utf8(payload).map_err(|_| {
                Refusal::new(
                    1300,
                    format!("Invalid utf8mb4 character string in the {what}"),
                )
            })
        };
        match command {
            COM_QUERY => {
                let answer = match text("statement") {
                    Ok(sql) => self.query(sql),
                    Err(refusal) => refusal.into(),
                };
                self.answer(&answer, Form::Text)
            }
            COM_INIT_DB => {
                self.place.now(Activity::Command("Init DB"));
                let used = text("name of the schema").and_then(|name| self.use_database(name));
                self.answer(
                    &used.map_or_else(Answer::Refused, |()| Answer::done()),
                    Form::Text,
                )
            }
            COM_STATISTICS => {
                self.place.now(Activity::Command("Statistics"));
                let line = self.handler.statistics();
                self.frames.write(line.as_bytes(), &[])
            }
            COM_PING => self.answer(&Answer::done(), Form::Text),
            COM_SET_OPTION => self.end_of_rows(),
            COM_RESET_CONNECTION => {
                self.place.now(Activity::Command("Reset"));
                self.statements = Statements::default();
                self.handler.reset();
                self.answer(&Answer::done(), Form::Text)
            }
            COM_STMT_PREPARE => {
                self.place.now(Activity::Command("Prepare"));
                let prepared = text("statement").and_then(|sql| self.statements.prepare(sql));
                match prepared {
                    Ok((id, parameters)) => self.prepared(id, parameters),
                    Err(refusal) => self.answer(&refusal.into(), Form::Text),
                }
            }
            COM_STMT_EXECUTE => {
                let answer = match self.statements.bind(payload) {
                    Ok(sql) => self.query(&sql),
                    Err(refusal) => refusal.into(),
                };
                self.answer(&answer, Form::Binary)
            }
            // These two are not answered.
            COM_STMT_SEND_LONG_DATA => {
                self.statements.long_data(payload);
                Ok(())
            }
            COM_STMT_CLOSE => {
                self.statements.close(payload);
                Ok(())
            }
            COM_STMT_RESET => {
                let reset = self.statements.reset(payload);
                self.answer(
                    &reset.map_or_else(Answer::Refused, |()| Answer::done()),
                    Form::Text,
                )
            }
            _ => self.take_over(command, payload),
        }
    }

    fn query(&mut self, sql: &str) -> Answer {
        if !self.place.now(Activity::Statement(sql.to_owned())) {
            return Refusal::interrupted().into();
        }
        self.handler.query(sql)
    }

    fn use_database(&mut self, name: &str) -> Result<(), Refusal> {
        self.handler.init_db(name)?;
        self.place.use_database(Some(name));
        Ok(())
    }

    fn take_over(&mut self, command: u8, payload: &[u8]) -> Result<(), Error> {
        let name = if command == COM_CLONE {
            "clone"
        } else {
            "Other"
        };
        self.place.now(Activity::Command(name));
        let mut raw = Raw::new(&mut self.frames, self.watch);
        match self.handler.take_over(command, payload, &mut raw) {
            Some(taken) => {
                taken?;
                raw.set_read_timeout(None)
            }
            None => self.answer(&Refusal::unknown_command().into(), Form::Text),
        }
    }

    fn answer(&mut self, answer: &Answer, form: Form) -> Result<(), Error> {
        match answer {
            Answer::Done {
                affected,
                warnings,
                info,
            } => {
                let packet = encode::ok(reply::OK, *affected, *warnings, info);
                self.frames.write(&packet, &[])
            }
            Answer::Refused(refusal) => self.frames.write(&encode::err(refusal, true), &[]),
            Answer::Rows(table) => self.rows(table, form),
        }
    }

    fn rows(&mut self, table: &Table, form: Form) -> Result<(), Error> {
        let mut packet = Vec::new();
        cursor::put_lenenc(&mut packet, table.columns.len() as u64);
        self.frames.write(&packet, &[])?;
        for column in &table.columns {
            self.frames.write(&encode::column(column), &[])?;
        }
        if !self.capabilities.has(Capabilities::DEPRECATE_EOF) {
            self.frames.write(&encode::eof(), &[])?;
        }
        for row in &table.rows {
            encode::row(table, row, form, &mut packet);
            self.frames.write(&packet, &[])?;
        }
        self.end_of_rows()
    }

    fn end_of_rows(&mut self) -> Result<(), Error> {
        let packet = if self.capabilities.has(Capabilities::DEPRECATE_EOF) {
            encode::ok(reply::EOF, 0, 0, "")
        } else {
            encode::eof()
        };
        self.frames.write(&packet, &[])
    }

    /// Answers that a statement is prepared. Its columns are told when it is executed.
    fn prepared(&mut self, id: u32, parameters: u16) -> Result<(), Error> {
        let mut packet = vec![reply::OK];
        packet.extend_from_slice(&id.to_le_bytes());
        packet.extend_from_slice(&[0, 0]); // columns
        packet.extend_from_slice(&parameters.to_le_bytes());
        packet.extend_from_slice(&[0, 0, 0]); // filler, warnings
        self.frames.write(&packet, &[])?;
        if parameters > 0 {
            let column = super::Column::new("?", super::ColumnKind::Text);
            for _ in 0..parameters {
                self.frames.write(&encode::column(&column), &[])?;
            }
            if !self.capabilities.has(Capabilities::DEPRECATE_EOF) {
                self.frames.write(&encode::eof(), &[])?;
            }
        }
        Ok(())
    }
}

const COM_QUIT: u8 = 1;
const COM_INIT_DB: u8 = 2;
const COM_QUERY: u8 = 3;
const COM_STATISTICS: u8 = 9;
const COM_PING: u8 = 14;
const COM_STMT_PREPARE: u8 = 22;
const COM_STMT_EXECUTE: u8 = 23;
const COM_STMT_SEND_LONG_DATA: u8 = 24;
const COM_STMT_CLOSE: u8 = 25;
const COM_STMT_RESET: u8 = 26;
const COM_SET_OPTION: u8 = 27;
const COM_RESET_CONNECTION: u8 = 31;
const COM_CLONE: u8 = 32;
