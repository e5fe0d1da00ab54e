//! Keys of an encrypted instance, for a backup that can be restored without its keyring.
//!
//! On the disk the server's keyring protects them, and only the server can read that. So they are
//! asked for, under the backup lock: from then on no key changes but those of undo tablespaces and
//! of the log, which are looked after. The redo log has keys too, where a tablespace was made or
//! encrypted, or the master key rotated; a server without that keyring does not recover from such a
//! log. So the checkpoint that the backup begins with is after the lock was taken.

use super::InstanceDonor;
use super::inventory::{Inventory, SourceFile};
use super::redo;
use crate::files::FileKind;
use crate::{Error, Job, Result, Sealing};
use innodb::encryption::REDO_KEY_AT;
use innodb::lsn::Lsn;
use innodb::redo::BLOCK_SIZE;
use innodb::tablespace::EncryptionInfo;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Gives the keys of an encrypted instance.
pub trait KeySource: Debug + Send + Sync {
    /// Asks for all of them. DDL of the instance is blocked meanwhile.
    fn ask(&self, job: &Job) -> Result<Arc<Sealing>>;
}

/// What must be at the end what it was when keys were asked for.
#[derive(Debug)]
pub(super) struct Keyed {
    /// Tablespaces that have a key.
    spaces: BTreeSet<u32>,
    /// Undo tablespaces: the server truncates them whenever it likes, by making them anew.
    undo: BTreeSet<(String, u32)>,
    /// Whether logs are encrypted.
    settings: String,
    log: bool,
}

impl InstanceDonor {
    /// Before the log is followed: if something is encrypted, has the log begin where it holds no
    /// keys.
    pub(super) fn settle_for_keys(&mut self, job: &Job) -> Result<()> {
        if self.options.keys.is_none() {
            return Ok(());
        }
        let inventory = self.take_inventory(true, job)?;
        let head = redo::checkpoint(&self.facts.redo_dir)?.encryption;
        let keyed = Keyed {
            spaces: encrypted(&inventory),
            undo: undo(&inventory),
            settings: self.encrypting()?,
            log: EncryptionInfo::read(&head, REDO_KEY_AT % BLOCK_SIZE).is_some(),
        };
        if keyed.spaces.is_empty() && !keyed.log && !keyed.settings.contains('1') {
            return Ok(());
        }
        let now = self.session().log_status()?.lsn;
        self.wait_for_checkpoint(now, job)?;
        self.keyed = Some(keyed);
        Ok(())
    }

    fn wait_for_checkpoint(&mut self, at: Lsn, job: &Job) -> Result<()> {
        let begin = Instant::now();
        self.session().flush_logs()?;
        if !self.session().sharp_checkpoint()? {
            tracing::info!("waiting for a checkpoint while DDL is blocked");
        }
        while redo::checkpoint(&self.facts.redo_dir)?.lsn < at {
            if begin.elapsed() > super::prepare::ANY_CHECKPOINT {
                return Err(super::prepare::no_checkpoint(at));
            }
            job.sleep(Duration::from_millis(100))?;
            self.heartbeat()?;
        }
        Ok(())
    }

    /// Once the log is followed: asks for the keys.
    pub(super) fn ask_keys(&mut self, job: &Job) -> Result<()> {
        let (Some(keyed), Some(source)) = (&self.keyed, &self.options.keys) else {
            return Ok(());
        };
        tracing::info!(
            tablespaces = keyed.spaces.len(),
            "the instance is encrypted: asking for its keys"
        );
        let begin = Instant::now();
        let keys = source.ask(job)?;
        let missing = keyed.spaces.iter().find(|space| !keys.has(**space));
        let what = match missing {
            Some(space) => Some(format!("tablespace {space}")),
            None if keyed.log && keys.of_redo().is_none() => Some("the redo log".to_owned()),
            None => None,
        };
        if let Some(what) = what {
            return Err(Error::refused(
                3872,
                format!("the server did not give the key of {what}"),
                "Run the backup again, or back up on the database host.",
            ));
        }
        tracing::info!(keys = keys.len(), took = ?begin.elapsed(), "the server has given its keys");
        if let Some(follower) = &self.follower {
            follower.use_key(keys.of_redo());
        }
        self.heartbeat()
    }

    /// At the end, before DDL goes on: no key came to be that was not asked for.
    pub(super) fn check_keys_are_whole(&mut self, job: &Job) -> Result<()> {
        let Some(keyed) = self.keyed.take() else {
            return Ok(());
        };
        let inventory = self.take_inventory(true, job)?;
        let same = undo(&inventory) == keyed.undo && self.encrypting()? == keyed.settings;
        if same && encrypted(&inventory).is_subset(&keyed.spaces) {
            return Ok(());
        }
        Err(Error::refused(
            1105,
            "an undo tablespace was truncated, or encryption of a log switched, during the backup: \
             its key is not known",
            "Run the backup again.",
        ))
    }

    /// Whether undo tablespaces and the redo log are being encrypted.
    fn encrypting(&mut self) -> Result<String> {
        let rows = self.session().query(
            "read what is encrypted",
            "SELECT CONCAT(@@GLOBAL.innodb_undo_log_encrypt, @@GLOBAL.innodb_redo_log_encrypt)",
        )?;
        let text = rows.first().and_then(|row| row.text(0));
        Ok(text.unwrap_or_default().to_owned())
    }
}

fn encrypted(inventory: &Inventory) -> BTreeSet<u32> {
    let spaces = inventory.spaces.iter().filter_map(|file| file.space);
    let encrypted = spaces.filter(|space| space.flags.is_encrypted());
    encrypted.map(|space| space.id.get()).collect()
}

fn undo(inventory: &Inventory) -> BTreeSet<(String, u32)> {
    let files = inventory.spaces.iter();
    let undo = files.filter(|file: &&SourceFile| file.kind == FileKind::Undo);
    undo.filter_map(|file| Some((file.name.clone(), file.space?.id.get())))
        .collect()
}
