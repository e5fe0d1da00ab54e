//! `archive.json`: whose binary logs an archive holds.

use crate::io::{fsync_dir, fsync_file, read_bounded, remove_file, rename, write_new};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::Path;

/// Name of the file.
pub(super) const STATE: &str = "archive.json";
/// Its name until it is whole.
const UNFINISHED: &str = "archive.json.tmp";
/// A larger file is none of ours.
const MOST: u64 = 64 << 10;

/// Written once, when the archive is begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    /// 1.
    pub(super) format: u32,
    /// `server_uuid` of the server.
    pub(super) server_uuid: String,
    /// Its version when the archive was begun.
    pub(super) server_version: String,
    /// The uuid by which the server knows this archive among its replicas: a server ends the
    /// stream of a replica that comes a second time, and we must not be taken for another one.
    pub(super) replica_uuid: String,
    /// When the archive was begun.
    pub(super) begun: String,
}

impl State {
    pub(super) fn new(server_uuid: &str, server_version: &str) -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|e| {
            Error::refused(1105, format!("no random numbers from the system: {e}"), "")
        })?;
        Ok(Self {
            format: 1,
            server_uuid: server_uuid.to_owned(),
            server_version: server_version.to_owned(),
            replica_uuid: binlog::gtid::Uuid::new(random).to_string(),
            begun: jiff::Timestamp::now().to_string(),
        })
    }

    /// The state of an archive; `None` if the directory has none.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(STATE);
        if !path
            .try_exists()
            .map_err(|e| Error::io("open file", &path, e))?
        {
            return Ok(None);
        }
        let bytes = read_bounded(&path, MOST)?;
        let state: Self = serde_json::from_slice(&bytes).map_err(|e| Error::damaged(&path, e))?;
        if state.format != 1 {
            return Err(Error::refused(
                1105,
                format!("'{}' has format {}", path.display(), state.format),
                "A newer version of this program made it: use that one.",
            ));
        }
        if state.replica_uuid.parse::<binlog::gtid::Uuid>().is_err() {
            return Err(Error::damaged(&path, "replica_uuid is no uuid"));
        }
        Ok(Some(state))
    }

    /// Writes the state, durably, or not at all.
    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        let (unfinished, path) = (directory.join(UNFINISHED), directory.join(STATE));
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::io("write file", &path, std::io::Error::other(e)))?;
        bytes.push(b'\n');
        remove_file(&unfinished)?;
        write_new(&unfinished, &bytes)?;
        let file = File::open(&unfinished).map_err(|e| Error::io("open file", &unfinished, e))?;
        fsync_file(&file, &unfinished)?;
        rename(&unfinished, &path)?;
        fsync_dir(directory)
    }

    /// What a replica is also known by: never 0, and high, where ids of servers seldom are.
    pub(super) fn replica_id(&self) -> u32 {
        let digits = self.replica_uuid.get(..8).unwrap_or_default();
        u32::from_str_radix(digits, 16).unwrap_or(0) | 1 << 31
    }

    /// Whether a name is that of a state that is not whole.
    pub(super) fn is_unfinished(name: &str) -> bool {
        name == UNFINISHED
    }

    /// Whether a name is that of the state, or of what a killed run left of it.
    pub(super) fn is_name(name: &str) -> bool {
        name == STATE || name == UNFINISHED
    }
}
