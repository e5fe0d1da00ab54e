//! Reads a log of the archive to its end: where a stream goes on.

use super::directory::{ArchivedLog, Storage};
use super::track::{Track, keep};
use crate::{Error, Job, Result};
use binlog::Reader;
use binlog::event::{EventHeader, EventType};
use std::io::{self, Write};

/// Reads the last log of an archive. What is torn or damaged in one that is not whole is told to
/// be missing, for the server has it; in a finished one it is an error.
///
/// `None`: nothing of the log is of use.
pub(super) fn scan(log: &ArchivedLog, job: &Job) -> Result<Option<Track>> {
    let part = log.storage == Storage::Part;
    let mut track = Track::new(log.name.clone());
    let name = log.path.display().to_string();
    let outcome = Reader::new(name, log.open()?).and_then(|reader| read(reader, &mut track, job));
    match outcome {
        Ok(Read::Cancelled) => Err(Error::Cancelled),
        Ok(Read::All) => Ok(Some(track).filter(|track| !part || track.tail.is_some())),
        Err(error) if part && !matches!(error.problem, binlog::Problem::Read(_)) => {
            if !error.is_truncated() {
                tracing::warn!("{error}; what follows is fetched again");
            }
            Ok(Some(track).filter(|track| track.tail.is_some()))
        }
        Err(error) => Err(Error::damaged(&log.path, error)),
    }
}

enum Read {
    All,
    Cancelled,
}

fn read<R: io::Read>(
    mut reader: Reader<R>,
    track: &mut Track,
    job: &Job,
) -> Result<Read, binlog::Error> {
    track.checksum = reader.format().checksum;
    track.end = reader.first_event();
    reader.set_keep(keep(EventType::GTID));
    let mut crc = Crc(crc32fast::Hasher::new());
    loop {
        if job.is_stopping() {
            return Ok(Read::Cancelled);
        }
        crc.0.reset();
        let name = reader.name().to_owned();
        let Some(event) = reader.next_event_into(&mut crc)? else {
            return Ok(Read::All);
        };
        let (header, begin): (EventHeader, u64) = (event.header, event.begin);
        let noted = track.event(&header, event.body, crc.0.clone().finalize(), None);
        noted.map_err(|problem| problem.at(&name, begin))?;
    }
}

/// The CRC32 of what is written.
struct Crc(crc32fast::Hasher);

impl Write for Crc {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
