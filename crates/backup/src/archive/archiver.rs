//! Takes the events of a stream into the archive.

use super::arriving::{Arriving, next_name};
use super::attach::{End, NOT_GRANTED, Source, not_granted, other_history, start};
use super::directory::{Directory, Storage};
use super::follow::{ArchiveReport, ArchiveRequest};
use super::name::LogName;
use super::part::Part;
use super::scan::scan;
use super::state::State;
use super::stream::{Arrived, MALFORMED, Stream, lost, malformed};
use super::track::{Tail, Track};
use crate::io::remove_file;
use crate::{Error, Job, Result, Stage};
use binlog::Problem;
use binlog::event::{EventHeader, EventType, flags};
use binlog::gtid::GtidSet;
use std::time::Instant;

/// How a stream ended that was not broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The archive has all that the server has.
    AllThere,
    /// The job was cancelled.
    Cancelled,
}

/// The last log of the archive.
#[derive(Debug)]
struct Current {
    track: Track,
    /// The file that is written, if the log is not whole.
    part: Option<Part>,
    /// Transactions of the files before this one, if the server has to show that it knows them.
    before: Option<GtidSet>,
}

/// An archive that grows.
#[derive(Debug)]
pub(super) struct Archiver<'a> {
    directory: Directory,
    request: &'a ArchiveRequest,
    job: &'a Job,
    /// `None` before the first log.
    current: Option<Current>,
    files: u64,
    events: u64,
    bytes: u64,
}

/// Where a stream is.
#[derive(Debug, Default)]
struct Place {
    /// Where the next event begins in the current log; `None` before the server has named it.
    at: Option<u64>,
    /// The event that has to come first.
    tail: Option<Tail>,
}

impl<'a> Archiver<'a> {
    /// Finds the end of the archive.
    pub(super) fn open(
        mut directory: Directory,
        request: &'a ArchiveRequest,
        job: &'a Job,
    ) -> Result<Self> {
        let mut current = None;
        while let Some(log) = directory.logs.pop() {
            let Some(mut track) = scan(&log, job)? else {
                // Nothing of it is of use: a run was killed when it had just begun.
                remove_file(&log.path)?;
                continue;
            };
            let mut part = None;
            if log.storage == Storage::Part {
                track.end_with_tail();
                part = Some(Part::open(&log.path, track.end)?);
            }
            current = Some(Current {
                track,
                part,
                before: None,
            });
            break;
        }
        Ok(Self {
            directory,
            request,
            job,
            current,
            files: 0,
            events: 0,
            bytes: 0,
        })
    }

    pub(super) fn state(&self) -> &State {
        &self.directory.state
    }

    /// Bytes added so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// About how many bytes the server has that the archive has not.
    pub(super) fn ahead(&self, source: &Source) -> u64 {
        let end = self.current.as_ref().map(|current| &current.track);
        let lengths = source.logs.iter().map(|(name, length)| match end {
            Some(track) if *name < track.name => 0,
            Some(track) if *name == track.name => length.saturating_sub(track.end),
            _ => *length,
        });
        lengths.sum()
    }

    /// Streams from the end of the archive on, until the stream ends.
    pub(super) fn run(&mut self, source: Source) -> Result<Ended> {
        let mut place = Place::default();
        let account = source.account.clone();
        let outcome = self.stream(source, &mut place);
        // Of an event that has not come to its end nothing is kept.
        self.settle()?;
        match outcome {
            Err(Error::Cancelled) => Ok(Ended::Cancelled),
            // Bytes from the middle of some other event.
            Err(error) if place.tail.is_some() && error.code() == MALFORMED => {
                Err(other_history(error))
            }
            // What the server says when it has no such event, or no such file.
            Err(Error::Server { source, .. }) if source.code() == Some(1236) => {
                if place.tail.is_some() {
                    return Err(other_history(source));
                }
                Err(Error::refused(
                    1236,
                    format!("read the binary log: {source}"),
                    "The binary logs may have been reset or purged while they were read. What was \
                     archived is good; run the command again to see whether it can be continued.",
                ))
            }
            Err(Error::Server { source, .. }) if source.code() == Some(NOT_GRANTED) => {
                Err(not_granted("REPLICATION SLAVE", &account))
            }
            other => other,
        }
    }

