//! What to back up, and how.

use super::{IncrementFrom, KeySource};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wire::ConnectOptions;

/// What to back up, and how.
#[derive(Debug, Clone)]
pub struct InstanceOptions {
    /// The server.
    pub connect: ConnectOptions,
    /// Its data directory, where it is not where the server says.
    pub datadir: Option<PathBuf>,
    /// Switch page tracking on, so that increments can follow.
    pub page_track: bool,
    /// What an increment is based on; `None` for a full backup.
    pub from: Option<IncrementFrom>,
    /// Find changed pages by reading the LSN of every page.
    pub scan: bool,
    /// How long to wait for running DDL.
    pub lock_wait_timeout: Duration,
    /// While more bytes of pages than this change during the copy, they are copied again before
    /// DDL is blocked.
    pub few_bytes: u64,
    /// Asked for the keys of an encrypted instance, for a backup that its keyring is not needed for;
    /// without it tablespaces stay as the server's keyring protects them.
    pub keys: Option<Arc<dyn KeySource>>,
}

impl InstanceOptions {
    /// A full backup of the server that `connect` leads to, without page tracking.
    pub fn new(connect: ConnectOptions) -> Self {
        Self {
            connect,
            datadir: None,
            page_track: false,
            from: None,
            scan: false,
            lock_wait_timeout: Duration::from_secs(60),
            few_bytes: 64 << 20,
            keys: None,
        }
    }
}
