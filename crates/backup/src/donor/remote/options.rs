//! What to back up over the network, and how.

use crate::EncryptionKey;
use crate::donor::instance::IncrementFrom;
use std::time::Duration;
use wire::ConnectOptions;

/// What to back up over the network, and how.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// The donor: any server with the clone plugin, and an account with BACKUP_ADMIN.
    pub connect: ConnectOptions,
    /// What an increment is based on; `None` for a full backup.
    pub from: Option<IncrementFrom>,
    /// Have every page travel, and find those that changed by their LSN, also when the donor could
    /// be told to leave some out.
    pub scan: bool,
    /// Have page tracking on, for increments that let only blocks with changed pages travel. Such
    /// an increment changes `innodb_buffer_pool_filename` of the donor for a moment.
    pub page_track: bool,
    /// How long DDL on the donor and the beginning of the clone wait for one another.
    pub ddl_timeout: Duration,
    /// Wait until the donor is free, however long another clone of it takes.
    pub wait_for_donor: bool,
    /// For how long to try to come back to the donor after the connection was lost.
    pub connect_retry: Duration,
    /// Upper bound of bytes received per second; `None` is unlimited.
    pub network_rate: Option<u64>,
    /// Seals the keys of encrypted tablespaces, which the donor sends in clear. Without it encrypted
    /// instances are refused.
    pub encryption_key: Option<EncryptionKey>,
}

impl RemoteOptions {
    /// A full backup of the server that `connect` leads to.
    pub fn new(connect: ConnectOptions) -> Self {
        Self {
            connect,
            from: None,
            scan: false,
            page_track: false,
            ddl_timeout: Duration::from_secs(300),
            wait_for_donor: false,
            connect_retry: Duration::from_secs(300),
            network_rate: None,
            encryption_key: None,
        }
    }
}