    /// Makes durable what there is, and forgets what is behind the last whole event.
    pub(super) fn settle(&mut self) -> Result<()> {
        if let Some(current) = &mut self.current
            && let Some(part) = &mut current.part
        {
            part.cut(current.track.end)?;
            part.sync(true)?;
        }
        Ok(())
    }

    pub(super) fn report(&self, begin: Instant) -> ArchiveReport {
        let track = self.current.as_ref().map(|current| &current.track);
        ArchiveReport {
            destination: self.directory.path.clone(),
            server_uuid: self.directory.state.server_uuid.clone(),
            files_finished: self.files,
            events: self.events,
            bytes: self.bytes,
            binlog_file: track
                .map(|track| track.name.to_string())
                .unwrap_or_default(),
            binlog_position: track.map_or(0, |track| track.end),
            gtid_set: track
                .map(|track| format!("{:#}", track.gtids))
                .unwrap_or_default(),
            seconds: begin.elapsed().as_secs_f64(),
        }
    }

    fn stream(&mut self, source: Source, place: &mut Place) -> Result<Ended> {
        let end = self.current.as_ref().map(|current| End {
            name: &current.track.name,
            start: current.track.start(),
            whole: current.part.is_none() || current.track.ended,
        });
        let start = start(&source.logs, end)?;
        if let Some(current) = &self.current
            && start.name == current.track.name
        {
            place.tail.clone_from(&current.track.tail);
        }
        tracing::info!("streaming from {} at {}", start.name, start.position);
        let state = &self.directory.state;
        let there = source.logs.last().cloned();
        let mut stream = source.stream(&start, state, self.request.follow)?;
        loop {
            self.job.check()?;
            match stream.arrive()? {
                Arrived::Nothing => self.idle()?,
                Arrived::End if self.has_all(there.as_ref()) => return Ok(Ended::AllThere),
                // A server also ends a stream so when it shuts down.
                Arrived::End => return Err(lost(wire::Error::Closed)),
                Arrived::Event(header) => {
                    self.event(&mut stream, &header, u64::from(start.position), place)?;
                }
            }
        }
    }

    /// Whether the archive has what the server had when it was asked, and need not wait for more.
    fn has_all(&self, there: Option<&(LogName, u64)>) -> bool {
        let current = self.current.as_ref().map(|current| &current.track);
        let Some((track, (name, length))) = current.zip(there) else {
            return false;
        };
        !self.request.follow && (track.name > *name || track.name == *name && track.end >= *length)
    }

    /// A moment to make things durable.
    fn idle(&mut self) -> Result<()> {
        let part = self
            .current
            .as_mut()
            .and_then(|current| current.part.as_mut());
        part.map_or(Ok(()), |part| part.sync(true))
    }

    fn event(
        &mut self,
        stream: &mut Stream,
        header: &EventHeader,
        start: u64,
        place: &mut Place,
    ) -> Result<()> {
        let artificial = header.flags & flags::ARTIFICIAL != 0;
        match header.kind {
            EventType::HEARTBEAT | EventType::HEARTBEAT_V2 => {
                stream.read(header, self.job, &mut |_| Ok(()))
            }
            // In front of a stream that does not begin with the beginning of a file.
            EventType::FORMAT_DESCRIPTION if artificial || header.next == 0 => {
                stream.read(header, self.job, &mut |_| Ok(()))
            }
            EventType::ROTATE if artificial => {
                let name = next_name(stream, header, self.job)?;
                self.log_begins(&name, start, place)
            }
            _ if artificial => Err(malformed("an artificial event of an unexpected type")),
            _ => self.stored_event(stream, header, place),
        }
    }

