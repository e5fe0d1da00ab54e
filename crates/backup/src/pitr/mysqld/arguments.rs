//! How mysqld is started for a replay.

use super::{LOG, SOCKET};
use crate::set::layout::REPLAY_DIR;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

/// What mysqld must know of the directory.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    /// The directory.
    pub(crate) datadir: &'a Path,
    /// Variables of the donor.
    pub(crate) variables: &'a BTreeMap<String, String>,
    /// Who owns the directory, if that is not who we are.
    pub(crate) owner: Option<(u32, u32)>,
    /// `server_id` of the donor.
    pub(crate) server_id: u32,
    /// Workers of the applier.
    pub(crate) workers: usize,
    /// `innodb_buffer_pool_size` in bytes, unless an option file may say it.
    pub(crate) buffer_pool: Option<u64>,
}

/// Variables of the donor that are options of the same name.
const SHARED: &[&str] = &[
    "character_set_server",
    "collation_server",
    "innodb_data_file_path",
    "innodb_page_size",
    "lower_case_table_names",
];

/// Options that do not depend on anything. They follow an option file, so they win over it.
const FIXED: &[&str] = &[
    // Nobody but us gets in, and nothing happens that we did not ask for.
    "--skip-networking",
    "--loose-mysqlx=OFF",
    "--skip-name-resolve",
    "--event-scheduler=OFF",
    "--skip-replica-start",
    "--loose-group-replication-start-on-boot=OFF",
    "--persisted-globals-load=OFF",
    "--read-only=OFF",
    "--super-read-only=OFF",
    "--general-log=OFF",
    "--slow-query-log=OFF",
    "--performance-schema=ON",
    // No files of its own stay in the directory.
    "--auto-generate-certs=OFF",
    "--caching-sha2-password-auto-generate-rsa-keys=OFF",
    "--loose-sha256-password-auto-generate-rsa-keys=OFF",
    // All files are in the directory, whatever the donor had.
    "--innodb-undo-directory=.",
    "--innodb-log-group-home-dir=.",
    // Transactions keep the identity they have, with GTIDs and without; what a replica applies is
    // not logged again, its GTIDs go to mysql.gtid_executed.
    "--gtid-mode=OFF_PERMISSIVE",
    "--enforce-gtid-consistency=OFF",
    "--skip-log-replica-updates",
    "--replicate-same-server-id",
    "--replica-skip-errors=OFF",
    "--replica-exec-mode=STRICT",
    "--replica-preserve-commit-order=ON",
    "--replica-sql-verify-checksum=ON",
    "--replica-max-allowed-packet=1073741824",
    "--relay-log-recovery=OFF",
    "--relay-log-purge=OFF",
    // Whatever fails, the directory is made again from the set: only the end must be durable.
    "--sync-binlog=0",
    "--sync-relay-log=0",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=OFF",
    "--innodb-fast-shutdown=1",
];

pub(super) fn arguments(layout: &Layout<'_>, private: &Path, init: &Path) -> Vec<OsString> {
    let replay = layout.datadir.join(REPLAY_DIR);
    let path = |name: &str, path: &Path| {
        let mut arg = OsString::from(format!("--{name}="));
        arg.push(path);
        arg
    };
    let mut args = vec![
        path("datadir", layout.datadir),
        path("socket", &private.join(SOCKET)),
        path("pid-file", &private.join("pid")),
        path("log-error", &private.join(LOG)),
        path("init-file", init),
        path("tmpdir", &replay),
        path("replica-load-tmpdir", &replay),
        path("log-bin", &replay.join("own")),
        path("log-bin-index", &replay.join("own.index")),
        path("relay-log", &replay.join(RELAY)),
        path("relay-log-index", &replay.join(format!("{RELAY}.index"))),
    ];
    args.extend(FIXED.iter().map(OsString::from));
    for name in SHARED {
        if let Some(value) = layout
            .variables
            .get(*name)
            .filter(|value| !value.is_empty())
        {
            args.push(format!("--{}={value}", name.replace('_', "-")).into());
        }
    }
    // Events record it as their originator. With 0 there is no replication.
    args.push(format!("--server-id={}", layout.server_id.max(1)).into());
    args.push(format!("--replica-parallel-workers={}", layout.workers).into());
    if let Some(bytes) = layout.buffer_pool {
        args.push(format!("--innodb-buffer-pool-size={bytes}").into());
    }
    if rustix::process::geteuid().is_root() {
        let user = layout.owner.map_or(0, |(user, _)| user);
        args.push(
            format!(
                "--user={}",
                if user == 0 {
                    "root".into()
                } else {
                    user.to_string()
                }
            )
            .into(),
        );
    }
    args
}

/// Base name of relay logs; a channel's name follows it.
pub(crate) const RELAY: &str = "relay";
