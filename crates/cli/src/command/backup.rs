//! `innoclone backup`: a running server into a backup set.

use std::path::PathBuf;
use std::time::Duration;

use backup::command::{BackupRequest, RemoteBackupRequest, backup, backup_remote};
use backup::donor::instance::{IncrementFrom, InstanceOptions};
use backup::donor::remote::RemoteOptions;
use clap::Args;
use innodb::lsn::Lsn;

use super::compression::CompressionArgs;
use crate::answer::Answer;
use crate::connection::{ConnectionArgs, DonorAddress};
use crate::encryption_key::KeyArgs;
use crate::failure::Failure;
use crate::job::{self, JobArgs, given_or};
use crate::option_file::Options;
use crate::settings::Settings;

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Directory of the new set: one that does not exist or is empty.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Switch page tracking on, so that fast increments can follow. With --from an increment
    /// changes a variable of the donor for a moment.
    #[arg(long)]
    page_track: bool,
    /// Copy only what changed since this set, full or incremental.
    #[arg(long, value_name = "SET", conflicts_with = "start_lsn")]
    based_on: Option<PathBuf>,
    /// Copy only what changed since this LSN; 0 copies all.
    #[arg(long, value_name = "N")]
    start_lsn: Option<Lsn>,
    /// Find what changed by reading every page, not by page tracking.
    #[arg(long)]
    scan: bool,
    #[command(flatten)]
    compression: CompressionArgs,
    #[command(flatten)]
    job: JobArgs,
    /// The server's data directory, where it is not where the server says.
    #[arg(long, value_name = "DIR")]
    datadir: Option<PathBuf>,
    /// How long to wait for DDL that is running [default: 300].
    #[arg(long, value_name = "SECONDS")]
    lock_wait_timeout: Option<u32>,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// A donor on another host.
#[derive(Debug, Args)]
#[command(next_help_heading = "Backup over the network")]
pub(crate) struct RemoteArgs {
    /// Back up this server over the network, by MySQL's clone protocol.
    #[arg(long, value_name = "USER@HOST:PORT", conflicts_with = "datadir")]
    from: Option<DonorAddress>,
    /// Most bytes to receive per second, in MiB; 0 is no limit [default: 0].
    #[arg(long, value_name = "MIB", requires = "from")]
    network_rate: Option<u32>,
    /// For how long to try to go on when the connection is lost [default: 300].
    #[arg(long, value_name = "SECONDS", requires = "from")]
    connect_retry: Option<u32>,
    /// Wait while the server is the donor of another clone.
    #[arg(long, requires = "from")]
    wait_for_donor: bool,
    #[command(flatten)]
    key: KeyArgs,
}

impl BackupArgs {
    pub(super) fn run(&self, settings: &Settings) -> Result<Answer, Failure> {
        let options = self.job.options(&settings.options)?;
        if let Some(donor) = &self.remote.from {
            let request = self.remote_request(donor, &settings.options)?;
            let catalogue = settings.catalogue()?;
            let report = job::run(&options, settings, |job| {
                backup_remote(&request, &catalogue, job)
            })?;
            return Answer::done("backup", &report);
        }
        if self.remote.key.encryption_key_file.is_some() {
            let text = "--encryption-key-file is for --from: a local backup leaves the keys of \
                        tablespaces as the server's keyring protects them";
            return Err(Failure::Usage(text.to_owned()));
        }
        let request = self.request(&settings.options)?;
        let catalogue = settings.catalogue()?;
        let report = job::run(&options, settings, |job| backup(&request, &catalogue, job))?;
        Answer::done("backup", &report)
    }

    /// What an increment is based on; `None` for a full backup.
    fn base(&self) -> Result<Option<IncrementFrom>, Failure> {
        let start_lsn = self.start_lsn.filter(|lsn| *lsn != Lsn::ZERO);
        let from = match (&self.based_on, start_lsn) {
            (Some(set), _) => Some(IncrementFrom::Set(set.clone())),
            (None, Some(lsn)) => Some(IncrementFrom::StartLsn(lsn)),
            (None, None) => None,
        };
        if self.scan && from.is_none() {
            return Err(Failure::Usage(
                "--scan is for increments: give --based-on or --start-lsn".to_owned(),
            ));
        }
        Ok(from)
    }

    fn lock_wait_timeout(&self, file: &Options) -> Result<Duration, Failure> {
        let timeout = given_or(self.lock_wait_timeout, file, "lock-wait-timeout")?;
        let timeout = timeout.unwrap_or(LOCK_WAIT_TIMEOUT);
        Ok(Duration::from_secs(timeout.into()))
    }

