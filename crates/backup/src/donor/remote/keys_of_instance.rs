//! The keys of an encrypted instance: a clone of it brings them, and nothing else.
//!
//! On the disk a server's keyring protects them. To a clone the server sends them, over TLS: on page
//! 0 of every encrypted tablespace in PAGE COPY, and in the head of the log. So a clone is begun, its
//! files are left out, and of the rest only the keys are kept.

use super::chunks::Chunks;
use super::conversation::Conversation;
use super::facts::Facts;
use super::files::Files;
use super::intake::Sink;
use super::keys;
use super::link::Network;
use super::options::RemoteOptions;
use crate::donor::instance::KeySource;
use crate::donor::instance::session::Session;
use crate::{Error, Job, Result, Sealing};
use std::sync::Arc;
use std::time::Duration;
use wire::clone::{DataDescriptor, FileDescriptor, Stage, Wish};
use wire::{ConnectOptions, SslMode};

/// Gets the keys of an instance by its clone plugin.
#[derive(Debug)]
pub(crate) struct KeysByClone {
    connect: ConnectOptions,
    keys: Arc<Sealing>,
}

impl KeysByClone {
    /// Those of the server that `connect` leads to, into `keys`.
    pub(crate) fn new(connect: &ConnectOptions, keys: Arc<Sealing>) -> Self {
        let mut connect = connect.clone();
        // A server gives its keys over TLS only, also by a unix socket.
        connect.ssl_mode = connect.ssl_mode.max(SslMode::Required);
        Self { connect, keys }
    }

    fn clone_keys(&self, job: &Job) -> Result<()> {
        let mut session = Session::open_for(job, &self.connect, PATIENCE)?;
        let facts = Facts::ask(&mut session)?;
        drop(session);
        let mut options = RemoteOptions::new(self.connect.clone());
        // DDL is blocked meanwhile.
        options.connect_retry = PATIENCE;
        options.ddl_timeout = PATIENCE;
        let network = Network::new(options).in_dialect(facts.dialect(), Wish::default());
        let mut conversation = Conversation::open(network, 1, job)?;
        let mut files = Files::new(facts.page_size).with_keys(Some(Arc::clone(&self.keys)));
        let end = conversation.first_end(job)?;
        conversation.next_stage(end, Stage::FileCopy, &mut files, job)?;
        let total = conversation.chunks_of_stage();
        let mut chunks = Chunks::new(total)?;
        (1..=total).for_each(|chunk| chunks.complete(chunk));
        conversation.ask_again(chunks, job)?;
        let mut end = conversation.receive(Stage::FileCopy, &Keys(&files), job)?;
        for stage in [Stage::PageCopy, Stage::RedoCopy] {
            conversation.next_stage(end, stage, &mut files, job)?;
            end = conversation.receive(stage, &Keys(&files), job)?;
        }
        conversation.finish(end, job)
    }
}

impl KeySource for KeysByClone {
    fn ask(&self, job: &Job) -> Result<Arc<Sealing>> {
        let asked = self.clone_keys(job);
        asked.map_err(|error| match error {
            Error::NoClonePlugin => Error::refused(
                3872,
                "the instance is encrypted, and only its clone plugin, which is not installed, gives \
                 the keys of its tablespaces",
                "Run INSTALL PLUGIN clone SONAME 'mysql_clone.so' on the instance, or back up on the \
                 database host.",
            ),
            other => other,
        })?;
        Ok(Arc::clone(&self.keys))
    }
}

/// Keeps keys only.
struct Keys<'a>(&'a Files);

impl Sink for Keys<'_> {
    fn announce(&self, _: &FileDescriptor) -> Result<()> {
        Ok(())
    }

    fn put(&self, data: &DataDescriptor, bytes: &[u8]) -> Result<()> {
        let keys = self.0.keys();
        if data.stage == Stage::RedoCopy {
            return keys::of_redo(keys.map(|keys| &**keys), data.offset, bytes).map(drop);
        }
        match self.0.get(data.file)?.space {
            Some(space) if data.offset == 0 => {
                keys::of_first_page(keys, &space, space.first_page, bytes, false).map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// How long to wait for what does not come, with DDL blocked.
const PATIENCE: Duration = Duration::from_secs(30);
