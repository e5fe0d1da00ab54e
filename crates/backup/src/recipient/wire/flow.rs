//! Between the engine, which pushes blocks, and the connections of a client, which pull them.
//!
//! The stages as a client sees them: a stage *opens* when the engine knows its files; the client's
//! first connection (the *master*) is told of them, and then every connection is sent chunks. When
//! the engine has no more, the stage *closes*: each connection is told, and the client acknowledges.
//! Connections may join while a stage is open.

mod next;

use super::block::Block;
use super::layout::Announcement;
use crate::{Error, Result};
use ::wire::clone::{Stage, StageDescriptor};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why a flow has ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// A connection was lost; the client may come back.
    Interrupted,
    /// It failed; the client is told why.
    Failed {
        /// MySQL error number.
        code: u16,
        /// The words.
        message: String,
    },
}

/// What a connection does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Say that a stage begins, and, on the master, which files it has.
    Begin(Arc<Announcement>),
    /// Say only which files the stage has: the client knows the rest.
    Files(Arc<Announcement>),
    /// Send a block.
    Data(Block),
    /// Say that the stage ends.
    End(StageDescriptor),
    /// Nothing to do for a while: give a sign of life.
    Wait,
    /// The clone is complete.
    Complete,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Flow {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    phase: Phase,
    announcement: Arc<Announcement>,
    /// The master has told the client of the stage.
    announced: bool,
    /// A client that came back knows that the first stage has begun.
    known: Known,
    tasks: BTreeMap<u32, Task>,
    /// Chunks that no connection has taken yet.
    ready: VecDeque<u32>,
    chunks: HashMap<u32, Chunk>,
    /// Chunks of which no more is sent.
    abandoned: Vec<RangeInclusive<u32>>,
    spare: Vec<Vec<u8>>,
    stopped: Option<Stopped>,
}

/// What a client that came back knows of the stage it was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Nothing,
    /// That it has begun, but not all of its files.
    Begin,
    Files,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The stage before is over, this one is not open yet.
    Coming,
    Open,
    /// There is no more of it; the client has not acknowledged yet.
    Closing,
    Acknowledged,
}

/// A connection.
#[derive(Debug)]
struct Task {
    begun: Stage,
    ended: Stage,
    files_due: bool,
    chunk: Option<u32>,
}

#[derive(Debug, Default)]
struct Chunk {
    blocks: VecDeque<Block>,
    /// Bytes of the blocks.
    bytes: usize,
    /// No more blocks come.
    whole: bool,
}

