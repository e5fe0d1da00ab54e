//! What each connection does next, by the state of the flow.

use super::{Block, MASTER, Next, Phase, State, Task};
use ::wire::clone::{Stage, StageDescriptor};
use std::sync::Arc;

impl State {
    /// What a connection does next; `None` when it has to wait.
    pub(super) fn next(&mut self, number: u32) -> Option<Next> {
        // A client decides how long its connections live: one that is gone has nothing to do.
        let mut task = self.tasks.remove(&number)?;
        let next = self.next_of(number, &mut task);
        self.tasks.insert(number, task);
        next
    }

    fn next_of(&mut self, number: u32, task: &mut Task) -> Option<Next> {
        let opened = self.phase != Phase::Coming;
        let is_master = number == MASTER;
        if task.begun < self.stage {
            if !opened || !(is_master || self.announced) {
                return None;
            }
            task.begun = self.stage;
            task.files_due = !is_master && self.stage == Stage::RedoCopy;
            return Some(Next::Begin(Arc::clone(&self.announcement)));
        }
        if task.files_due && opened {
            task.files_due = false;
            return Some(Next::Files(Arc::clone(&self.announcement)));
        }
        if let Some(block) = self.next_block(task) {
            return Some(Next::Data(block));
        }
        if self.stage == Stage::Done {
            return (opened && self.announced).then_some(Next::Complete);
        }
        let closing = matches!(self.phase, Phase::Closing | Phase::Acknowledged);
        if closing && task.chunk.is_none() && self.ready.is_empty() && task.ended < self.stage {
            task.ended = self.stage;
            return Some(Next::End(StageDescriptor {
                estimate: 0,
                estimate_disk: 0,
                begins: false,
                stage: self.stage,
                ..self.announcement.stage
            }));
        }
        None
    }

    fn next_block(&mut self, task: &mut Task) -> Option<Block> {
        loop {
            let number = match task.chunk {
                Some(number) => number,
                None => self.ready.pop_front()?,
            };
            task.chunk = Some(number);
            let chunk = self.chunks.get_mut(&number)?;
            if let Some(block) = chunk.blocks.pop_front() {
                chunk.bytes -= block.bytes.len();
                if chunk.whole && chunk.blocks.is_empty() {
                    self.chunks.remove(&number);
                    task.chunk = None;
                }
                return Some(block);
            }
            if !chunk.whole {
                return None;
            }
            self.chunks.remove(&number);
            task.chunk = None;
        }
    }
}
