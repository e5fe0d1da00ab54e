//! What kind of server to start.

use std::path::PathBuf;
use std::time::Duration;

/// Options of [`crate::Server::start`]. The default is a small server with binary log and GTIDs,
/// the clone plugin and the page tracking component.
///
/// In `args` and `init_args` the text `{root}` stands for the server's own directory
/// ([`crate::Server::root_dir`]), for example `--innodb-directories={root}/elsewhere`; directories
/// named so are created.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// `innodb_page_size`; 16384 when not given.
    pub page_size: Option<u32>,
    /// Further arguments of every start; they win over the built-in ones.
    pub args: Vec<String>,
    /// Arguments of the initialisation *and* of every start: the layout options, such as
    /// `--innodb-data-file-path=…` or `--lower-case-table-names=1`.
    pub init_args: Vec<String>,
    /// Folder in which the server's directory is made, instead of `$TMPDIR` or `/tmp`. Keep it
    /// short.
    pub base: Option<PathBuf>,
    /// Install the clone plugin and `component_mysqlbackup`.
    pub plugins: bool,
    /// Load `component_keyring_file`, with its configuration in the data directory and its keys
    /// outside ([`crate::Server::keyring_file`]), so that tables can be encrypted.
    pub keyring: bool,
    /// How long a start may take (crash recovery included).
    pub start_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            page_size: None,
            args: Vec::new(),
            init_args: Vec::new(),
            base: None,
            plugins: true,
            keyring: false,
            start_timeout: Duration::from_secs(600),
        }
    }
}

impl ServerOptions {
    /// The default with further server arguments.
    pub fn with_args<I: IntoIterator<Item = S>, S: Into<String>>(args: I) -> Self {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Arguments that decide what the initialised data directory looks like.
    pub(crate) fn layout_args(&self) -> Vec<String> {
        let mut args = vec![format!("--innodb-redo-log-capacity={REDO_CAPACITY}")];
        if let Some(size) = self.page_size {
            args.push(format!("--innodb-page-size={size}"));
        }
        args.extend(self.init_args.iter().cloned());
        args
    }
}

/// Small, so that the redo log wraps around in tests as it does in production.
const REDO_CAPACITY: &str = "64M";

/// Arguments of every start, before the caller's own.
pub(crate) const START_ARGS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--mysqlx=OFF",
    "--server-id=1",
    "--log-bin=binlog",
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--performance-schema=ON",
    "--innodb-buffer-pool-size=128M",
    "--max-connections=200",
    // What is lost only when the machine loses power is safe here; a killed process loses nothing.
    "--sync-binlog=0",
    "--innodb-flush-log-at-trx-commit=2",
    // A test's deadlock should end before its patience.
    "--innodb-lock-wait-timeout=10",
    "--innodb-print-all-deadlocks=OFF",
    "--local-infile=ON",
    "--log-error-verbosity=3",
];
