//! What the donor's server counts of its own writes to files, and whether that can be believed.
//!
//! The performance schema counts writes by file; InnoDB counts all of its writes. The two are a
//! constant number apart as long as the performance schema misses nothing: instruments that are
//! switched off, threads that are not instrumented, a table of counters that is emptied or has no
//! room, a handle opened without an instrument, all move that number. `docs/DESIGN.md` goes through
//! them. Where anything is in doubt the answer is a reason, not an error: the pages then travel.

use crate::Result;
use crate::donor::instance::session::Session;
use crate::set::FileCounter;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Why counters are not used.
pub(super) type Doubt = String;

/// What is asked for, or why it is not to be believed. Errors of the server are doubts too: an
/// account that may not ask, a table that a version does not have.
pub(super) type Believed<T> = Result<T, Doubt>;

/// All writes since the server's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    /// Those that InnoDB counted.
    pub writes: u64,
    /// How many more these are than those that the performance schema counted.
    pub apart: i64,
}

/// The counters of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// Operations of all kinds, and the time they took.
    pub all: (u64, u64),
    /// Writes, see [`FileCounter::writes`].
    pub writes: [u64; 5],
}

/// The counters of all data files, by the server's path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows {
    files: HashMap<String, Row>,
    /// The data directory, as these paths have it.
    root: String,
}

/// When the server was started, in seconds since 1970 by its own clock.
pub(super) fn started_at(session: &mut Session) -> Believed<i64> {
    // The time of the statement's begin, and what has passed since: the uptime was read somewhere
    // between, which is known well enough within one second.
    let sql = "SELECT CAST(UNIX_TIMESTAMP() - VARIABLE_VALUE AS SIGNED) \
               FROM performance_schema.global_status WHERE VARIABLE_NAME = 'Uptime' \
               UNION ALL SELECT UNIX_TIMESTAMP(SYSDATE()) - UNIX_TIMESTAMP()";
    for _ in 0..SAMPLES.1 {
        match numbers(session, "read the uptime", sql)?[..] {
            [started, 0] => return Ok(started),
            // A busy machine: another time.
            [_, _] => {}
            _ => return Err("the server does not tell its uptime".to_owned()),
        }
    }
    Err("the server is too slow to tell since when it is up".to_owned())
}

/// File operations of all clones since the server's start.
pub(super) fn clone_operations(session: &mut Session) -> Believed<u64> {
    let sql = "SELECT COUNT_STAR FROM performance_schema.file_summary_by_event_name \
               WHERE EVENT_NAME = 'wait/io/file/innodb/innodb_clone_file'";
    let numbers = numbers(session, "count the operations of clones", sql)?;
    let count = numbers.first().copied();
    let count = count.and_then(|count| u64::try_from(count).ok());
    count.ok_or_else(|| "the server does not count what clones do".to_owned())
}

/// Whether everything is counted at this moment.
pub(super) fn check_settings(session: &mut Session) -> Believed<()> {
    const CHECKS: [(&str, &str); 6] = [
        (
            "(SELECT COUNT(*) <> 1 FROM performance_schema.setup_instruments \
              WHERE NAME = 'wait/io/file/innodb/innodb_data_file' AND ENABLED = 'YES' AND TIMED = 'YES')",
            "the instrument of data files is not enabled and timed",
        ),
        (
            "(SELECT COUNT(*) FROM performance_schema.setup_instruments \
              WHERE NAME LIKE 'wait/io/file/innodb/%' AND ENABLED <> 'YES')",
            "an instrument of InnoDB's files is switched off",
        ),
        (
            "(SELECT COUNT(*) <> 1 FROM performance_schema.setup_consumers \
              WHERE NAME = 'global_instrumentation' AND ENABLED = 'YES')",
            "the performance schema is switched off",
        ),
        (
            "(SELECT COUNT(*) FROM performance_schema.setup_actors WHERE ENABLED <> 'YES')",
            "some accounts are not instrumented",
        ),
        (
            "(SELECT COUNT(*) FROM performance_schema.threads WHERE INSTRUMENTED <> 'YES')",
            "some threads are not instrumented",
        ),
        (
            "(SELECT COUNT(*) <> 4 OR SUM(VARIABLE_VALUE) <> 0 FROM performance_schema.global_status \
              WHERE VARIABLE_NAME IN ('Performance_schema_file_instances_lost', \
              'Performance_schema_file_classes_lost', 'Performance_schema_thread_instances_lost', \
              'Performance_schema_thread_classes_lost'))",
            "the performance schema had no room for some files or threads",
        ),
    ];
    let list: Vec<&str> = CHECKS.iter().map(|(sql, _)| *sql).collect();
    let sql = format!("SELECT {}", list.join(", "));
    let rows = session
        .query("read what is instrumented", &sql)
        .map_err(|e| e.to_string())?;
    let row = rows.first().ok_or("the server gives no answer")?;
    for (column, (_, doubt)) in CHECKS.iter().enumerate() {
        if row.text(column) != Some("0") {
            return Err((*doubt).to_owned());
        }
    }
    Ok(())
}

