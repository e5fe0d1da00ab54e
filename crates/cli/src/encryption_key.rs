//! The key that seals the keys of encrypted tablespaces.

use std::path::PathBuf;

use backup::EncryptionKey;
use clap::Args;

use crate::failure::Failure;
use crate::job::given_or;
use crate::option_file::Options;

/// Where the key is.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct KeyArgs {
    /// File with the key that seals the keys of encrypted tablespaces: at least 32 bytes, private.
    #[arg(long, value_name = "FILE")]
    pub(crate) encryption_key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// The key, if a file is named on the command line or in an option file.
    pub(crate) fn read(&self, file: &Options) -> Result<Option<EncryptionKey>, Failure> {
        let path = given_or(
            self.encryption_key_file.clone(),
            file,
            "encryption-key-file",
        )?;
        let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else {
            return Ok(None);
        };
        let key = EncryptionKey::read(&path)?;
        // Keys of tablespaces will be in memory: what is left of a crash must not have them.
        let none = rustix::process::Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Core, none) {
            tracing::debug!(%error, "core dumps are not switched off");
        }
        Ok(Some(key))
    }
}
