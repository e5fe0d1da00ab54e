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
    /// The file, if one is named on the command line or in an option file.
    pub(crate) fn path(&self, file: &Options) -> Result<Option<PathBuf>, Failure> {
        let path = given_or(
            self.encryption_key_file.clone(),
            file,
            "encryption-key-file",
        )?;
        Ok(path.filter(|path| !path.as_os_str().is_empty()))
    }

    /// The key, if a file is named on the command line or in an option file.
    pub(crate) fn read(&self, file: &Options) -> Result<Option<EncryptionKey>, Failure> {
        let Some(path) = self.path(file)? else {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_read_from_a_private_file_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, [7; 40]).unwrap();
        let args = KeyArgs {
            encryption_key_file: Some(path.clone()),
        };
        let mode = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
            args.read(&Options::default())
        };
        assert!(mode(0o644).is_err());
        assert_eq!(mode(0o600).unwrap().unwrap().id().len(), 16);
        let none = KeyArgs::default().read(&Options::default()).unwrap();
        assert_eq!(none, None);
    }
}
