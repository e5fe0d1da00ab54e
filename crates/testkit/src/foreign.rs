//! MySQL clients of other people, which `scripts/fetch-clients.sh` fetched.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

use crate::Result;
use crate::install::cache_dir;

/// PyMySQL and mysql-connector-python for Python, mysql2 for Node.
#[derive(Debug, Clone)]
pub struct ForeignClients {
    root: PathBuf,
}

impl ForeignClients {
    /// Finds what `scripts/fetch-clients.sh` fetched.
    ///
    /// # Errors
    /// When it is not there; the message says which command fetches it.
    pub fn find() -> Result<Self> {
        let root = cache_dir().join("clients");
        ensure!(
            root.join(".complete").is_file(),
            "no clients of Python and Node in {}: fetch them with `make clients` (`make test` does it)",
            root.display()
        );
        let root = fs_err::canonicalize(root)?;
        Ok(Self { root })
    }

    /// A command that runs a Python script, which may import `pymysql` and `mysql.connector`.
    pub fn python(&self, script: &Path) -> Command {
        let mut command = Command::new(self.root.join("python/bin/python"));
        // Alone with the virtual environment, and nothing written beside the script.
        command.args(["-E", "-s", "-B"]).arg(script);
        command
    }

    /// A command that runs a JavaScript file, which may require `mysql2`.
    pub fn node(&self, script: &Path) -> Command {
        let mut command = Command::new("node");
        command
            .arg(script)
            .env("NODE_PATH", self.root.join("node/node_modules"));
        command
    }
}
