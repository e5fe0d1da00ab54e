//! The command: streams until the end, or for ever.

use super::archiver::{Archiver, Ended};
use super::attach::Source;
use super::directory::{Directory, check_server};
use crate::recipient::Target;
use crate::{Error, Job, Result, Stage};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wire::ConnectOptions;

/// What to archive, and where.
#[derive(Debug, Clone)]
pub struct ArchiveRequest {
    /// The server.
    pub connect: ConnectOptions,
    /// The archive's directory: empty or missing, or the archive of the same server.
    pub to: PathBuf,
    /// Go on when all is archived, until the job is cancelled; then connections that are lost are
    /// made again.
    pub follow: bool,
    /// Compress the files that are finished from now on.
    pub compress: bool,
}

/// What was archived.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ArchiveReport {
    /// The archive's directory.
    pub destination: PathBuf,
    /// `server_uuid` of the server.
    pub server_uuid: String,
    /// Files finished by this run.
    pub files_finished: u64,
    /// Events added by this run.
    pub events: u64,
    /// Bytes added by this run, as they are in the server's files.
    pub bytes: u64,
    /// The last file, which is not finished unless its server has begun another one.
    pub binlog_file: String,
    /// Where the archive ends in it.
    pub binlog_position: u64,
    /// All transactions in the archive and before it; empty from servers without GTIDs.
    pub gtid_set: String,
    /// Seconds it took.
    pub seconds: f64,
}

/// Archives what the server has, and with `follow` what comes. Progress: FILE COPY, in bytes of
/// the server's files.
///
/// With `follow` the job's cancellation is the ordinary end, and no error.
pub fn archive(request: &ArchiveRequest, job: &Job) -> Result<ArchiveReport> {
    let begin = Instant::now();
    let run = || {
        job.check()?;
        let source = Source::connect(&request.connect)?;
        let target = Target::new(&request.to, true)?;
        target.check_outside(&source.directories)?;
        let directory = Directory::open(target.path(), &source.uuid, &source.version)?;
        let mut archiver = Archiver::open(directory, request, job)?;
        job.progress
            .begin(Stage::FileCopy, 1, archiver.ahead(&source));
        stay(&mut archiver, source, request, job)?;
        job.progress.end(Stage::FileCopy);
        Ok(archiver.report(begin))
    };
    run().map_err(|error| {
        job.progress.fail();
        continued(error)
    })
}

/// The same error with what to do here when the connection broke off.
fn continued(error: Error) -> Error {
    match &error {
        Error::Server { source, .. } if source.is_connection_lost() => Error::refused(
            error.code(),
            told(&error),
            "What was archived is good. Run the command again to continue, or with --follow, which \
             connects again by itself.",
        ),
        _ => error,
    }
}

/// Streams until the end; with `follow`, over lost connections.
fn stay(
    archiver: &mut Archiver<'_>,
    source: Source,
    request: &ArchiveRequest,
    job: &Job,
) -> Result<()> {
    let mut next = Ok(source);
    let mut pause = FIRST_PAUSE;
    loop {
        let before = archiver.bytes();
        let outcome = next.and_then(|source| {
            check_server(&request.to, archiver.state(), &source.uuid)?;
            archiver.run(source)
        });
        let error = match outcome {
            Ok(Ended::AllThere) => return Ok(()),
            Ok(Ended::Cancelled) if request.follow => return Ok(()),
            Ok(Ended::Cancelled) => return Err(Error::Cancelled),
            Err(Error::Cancelled) if request.follow => return archiver.settle(),
            Err(error) if request.follow && passes(&error) => error,
            Err(error) => return Err(error),
        };
        if archiver.bytes() > before {
            pause = FIRST_PAUSE;
        }
        tracing::warn!("{}; trying again", told(&error));
        if job.sleep(pause).is_err() {
            return archiver.settle();
        }
        pause = (pause * 2).min(LAST_PAUSE);
        next = Source::connect(&request.connect);
    }
}

/// Whether a new connection may be the remedy.
fn passes(error: &Error) -> bool {
    let Error::Server { source, .. } = error else {
        return false;
    };
    matches!(source, wire::Error::Connect { .. })
        || source.is_connection_lost()
        || matches!(
            source.code(),
            Some(TOO_MANY_CONNECTIONS | SHUTDOWN | INTERRUPTED)
        )
}

fn told(error: &Error) -> String {
    match error {
        Error::Server { action, source } => format!("{action}: {source}"),
        other => other.to_string(),
    }
}

const TOO_MANY_CONNECTIONS: u16 = 1040;
const SHUTDOWN: u16 = 1053;
/// The stream was killed.
const INTERRUPTED: u16 = 1317;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(5);
