//! The list of pages that page tracking recorded, from a donor that is reached over SQL and the
//! clone protocol only.
//!
//! A function of the component mysqlbackup writes the list to a file below the data directory, and
//! the first file that a clone sends is the one that a variable names. So the variable is changed
//! for as long as the clone begins. A second connection waits, in a statement that gives both
//! variables their values back, for a lock that the first one holds: it goes on when we say so, when
//! we die, and when we are not heard of for too long.

mod list_sink;

pub(super) use self::list_sink::{ListSink, Pages};

use self::list_sink::ENTRY;
use super::counters::Believed;
use crate::Result;
use crate::donor::instance::session::Session;
use std::thread::JoinHandle;
use std::time::Duration;
use wire::ConnectOptions;

/// The lock that keeps the variables for us.
const LOCK: &str = "innoclone.page_list";
/// Seconds after which the variables are given back, whatever we do.
const LONGEST: u64 = 120;
/// How often something is tried again, and after how long.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(200);
/// Entries since the last start point with which a clone begins a new one. It is 2044; pages go
/// on being written while we prepare.
const MANY: i64 = 1200;

/// A list that the donor has made, or the knowledge that none is needed.
#[derive(Debug)]
pub(super) struct PageList {
    /// The start point up to which the list goes: PAGE COPY has what was written later.
    reset: u64,
    /// The list's file, and the least and most bytes it has; `None` when PAGE COPY has everything.
    file: Option<(u64, u64)>,
    keeper: Keeper,
    /// Whether the clone goes on where the list ends.
    attached: bool,
}

impl PageList {
    /// Has the donor make the list of pages written since `start`, and the next clone send it.
    pub(super) fn prepare(
        session: &mut Session,
        connect: &ConnectOptions,
        start: u64,
    ) -> Believed<Self> {
        let mut keeper = Keeper::start(session, connect)?;
        match Self::prepared(session, &mut keeper, start) {
            Ok((reset, file)) => Ok(Self {
                reset,
                file,
                keeper,
                attached: false,
            }),
            Err(doubt) => {
                keeper.end(session);
                Err(doubt)
            }
        }
    }

    fn prepared(
        session: &mut Session,
        keeper: &mut Keeper,
        start: u64,
    ) -> Believed<(u64, Option<(u64, u64)>)> {
        let mut doubt = "the donor writes too many pages".to_owned();
        for _ in 0..TRIES {
            // A new start point is made only when many pages were written since the last one.
            session.sharp_checkpoint().map_err(|e| e.to_string())?;
            let reset = session.tracking_set(true).map_err(|e| e.to_string())?;
            let reset = reset.get();
            if reset <= start {
                return Ok((reset, None));
            }
            let count = |session: &mut Session, from: u64, to: u64| {
                let sql =
                    format!("SELECT mysqlbackup_page_track_get_changed_page_count({from}, {to})");
                let count = session.signed("count the tracked pages", &sql);
                count.map_err(|e| e.to_string())
            };
            keeper.name_list(session)?;
            let least = count(session, start, reset)?;
            let sql = format!("SELECT mysqlbackup_page_track_get_changed_pages({start}, {reset})");
            let made = session.signed("list the tracked pages", &sql);
            match made.map_err(|e| e.to_string())? {
                0 if least >= 0 => {}
                // The last checkpoint is not past the start point.
                0 | 3803 => {
                    "page tracking does not go back to the base".clone_into(&mut doubt);
                    std::thread::sleep(PAUSE);
                    continue;
                }
                error => return Err(format!("the list of pages was not made (error {error})")),
            }
            let most = count(session, start, reset)?;
            if count(session, reset, 0)? > MANY {
                continue;
            }
            let bytes = |count: i64| count.unsigned_abs() * ENTRY as u64;
            if least > 0 {
                keeper.lend(session)?;
                return Ok((reset, Some((bytes(least), bytes(most)))));
            }
            return Err("the list of pages is empty".to_owned());
        }
        Err(doubt)
    }

    /// The donor has announced its files: the variable is given back, and it shows whether the
    /// clone's own tracking begins where the list ends.
    pub(super) fn announced(&mut self, session: &mut Session) {
        self.keeper.give_back(session);
        let reset = session.tracking_set(true);
        self.attached = reset.is_ok_and(|reset| reset.get() == self.reset);
    }

    /// Whether what the list and PAGE COPY have is everything.
    pub(super) fn is_attached(&self) -> bool {
        self.attached
    }

    /// Whether the first file of the clone is the list; and how many bytes it may have.
    pub(super) fn file(&self) -> Option<(u64, u64)> {
        self.file
    }

    /// Gives everything back. After the list has been received: its file goes.
    pub(super) fn end(mut self, session: &mut Session) {
        self.keeper.end(session);
    }
}

/// Keeps the values of the variables while others are in their place.
#[derive(Debug)]
struct Keeper {
    /// `innodb_buffer_pool_filename`.
    dump: String,
    /// `mysqlbackup.backupid`, as a literal.
    id: &'static str,
    own_id: u64,
    lent: bool,
    waiting: Option<JoinHandle<Result<()>>>,
}

