//! Serving: a chain as donor for whoever speaks the clone protocol.
//!
//! `CLONE INSTANCE FROM user@host:port` on a stock server, and it has the state of a backup. The
//! engine runs once for each client, from the chain to a wire recipient; here is the protocol around
//! it: who asks for what, on which connection, and what becomes of a clone whose client is gone for a
//! while.

mod admission;
mod agent;
mod clones;
mod conversation;
mod face;
mod host;
mod settings;

pub use agent::{AgentDonor, AgentFace, AgentOptions};
pub use face::DonorFace;

use self::clones::Clones;
use crate::chain::Chain;
use crate::donor::chain::ChainDonor;
use crate::files::{FileKind, has_extension};
use crate::recipient::wire::redo_number;
use crate::set::{Content, FileRecord, Manifest};
use crate::{EncryptionKey, Error, JobOptions, Result};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wire::clone::Setting;

/// What to serve, and how.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The set whose state clients get.
    pub set: PathBuf,
    /// Sets, or directories of sets, in which ancestors may be found.
    pub chain: Vec<PathBuf>,
    /// Serve a set with rows in tables of other engines than InnoDB, which clients get empty.
    pub allow_empty_tables: bool,
    /// The key that seals the keys of encrypted tablespaces, where they are sealed.
    pub encryption_key: Option<EncryptionKey>,
    /// How each clone may use the machine.
    pub job: JobOptions,
    /// How long clients are waited for.
    pub patience: Patience,
}

/// How long a client is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Minutes that it may be away after a lost connection, which it is told; 0: it has to begin
    /// anew.
    pub away_minutes: u64,
    /// How long it may take to acknowledge the end of a stage.
    pub acknowledge: Duration,
}

impl Default for Patience {
    /// As a stock server waits.
    fn default() -> Self {
        Self {
            away_minutes: 5,
            acknowledge: Duration::from_secs(30 * 60),
        }
    }
}

/// A chain that is served. Nothing of it is ever changed.
#[derive(Debug)]
pub struct CloneDonor {
    options: ServeOptions,
    version: String,
    settings: Vec<Setting>,
    /// Whether clients get keys of tablespaces, and so must come over TLS.
    gives_keys: bool,
    clones: Clones,
    stopping: AtomicBool,
}

impl CloneDonor {
    /// Looks at the chain, and whether it can be served.
    pub fn open(options: ServeOptions) -> Result<Self> {
        let chain = Chain::find(&options.set, &options.chain)?;
        let manifest = chain.last().manifest();
        let settings = settings::of(manifest, options.patience.away_minutes)?;
        for file in manifest
            .files
            .iter()
            .filter(|file| file.kind == FileKind::Redo)
        {
            redo_number(&file.name)?;
        }
        let rows = other_tables(manifest);
        if let Some(first) = rows.first() {
            let message = format!(
                "the set has rows in {} tables of other engines than InnoDB ('{first}'), which CLONE \
                 would make empty",
                rows.len()
            );
            if !options.allow_empty_tables {
                return Err(Error::refused(
                    1105,
                    message,
                    "Use 'innoclone restore' to get them too, or add --allow-empty-tables.",
                ));
            }
            tracing::warn!("{message}");
        }
        if has_encryption(manifest) && manifest.keys.is_none() {
            tracing::warn!(
                "the set has encrypted tablespaces: clients must have the keyring of its server"
            );
        }
        let version = manifest.server.version.clone();
        for set in chain.sets() {
            tracing::info!(set = %set.path().display(), id = %set.manifest().id, "serving");
        }
        // Whether every page has its place in the chain shows now, not with the first client.
        let donor = ChainDonor::new(chain)?.unsealed(options.encryption_key.as_ref())?;
        Ok(Self {
            clones: Clones::new(options.patience.away_minutes),
            options,
            version,
            gives_keys: donor.gives_keys(),
            settings,
            stopping: AtomicBool::new(false),
        })
    }

    /// Version of the server that the set was taken from: what the endpoint greets with.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Number of clones under way, or waiting for their client to come back.
    pub fn clones(&self) -> usize {
        self.clones.count()
    }

    /// Ends all clones, and lets no more begin.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.clones.stop();
    }

    /// The chain anew: a set that is gone, or no longer what it was, shows here.
    fn donor(&self) -> Result<ChainDonor> {
        let chain = Chain::find(&self.options.set, &self.options.chain)?;
        ChainDonor::new(chain)?.unsealed(self.options.encryption_key.as_ref())
    }
}

/// Files with rows of tables that a client will make anew, empty. The server's own are always so.
fn other_tables(manifest: &Manifest) -> Vec<&str> {
    let is_rows = |file: &&FileRecord| {
        let schema = file.name.split_once('/').map(|(schema, _)| schema);
        file.kind == FileKind::Plain
            && file.content == Content::Full
            && file.length > 0
            && schema.is_some_and(|schema| !SERVER_SCHEMAS.contains(&schema))
            && !NO_ROWS
                .iter()
                .any(|extension| has_extension(&file.name, extension))
    };
    let files = manifest.files.iter().filter(is_rows);
    files.map(|file| file.name.as_str()).collect()
}

fn has_encryption(manifest: &Manifest) -> bool {
    /// FSP flag of an encrypted tablespace (fsp0types.h).
    const ENCRYPTED: u32 = 1 << 13;
    let spaces = manifest.files.iter().filter_map(|file| file.space);
    spaces.into_iter().any(|space| space.flags & ENCRYPTED != 0)
}

/// Schemas whose tables of other engines hold nothing that a backup is for.
const SERVER_SCHEMAS: [&str; 4] = ["mysql", "performance_schema", "sys", "#innodb_redo"];
/// Files of other engines that describe tables, or index rows that are elsewhere.
const NO_ROWS: [&str; 8] = ["sdi", "MYI", "CSM", "frm", "opt", "cfg", "isl", "MRG"];
