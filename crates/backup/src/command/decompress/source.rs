//! A compressed file being read: at any place, or from front to end.

use super::find::Tree;
use super::found::Found;
use crate::io::{CheckedFile, carry};
use crate::{Error, Job, Result};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The compressed file, read at any place by one thread. What a set lists is read against its
/// digest.
#[derive(Debug)]
pub(super) enum Source<'a> {
    Plain(&'a File, &'a Path),
    Checked(CheckedFile),
}

impl<'a> Source<'a> {
    pub(super) fn of(tree: &Tree, found: &'a Found, stored: &'a File) -> Result<Self> {
        let listed = found.listed.as_ref();
        let set = listed.and_then(|(set, record)| Some((tree.sets.get(*set)?, record)));
        Ok(match set {
            Some((set, record)) => Self::Checked(set.set.open_bytes(record)?),
            None => Self::Plain(stored, &found.stored),
        })
    }

    pub(super) fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        match self {
            Self::Checked(file) => file.read_at(offset, bytes),
            Self::Plain(file, path) => file
                .read_exact_at(bytes, offset)
                .map_err(|e| Error::io("read file", path, e)),
        }
    }
}

/// The compressed file from front to end.
#[derive(Debug)]
pub(super) struct Sequential<'a> {
    pub source: Source<'a>,
    pub job: &'a Job,
    /// The next byte.
    pub at: u64,
    pub length: u64,
}

impl Read for Sequential<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // What is no regular file has no length.
        if let Source::Plain(mut file, _) = self.source
            && !file.metadata()?.is_file()
        {
            return file.read(buffer);
        }
        let count = (self.length - self.at).min(buffer.len() as u64);
        let part = &mut buffer[..count as usize];
        self.job.throttle(count).map_err(carry)?;
        self.source.read_at(self.at, part).map_err(carry)?;
        self.at += count;
        Ok(count as usize)
    }
}