impl Flow {
    /// A flow that begins with `stage`, of which the client knows what `known` says.
    pub(crate) fn new(stage: Stage, known: Known) -> Self {
        let state = State {
            stage,
            phase: Phase::Coming,
            announcement: Arc::new(Announcement::empty(stage)),
            announced: false,
            known,
            tasks: BTreeMap::new(),
            ready: VecDeque::new(),
            chunks: HashMap::new(),
            abandoned: Vec::new(),
            spare: Vec::new(),
            stopped: None,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, for the engine, until `ready`; fails when the flow is stopped.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        mut ready: impl FnMut(&State) -> bool,
    ) -> Result<MutexGuard<'a, State>> {
        loop {
            if state.stopped.is_some() {
                // Whoever stopped it knows the reason; the engine just ends.
                return Err(Error::Cancelled);
            }
            if ready(&state) {
                return Ok(state);
            }
            let waited = self.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    // What the engine's side does.

    /// Opens a stage, as soon as every connection is through with the one before.
    pub(super) fn open(&self, announcement: Announcement) -> Result<()> {
        let stage = announcement.stage.stage;
        let first = {
            let state = self.lock();
            state.phase == Phase::Coming && state.stage == stage
        };
        let mut state = self.wait(self.lock(), |state| {
            first || state.tasks.values().all(|task| task.ended >= state.stage)
        })?;
        state.stage = stage;
        state.phase = Phase::Open;
        state.announcement = Arc::new(announcement);
        state.announced = first && state.known == Known::Files;
        // Chunks have numbers of their own in each stage.
        state.abandoned.clear();
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Memory for a block.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.lock().spare.pop().unwrap_or_default()
    }

    /// Hands a block over; waits while there are enough of its chunk.
    pub(super) fn push(&self, block: Block, last: bool) -> Result<()> {
        let number = block.data.chunk;
        let mut state = self.wait(self.lock(), |state| {
            let chunk = state.chunks.get(&number);
            chunk.is_none_or(|chunk| chunk.blocks.len() < AHEAD || chunk.bytes < AHEAD_BYTES)
        })?;
        // A client that has been sent the next chunk takes this one for complete.
        if state.abandoned.iter().any(|gone| gone.contains(&number)) {
            return Ok(());
        }
        if !state.chunks.contains_key(&number) {
            state.ready.push_back(number);
        }
        let chunk = state.chunks.entry(number).or_default();
        chunk.bytes += block.bytes.len();
        chunk.blocks.push_back(block);
        chunk.whole = last;
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// No more blocks are sent of these chunks: their file is gone. The connections that have begun
    /// with them take others.
    pub(super) fn abandon(&self, chunks: RangeInclusive<u32>) {
        let mut state = self.lock();
        state.abandoned.push(chunks.clone());
        for (number, chunk) in &mut state.chunks {
            chunk.whole |= chunks.contains(number);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Closes a stage, and waits until the client has acknowledged it.
    pub(super) fn close(&self, stage: Stage) -> Result<()> {
        {
            let mut state = self.lock();
            state.stage = stage;
            state.phase = Phase::Closing;
            for chunk in state.chunks.values_mut() {
                chunk.whole = true;
            }
        }
        self.changed.notify_all();
        drop(self.wait(self.lock(), |state| state.phase == Phase::Acknowledged)?);
        Ok(())
    }

    // What the connections do.

    /// The first connection joins.
    pub(crate) fn join(&self) {
        let mut state = self.lock();
        let before = before(state.stage);
        let task = Task {
            // There is no begin of INIT.
            begun: if state.known == Known::Nothing && state.stage != Stage::Init {
                before
            } else {
                state.stage
            },
            ended: before,
            files_due: state.known == Known::Begin,
            chunk: None,
        };
        state.tasks.insert(MASTER, task);
        drop(state);
        self.changed.notify_all();
    }

    /// Another connection joins, as soon as a stage is open and the client knows of it; its number,
    /// and that stage. `None`: that did not come within `patience`.
    ///
    /// From now on the stages wait for the connection. A client lets it in only in the stage that it
    /// is told here, so the next one must not begin before.
    pub(crate) fn attach(&self, patience: Duration) -> Option<(u32, Stage)> {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        while state.phase != Phase::Open || !state.announced {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.stopped.is_some() || state.stage == Stage::Done {
                return None;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let stage = state.stage;
        if state.tasks.len() > MAX_TASKS || stage == Stage::Done || state.stopped.is_some() {
            return None;
        }
        let last = state.tasks.keys().next_back().copied();
        let number = last.map_or(MASTER + 1, |last| last.saturating_add(1));
        let task = Task {
            begun: stage,
            ended: before(stage),
            // Each connection tells of the redo files that it sends.
            files_due: stage == Stage::RedoCopy,
            chunk: None,
        };
        state.tasks.insert(number, task);
        Some((number, stage))
    }

    /// What connection `task` does next; [`Next::Wait`] when nothing has come up within `patience`.
    pub(crate) fn next(&self, task: u32, patience: Duration) -> Result<Next, Stopped> {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if let Some(stopped) = &state.stopped {
                return Err(stopped.clone());
            }
            if let Some(next) = state.next(task) {
                drop(state);
                // Chunks have room again, or the last one has ended a stage.
                self.changed.notify_all();
                return Ok(next);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Next::Wait);
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The master has told the client of `stage` and its files.
    pub(crate) fn announced(&self, stage: Stage) {
        let mut state = self.lock();
        if state.stage == stage {
            state.announced = true;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Takes the memory of a block that was sent.
    pub(crate) fn give_back(&self, buffer: Vec<u8>) {
        let mut state = self.lock();
        if state.spare.len() < SPARE && state.stopped.is_none() {
            state.spare.push(buffer);
        }
    }

    /// The client acknowledges the end of a stage. False: it has not been told of that end.
    pub(crate) fn acknowledge(&self, stage: Stage) -> bool {
        let mut state = self.lock();
        let told = state
            .tasks
            .get(&MASTER)
            .is_some_and(|master| master.ended >= stage);
        let right = state.stage == stage && state.phase == Phase::Closing && told;
        if right {
            state.phase = Phase::Acknowledged;
        }
        drop(state);
        self.changed.notify_all();
        right
    }

    /// Ends the flow; the first reason counts. What it held of blocks is free again, however long
    /// its client is waited for.
    pub(crate) fn stop(&self, why: Stopped) {
        let mut state = self.lock();
        state.stopped.get_or_insert(why);
        state.ready = VecDeque::new();
        state.chunks = HashMap::new();
        state.spare = Vec::new();
        drop(state);
        self.changed.notify_all();
    }

    /// The stage it is in.
    pub(crate) fn stage(&self) -> Stage {
        self.lock().stage
    }

    /// Why it was stopped, if it was.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.lock().stopped.clone()
    }

    /// The stage that a client that comes back should be in, or in the one before.
    pub(crate) fn stage_to_resume(&self) -> Stage {
        let state = self.lock();
        match state.phase {
            Phase::Acknowledged => state.stage.next().unwrap_or(Stage::Done),
            _ => state.stage,
        }
    }

    /// A connection leaves in good order, after [`Next::Complete`].
    pub(crate) fn leave(&self, task: u32) {
        self.lock().tasks.remove(&task);
        self.changed.notify_all();
    }
}

/// The stage before.
fn before(stage: Stage) -> Stage {
    Stage::of(u32::from(stage.number().saturating_sub(1))).unwrap_or_default()
}

/// The number of the first connection.
pub(crate) const MASTER: u32 = 0;
/// As many connections besides it as a server's `clone_max_concurrency` allows.
const MAX_TASKS: usize = 128;
/// Blocks of a chunk that wait to be sent: so many, or of small ones so many bytes.
const AHEAD: usize = 2;
const AHEAD_BYTES: usize = 512 << 10;
/// Buffers kept for later.
const SPARE: usize = 16;

#[cfg(test)]
mod tests;
