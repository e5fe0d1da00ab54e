//! `backup`: a running instance, of this host or another, into a backup set, recorded in the
//! catalogue from the start.

use crate::donor::instance::{IncrementFrom, InstanceDonor, InstanceOptions};
use crate::donor::remote::{self, RemoteOptions};
use crate::recipient::{BackupSetRecipient, Compression, Recipient, SetOptions, Snapshot, Target};
use crate::set::{BinlogPosition, CloneRecord, LsnRecord, PagesBy, SetId, SetKind};
use crate::{Error, Job, Progress, Result, StageState, engine};
use catalogue::{Catalogue, CloneId, CloneType, NewClone, Outcome, StageUpdate, State};
use innodb::lsn::Lsn;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A backup to be made.
#[derive(Debug, Clone)]
pub struct BackupRequest {
    /// The donor.
    pub instance: InstanceOptions,
    /// Directory of the new set: one that does not exist or is empty.
    pub to: PathBuf,
    /// How the files of the set are compressed; `None` leaves them as they are.
    pub compression: Option<Compression>,
}

/// A backup to be made of a server that is reached over the network.
#[derive(Debug, Clone)]
pub struct RemoteBackupRequest {
    /// The donor.
    pub remote: RemoteOptions,
    /// Directory of the new set: one that does not exist or is empty.
    pub to: PathBuf,
    /// How the files of the set are compressed; `None` leaves them as they are.
    pub compression: Option<Compression>,
}

/// A backup that was made.
#[derive(Debug, Clone, serde::Serialize)]
pub struct BackupReport {
    /// ID in `clone_history`.
    pub id: i64,
    /// Identity of the set.
    pub set_id: SetId,
    /// Full or increment.
    pub kind: SetKind,
    /// Directory of the set.
    pub destination: PathBuf,
    /// LSNs; that of page tracking as `PAGE_TRACK_LSN` is shown.
    pub lsn: LsnRecord,
    /// Binary log position at the end LSN.
    pub binlog: BinlogPosition,
    /// How changed pages were found.
    pub pages_by: PagesBy,
    /// The key that seals the keys of encrypted tablespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed_by: Option<String>,
    /// Bytes read from the donor.
    pub bytes_read: u64,
    /// Seconds for which DDL was blocked.
    pub lock_seconds: f64,
    /// Seconds it took.
    pub seconds: f64,
}

/// How often a running clone is written to the catalogue.
const RECORD_EVERY: Duration = Duration::from_secs(1);

/// Makes a backup of an instance of this host.
pub fn backup(request: &BackupRequest, catalogue: &Catalogue, job: &Job) -> Result<BackupReport> {
    let at = Instant::now();
    let target = Target::new(&request.to, false)?;
    target.check_empty()?;
    target.check_makeable()?;
    let mut begun = Begun {
        at,
        began_us: now_us(),
        kind: kind_of(request.instance.from.is_some()),
        pid: 0,
        source: Source::Instance,
        start_lsn: start_of(request.instance.from.as_ref()),
        compression: request.compression,
    };
    let mut donor = match InstanceDonor::open(request.instance.clone(), job) {
        Ok(donor) => donor,
        Err(error) => return Err(begun.failed(job.cause(error), &target, catalogue, job)),
    };
    target.check_outside(&donor.own_directories())?;
    begun.pid = donor.connection_id();
    begun.start_lsn = donor.start_lsn();
    let mut locked_for = Duration::ZERO;
    let report = make(&begun, target, catalogue, job, |recipient| {
        let result = engine::run(&mut donor, recipient, job);
        locked_for = donor.locked_for();
        // A failed donor gives back what it holds before anything else is done.
        drop(donor);
        result
    })?;
    Ok(BackupReport {
        lock_seconds: locked_for.as_secs_f64(),
        ..report
    })
}

