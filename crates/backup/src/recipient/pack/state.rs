//! What a packer knows of its files and of the units under way.

use super::output::Output;
use crate::recipient::tree::Key;
use crate::{Error, Result};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// A unit of a file.
#[derive(Debug)]
pub(super) struct Unit {
    pub key: Key,
    pub number: u64,
    pub bytes: Vec<u8>,
}

/// Where bytes of a unit go.
#[derive(Debug)]
pub(super) enum Begin {
    /// Behind those in `buffer`, which makes a unit of `whole` bytes.
    Unit { buffer: Vec<u8>, whole: usize },
    /// Nowhere: the file is not wanted any more.
    Abandoned,
}

/// All files, and the units under way.
#[derive(Debug, Default)]
pub(super) struct State {
    files: HashMap<Key, File>,
    /// Units to be compressed.
    queue: VecDeque<Unit>,
    /// Units taken in whose frames are not yet in their files.
    under_way: usize,
    /// Threads that are writing to a file.
    writing: usize,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
    closed: bool,
    failed: bool,
    failure: Option<Error>,
}

#[derive(Debug)]
enum File {
    Open(Open),
    /// Bytes of the original.
    Done(u64),
    Abandoned,
}

/// A file that is not complete.
#[derive(Debug)]
struct Open {
    length: u64,
    units: u64,
    source: Option<Key>,
    /// The unit that must be appended next.
    next: u64,
    /// Frames that wait for those before.
    ready: BTreeMap<u64, Vec<u8>>,
    /// Units of which a part has come.
    parts: HashMap<u64, Vec<u8>>,
    /// Not here while a thread is writing.
    output: Option<Box<Output>>,
}

impl State {
    pub(super) fn open(&mut self, key: Key, length: u64, unit: u64, source: Option<Key>) {
        let file = match length {
            0 => File::Done(0),
            _ => File::Open(Open {
                length,
                units: length.div_ceil(unit),
                source,
                next: 0,
                ready: BTreeMap::new(),
                parts: HashMap::new(),
                output: Some(Box::new(Output::new(unit, length))),
            }),
        };
        self.files.insert(key, file);
    }

    /// Where `len` bytes go that stand `within` bytes behind the begin of unit `number`.
    pub(super) fn begin(
        &mut self,
        key: Key,
        number: u64,
        within: u64,
        len: usize,
        unit: u64,
    ) -> Result<Begin> {
        let file = match self.files.get_mut(&key) {
            Some(File::Open(file)) => file,
            Some(File::Abandoned) => return Ok(Begin::Abandoned),
            Some(File::Done(_)) | None => return Err(out_of_place(key, number)),
        };
        let whole = unit.min(file.length.saturating_sub(number * unit)) as usize;
        let part = file.parts.remove(&number);
        let mut buffer = part.unwrap_or_else(|| self.spare.pop().unwrap_or_default());
        buffer.reserve_exact(whole - buffer.len().min(whole));
        if buffer.len() as u64 != within || buffer.len() + len > whole {
            return Err(out_of_place(key, number));
        }
        Ok(Begin::Unit { buffer, whole })
    }

    /// Keeps a unit of which more is to come.
    pub(super) fn keep(&mut self, key: Key, number: u64, buffer: Vec<u8>) {
        if let Some(File::Open(file)) = self.files.get_mut(&key) {
            file.parts.insert(number, buffer);
        }
    }

    /// Whether a unit may come in. One of an abandoned file may: it is dropped.
    pub(super) fn has_room(&self, key: Key, number: u64, limit: usize) -> bool {
        self.under_way < limit
            || match self.files.get(&key) {
                Some(File::Open(file)) => file.next == number,
                _ => true,
            }
    }

    /// Takes a unit in.
    pub(super) fn push(&mut self, unit: Unit) {
        if let Some(File::Open(_)) = self.files.get(&unit.key) {
            self.under_way += 1;
            self.queue.push_back(unit);
        } else {
            self.recycle(unit.bytes);
        }
    }

    /// The unit to be compressed next.
    pub(super) fn pop(&mut self) -> Option<Unit> {
        self.queue.pop_front()
    }