/// Readings of the two counts, in this order: InnoDB's, the performance schema's, InnoDB's, the
/// performance schema's. The conditions are such that the optimiser reads nothing beforehand.
const SAMPLE: &str = "\
SELECT CAST(VARIABLE_VALUE AS SIGNED) FROM performance_schema.global_status \
  WHERE VARIABLE_NAME LIKE 'Innodb\\_data\\_writes' \
UNION ALL SELECT CAST(SUM(COUNT_WRITE) AS SIGNED) FROM performance_schema.file_summary_by_event_name \
  WHERE EVENT_NAME LIKE 'wait/io/file/innodb/%' AND EVENT_NAME NOT LIKE '%/innodb_clone_file' \
UNION ALL SELECT CAST(VARIABLE_VALUE AS SIGNED) FROM performance_schema.global_status \
  WHERE VARIABLE_NAME LIKE 'Innodb\\_data\\_writes' \
UNION ALL SELECT CAST(SUM(COUNT_WRITE) AS SIGNED) FROM performance_schema.file_summary_by_event_name \
  WHERE EVENT_NAME LIKE 'wait/io/file/innodb/%' AND EVENT_NAME NOT LIKE '%/innodb_clone_file'";

/// Readings that are taken at least, and at most.
const SAMPLES: (usize, usize) = (8, 300);

/// Reads the two counts until it is known how far they are apart, however busy the server is.
pub(super) fn totals(session: &mut Session) -> Believed<Totals> {
    let mut bounds = Bounds::default();
    for sample in 1..=SAMPLES.1 {
        let numbers = numbers(session, "count the writes", SAMPLE)?;
        let [first, counted, writes, counted_later] = numbers[..] else {
            return Err("the server does not count its writes".to_owned());
        };
        bounds.take(first, counted, writes, counted_later);
        if let Some(apart) = bounds.apart()
            && sample >= SAMPLES.0
        {
            return Ok(Totals {
                writes: u64::try_from(writes).unwrap_or(0),
                apart,
            });
        }
    }
    Err("the server writes too much to compare its counts".to_owned())
}

/// What is known of a difference of two counts that are not read at once.
#[derive(Debug, Default)]
struct Bounds {
    low: Option<i64>,
    high: Option<i64>,
}

impl Bounds {
    /// Takes readings of A, B, A, B. A is counted before, B after each write: A later than B is
    /// never less apart than the truth.
    fn take(&mut self, first: i64, counted: i64, writes: i64, counted_later: i64) {
        let (high, low) = (writes - counted, first - counted_later);
        self.high = Some(self.high.map_or(high, |known| known.min(high)));
        self.low = Some(self.low.map_or(low, |known| known.max(low)));
    }

    /// The difference, once there was a moment without a write between.
    fn apart(&self) -> Option<i64> {
        self.high.filter(|high| self.low >= Some(*high))
    }
}