/// Makes a backup of a server that is reached over the network.
pub fn backup_remote(
    request: &RemoteBackupRequest,
    catalogue: &Catalogue,
    job: &Job,
) -> Result<BackupReport> {
    let at = Instant::now();
    let target = Target::new(&request.to, false)?;
    target.check_empty()?;
    target.check_makeable()?;
    let scratch = target.path().to_owned();
    let options = request.remote.clone();
    let mut begun = Begun {
        at,
        began_us: now_us(),
        kind: kind_of(request.remote.from.is_some()),
        pid: 0,
        source: Source::Remote(request.remote.connect.endpoint.clone()),
        start_lsn: start_of(request.remote.from.as_ref()),
        compression: request.compression,
    };
    let connected = remote::connect(options, &scratch, job).and_then(|donor| {
        donor.check_room(request.compression.is_some())?;
        Ok(donor)
    });
    let mut donor = match connected {
        Ok(donor) => donor,
        Err(error) => return Err(begun.failed(job.cause(error), &target, catalogue, job)),
    };
    begun.pid = donor.connection_id();
    begun.start_lsn = donor.start_lsn();
    make(&begun, target, catalogue, job, |recipient| {
        let result = engine::run(&mut *donor, recipient, job);
        drop(donor);
        result
    })
}

/// A backup whose target is there to be written.
struct Begun {
    at: Instant,
    began_us: i64,
    kind: SetKind,
    /// The session on the donor; zero without one.
    pid: u64,
    source: Source,
    start_lsn: Lsn,
    compression: Option<Compression>,
}

/// What is backed up.
enum Source {
    Instance,
    Remote(wire::Endpoint),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Instance => f.write_str("LOCAL INSTANCE"),
            Self::Remote(endpoint) => endpoint.fmt(f),
        }
    }
}

/// As the server begins its messages.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

impl Begun {
    /// What the row says when it has failed.
    fn outcome(&self, error: &Error) -> Outcome {
        let told = match &self.source {
            Source::Remote(donor) => error.of_clone_from(donor),
            Source::Instance => None,
        };
        let (code, text) = told.unwrap_or_else(|| (error.code(), capitalised(&error.to_string())));
        Outcome {
            error_no: i32::from(code),
            error_message: text,
            start_lsn: self.start_lsn.get(),
            ..Outcome::default()
        }
    }

    /// Where the rows of this backup come from.
    fn row(&self, target: &Target, job: &Job) -> NewClone {
        // What a user has to stop: the session that asked, else the one on the donor.
        let pid = job.session().unwrap_or(self.pid);
        NewClone {
            pid: pid.cast_signed(),
            clone_type: match self.kind {
                SetKind::Full => CloneType::Full,
                SetKind::Increment => CloneType::Increment,
            },
            source: self.source.to_string(),
            destination: target.path().display().to_string(),
            start_lsn: self.start_lsn.get(),
        }
    }

    /// Records that it failed before anything was written, unless it had not even begun.
    fn failed(&self, error: Error, target: &Target, catalogue: &Catalogue, job: &Job) -> Error {
        let is_refused = error.is_before_begin()
            || (matches!(self.source, Source::Instance)
                && matches!(error, Error::Privilege { .. }));
        if !is_refused {
            let row = catalogue.begin_at(&self.row(target, job), self.began_us);
            let recorded = row.and_then(|id| catalogue.fail(id, &self.outcome(&error)));
            if let Err(error) = recorded {
                tracing::error!(%error, "a failed backup could not be recorded in the history");
            }
        }
        error
    }
}

fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// The LSN that an increment was asked to begin at, where it is known.
fn start_of(from: Option<&IncrementFrom>) -> Lsn {
    match from {
        Some(IncrementFrom::StartLsn(lsn)) => *lsn,
        _ => Lsn::ZERO,
    }
}

fn kind_of(is_increment: bool) -> SetKind {
    if is_increment {
        SetKind::Increment
    } else {
        SetKind::Full
    }
}

