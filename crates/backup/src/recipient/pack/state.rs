//! What a packer knows of its files and of the units under way.

use super::output::Output;
use super::part::Part;
use super::spill::Place;
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

/// A frame that waits for those before it.
#[derive(Debug)]
pub(super) enum Waiting {
    Here(Vec<u8>),
    OnDisk(Place),
}

/// What is to be done with a frame that has arrived.
#[derive(Debug)]
pub(super) enum Arrived {
    /// Nothing: it waits, or is not wanted.
    Kept,
    /// It, or one before it, is to be appended.
    Due(Box<Output>),
    /// Too many wait in memory: it is to be put on disk.
    Spill(Vec<u8>),
}

/// All files, and the units under way.
#[derive(Debug, Default)]
pub(super) struct State {
    files: HashMap<Key, File>,
    /// Units to be compressed.
    queue: VecDeque<Unit>,
    /// Units taken in that are not yet compressed.
    packing: usize,
    /// Units taken in whose frames are not yet in their files.
    under_way: usize,
    /// Frames that wait in memory.
    held: usize,
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
    ready: BTreeMap<u64, Waiting>,
    /// Units of which a part has come.
    parts: HashMap<u64, Part>,
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

    /// Bytes that stand `within` bytes behind the begin of unit `number`; the unit, when it is whole.
    pub(super) fn fill(
        &mut self,
        key: Key,
        number: u64,
        within: u64,
        bytes: &[u8],
        unit: u64,
    ) -> Result<Option<Vec<u8>>> {
        let file = match self.files.get_mut(&key) {
            Some(File::Open(file)) => file,
            Some(File::Abandoned) => return Ok(None),
            Some(File::Done(_)) | None => return Err(out_of_place(key, number)),
        };
        let whole = unit.min(file.length.saturating_sub(number * unit)) as usize;
        let part = file.parts.entry(number).or_insert_with(|| {
            let buffer = self.spare.pop().unwrap_or_default();
            Part::new(buffer, whole)
        });
        if !part.put(within, bytes) {
            return Err(out_of_place(key, number));
        }
        if !part.is_whole() {
            return Ok(None);
        }
        Ok(file.parts.remove(&number).map(Part::into_bytes))
    }

    /// Memory for a unit that comes in one piece of `length` bytes; `None` where the bytes are not
    /// such a piece.
    pub(super) fn buffer_for(
        &mut self,
        key: Key,
        number: u64,
        within: u64,
        length: usize,
        unit: u64,
    ) -> Option<Vec<u8>> {
        let Some(File::Open(file)) = self.files.get(&key) else {
            return None;
        };
        let whole = unit.min(file.length.saturating_sub(number * unit)) as usize;
        let alone = within == 0 && length == whole && !file.parts.contains_key(&number);
        (alone && length > 0).then(|| self.spare.pop().unwrap_or_default())
    }

    /// Whether a unit may come in. What is under way never waits for anything but the threads, so
    /// there will be room.
    pub(super) fn has_room(&self, limit: usize) -> bool {
        self.packing < limit
    }

    /// Takes a unit in.
    pub(super) fn push(&mut self, unit: Unit) {
        if let Some(File::Open(_)) = self.files.get(&unit.key) {
            self.packing += 1;
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

    /// A unit has become a frame. At most `keep` frames wait in memory.
    pub(super) fn arrived(&mut self, unit: Unit, frame: Vec<u8>, keep: usize) -> Arrived {
        self.packing -= 1;
        self.recycle(unit.bytes);
        match self.files.get(&unit.key) {
            Some(File::Open(file)) if file.next != unit.number && self.held >= keep => {
                Arrived::Spill(frame)
            }
            Some(File::Open(_)) => {
                self.held += 1;
                self.wait(unit.key, unit.number, Waiting::Here(frame))
            }
            _ => {
                self.under_way -= 1;
                self.recycle(frame);
                Arrived::Kept
            }
        }
    }

    /// A frame was put on disk. `Err`: nobody wants it any more.
    pub(super) fn spilled(
        &mut self,
        key: Key,
        number: u64,
        frame: Vec<u8>,
        place: Place,
    ) -> Result<Arrived, Place> {
        self.recycle(frame);
        if let Some(File::Open(_)) = self.files.get(&key) {
            return Ok(self.wait(key, number, Waiting::OnDisk(place)));
        }
        self.under_way -= 1;
        Err(place)
    }

    /// Lets a frame wait. If it is due and nobody is writing to its file, the caller is to write.
    fn wait(&mut self, key: Key, number: u64, frame: Waiting) -> Arrived {
        let Some(File::Open(file)) = self.files.get_mut(&key) else {
            return Arrived::Kept;
        };
        file.ready.insert(number, frame);
        if !file.ready.contains_key(&file.next) {
            return Arrived::Kept;
        }
        match file.output.take() {
            Some(output) => {
                self.writing += 1;
                Arrived::Due(output)
            }
            None => Arrived::Kept,
        }
    }

    /// The frame that is to be appended next, if it has come.
    pub(super) fn take_next(&mut self, key: Key) -> Option<Waiting> {
        let Some(File::Open(file)) = self.files.get_mut(&key) else {
            return None;
        };
        let next = file.ready.remove(&file.next)?;
        self.held -= usize::from(matches!(next, Waiting::Here(_)));
        Some(next)
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

    /// Forgets everything of a file; what of it waits on disk.
    pub(super) fn abandon(&mut self, key: Key) -> Vec<Place> {
        let Some(file) = self.files.get_mut(&key) else {
            return Vec::new();
        };
        let mut places = Vec::new();
        if let File::Open(open) = std::mem::replace(file, File::Abandoned) {
            self.under_way -= open.ready.len();
            for frame in open.ready.into_values() {
                match frame {
                    Waiting::Here(_) => self.held -= 1,
                    Waiting::OnDisk(place) => places.push(place),
                }
            }
        }
        let before = self.queue.len();
        self.queue.retain(|unit| unit.key != key);
        let dropped = before - self.queue.len();
        self.under_way -= dropped;
        self.packing -= dropped;
        places
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

    /// Frames of a file that wait for those before: in memory, and on disk.
    #[cfg(test)]
    pub(super) fn waiting(&self, key: Key) -> (usize, usize) {
        let Some(File::Open(file)) = self.files.get(&key) else {
            return (0, 0);
        };
        let all = file.ready.values();
        let here = all
            .filter(|frame| matches!(frame, Waiting::Here(_)))
            .count();
        (here, file.ready.len() - here)
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