impl Rows {
    /// Reads the counters of all data files.
    pub(super) fn ask(session: &mut Session) -> Believed<Self> {
        let sql = "SELECT FILE_NAME, COUNT_STAR, SUM_TIMER_WAIT, COUNT_WRITE, \
                   SUM_NUMBER_OF_BYTES_WRITE, SUM_TIMER_WRITE, MIN_TIMER_WRITE, MAX_TIMER_WRITE \
                   FROM performance_schema.file_summary_by_instance \
                   WHERE EVENT_NAME = 'wait/io/file/innodb/innodb_data_file'";
        let rows = session
            .query("read the counters of files", sql)
            .map_err(|e| e.to_string())?;
        let row = |row: &wire::Row| {
            let number = |column| row.parse::<u64>(column).ok();
            let counters = Row {
                all: (number(1)?, number(2)?),
                writes: [number(3)?, number(4)?, number(5)?, number(6)?, number(7)?],
            };
            Some((row.text(0)?.to_owned(), counters))
        };
        Self::new(rows.iter().filter_map(row))
    }

    fn new(rows: impl Iterator<Item = (String, Row)>) -> Believed<Self> {
        let (mut files, mut twice) = (HashMap::new(), HashSet::new());
        for (path, row) in rows {
            // Paths that were cut share a row with others.
            if path.len() >= LONGEST_PATH || files.insert(path.clone(), row).is_some() {
                twice.insert(path);
            }
        }
        // Two rows of one path: which of them counts is not known.
        files.retain(|path, _| !twice.contains(path));
        let dictionary = "/mysql.ibd";
        let roots = files
            .keys()
            .filter_map(|path| path.strip_suffix(dictionary));
        // A table may be called so too; it lies deeper.
        let root = roots.min_by_key(|root| root.len());
        let root = root.ok_or("the data directory is not among the counted files")?;
        if files.keys().any(|path| {
            let other = path.strip_suffix(dictionary);
            other.is_some_and(|other| other != root && !other.starts_with(root))
        }) {
            return Err("it is not clear which directory is the data directory".to_owned());
        }
        let root = root.to_owned();
        Ok(Self { files, root })
    }

    /// The row of a file, by its name in the data directory, with the server's path.
    pub(super) fn of(&self, name: &str) -> Option<(String, Row)> {
        let path = format!("{}/{name}", self.root);
        let row = *self.files.get(&path)?;
        Some((path, row))
    }

    /// Fails unless these counters and later ones are of one time without a reset: some file that
    /// was used is exactly as it was.
    pub(super) fn check_not_emptied(&self, later: &Self) -> Believed<()> {
        let unmoved = |(path, row): (&String, &Row)| {
            row.all.1 > 0 && later.files.get(path).is_some_and(|later| later == row)
        };
        if self.files.iter().any(unmoved) {
            Ok(())
        } else {
            Err("no file shows that the counters were not emptied".to_owned())
        }
    }
}

/// The counters of files, by space id, for the set that is being made.
pub(super) fn record<'a>(
    rows: &Rows,
    later: &Rows,
    files: impl Iterator<Item = (u32, &'a str, u64)>,
) -> BTreeMap<u32, FileCounter> {
    let record = |(space, name, size): (u32, &str, u64)| {
        let (path, row) = rows.of(name)?;
        let (_, later) = later.of(name)?;
        // Counters only grow.
        let grew = later.all >= row.all && later.writes >= row.writes;
        grew.then_some(())?;
        let writes = row.writes;
        Some((space, FileCounter { path, size, writes }))
    };
    files.filter_map(record).collect()
}

/// Whether a file was surely not written since its counters were recorded.
pub(super) fn is_idle(rows: &Rows, name: &str, size: u64, before: &FileCounter) -> bool {
    rows.of(name).is_some_and(|(path, row)| {
        path == before.path && size == before.size && row.writes == before.writes
    })
}

fn numbers(session: &mut Session, action: &'static str, sql: &str) -> Believed<Vec<i64>> {
    let rows = session.query(action, sql).map_err(|e| e.to_string())?;
    rows.iter()
        .map(|row| row.parse::<i64>(0))
        .collect::<std::result::Result<_, _>>()
        .map_err(|e| format!("{action}: {e}"))
}