impl Keeper {
    fn start(session: &mut Session, connect: &ConnectOptions) -> Believed<Self> {
        let text = |e: crate::Error| e.to_string();
        let sql = format!("SELECT GET_LOCK('{LOCK}', 0)");
        if session.number("lock the page list", &sql).map_err(text)? != 1 {
            return Err("another program reads the donor's list of pages".to_owned());
        }
        let (dump, id) = variables(session)?;
        let id = match id.as_deref() {
            None => "NULL",
            Some("") => "''",
            Some(_) => return Err("another backup program is at work on the donor".to_owned()),
        };
        if dump.starts_with("#meb/") {
            return Err(format!(
                "innodb_buffer_pool_filename of the donor is '{dump}'"
            ));
        }
        let mut own = [0; 8];
        getrandom::fill(&mut own).map_err(|e| e.to_string())?;
        let mut keeper = Self {
            dump,
            id,
            own_id: u64::from_le_bytes(own) % 1_000_000_000_000_000,
            lent: false,
            waiting: None,
        };
        let mut second = Session::open(connect, Duration::from_secs(60)).map_err(text)?;
        let number = second.id();
        let statement = format!(
            "SET GLOBAL mysqlbackup.backupid = {id}, \
             GLOBAL innodb_buffer_pool_filename = CONCAT({}, IFNULL(LEFT(GET_LOCK('{LOCK}', {LONGEST}), 0), ''))",
            wire::quote_string(&keeper.dump)
        );
        keeper.waiting = Some(std::thread::spawn(move || {
            second.execute("give the donor's variables back", &statement)
        }));
        for _ in 0..TRIES {
            let rows = session.query("look at the sessions", "SHOW PROCESSLIST");
            let rows = rows.map_err(text)?;
            let mut rows = rows.iter();
            let waits = rows.any(|row| {
                row.parse(0).is_ok_and(|id: u64| id == number)
                    && row.text(6).is_some_and(|state| state == "User lock")
            });
            if waits {
                return Ok(keeper);
            }
            if keeper.waiting.as_ref().is_some_and(JoinHandle::is_finished) {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        keeper.end(session);
        Err("the account may not set the donor's variables".to_owned())
    }

    /// Names the list that is made next. An older one of this name goes.
    fn name_list(&self, session: &mut Session) -> Believed<()> {
        let sql = format!("SET GLOBAL mysqlbackup.backupid = '{}'", self.own_id);
        session
            .execute("name the list of pages", &sql)
            .map_err(|e| e.to_string())
    }

    /// Puts the list in the place of the dump of the buffer pool.
    fn lend(&mut self, session: &mut Session) -> Believed<()> {
        let (_, id) = variables(session)?;
        let waits = self.waiting.as_ref().is_some_and(|it| !it.is_finished());
        if id != Some(self.own_id.to_string()) || !waits {
            return Err("another backup program is at work on the donor".to_owned());
        }
        self.lent = true;
        let sql = format!(
            "SET GLOBAL innodb_buffer_pool_filename = '#meb/{}.idx'",
            self.own_id
        );
        session
            .execute("have the donor send the list of pages", &sql)
            .map_err(|e| e.to_string())
    }

    /// Gives the variable back that anybody else could notice.
    fn give_back(&mut self, session: &mut Session) {
        if std::mem::take(&mut self.lent) {
            let dump = wire::quote_string(&self.dump);
            let sql = format!("SET GLOBAL innodb_buffer_pool_filename = {dump}");
            if let Err(error) = session.execute("give the donor's variable back", &sql) {
                tracing::warn!(%error, "the second connection will do it");
            }
        }
    }

    /// Lets the second connection do its work, and sees that it is done.
    fn end(&mut self, session: &mut Session) {
        let Some(waiting) = self.waiting.take() else {
            return;
        };
        let sql = format!("DO RELEASE_LOCK('{LOCK}')");
        if let Err(error) = session.execute("unlock the page list", &sql) {
            tracing::warn!(%error, "the donor gives the variables back when it notices");
            return;
        }
        let done = waiting.join();
        let id = (self.id == "''").then(String::new);
        let expected = (self.dump.clone(), id);
        if variables(session).ok() == Some(expected) {
            return;
        }
        tracing::debug!(
            ?done,
            "the second connection did not give the variables back"
        );
        let sql = format!(
            "SET GLOBAL mysqlbackup.backupid = {}, GLOBAL innodb_buffer_pool_filename = {}",
            self.id,
            wire::quote_string(&self.dump)
        );
        if let Err(error) = session.execute("give the donor's variables back", &sql) {
            tracing::error!(%error, sql, "variables of the donor were not given back: run this there");
        }
    }
}

/// `innodb_buffer_pool_filename` and `mysqlbackup.backupid`.
fn variables(session: &mut Session) -> Believed<(String, Option<String>)> {
    let sql = "SELECT @@GLOBAL.innodb_buffer_pool_filename, @@GLOBAL.mysqlbackup.backupid";
    let rows = session.query("read the donor's variables", sql);
    let rows = rows.map_err(|e| e.to_string())?;
    let row = rows.first().ok_or("the donor gives no answer")?;
    let dump = row
        .text(0)
        .ok_or("innodb_buffer_pool_filename is not set")?;
    Ok((dump.to_owned(), row.text(1).map(str::to_owned)))
}
