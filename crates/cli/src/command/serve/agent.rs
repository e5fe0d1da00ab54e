//! `innoclone serve --donor instance`: the instance of this host, for `innoclone backup --from`.

use std::path::PathBuf;
use std::sync::Arc;

use backup::serve::{AgentDonor, AgentFace, AgentOptions};
use wire::server::{Handler, LocalAccounts, Server, ServerOptions, Session};

use crate::answer::Answer;
use crate::failure::Failure;
use crate::job::given_or;
use crate::settings::Settings;
use crate::signals;

use super::clones::{endpoints, tls, until_signal};
use super::{Listening, ServeArgs, is_of_this_host, system};

/// What is given for a set.
pub(super) const INSTANCE: &str = "instance";

impl ServeArgs {
    /// Serves the instance until a signal comes.
    pub(super) fn agent(
        &self,
        place: &Listening<'_>,
        settings: &Settings,
    ) -> Result<Answer, Failure> {
        self.refuse_options_of_sets()?;
        let endpoints = endpoints(place, settings, (DEFAULT_ADDRESS, DEFAULT_PORT))?;
        let datadir = given_or(self.datadir.clone(), &settings.options, "datadir")?;
        let connect = self.connection.resolve(&settings.options)?;
        let accounts = LocalAccounts::new(connect.clone(), vec!["BACKUP_ADMIN"]);
        let stop = signals::cancel_flag().map_err(system("handle signals"))?;
        let options = AgentOptions {
            connect,
            datadir,
            spool: self
                .donor
                .spool_dir
                .clone()
                .or_else(|| std::env::var_os("TMPDIR").map(PathBuf::from))
                // Not /tmp, which may be in memory.
                .unwrap_or_else(|| PathBuf::from("/var/tmp")),
            job: self.donor.job.options(&settings.options)?,
        };
        let agent = AgentDonor::open(options)?;
        let beyond = endpoints.iter().any(|endpoint| !is_of_this_host(endpoint));
        let version = agent.version();
        let options = ServerOptions {
            version: version.clone(),
            tls: Some(tls(place, &endpoints)?),
            // Passwords come in clear, and pages of the instance go out.
            require_tls: place.require_tls || (beyond && !self.allow_plain_tcp),
            ..ServerOptions::default()
        };
        let face = Arc::clone(&agent);
        let handlers = move |session: &Session| -> Box<dyn Handler> {
            Box::new(AgentFace::new(Arc::clone(&face), session.clone()))
        };
        let server = Server::new(options, Arc::new(accounts), Arc::new(handlers));
        until_signal(&server, &endpoints, Some(&version), &*agent, &stop)
    }

    /// Who may come is for the accounts of the instance to say, and there is one instance.
    fn refuse_options_of_sets(&self) -> Result<(), Failure> {
        let donor = &self.donor;
        let given = [
            (!donor.chain.is_empty(), "--chain"),
            (donor.allow_empty_tables, "--allow-empty-tables"),
            (donor.serve_user.is_some(), "--serve-user"),
            (donor.serve_password_file.is_some(), "--serve-password-file"),
        ];
        let wrong = given.iter().find(|(given, _)| *given);
        wrong.map_or(Ok(()), |(_, option)| {
            let text = format!(
                "{option} is for sets: the agent of an instance has the accounts of the instance \
                 (a set that is called 'instance' is ./instance)"
            );
            Err(Failure::Usage(text))
        })
    }
}

const DEFAULT_ADDRESS: &str = "127.0.0.1:3308";
const DEFAULT_PORT: u16 = 3308;
