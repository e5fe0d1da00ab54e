//! The clone as it is received: the connections that carry it, and what has no place in the set yet.

use super::base::Base;
use super::conversation::Conversation;
use super::files::Files;
use super::out_of_order;
use super::sinks::FileSink;
use super::spool::Spool;
use crate::recipient::Recipient;
use crate::{Job, Result};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use wire::clone::{Stage, StageDescriptor};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Receiving {
    conversation: Mutex<Option<Conversation>>,
    /// The end of the stage before PAGE COPY, once it has been received.
    end: Mutex<Option<StageDescriptor>>,
    spool: Option<Spool>,
}

impl Receiving {
    /// Goes on with a conversation that has been begun. `end` is that of the stage before PAGE COPY,
    /// if it has come.
    pub(super) fn new(conversation: Conversation, end: Option<StageDescriptor>) -> Self {
        Self {
            conversation: Mutex::new(Some(conversation)),
            end: Mutex::new(end),
            spool: None,
        }
    }

    /// The conversation, until it is [taken](Self::take).
    pub(super) fn conversation(&mut self) -> Result<&mut Conversation> {
        let conversation = self
            .conversation
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        conversation.as_mut().ok_or_else(out_of_order)
    }

    /// Makes the spool in `scratch`, where the set is made.
    pub(super) fn make_spool(&mut self, scratch: &Path) -> Result<()> {
        self.spool = Some(Spool::new(scratch, "#clone/#received_pages")?);
        Ok(())
    }

    /// Pages that are delivered when everything has come.
    pub(super) fn spool(&self) -> Result<&Spool> {
        self.spool.as_ref().ok_or_else(out_of_order)
    }

    /// Receives FILE COPY. One of the engine's threads does it, by threads of its own: there is one
    /// for each connection, and they have to come back together when one is lost.
    pub(super) fn receive_files(
        &self,
        files: &Files,
        base: Option<&Base>,
        recipient: &dyn Recipient,
        job: &Job,
    ) -> Result<()> {
        let Ok(mut conversation) = self.conversation.try_lock() else {
            return Ok(());
        };
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.is_some() {
            return Ok(());
        }
        let sink = FileSink {
            files,
            base,
            spool: self.spool()?,
            recipient,
            progress: &job.progress,
        };
        let conversation = conversation.as_mut().ok_or_else(out_of_order)?;
        *end = Some(conversation.receive(Stage::FileCopy, &sink, job)?);
        sink.end();
        Ok(())
    }

    /// The conversation and the end to be acknowledged, for PAGE COPY and what comes after.
    pub(super) fn take(&mut self) -> Result<(Conversation, StageDescriptor)> {
        let end = self.end.get_mut();
        let end = end.unwrap_or_else(PoisonError::into_inner).take();
        let conversation = self.conversation.get_mut();
        let conversation = conversation.unwrap_or_else(PoisonError::into_inner).take();
        conversation.zip(end).ok_or_else(out_of_order)
    }
}
