//! `CLONE`: the statement becomes the request of a backup.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backup::command::{BackupRequest, RemoteBackupRequest, backup, backup_remote};
use backup::donor::instance::{IncrementFrom, InstanceOptions};
use backup::donor::remote::RemoteOptions;
use backup::recipient::Compression;
use backup::{Job, JobOptions};
use frame::{Algorithm, Settings};
use innodb::lsn::Lsn;
use wire::{ConnectOptions, Endpoint, SslMode};

use super::{encryption, failure};
use crate::access::Privilege;
use crate::donors;
use crate::error::{Result, SqlError};
use crate::service::ServiceOptions;
use crate::session::{Message, Session};
use crate::statement::{CloneStatement, Donor, From};
use crate::variables::{Compressed, Variable, Variables};

/// Makes a clone; returns when it is complete.
pub(super) fn clone(
    session: &mut Session,
    statement: &CloneStatement,
    cancelled: &Arc<AtomicBool>,
) -> Result<()> {
    session.identity.require(Privilege::BackupAdmin)?;
    if let Some(donor) = &statement.donor {
        let list = session.service.variables().text(Variable::ValidDonorList);
        donors::check_donor(list.as_deref(), &donor.host, donor.port)?;
    }
    let Some(directory) = statement.directory.as_deref() else {
        return Err(
            SqlError::unsupported("CLONE INSTANCE without DATA DIRECTORY")
                .hint("innoclone has no data of its own to replace: name a DATA DIRECTORY."),
        );
    };
    check_directory(directory)?;
    let key = encryption::key(statement, &session.service.variables())?;
    let service = Arc::clone(&session.service);
    let _place = service.place()?;
    let options = job_options(&service.variables());
    let mut job = Job::new(&options, Arc::clone(cancelled));
    if session.is_reachable {
        job = job.of_session(session.id());
    }
    session.process.show_progress(Arc::clone(&job.progress));
    let (id, user) = (session.id(), &session.identity.user);
    tracing::info!(session = id, user, directory = %directory.display(), "clone begins");
    let made = match &statement.donor {
        None => {
            let request = local(statement, directory, &service.options, &service.variables())?;
            backup(&request, &service.catalogue, &job)
                .map_err(|error| failure::of_backup(&error, directory))
        }
        Some(donor) => {
            let mut request = remote(statement, donor, directory, &service.variables())?;
            request.remote.encryption_key = key;
            backup_remote(&request, &service.catalogue, &job)
                .map_err(|error| failure::of_donor(&error, directory, donor))
        }
    };
    match made {
        Ok(report) => {
            let (clone, seconds) = (report.id, report.seconds);
            tracing::info!(session = id, clone, seconds, "clone completed");
        }
        Err(error) => {
            tracing::warn!(
                session = id,
                code = error.code,
                "clone failed: {}",
                error.message
            );
            return Err(error);
        }
    }
    if statement.donor.is_some() && statement.page_track {
        session.messages.push(Message {
            level: "Note",
            code: 1105,
            text:
                "Increments of a remote instance find changed pages by their LSN and need no page \
                   tracking: PAGE_TRACK_LSN of clone_history is the START_LSN of the next one, or \
                   base it by INCREMENT BASED DIRECTORY"
                    .to_owned(),
        });
    }
    Ok(())
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

fn base(statement: &CloneStatement) -> Result<Option<IncrementFrom>> {
    match &statement.from {
        From::Nothing | From::StartLsn(0) => Ok(None),
        From::StartLsn(lsn) => Ok(Some(IncrementFrom::StartLsn(Lsn::new(*lsn)))),
        From::BasedOn(base) if !base.is_absolute() => {
            let message = format!("Incorrect path value: '{}'", base.display());
            Err(SqlError::new(1525, message))
        }
        From::BasedOn(base) => Ok(Some(IncrementFrom::Set(base.clone()))),
    }
}

fn remote(
    statement: &CloneStatement,
    donor: &Donor,
    directory: &Path,
    variables: &Variables,
) -> Result<RemoteBackupRequest> {
    let path = |variable| variables.text(variable).filter(|text| !text.is_empty());
    let ssl_mode = match donor.ssl {
        None => SslMode::Preferred,
        Some(true) => SslMode::Required,
        Some(false) => SslMode::Disabled,
    };
    let connect = ConnectOptions {
        endpoint: Endpoint::Tcp {
            host: donor.host.clone(),
            port: donor.port,
        },
        user: donor.user.clone(),
        password: Some(donor.password.clone()),
        // An authority is there to be heeded, unless TLS is not wanted at all.
        ssl_mode: match path(Variable::SslCa) {
            Some(_) if donor.ssl != Some(false) => SslMode::VerifyCa,
            _ => ssl_mode,
        },
        ssl_ca: path(Variable::SslCa).map(PathBuf::from),
        ssl_cert: path(Variable::SslCert).map(PathBuf::from),
        ssl_key: path(Variable::SslKey).map(PathBuf::from),
        // Who forbids TLS wants to log in without it.
        get_server_public_key: donor.ssl == Some(false),
        ..ConnectOptions::default()
    };
    let minutes = variables.number(Variable::DonorTimeoutAfterNetworkFailure);
    let mebibytes = variables.number(Variable::MaxNetworkBandwidth);
    Ok(RemoteBackupRequest {
        to: PathBuf::from(directory),
        compression: compression(variables)?,
        remote: RemoteOptions {
            from: base(statement)?,
            ddl_timeout: Duration::from_secs(variables.number(Variable::DdlTimeout)),
            connect_retry: Duration::from_secs(60 * minutes),
            network_rate: (mebibytes > 0).then_some(mebibytes << 20),
            ..RemoteOptions::new(connect)
        },
    })
}

fn local(
    statement: &CloneStatement,
    directory: &Path,
    options: &ServiceOptions,
    variables: &Variables,
) -> Result<BackupRequest> {
    let from = base(statement)?;
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
    let algorithm = match variables.compressed() {
        Compressed::Lz4 => Algorithm::Lz4,
        Compressed::Zstd => Algorithm::Zstd,
        Compressed::Not => return Ok(None),
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
