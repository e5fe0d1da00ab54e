//! A replay, from the checks before anything is changed to the end.

use super::files::{Logs, number_of};
use super::mysqld::{Layout, Mysqld, Program};
use super::plan::Plan;
use super::record::ReplayReport;
use super::scan::{PIECE, Start, scan, too_early};
use super::until::{LogPosition, Until, show_us};
use super::{PointInTime, replay};
use crate::chain::Chain;
use crate::io::{fsync_dir, fsync_file, remove_file, sync_filesystem, syncs_as_a_whole, write_new};
use crate::recipient::Admission;
use crate::set::layout::{POINT_IN_TIME, REPLAY_DIR};
use crate::set::{BackupSet, Manifest};
use crate::{Error, Job, Result};
use binlog::gtid::GtidSet;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::Path;
use std::time::Instant;

/// A replay of which everything is known that can be known before the set is restored.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) program: Program,
    pub(super) plan: Plan,
    pub(super) start: Start,
    pub(super) manifest: Manifest,
    until: Until,
}

impl Prepared {
    /// Finds and checks mysqld and the binary logs. Changes nothing.
    pub(crate) fn new(point: &PointInTime, chain: &Chain, job: &Job) -> Result<Self> {
        let manifest = chain.last().manifest().clone();
        let start = start_of(chain, &point.until)?;
        tracing::info!("restore until {}", point.until);
        if let Until::Time(time) = &point.until {
            // The clocks of server and backup may differ a little.
            let latest = manifest.clone.begin_us.saturating_sub(60_000_000);
            if time.as_microsecond() < latest {
                let ended = show_us(manifest.clone.end_us.unsigned_abs());
                return Err(too_early(
                    &point.until.to_string(),
                    &format!("about {ended}"),
                    &start,
                ));
            }
        }
        let program = Program::find(point.mysqld.as_deref(), point.mysqld_defaults.as_deref())?;
        program.check_version(&manifest.server.version)?;
        let logs = Logs::find(&point.binlogs, &start.position.file, &manifest.server.uuid)?;
        let plan = scan(&logs, &start, &point.until, PIECE, job)?;
        job.progress.replay().checked();
        tracing::info!(
            transactions = plan.transactions,
            bytes = plan.bytes,
            end = %plan.end.position,
            "binary logs are whole"
        );
        Ok(Self {
            program,
            plan,
            start,
            manifest,
            until: point.until.clone(),
        })
    }

    /// Bytes that the replay needs for a while beside the restored set; what the transactions add to
    /// it is not known.
    pub(crate) fn room(&self) -> u64 {
        self.plan.room()
    }

    /// Replays into the restored directory `datadir`, of which `owner` is the owner if given.
    pub(crate) fn run(
        &self,
        datadir: &Path,
        owner: Option<(u32, u32)>,
        job: &Job,
    ) -> Result<ReplayReport> {
        let begin = Instant::now();
        let work = datadir.join(REPLAY_DIR);
        let server = self.start(datadir, owner, job)?;
        self.check_started(&server)?;
        replay::replay(&self.plan, &server, &work, owner, job)?;
        let gtids = &self.plan.end.gtids;
        let are_kept = gtids.is_empty() || replay::keeps_gtids(gtids, &server, job)?;
        server.stop(job)?;
        std::fs::remove_dir_all(&work).map_err(|e| Error::io("remove file", &work, e))?;
        if !are_kept {
            let server = self.start(datadir, owner, job)?;
            replay::settle_gtids(&self.plan.end.gtids, &server)?;
            server.stop(job)?;
            std::fs::remove_dir_all(&work).map_err(|e| Error::io("remove file", &work, e))?;
        }
        job.progress.replay().end();
        // A server that is started on the result gets a uuid of its own.
        remove_file(&datadir.join("auto.cnf"))?;
        let report = ReplayReport::new(&self.plan, &self.until, begin.elapsed().as_secs_f64());
        let path = datadir.join(POINT_IN_TIME);
        let text = serde_json::to_vec_pretty(&report).map_err(|e| Error::damaged(&path, e))?;
        write_new(&path, &text)?;
        give(&path, owner)?;
        make_durable(datadir)?;
        Ok(report)
    }