    /// An empty buffer.
    pub(super) fn spare(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    fn recycle(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        // There are never more in use than units under way need, two for each.
        self.spare.push(buffer);
    }

    /// A unit has become a frame. If nobody is writing to its file, the caller is to write.
    pub(super) fn arrived(&mut self, unit: Unit, frame: Vec<u8>) -> Option<Box<Output>> {
        self.recycle(unit.bytes);
        let Some(File::Open(file)) = self.files.get_mut(&unit.key) else {
            self.under_way -= 1;
            self.recycle(frame);
            return None;
        };
        file.ready.insert(unit.number, frame);
        if !file.ready.contains_key(&file.next) {
            return None;
        }
        let output = file.output.take();
        self.writing += usize::from(output.is_some());
        output
    }

    /// The frame that is to be appended next, if it has come.
    pub(super) fn take_next(&mut self, key: Key) -> Option<Vec<u8>> {
        match self.files.get_mut(&key) {
            Some(File::Open(file)) => file.ready.remove(&file.next),
            _ => None,
        }
    }

    /// The frame is in the file.
    pub(super) fn appended(&mut self, key: Key, frame: Vec<u8>) {
        self.under_way -= 1;
        self.recycle(frame);
        if let Some(File::Open(file)) = self.files.get_mut(&key) {
            file.next += 1;
        }
    }

    /// Whether all frames are in the file.
    pub(super) fn is_complete(&self, key: Key) -> bool {
        match self.files.get(&key) {
            Some(File::Open(file)) => file.next == file.units,
            _ => false,
        }
    }

    /// The source of a file that is not done.
    pub(super) fn source(&self, key: Key) -> Option<Key> {
        match self.files.get(&key) {
            Some(File::Open(file)) => file.source,
            _ => None,
        }
    }

    /// The file is complete, its index written.
    pub(super) fn done(&mut self, key: Key) {
        self.writing -= 1;
        if let Some(file) = self.files.get_mut(&key)
            && let File::Open(open) = file
        {
            *file = File::Done(open.length);
        }
    }

    /// The caller has written what there was to write.
    pub(super) fn give_back(&mut self, key: Key, output: Box<Output>) {
        self.writing -= 1;
        if let Some(File::Open(file)) = self.files.get_mut(&key) {
            file.output = Some(output);
        }
    }

    /// Forgets everything of a file.
    pub(super) fn abandon(&mut self, key: Key) {
        let Some(file) = self.files.get_mut(&key) else {
            return;
        };
        if let File::Open(open) = std::mem::replace(file, File::Abandoned) {
            self.under_way -= open.ready.len();
        }
        let before = self.queue.len();
        self.queue.retain(|unit| unit.key != key);
        self.under_way -= before - self.queue.len();
    }

    /// Whether something is still to be written.
    pub(super) fn is_busy(&self) -> bool {
        !self.failed && (self.under_way > 0 || self.writing > 0)
    }

    /// A file that is not complete.
    pub(super) fn unfinished(&self) -> Option<Key> {
        let mut files = self.files.iter();
        let open = files.find(|(_, file)| matches!(file, File::Open(_)));
        open.map(|(key, _)| *key)
    }

    /// Bytes of the original of a complete file.
    pub(super) fn length(&self, key: Key) -> Option<u64> {
        match self.files.get(&key) {
            Some(File::Done(length)) => Some(*length),
            _ => None,
        }
    }

    /// Frames of a file that wait for those before.
    #[cfg(test)]
    pub(super) fn waiting(&self, key: Key) -> usize {
        match self.files.get(&key) {
            Some(File::Open(file)) => file.ready.len(),
            _ => 0,
        }
    }

    /// Records a failure. The first one counts.
    pub(super) fn fail(&mut self, error: Error) {
        if !self.failed {
            self.failed = true;
            self.failure = Some(error);
        }
    }

    /// Fails when a thread has: once with what it failed of.
    pub(super) fn check(&mut self) -> Result<()> {
        if self.failed {
            return Err(self.failure.take().unwrap_or(Error::Cancelled));
        }
        Ok(())
    }

    /// Ends the threads.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

fn out_of_place(key: Key, number: u64) -> Error {
    Error::refused(
        1105,
        format!("unit {number} of file {key:?} is out of place"),
        "This is a bug.",
    )
}
