//! Short-lived directories.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::Result;

/// A unique directory with a short path (a unix socket path is limited to 107 bytes), removed when
/// dropped.
///
/// With `INNOCLONE_KEEP=1` it stays and its path is printed.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a directory under `$TMPDIR` or `/tmp`.
    pub fn new() -> Result<Self> {
        Self::new_in(&std::env::temp_dir())
    }

    /// Makes a directory under `base`, which is created when missing.
    pub fn new_in(base: &Path) -> Result<Self> {
        fs_err::create_dir_all(base)?;
        let path = tempfile::Builder::new()
            .prefix("ic")
            .rand_bytes(6)
            .tempdir_in(base)
            .with_context(|| format!("make a scratch directory in {}", base.display()))?
            .keep();
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `path().join(name)`.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Whether the developer asked to keep the directories of tests.
    pub(crate) fn keep_all() -> bool {
        std::env::var_os("INNOCLONE_KEEP").is_some_and(|value| !value.is_empty() && value != "0")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if Self::keep_all() {
            let _ = writeln!(std::io::stderr(), "kept: {}", self.path.display());
        } else {
            // A server that was just killed may still be closing files: one more try is enough.
            if fs_err::remove_dir_all(&self.path).is_err() {
                std::thread::sleep(std::time::Duration::from_millis(100));
                let _ = fs_err::remove_dir_all(&self.path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_is_short_unique_and_removed() {
        let one = Scratch::new().unwrap();
        let two = Scratch::new().unwrap();
        assert_ne!(one.path(), two.path());
        let name = one.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name.len() <= 8, "{name}");
        let path = one.path().to_owned();
        fs_err::write(one.join("file"), "x").unwrap();
        drop(one);
        assert!(!path.exists() || Scratch::keep_all());
    }
}
