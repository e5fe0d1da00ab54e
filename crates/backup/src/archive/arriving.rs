//! One event of a stream.

use super::name::LogName;
use super::stream::{Stream, malformed};
use super::track::keep;
use crate::{Job, Result};
use binlog::Problem;
use binlog::event::{CHECKSUM_LEN, EventDigest, EventHeader, HEADER_LEN, Rotate};

/// An event whose bytes come in.
pub(super) struct Arriving {
    digest: Option<EventDigest>,
    crc: crc32fast::Hasher,
    /// What is kept, the header included.
    kept: Vec<u8>,
    keep: usize,
    length: usize,
}

impl Arriving {
    pub(super) fn new(header: &EventHeader, covered: bool) -> Result<Self, Problem> {
        let digest = covered.then(|| EventDigest::new(header)).transpose()?;
        let checksum = if covered { CHECKSUM_LEN } else { 0 };
        Ok(Self {
            digest,
            crc: crc32fast::Hasher::new(),
            kept: Vec::new(),
            keep: HEADER_LEN + keep(header.kind) + checksum,
            length: header.length as usize - checksum,
        })
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        self.crc.update(bytes);
        let room = self.keep.saturating_sub(self.kept.len());
        self.kept
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// The CRC32 of all of it, and the body without checksum.
    pub(super) fn finish(mut self) -> Result<(u32, Vec<u8>), Problem> {
        self.digest.map_or(Ok(()), EventDigest::finish)?;
        self.kept.truncate(self.length);
        self.kept.drain(..HEADER_LEN.min(self.kept.len()));
        Ok((self.crc.finalize(), self.kept))
    }
}

/// The name in an artificial rotate event. Whether that has a checksum depends on the server's
/// settings of this moment, so it is tried.
pub(super) fn next_name(stream: &mut Stream, header: &EventHeader, job: &Job) -> Result<LogName> {
    if header.length > LONGEST_NAME {
        return Err(malformed("a rotate event with an endless name"));
    }
    let mut bytes = Vec::new();
    stream.read(header, job, &mut |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    let summed = EventDigest::new(header).is_ok_and(|mut digest| {
        digest.update(&bytes);
        digest.finish().is_ok()
    });
    let length = bytes.len() - if summed { CHECKSUM_LEN } else { 0 };
    let body = bytes.get(HEADER_LEN..length).unwrap_or_default();
    let rotate = Rotate::parse(body).map_err(malformed)?;
    rotate.file.parse().map_err(malformed)
}

/// Bytes of a rotate event with the longest name of a file.
const LONGEST_NAME: u32 = 1024;