    /// The server says which log its next events are of.
    fn log_begins(&mut self, name: &LogName, start: u64, place: &mut Place) -> Result<()> {
        let mut before = None;
        if let Some(current) = &mut self.current {
            let track = &current.track;
            if *name == track.name && place.at.is_none() {
                place.at = Some(start);
                return Ok(());
            }
            if *name != track.name.next() || track.next.as_ref().is_some_and(|next| next != name) {
                return Err(Error::refused(
                    1236,
                    format!("the server goes on with {name} behind {}", track.name),
                    "Nothing of it was added to the archive: there would be a gap.",
                ));
            }
            if place.tail.is_some() || place.at.is_some_and(|at| at != track.end) {
                let detail = format!("its {} ends before {}", track.name, track.end);
                return Err(other_history(detail));
            }
            if place.at.is_none() {
                // No event that we have was sent again: something else must tie the two together.
                before = Some(track.gtids.clone());
            }
            self.finish()?;
        }
        let part = Part::create(&self.directory.path, &name.to_string())?;
        self.current = Some(Current {
            track: Track::new(name.clone()),
            part: Some(part),
            before,
        });
        place.at = Some(self.current.as_ref().map_or(0, |current| current.track.end));
        Ok(())
    }

    /// The current log is whole.
    fn finish(&mut self) -> Result<()> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let Some(mut part) = current.part.take() else {
            return Ok(());
        };
        part.cut(current.track.end)?;
        let name = current.track.name.to_string();
        let compress = self.request.compress;
        let done = part.finish(&self.directory.path, &name, compress, self.job);
        done?;
        self.files += 1;
        tracing::info!(bytes = current.track.end, "{name} is archived");
        Ok(())
    }

    /// An event of a file: one that we have, or the next.
    fn stored_event(
        &mut self,
        stream: &mut Stream,
        header: &EventHeader,
        place: &mut Place,
    ) -> Result<()> {
        let Some((current, at)) = self.current.as_mut().zip(place.at) else {
            return Err(malformed("an event of no file"));
        };
        let end = at + u64::from(header.length);
        if header.next != end as u32 {
            let detail = format!("an event at {at} that says it ends at {}", header.next);
            return Err(malformed(detail));
        }
        let known = end <= current.track.end;
        if known && current.part.is_some() && place.tail.is_none()
            || end > current.track.end && at < current.track.end
        {
            return Err(other_history(format!("they have another event at {at}")));
        }
        let covered = current.track.checksum.covers(header.kind);
        let mut arriving = Arriving::new(header, covered).map_err(malformed)?;
        let part = current.part.as_mut();
        let mut part = part.filter(|_| !known);
        stream.read(header, self.job, &mut |bytes| {
            arriving.take(bytes);
            part.as_mut().map_or(Ok(()), |part| part.write(bytes))
        })?;
        let (crc, body) = arriving.finish().map_err(malformed)?;
        if let Some(tail) = place.tail.take() {
            let same = tail.begin == at && tail.header == *header && tail.crc == crc;
            if !same {
                place.tail = Some(tail);
                return Err(other_history(format!("they have another event at {at}")));
            }
        }
        place.at = Some(end);
        if known {
            return Ok(());
        }
        if current.part.is_none() {
            let detail = format!(
                "{} has more events than when it was archived",
                current.track.name
            );
            return Err(other_history(detail));
        }
        let noted = current
            .track
            .event(header, &body, crc, current.before.as_ref());
        noted.map_err(|problem| match problem {
            Problem::Damaged(detail) => other_history(detail),
            other => malformed(other),
        })?;
        self.events += 1;
        self.bytes += u64::from(header.length);
        self.job
            .progress
            .advance(Stage::FileCopy, header.length.into());
        self.job.progress.count_read(header.length.into());
        current
            .part
            .as_mut()
            .map_or(Ok(()), |part| part.sync(false))
    }
}
