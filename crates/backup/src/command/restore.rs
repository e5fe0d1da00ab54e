//! `restore`: a chain into a data directory, in one pass.

use crate::chain::Chain;
use crate::donor::chain::ChainDonor;
use crate::pitr::{PointInTime, Prepared, ReplayReport};
use crate::recipient::{DataDirectoryRecipient, Recipient, Target, free_space};
use crate::set::{BackupSet, BinlogPosition, CloneRecord, LsnRecord, SetId};
use crate::{EncryptionKey, Error, Job, Result, engine};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// A restore to be made.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// The set whose state is wanted.
    pub set: PathBuf,
    /// Sets, or directories of sets, in which ancestors may be found.
    pub chain: Vec<PathBuf>,
    /// The new data directory: one that does not exist or is empty.
    pub to: PathBuf,
    /// Also take a directory that holds only `lost+found`.
    pub force: bool,
    /// User and group number that shall own the result. As root the default is the owner of the
    /// donor's data directory.
    pub owner: Option<(u32, u32)>,
    /// The key that seals the keys of encrypted tablespaces, where they are sealed.
    pub encryption_key: Option<EncryptionKey>,
}

/// A restore that was made.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RestoreReport {
    /// The data directory.
    pub destination: PathBuf,
    /// The sets used, the full one first.
    pub sets: Vec<SetId>,
    /// LSNs of the last set.
    pub lsn: LsnRecord,
    /// Binary log position of the restored state.
    pub binlog: BinlogPosition,
    /// Variables that mysqld must be started with.
    pub variables: std::collections::BTreeMap<String, String>,
    /// What is to be known of its encrypted tablespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyring: Option<&'static str>,
    /// Bytes written.
    pub bytes: u64,
    /// Seconds it took.
    pub seconds: f64,
}

/// A restore to a point in time that was made.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PointInTimeReport {
    /// The restore of the set. Its binary log position is that of the set.
    #[serde(flatten)]
    pub restore: RestoreReport,
    /// What was replayed into it, and the state that it has now.
    pub point_in_time: ReplayReport,
}

/// Restores.
pub fn restore(request: &RestoreRequest, job: &Job) -> Result<RestoreReport> {
    run(request, None, job).map(|(report, _)| report)
}

/// Restores, and replays binary logs up to a point in time. Nothing is changed before they, and the
/// mysqld that is to replay them, have been checked.
pub fn restore_until(
    request: &RestoreRequest,
    point: &PointInTime,
    job: &Job,
) -> Result<PointInTimeReport> {
    let (restore, replay) = run(request, Some(point), job)?;
    let bug = || Error::refused(1105, "nothing was replayed", "This is a bug.");
    Ok(PointInTimeReport {
        restore,
        point_in_time: replay.ok_or_else(bug)?,
    })
}

/// The commands of MySQL's own programs that do the same as [`restore_until`]. The binary logs are
/// checked, and the key, which comes from `key_file`; nothing is changed.
pub fn restore_commands(
    request: &RestoreRequest,
    key_file: Option<&Path>,
    point: &PointInTime,
    job: &Job,
) -> Result<String> {
    let chain = Chain::find(&request.set, &request.chain)?;
    let prepared = Prepared::new(point, &chain, job)?;
    ChainDonor::new(chain)?.unsealed(request.encryption_key.as_ref())?;
    Ok(prepared.commands(request, key_file))
}

/// Of a directory whose keys are wrapped by the built-in master key.
pub(super) const RESTORED_KEYS: &str = "the tablespace keys can be read by everybody who reads this \
     directory, until a server with a keyring (any, also an empty one) has been started on it: start \
     one soon";
/// Of a directory on which a server has been started.
const REPLAYED_KEYS: &str = "the tablespace keys are wrapped by the keyring of the mysqld that \
     replayed: the server needs that keyring";

fn run(
    request: &RestoreRequest,
    point: Option<&PointInTime>,
    job: &Job,
) -> Result<(RestoreReport, Option<ReplayReport>)> {
    let begin = Instant::now();
    let target = Target::new(&request.to, request.force)?;
    let chain = Chain::find(&request.set, &request.chain)?;
    target.check_beside(chain.sets().iter().map(BackupSet::path))?;
    let replay = match point {
        Some(point) => {
            target.check_usable()?;
            target.check_not_within(&point.binlogs)?;
            Some(Prepared::new(point, &chain, job)?)
        }
        None => None,
    };
    for set in chain.sets() {
        tracing::info!(set = %set.path().display(), id = %set.manifest().id, "chain");
    }
    let donor = ChainDonor::new(chain)?.unsealed(request.encryption_key.as_ref())?;
    // An unfinished restore is cleared before the space is counted.
    target.clear_incomplete()?;
    target.check_empty()?;
    let room = replay.as_ref().map_or(0, Prepared::room);
    let need = donor.estimate().saturating_add(room);
    let free = free_space(target.path())?;
    if need > free {
        return Err(Error::NoSpace { need, free });
    }
    let gives_keys = donor.gives_keys();
    let manifest = donor.chain().last().manifest().clone();
    let sets = donor
        .chain()
        .sets()
        .iter()
        .map(|set| set.manifest().id.clone())
        .collect();
    let is_root = rustix::process::geteuid().is_root();
    let owner = request.owner.or(is_root.then_some(manifest.server.owner));
    let clone = CloneRecord {
        begin_us: manifest.clone.begin_us,
        source: manifest.clone.source.clone(),
        ..CloneRecord::default()
    };
    let destination = target.path().to_owned();
    let mut recipient = DataDirectoryRecipient::new(target, owner, clone, job);
    if replay.is_some() {
        recipient = recipient.goes_on();
    }
    let recipient = Arc::new(recipient);
    let mut donor = donor;
    let copy: Arc<dyn Recipient> = recipient.clone();
    let mut snapshot = engine::run(&mut donor, &copy, job)?;
    let binlog = snapshot.binlog.clone();
    let replay = match replay {
        Some(replay) => {
            let report = replay.run(&destination, owner, job)?;
            snapshot.binlog = report.binlog.clone();
            recipient.finish(&snapshot)?;
            Some(report)
        }
        None => None,
    };
    let bytes = job
        .progress
        .sample()
        .iter()
        .take(4)
        .map(|stage| stage.data)
        .sum();
    let report = RestoreReport {
        destination,
        sets,
        lsn: snapshot.lsn,
        binlog,
        variables: manifest.server.variables,
        keyring: gives_keys.then_some(if replay.is_some() {
            REPLAYED_KEYS
        } else {
            RESTORED_KEYS
        }),
        bytes,
        seconds: begin.elapsed().as_secs_f64(),
    };
    Ok((report, replay))
}
