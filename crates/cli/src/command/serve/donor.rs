//! `innoclone serve --donor`: the state of a set, for servers that execute CLONE INSTANCE.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use backup::serve::{CloneDonor, DonorFace, Patience, ServeOptions};
use clap::Args;
use wire::Secret;
use wire::server::{FixedAccounts, Handler, Server, ServerOptions, ServerTls, Session};

use crate::answer::Answer;
use crate::encryption_key::KeyArgs;
use crate::failure::Failure;
use crate::job::{JobArgs, given_or};
use crate::settings::{OWN_GROUP, Settings, env};
use crate::signals;

use super::clones::{endpoints, tls, until_signal};
use super::{Listening, system};

/// Arguments of a donor of clones.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of a donor")]
pub(crate) struct DonorArgs {
    /// Be a donor: give the state of this set, full or incremental, to servers that execute CLONE
    /// INSTANCE FROM. 'instance' is not a set: be the agent of the instance of this host, from which
    /// 'innoclone backup --from' takes fulls and increments.
    #[arg(long, value_name = "SET")]
    pub(super) donor: Option<PathBuf>,
    /// A set, or a directory of sets, in which ancestors may be found.
    #[arg(long, value_name = "SET", requires = "donor")]
    pub(super) chain: Vec<PathBuf>,
    /// Serve a set with rows in tables of other engines than InnoDB, which CLONE makes empty.
    #[arg(long, requires = "donor")]
    pub(super) allow_empty_tables: bool,
    /// Name that clients log in by [default: clone].
    #[arg(long, value_name = "NAME", requires = "donor")]
    pub(super) serve_user: Option<String>,
    /// File with the password that clients log in by, in its first line; also in the variable
    /// INNOCLONE_SERVE_PASSWORD.
    #[arg(long, value_name = "FILE", requires = "donor")]
    pub(super) serve_password_file: Option<PathBuf>,
    /// Directory in which an agent keeps the pages that changed until a client has them [default:
    /// $TMPDIR, or /var/tmp].
    #[arg(long, value_name = "DIR", requires = "donor")]
    pub(super) spool_dir: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    pub(super) job: JobArgs,
}

impl DonorArgs {
    /// Serves `set` until a signal comes.
    pub(super) fn run(
        &self,
        set: &Path,
        place: &Listening<'_>,
        settings: &Settings,
    ) -> Result<Answer, Failure> {
        let options = self.request(set, settings)?;
        let endpoints = endpoints(place, settings, (DEFAULT_ADDRESS, DEFAULT_PORT))?;
        let accounts = self.accounts(settings)?;
        let stop = signals::cancel_flag().map_err(system("handle signals"))?;
        let tls = tls(place, &endpoints)?;
        let donor = Arc::new(CloneDonor::open(options)?);
        let server = server(place, &donor, tls, accounts);
        until_signal(&server, &endpoints, None, &*donor, &stop)
    }

    fn request(&self, set: &Path, settings: &Settings) -> Result<ServeOptions, Failure> {
        Ok(ServeOptions {
            set: set.to_owned(),
            chain: self.chain.clone(),
            allow_empty_tables: self.allow_empty_tables,
            encryption_key: self.key.read(&settings.options)?,
            job: self.job.options(&settings.options)?,
            patience: Patience::default(),
        })
    }

    /// The one account. Without a password nobody would be kept out, so there must be one.
    fn accounts(&self, settings: &Settings) -> Result<FixedAccounts, Failure> {
        let file = &settings.options;
        let user = given_or(self.serve_user.clone(), file, "serve-user")?;
        let path = given_or(
            self.serve_password_file
                .as_ref()
                .map(|path| path.display().to_string()),
            file,
            "serve-password-file",
        )?;
        let password = if let Some(path) = path {
            Some(password_in(Path::new(&path))?)
        } else {
            let given = file.get(&[OWN_GROUP], "serve-password").map(str::to_owned);
            given
                .or_else(|| env("INNOCLONE_SERVE_PASSWORD"))
                .map(Secret::new)
        };
        let password = password.filter(|password| !password.expose().is_empty());
        let Some(password) = password else {
            let text = "serve needs a password for its clients: give --serve-password-file, \
                        INNOCLONE_SERVE_PASSWORD, or serve-password in an option file";
            return Err(Failure::Usage(text.to_owned()));
        };
        let user = user.unwrap_or_else(|| DEFAULT_USER.to_owned());
        Ok(FixedAccounts::default().with_password(user, &password))
    }
}

fn server(
    place: &Listening<'_>,
    donor: &Arc<CloneDonor>,
    tls: ServerTls,
    accounts: FixedAccounts,
) -> Server {
    let options = ServerOptions {
        version: donor.version().to_owned(),
        tls: Some(tls),
        require_tls: place.require_tls,
        ..ServerOptions::default()
    };
    let donor = Arc::clone(donor);
    let handlers = move |session: &Session| -> Box<dyn Handler> {
        Box::new(DonorFace::new(Arc::clone(&donor), session.clone()))
    };
    Server::new(options, Arc::new(accounts), Arc::new(handlers))
}

/// The first line of a file that only its owner may read.
fn password_in(path: &Path) -> Result<Secret, Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let failed = |source| Failure::System {
        action: "read --serve-password-file",
        source,
    };
    let meta = std::fs::metadata(path).map_err(failed)?;
    if meta.mode() & 0o077 != 0 {
        let text = format!(
            "'{}' can be read by others than its owner: make it private (chmod 600)",
            path.display()
        );
        return Err(Failure::Usage(text));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Ok(Secret::new(text.lines().next().unwrap_or_default()))
}

const DEFAULT_ADDRESS: &str = "127.0.0.1:3306";
const DEFAULT_PORT: u16 = 3306;
const DEFAULT_USER: &str = "clone";
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "secret word\nmore\n").unwrap();
        let mode = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
        };
        mode(0o644);
        assert!(matches!(password_in(&path), Err(Failure::Usage(_))));
        mode(0o600);
        assert_eq!(password_in(&path).unwrap().expose(), "secret word");
    }
}