/// The performance schema cuts paths of 512 bytes.
const LONGEST_PATH: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(writes: u64) -> Row {
        Row {
            all: (10 + writes, 1000 + writes * 7),
            writes: [writes, writes * 16384, writes * 7, 7, 7],
        }
    }

    fn rows(files: &[(&str, u64)]) -> Believed<Rows> {
        let files = files
            .iter()
            .map(|(path, writes)| ((*path).to_owned(), row(*writes)));
        Rows::new(files)
    }

    #[test]
    fn a_difference_is_known_from_one_quiet_moment() {
        let mut bounds = Bounds::default();
        assert_eq!(bounds.apart(), None);
        bounds.take(100, 101, 104, 105);
        bounds.take(110, 112, 114, 117);
        assert_eq!(bounds.apart(), None);
        bounds.take(120, 119, 120, 119);
        assert_eq!(bounds.apart(), Some(1));
        // A write that had begun does not hide.
        bounds.take(131, 129, 131, 129);
        assert_eq!(bounds.apart(), Some(1));
    }

    #[test]
    fn files_are_found_below_the_data_directory() {
        let rows = rows(&[
            ("/d/mysql.ibd", 3),
            ("/d/a/t.ibd", 0),
            ("/d/a/mysql.ibd", 1),
        ])
        .unwrap();
        assert_eq!(rows.of("a/t.ibd"), Some(("/d/a/t.ibd".into(), row(0))));
        assert_eq!(rows.of("a/u.ibd"), None);
    }

    #[test]
    fn what_is_ambiguous_is_doubted() {
        assert!(rows(&[("/d/a/t.ibd", 0)]).is_err());
        assert!(rows(&[("/d/mysql.ibd", 0), ("/e/mysql.ibd", 0)]).is_err());
        let long = format!("/d/{}.ibd", "x".repeat(600));
        let rows = rows(&[("/d/mysql.ibd", 3), ("/d/t", 1), ("/d/t", 1), (&long, 0)]).unwrap();
        assert_eq!(rows.files.len(), 1);
    }

    #[test]
    fn a_file_is_idle_when_nothing_about_it_moved() {
        let then = rows(&[("/d/mysql.ibd", 3), ("/d/t.ibd", 2)]).unwrap();
        let files = || [(7, "t.ibd", 4096), (8, "gone.ibd", 1)].into_iter();
        let recorded = record(&then, &then, files());
        assert_eq!(recorded.len(), 1);
        let before = &recorded[&7];
        assert!(is_idle(&then, "t.ibd", 4096, before));
        assert!(!is_idle(&then, "t.ibd", 8192, before));
        assert!(!is_idle(&then, "mysql.ibd", 4096, before));
        let now = rows(&[("/d/mysql.ibd", 3), ("/d/t.ibd", 3)]).unwrap();
        assert!(!is_idle(&now, "t.ibd", 4096, before));
        // The same number of writes, but not the same ones.
        let mut other = then.clone();
        other.files.get_mut("/d/t.ibd").unwrap().writes[2] += 1;
        assert!(!is_idle(&other, "t.ibd", 4096, before));
        // Fewer later: the counters were emptied in between.
        let emptied = rows(&[("/d/mysql.ibd", 3), ("/d/t.ibd", 0)]).unwrap();
        assert!(record(&then, &emptied, files()).is_empty());
    }

    #[test]
    fn emptied_counters_show() {
        let then = rows(&[("/d/mysql.ibd", 3), ("/d/t.ibd", 2)]).unwrap();
        let later = rows(&[("/d/mysql.ibd", 5), ("/d/t.ibd", 2)]).unwrap();
        let emptied = rows(&[("/d/mysql.ibd", 5), ("/d/t.ibd", 1)]).unwrap();
        assert!(then.check_not_emptied(&later).is_ok());
        assert!(then.check_not_emptied(&emptied).is_err());
    }
}
