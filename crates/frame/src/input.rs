//! Stored bytes from front to end, in pieces of bounded size, with their offset.

use crate::{Error, Result};
use std::io::{ErrorKind, Read};

/// Stored bytes that are taken one piece after the other.
pub(crate) trait Bytes {
    /// Where the next byte is in the stored bytes.
    fn offset(&self) -> u64;

    /// The next `want` bytes; an error that names `what` when there are fewer.
    fn take(&mut self, want: usize, what: &str) -> Result<&[u8]>;
}

/// Bytes in memory.
#[derive(Debug)]
pub(crate) struct Slice<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Slice<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Bytes for Slice<'_> {
    fn offset(&self) -> u64 {
        self.at as u64
    }

    fn take(&mut self, want: usize, what: &str) -> Result<&[u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..want);
        self.at += taken.map_or(0, <[u8]>::len);
        taken.ok_or_else(|| ends_within(self.bytes.len() as u64, what))
    }
}

fn ends_within(end: u64, what: &str) -> Error {
    Error::damaged(end, format!("the file ends within {what}"))
}

/// Bytes that are read at once.
const READ: usize = 256 << 10;

/// A reader that can look ahead.
#[derive(Debug)]
pub(crate) struct Input<R> {
    inner: R,
    /// What was read and not consumed is `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where `start` is in the stored bytes.
    offset: u64,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            offset: 0,
        }
    }

    /// The next bytes without consuming them: at least `want`, fewer only at the end.
    pub(crate) fn peek(&mut self, want: usize) -> Result<&[u8]> {
        while self.end - self.start < want && self.fill(want)? {}
        Ok(&self.buffer[self.start..self.end])
    }

    /// Passes over bytes that were peeked.
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Passes over bytes without keeping them.
    pub(crate) fn skip(&mut self, mut count: u64, what: &str) -> Result<()> {
        while count > 0 {
            let found = self.peek(1)?.len();
            let step = count.min(found as u64);
            if step == 0 {
                return Err(ends_within(self.offset, what));
            }
            self.consume(step as usize);
            count -= step;
        }
        Ok(())
    }

    /// Reads on; whether there was more.
    fn fill(&mut self, want: usize) -> Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let room = want.max(READ);
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        loop {
            match self.inner.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count > 0);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(source) => {
                    let offset = self.offset + self.end as u64;
                    return Err(Error::Read { offset, source });
                }
            }
        }
    }
}

impl<R: Read> Bytes for Input<R> {
    fn offset(&self) -> u64 {
        self.offset
    }

    fn take(&mut self, want: usize, what: &str) -> Result<&[u8]> {
        let found = self.peek(want)?.len();
        if found < want {
            return Err(ends_within(self.offset + found as u64, what));
        }
        let start = self.start;
        self.consume(want);
        Ok(&self.buffer[start..start + want])
    }
}
