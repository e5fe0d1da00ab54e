//! Serving clones until a signal comes, whatever they are of: a set, or the instance of this host.

use std::io;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backup::serve::{AgentDonor, CloneDonor};
use serde::Serialize;
use wire::Endpoint;
use wire::server::{Server, ServerTls};

use crate::answer::{Answer, Ending};
use crate::failure::Failure;
use crate::job::given_or;
use crate::settings::Settings;

use super::{Listening, endpoint, wait};

/// Has clones, and can end them.
pub(super) trait Clones {
    /// Clones under way, or waiting for their client to come back.
    fn count(&self) -> usize;

    /// Ends all clones, and lets no more begin.
    fn stop(&self);
}

impl Clones for CloneDonor {
    fn count(&self) -> usize {
        self.clones()
    }

    fn stop(&self) {
        self.stop();
    }
}

impl Clones for AgentDonor {
    fn count(&self) -> usize {
        self.clones()
    }

    fn stop(&self) {
        self.stop();
    }
}

/// What was served.
#[derive(Debug, Serialize)]
struct Report {
    /// How it ended.
    ended_by: &'static str,
    /// Clones that were under way and were ended too.
    clones_ended: usize,
}

/// Lets clients of `server` in at the endpoints, and ends `clones` when a signal has come. The
/// version that clients are greeted with is told in the log where it is given.
pub(super) fn until_signal(
    server: &Server,
    endpoints: &[Endpoint],
    version: Option<&str>,
    clones: &dyn Clones,
    stop: &AtomicBool,
) -> Result<Answer, Failure> {
    for endpoint in endpoints {
        let address = server.listen(endpoint).map_err(network("listen"))?;
        // The port may have been left to the system.
        let address = address.map_or_else(|| endpoint.to_string(), |found| found.to_string());
        tracing::info!(address, version, "listening");
    }
    wait(stop);
    tracing::info!("stopping");
    let clones_ended = clones.count();
    clones.stop();
    if !server.stop(PATIENCE) {
        tracing::warn!("some connections had not ended when the program did");
    }
    let report = Report {
        ended_by: "signal",
        clones_ended,
    };
    let text = format!("stopped by a signal; clones ended: {clones_ended}\n");
    Answer::new("serve", &report, text, Ending::Told)
}

/// Where to listen: as given, in an option file, or at this address and port.
pub(super) fn endpoints(
    place: &Listening<'_>,
    settings: &Settings,
    (address, port): (&str, u16),
) -> Result<Vec<Endpoint>, Failure> {
    let mut listen = place.listen.to_vec();
    if listen.is_empty() {
        let given = given_or(None::<String>, &settings.options, "listen")?;
        listen.push(given.unwrap_or_else(|| address.to_owned()));
    }
    listen.iter().map(|text| endpoint(text, port)).collect()
}

/// The certificate that is given, or one made for the names of the endpoints.
pub(super) fn tls(place: &Listening<'_>, endpoints: &[Endpoint]) -> Result<ServerTls, Failure> {
    let tls = if let (Some(certificate), Some(key)) = (place.tls_cert, place.tls_key) {
        ServerTls::from_files(certificate, key)
    } else {
        let names = endpoints.iter().filter_map(|endpoint| match endpoint {
            Endpoint::Tcp { host, .. } => Some(host.clone()),
            Endpoint::Socket(_) => None,
        });
        ServerTls::self_signed(names.chain(["localhost".to_owned()]).collect())
    };
    tls.map_err(network("prepare TLS"))
}

fn network(action: &'static str) -> impl Fn(wire::Error) -> Failure {
    move |error| Failure::System {
        action,
        source: io::Error::other(error),
    }
}

/// How long connections may take to end when the program is told to.
const PATIENCE: Duration = Duration::from_secs(10);