    fn remote_request(
        &self,
        donor: &DonorAddress,
        file: &Options,
    ) -> Result<RemoteBackupRequest, Failure> {
        let (args, from) = (&self.remote, self.base()?);
        let rate = given_or(args.network_rate, file, "network-rate")?.filter(|rate| *rate > 0);
        let retry = given_or(args.connect_retry, file, "connect-retry")?;
        let ddl_timeout = self.lock_wait_timeout(file)?;
        let encryption_key = args.key.read(file)?;
        // Last: it may ask for the password.
        let default = RemoteOptions::new(self.connection.resolve_donor(donor, file)?);
        Ok(RemoteBackupRequest {
            to: self.to.clone(),
            compression: self.compression.resolve(file)?,
            remote: RemoteOptions {
                from,
                scan: self.scan,
                page_track: self.page_track,
                ddl_timeout,
                encryption_key,
                wait_for_donor: args.wait_for_donor,
                connect_retry: retry.map_or(default.connect_retry, |retry| {
                    Duration::from_secs(retry.into())
                }),
                network_rate: rate.map(|rate| u64::from(rate) << 20),
                ..default
            },
        })
    }

    fn request(&self, file: &Options) -> Result<BackupRequest, Failure> {
        let from = self.base()?;
        let lock_wait_timeout = self.lock_wait_timeout(file)?;
        let datadir = given_or(self.datadir.clone(), file, "datadir")?;
        Ok(BackupRequest {
            to: self.to.clone(),
            compression: self.compression.resolve(file)?,
            instance: InstanceOptions {
                datadir,
                page_track: self.page_track,
                from,
                scan: self.scan,
                lock_wait_timeout,
                // Last: it may ask for the password.
                ..InstanceOptions::new(self.connection.resolve(file)?)
            },
        })
    }
}

/// As MySQL's `clone_ddl_timeout`.
const LOCK_WAIT_TIMEOUT: u32 = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::spelling;
    use clap::Parser as _;

    fn parsed(words: &str) -> BackupArgs {
        let argv = format!("innoclone backup {words}");
        let argv = spelling::normal(argv.split_whitespace().map(Into::into));
        match Cli::try_parse_from(argv).unwrap().command {
            Command::Backup(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn request(words: &str) -> Result<BackupRequest, Failure> {
        parsed(words).request(&Options::default())
    }

    #[test]
    fn a_full_backup_is_the_default() {
        let request = request("--to /b/full").unwrap();
        assert_eq!(request.to, PathBuf::from("/b/full"));
        assert_eq!(request.compression, None);
        let instance = request.instance;
        assert!(instance.from.is_none() && !instance.page_track && !instance.scan);
        assert_eq!(instance.lock_wait_timeout, Duration::from_secs(300));
        assert_eq!(instance.datadir, None);
    }

    #[test]
    fn every_option_arrives_however_it_is_spelled() {
        let words = "--to=/b --page_track --based_on /full --scan --datadir /d \
                     --lock_wait_timeout=7 --parallel 8 --read_rate 10";
        let instance = request(words).unwrap().instance;
        assert!(instance.page_track && instance.scan);
        assert!(
            matches!(&instance.from, Some(IncrementFrom::Set(set)) if set.as_os_str() == "/full")
        );
        assert_eq!(instance.lock_wait_timeout, Duration::from_secs(7));
        assert_eq!(instance.datadir, Some("/d".into()));
        let job = parsed(words).job.options(&Options::default()).unwrap();
        assert_eq!((job.parallel, job.read_rate), (8, Some(10 << 20)));
    }

    #[test]
    fn a_start_lsn_of_zero_is_a_full_backup() {
        let from = |words: &str| request(words).unwrap().instance.from;
        assert!(from("--to /b --start-lsn 0").is_none());
        assert!(matches!(
            from("--to /b --start-lsn 20471"),
            Some(IncrementFrom::StartLsn(lsn)) if lsn == Lsn::new(20471)
        ));
    }

    #[test]
    fn a_donor_on_another_host_is_backed_up_over_the_network() {
        let args = parsed(
            "--to /b --from b@db1:3307 --based-on /full --network-rate 3 --connect-retry=9 \
             --wait_for_donor --lock-wait-timeout 8 --page-track --scan",
        );
        let donor = args.remote.from.clone().unwrap();
        let remote = args
            .remote_request(&donor, &Options::default())
            .unwrap()
            .remote;
        assert_eq!(remote.connect.endpoint.to_string(), "db1:3307");
        assert_eq!(
            (remote.network_rate, remote.wait_for_donor),
            (Some(3 << 20), true)
        );
        assert!(remote.page_track && remote.scan);
        assert_eq!(remote.connect_retry, Duration::from_secs(9));
        assert_eq!(remote.ddl_timeout, Duration::from_secs(8));
        assert!(
            matches!(&remote.from, Some(IncrementFrom::Set(set)) if set.as_os_str() == "/full")
        );
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for words in [
            "--to /b --based-on /a --start-lsn 5",
            "--to /b --parallel 0",
            "--page-track",
            "--to /b --from b@h --datadir /d",
            "--to /b --network-rate 5",
            "--to /b --from h:x",
        ] {
            let argv = format!("innoclone backup {words}");
            assert!(Cli::try_parse_from(argv.split(' ')).is_err(), "{words}");
        }
        assert!(matches!(request("--to /b --scan"), Err(Failure::Usage(_))));
    }
}