    /// Starts the server on the directory, with a fresh directory for what it writes beside.
    fn start(&self, datadir: &Path, owner: Option<(u32, u32)>, job: &Job) -> Result<Mysqld> {
        let work = datadir.join(REPLAY_DIR);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&work)
            .map_err(|e| Error::io("create directory", &work, e))?;
        give(&work, owner)?;
        let layout = Layout {
            datadir,
            variables: &self.manifest.server.variables,
            owner,
            server_id: self.plan.server_id,
            workers: job.parallel(),
            buffer_pool: (!self.program.has_defaults()).then(buffer_pool),
        };
        let admission = Admission::begin(datadir)?;
        let server = Mysqld::start(&self.program, &layout, job)?;
        admission.end()?;
        Ok(server)
    }

    /// The restored server is where the set says.
    fn check_started(&self, server: &Mysqld) -> Result<()> {
        let (executed, wanted) = (replay::executed(server)?, &self.start.gtids);
        if executed == *wanted {
            return Ok(());
        }
        let message =
            format!("the restored server has executed {executed:#}, the set has {wanted:#}");
        let hint = "Replay by hand, with mysqlbinlog, from the beginning of the file that has the set's position: transactions \
                    that are executed are passed over by their GTIDs.";
        Err(Error::refused(1105, message, hint))
    }
}

/// The state of the last set of a chain.
fn start_of(chain: &Chain, until: &Until) -> Result<Start> {
    let last = chain.last();
    let manifest = last.manifest();
    if manifest.binlog.file.is_empty() {
        return Err(Error::refused(
            1105,
            format!(
                "'{}' has no binary log position: its server had no binary log",
                last.path().display()
            ),
            "Nothing can be replayed into it.",
        ));
    }
    let earlier = chain
        .sets()
        .iter()
        .rev()
        .skip(1)
        .find(|set| serves(set, until));
    Ok(Start {
        position: LogPosition {
            file: manifest.binlog.file.clone(),
            position: manifest.binlog.position,
        },
        gtids: gtids_of(last)?,
        version: manifest.server.version.clone(),
        earlier: earlier.map(|set| set.path().display().to_string()),
    })
}

fn gtids_of(set: &BackupSet) -> Result<GtidSet> {
    let text = &set.manifest().binlog.gtid_executed;
    text.parse()
        .map_err(|e| Error::damaged(set.path(), format!("its GTID set '{text}': {e}")))
}

/// Whether the point can be reached from the set.
fn serves(set: &BackupSet, until: &Until) -> bool {
    let manifest = set.manifest();
    match until {
        Until::Latest => true,
        Until::Time(time) => manifest.clone.end_us <= time.as_microsecond(),
        Until::Position(wanted) => {
            let place =
                |file: &str, position| number_of(file).map(|(_, number)| (number, position));
            let own = place(&manifest.binlog.file, manifest.binlog.position);
            own.is_some() && own <= place(&wanted.file, wanted.position)
        }
        Until::Gtids(wanted) => {
            gtids_of(set).is_ok_and(|own| own == *wanted || !own.contains_all(wanted))
        }
    }
}

/// A quarter of the memory that is free, within reason. Somebody with an option file says it there.
fn buffer_pool() -> u64 {
    const LEAST: u64 = 128 << 20;
    const MOST: u64 = 4 << 30;
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    (kibibytes.unwrap_or(0) * 1024 / 4).clamp(LEAST, MOST)
}

fn give(path: &Path, owner: Option<(u32, u32)>) -> Result<()> {
    match owner {
        Some((user, group)) => {
            chown(path, Some(user), Some(group)).map_err(|e| Error::io("change owner of", path, e))
        }
        None => Ok(()),
    }
}

/// What the server wrote is durable when it has shut down, but for tables that are not InnoDB's.
fn make_durable(datadir: &Path) -> Result<()> {
    if syncs_as_a_whole(datadir) {
        let error = |e| Error::io("open directory", datadir, e);
        let directory = std::fs::File::open(datadir).map_err(error)?;
        sync_filesystem(&directory, datadir)
    } else {
        sync_tree(datadir)
    }
}

fn sync_tree(directory: &Path) -> Result<()> {
    let error = |e| Error::io("read directory", directory, e);
    for entry in std::fs::read_dir(directory).map_err(error)? {
        let entry = entry.map_err(error)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(error)?);
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            let file = std::fs::File::open(&path).map_err(|e| Error::io("open file", &path, e))?;
            fsync_file(&file, &path)?;
        }
    }
    fsync_dir(directory)
}