/// Makes the set at `target` by `clone`, recorded.
fn make(
    begun: &Begun,
    target: Target,
    catalogue: &Catalogue,
    job: &Job,
    clone: impl FnOnce(&Arc<dyn Recipient>) -> Result<Snapshot>,
) -> Result<BackupReport> {
    let kind = begun.kind;
    let destination = target.path().to_owned();
    let row = begun.row(&target, job);
    let id = catalogue
        .begin_at(&row, begun.began_us)
        .map_err(Error::History)?;
    let set_id = SetId::random().map_err(|e| Error::refused(1105, e.to_string(), ""))?;
    let options = SetOptions {
        kind,
        id: set_id.clone(),
        clone: CloneRecord {
            id: id.get(),
            pid: row.pid,
            begin_us: begun.began_us,
            end_us: 0,
            source: row.source,
            destination: row.destination,
        },
    };
    let recipient = BackupSetRecipient::new(target, options, job);
    let result = recorded(catalogue, id, job, || {
        let recipient: Arc<dyn Recipient> = match &begun.compression {
            Some(how) => Arc::new(recipient.compressed(how, job)?),
            None => Arc::new(recipient),
        };
        clone(&recipient)
    });
    finish_record(catalogue, id, &set_id, begun, &result);
    let snapshot = result?;
    Ok(BackupReport {
        id: id.get(),
        set_id,
        kind,
        destination,
        lsn: LsnRecord {
            page_track: snapshot.next_start(),
            ..snapshot.lsn
        },
        binlog: snapshot.binlog,
        pages_by: snapshot.pages_by,
        sealed_by: snapshot
            .keys
            .filter(|keys| !keys.is_empty())
            .map(|keys| keys.key_id().to_owned()),
        bytes_read: job.progress.bytes_read(),
        lock_seconds: 0.0,
        seconds: begun.at.elapsed().as_secs_f64(),
    })
}

/// Runs `work` while another thread writes its progress to the catalogue.
fn recorded<T>(catalogue: &Catalogue, id: CloneId, job: &Job, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    let (progress, done) = (&job.progress, &done);
    let result = std::thread::scope(|scope| {
        let recorder = scope.spawn(move || {
            let mut last = Instant::now();
            while !done.load(Ordering::Relaxed) {
                if last.elapsed() >= RECORD_EVERY {
                    record(catalogue, id, progress);
                    last = Instant::now();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        // A panic there would already have ended the process.
        let _ = recorder.join();
        result
    });
    record(catalogue, id, progress);
    result
}

/// Writes the stages as they are. A catalogue that cannot be written does not stop a backup; the
/// end of it is recorded with errors checked.
fn record(catalogue: &Catalogue, id: CloneId, progress: &Progress) {
    for sample in progress.sample() {
        if sample.state == StageState::NotStarted {
            continue;
        }
        let mut update = StageUpdate::new(match sample.state {
            StageState::NotStarted => State::NotStarted,
            StageState::InProgress => State::InProgress,
            StageState::Completed => State::Completed,
            StageState::Failed => State::Failed,
        });
        update.threads = sample.threads;
        update.estimate = sample.estimate;
        update.data = sample.data;
        update.network = sample.network;
        update.data_speed = per_second(sample.data, sample.elapsed);
        update.network_speed = per_second(sample.network, sample.elapsed);
        update.begin_us = sample.began_us;
        update.end_us = sample
            .began_us
            .map(|began| began + sample.elapsed.as_micros() as i64);
        if let Err(error) = catalogue.stage(id, sample.stage.label(), &update) {
            tracing::debug!(%error, stage = %sample.stage, "progress not recorded");
        }
    }
}

fn per_second(bytes: u64, time: Duration) -> u64 {
    let millis = time.as_millis().max(1);
    (u128::from(bytes) * 1000 / millis) as u64
}

/// Records the end. When that fails the result stands: a sealed set says the same as the row would,
/// and the catalogue can be rebuilt from it.
fn finish_record(
    catalogue: &Catalogue,
    id: CloneId,
    set_id: &SetId,
    begun: &Begun,
    result: &Result<Snapshot>,
) {
    let recorded = match result {
        Ok(snapshot) => catalogue.complete(
            id,
            &Outcome {
                binlog_file: snapshot.binlog.file.clone(),
                binlog_position: snapshot.binlog.position,
                gtid_executed: snapshot.binlog.gtid_executed.clone(),
                start_lsn: snapshot.lsn.start.get(),
                page_track_lsn: snapshot.next_start().get(),
                end_lsn: snapshot.lsn.end.get(),
                set_id: Some(set_id.to_string()),
                ..Outcome::default()
            },
        ),
        Err(error) => catalogue.fail(id, &begun.outcome(error)),
    };
    if let Err(error) = recorded {
        tracing::error!(%error, "the end of the backup could not be recorded in the history");
    }
}
