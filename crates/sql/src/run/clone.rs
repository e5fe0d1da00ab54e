//! `CLONE`: the statement becomes the request of a backup.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backup::command::{BackupRequest, backup};
use backup::donor::instance::{IncrementFrom, InstanceOptions};
use backup::recipient::Compression;
use backup::{Job, JobOptions};
use frame::{Algorithm, Settings};
use innodb::lsn::Lsn;

use super::failure;
use crate::access::Privilege;
use crate::donors;
use crate::error::{Result, SqlError};
use crate::service::ServiceOptions;
use crate::session::Session;
use crate::statement::{CloneStatement, Donor, From};
use crate::variables::{COMPRESS, Value, Variable, Variables};

/// Makes a clone; returns when it is complete.
pub(super) fn clone(
    session: &Session,
    statement: &CloneStatement,
    cancelled: &Arc<AtomicBool>,
) -> Result<()> {
    session.identity.require(Privilege::BackupAdmin)?;
    if let Some(donor) = &statement.donor {
        return refuse_remote(session, donor);
    }
    let directory = statement.directory.as_deref().unwrap_or(Path::new(""));
    check_directory(directory)?;
    let service = &session.service;
    let _place = service.place()?;
    let (request, options) = {
        let variables = service.variables();
        let request = request(statement, directory, &service.options, &variables)?;
        (request, job_options(&variables))
    };
    let mut job = Job::new(&options, Arc::clone(cancelled));
    if session.is_reachable {
        job = job.of_session(session.id());
    }
    session.process.show_progress(Arc::clone(&job.progress));
    let (id, user) = (session.id(), &session.identity.user);
    tracing::info!(session = id, user, directory = %directory.display(), "clone begins");
    match backup(&request, &service.catalogue, &job) {
        Ok(report) => {
            tracing::info!(
                session = id,
                clone = report.id,
                seconds = report.seconds,
                "clone completed"
            );
            Ok(())
        }
        Err(error) => {
            let told = failure::of_backup(&error, directory);
            tracing::warn!(
                session = id,
                code = told.code,
                "clone failed: {}",
                told.message
            );
            Err(told)
        }
    }
}

/// The list of donors is heeded first: it says whom a statement may be about at all.
fn refuse_remote(session: &Session, donor: &Donor) -> Result<()> {
    let list = session.service.variables().text(Variable::ValidDonorList);
    donors::check_donor(list.as_deref(), &donor.host, donor.port)?;
    Err(SqlError::unsupported("CLONE INSTANCE FROM").hint(
        "This release backs up the local instance only: run innoclone on the host of the donor.",
    ))
}

/// What the server finds out before it creates anything.
fn check_directory(directory: &Path) -> Result<()> {
    let text = directory.to_string_lossy();
    if !directory.is_absolute() || text.contains('\0') {
        let shown = text.replace('\0', "\\0");
        return Err(SqlError::new(
            1525,
            format!("Incorrect path value: '{shown}'"),
        ));
    }
    if text.len() >= LONGEST_PATH {
        let message = "The path specified for DATA DIRECTORY is too long.";
        return Err(SqlError::new(1680, message));
    }
    // As the server, which thus finds out also that it is a file.
    let as_directory = directory.join("");
    match as_directory.symlink_metadata() {
        Ok(_) => Err(failure::exists(directory)),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(failure::of_io(1006, &as_directory, &error))
        }
        Err(_) => Ok(()),
    }
}

fn request(
    statement: &CloneStatement,
    directory: &Path,
    options: &ServiceOptions,
    variables: &Variables,
) -> Result<BackupRequest> {
    let from = match &statement.from {
        From::Nothing | From::StartLsn(0) => None,
        From::StartLsn(lsn) => Some(IncrementFrom::StartLsn(Lsn::new(*lsn))),
        From::BasedOn(base) if !base.is_absolute() => {
            let message = format!("Incorrect path value: '{}'", base.display());
            return Err(SqlError::new(1525, message));
        }
        From::BasedOn(base) => Some(IncrementFrom::Set(base.clone())),
    };
    Ok(BackupRequest {
        to: PathBuf::from(directory),
        compression: compression(variables)?,
        instance: InstanceOptions {
            datadir: options.datadir.clone(),
            page_track: statement.page_track,
            from,
            lock_wait_timeout: Duration::from_secs(variables.number(Variable::DdlTimeout)),
            ..InstanceOptions::new(options.local.clone())
        },
    })
}

/// How the files of the set are compressed; `None` with `CLONE_FILE_COMPRESS_NONE`.
fn compression(variables: &Variables) -> Result<Option<Compression>> {
    let algorithm = match variables.get(Variable::FileCompress) {
        Value::Word(at) if COMPRESS.get(at) == Some(&"CLONE_FILE_COMPRESS_LZ4") => Algorithm::Lz4,
        Value::Word(at) if COMPRESS.get(at) == Some(&"CLONE_FILE_COMPRESS_ZSTD") => Algorithm::Zstd,
        _ => return Ok(None),
    };
    let level = variables.number(Variable::FileCompressZstdLevel);
    let chunk_size = variables.number(Variable::FileCompressChunkSize);
    let settings = Settings::new(
        algorithm,
        i64::try_from(level).unwrap_or(i64::MAX),
        chunk_size,
    );
    let threads = Settings::threads(variables.number(Variable::FileCompressThreads));
    // The ranges of the variables are those of the settings.
    let refused = |error: frame::Error| SqlError::configuration(error);
    Ok(Some(Compression {
        settings: settings.map_err(refused)?,
        threads: threads.map_err(refused)?,
    }))
}

/// With `clone_autotune_concurrency` the number of workers is ours to choose, up to
/// `clone_max_concurrency`; without it is that number.
fn job_options(variables: &Variables) -> JobOptions {
    let most = usize::try_from(variables.number(Variable::MaxConcurrency)).unwrap_or(1);
    let parallel = if variables.is_on(Variable::AutotuneConcurrency) {
        most.min(JobOptions::default().parallel)
    } else {
        most
    };
    let mebibytes = variables.number(Variable::MaxDataBandwidth);
    JobOptions {
        parallel,
        read_rate: (mebibytes > 0).then_some(mebibytes << 20),
    }
}

/// The server's limit of a path, in bytes.
const LONGEST_PATH: usize = 511;
