//! The connections of a client while FILE COPY is sent, across losses.
//!
//! What was on its way when a connection was lost is gone: nobody keeps it. But the files can be read
//! again. A chunk of which something was sent, and which the client has not got whole, is left for a
//! second pass, in which the donor delivers what the client lacks of it; the others go on.

use super::flow::Flow;
use super::layout::{Announcement, Place, Placed};
use super::sending::{Returning, Turn};
use crate::{Error, Result};
use ::wire::clone::{Received, Stage};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Line {
    returning: Arc<Returning>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    turn: Turn,
    /// Nobody came back.
    over: bool,
    /// What the client is told of FILE COPY.
    files: Option<Announcement>,
    missing: Missing,
    /// Chunks of files that are gone.
    gone: Vec<RangeInclusive<u32>>,
}

/// What the client lacks of FILE COPY.
#[derive(Debug, Default)]
struct Missing {
    /// Chunks of which something was sent on these connections.
    begun: BTreeSet<u32>,
    /// Chunks that lost something, and how many of their first blocks the client has.
    lost: BTreeMap<u32, u32>,
    /// In a pass for lost chunks, those: `None` in the first one, for all.
    pass: Option<BTreeMap<u32, u32>>,
}

impl Line {
    /// Begins with the connections that pull from `flow`.
    pub(super) fn new(flow: Arc<Flow>, returning: Arc<Returning>) -> Self {
        Self {
            returning,
            state: Mutex::new(State {
                turn: Turn::begin(flow),
                over: false,
                files: None,
                missing: Missing::default(),
                gone: Vec::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connections there are now, or were last.
    pub(super) fn turn(&self) -> Turn {
        self.state().turn.clone()
    }

    /// Waits until the client has acknowledged INIT.
    pub(super) fn end_init(&self) -> Result<()> {
        loop {
            let turn = self.turn();
            if turn.stage() > Stage::Init {
                return Ok(());
            }
            match turn.flow().close(Stage::Init) {
                Err(Error::Cancelled) => self.recover(&turn)?,
                closed => return closed,
            }
        }
    }

    /// Opens FILE COPY.
    pub(super) fn open(&self, files: Announcement) -> Result<()> {
        let turn = {
            let mut state = self.state();
            state.files = Some(files.clone());
            state.turn.clone()
        };
        match turn.flow().open(files) {
            Err(Error::Cancelled) => self.recover(&turn),
            opened => opened,
        }
    }

    /// Whether a block is to be sent in this pass.
    pub(super) fn wants(&self, place: Place) -> bool {
        self.state().wants(place)
    }

    /// Sends the block of the bytes at `offset` of a file, or notes that it was lost.
    pub(super) fn push(
        &self,
        placed: &Placed,
        place: Place,
        offset: u64,
        bytes: &[u8],
    ) -> Result<()> {
        let turn = {
            let mut state = self.state();
            if !state.wants(place) {
                return Ok(());
            }
            state.missing.begun.insert(place.chunk);
            state.turn.clone()
        };
        let flow = turn.flow();
        let mut buffer = flow.buffer();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        match flow.push(placed.block(place, offset, buffer), place.last) {
            Err(Error::Cancelled) => self.recover(&turn),
            pushed => pushed,
        }
    }

    /// No more is sent of these chunks.
    pub(super) fn abandon(&self, chunks: RangeInclusive<u32>) {
        let turn = {
            let mut state = self.state();
            state.gone.push(chunks.clone());
            state.turn.clone()
        };
        turn.flow().abandon(chunks);
    }

    /// Waits until the client has acknowledged FILE COPY. False: something was lost, and a pass for
    /// that begins.
    pub(super) fn settle(&self) -> Result<bool> {
        loop {
            let turn = {
                let mut state = self.state();
                let State { missing, gone, .. } = &mut *state;
                missing.lost.retain(|chunk, _| !is_gone(gone, *chunk));
                if !missing.lost.is_empty() {
                    let lost = std::mem::take(&mut missing.lost);
                    tracing::info!(chunks = lost.len(), "what was lost is read and sent again");
                    missing.pass = Some(lost);
                    return Ok(false);
                }
                state.turn.clone()
            };
            if turn.stage() > Stage::FileCopy {
                return Ok(true);
            }
            match turn.flow().close(Stage::FileCopy) {
                Err(Error::Cancelled) => self.recover(&turn)?,
                closed => return closed.map(|()| true),
            }
        }
    }

    /// Waits for the client to come back, unless another thread has.
    fn recover(&self, lost: &Turn) -> Result<()> {
        let mut state = self.state();
        if !state.turn.is(lost) {
            return Ok(());
        }
        loop {
            // Nobody waits for a client with DDL blocked.
            let next = if state.over || self.returning.is_bound() {
                None
            } else {
                self.returning.wait(&state.turn)
            };
            let Some(next) = next else {
                state.over = true;
                return Err(Error::Cancelled);
            };
            if next.stage() <= Stage::FileCopy {
                let received = next.received().filter(|_| next.stage() == Stage::FileCopy);
                state.missing.came_back(received);
            }
            state.turn = next.clone();
            let files = state.files.clone();
            match files.filter(|_| next.stage() == Stage::FileCopy) {
                None => return Ok(()),
                Some(files) => match next.flow().open(files) {
                    Err(Error::Cancelled) => {}
                    opened => return opened,
                },
            }
        }
    }
}

impl State {
    fn wants(&self, place: Place) -> bool {
        !is_gone(&self.gone, place.chunk) && self.missing.wants(place)
    }
}

impl Missing {
    fn wants(&self, place: Place) -> bool {
        if self.lost.contains_key(&place.chunk) {
            return false;
        }
        let pass = self.pass.as_ref();
        pass.is_none_or(|pass| pass.get(&place.chunk).is_some_and(|has| place.block > *has))
    }

    /// A client has come back with this.
    fn came_back(&mut self, received: Option<&Received>) {
        for chunk in std::mem::take(&mut self.begun) {
            let has = match received.map(|received| received.blocks(chunk)) {
                None => 0,
                Some(None) => continue,
                Some(Some(blocks)) => blocks,
            };
            self.lost.insert(chunk, has);
            if let Some(pass) = &mut self.pass {
                pass.remove(&chunk);
            }
        }
    }
}

fn is_gone(gone: &[RangeInclusive<u32>], chunk: u32) -> bool {
    gone.iter().any(|chunks| chunks.contains(&chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(chunk: u32, block: u32) -> Place {
        Place {
            chunk,
            block,
            last: false,
        }
    }

    #[test]
    fn what_a_client_lacks_of_a_chunk_is_wanted_in_the_next_pass_only() {
        let mut missing = Missing::default();
        missing.begun.extend([1, 2, 3]);
        missing.came_back(None);
        assert!(!missing.wants(place(1, 1)) && missing.wants(place(4, 1)));
        missing.pass = Some(std::mem::take(&mut missing.lost));
        assert!(missing.wants(place(1, 1)) && !missing.wants(place(4, 1)));
        missing.pass = Some(BTreeMap::from([(1, 2), (3, 0)]));
        assert!(!missing.wants(place(1, 2)) && missing.wants(place(1, 3)));
        // Lost once more, while it was sent again.
        missing.begun.insert(1);
        missing.came_back(None);
        assert!(!missing.wants(place(1, 3)) && missing.wants(place(3, 1)));
        assert_eq!(missing.lost, BTreeMap::from([(1, 0)]));
    }
}
