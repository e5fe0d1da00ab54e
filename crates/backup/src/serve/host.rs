//! Who has the clones that connections speak of: a served set, or an agent.

use super::clones::{Clone, Refused};
use super::{CloneDonor, Patience};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use wire::clone::{Dialect, Locator, Setting, Setup};
use wire::server::Session;

/// What the conversation asks about clones.
pub(super) trait Host: Send + Sync {
    /// How its clients speak.
    fn dialect(&self) -> Dialect;

    /// The `server_uuid` of what is cloned, where the dialect carries it.
    fn server(&self) -> [u8; 16];

    /// Whether no more clones may begin.
    fn is_stopping(&self) -> bool;

    /// How long the host of a client may not confirm what it is sent, if there is a limit.
    fn peer_timeout(&self) -> Option<Duration> {
        None
    }

    /// Whether tablespace keys travel, so that nobody but the client may see them.
    fn gives_keys(&self) -> bool {
        false
    }

    /// How long its clients are waited for.
    fn patience(&self) -> Patience {
        Patience::default()
    }

    /// A new clone, and what its client is told of the donor.
    fn begin(
        &self,
        setup: &Setup,
        session: &Session,
    ) -> Result<(Arc<Clone>, Vec<Setting>), Refused>;

    /// A clone whose client comes back.
    fn resume(&self, locator: &Locator) -> Result<Arc<Clone>, Refused>;

    /// The clone that a connection joins or speaks of.
    fn find(&self, locator: &Locator) -> Option<Arc<Clone>>;

    /// Begins to send; false if that was begun before.
    fn start(&self, clone: &Arc<Clone>) -> io::Result<bool>;

    /// The client of the clone has lost a connection, and may come back.
    fn lost(&self, clone: &Clone);

    /// It is over.
    fn remove(&self, clone: &Clone);
}

impl Host for Arc<CloneDonor> {
    fn dialect(&self) -> Dialect {
        Dialect::Stock
    }

    fn server(&self) -> [u8; 16] {
        [0; 16]
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn gives_keys(&self) -> bool {
        self.gives_keys
    }

    fn patience(&self) -> Patience {
        self.options.patience
    }

    fn begin(&self, _: &Setup, _: &Session) -> Result<(Arc<Clone>, Vec<Setting>), Refused> {
        Ok((self.clones.begin()?, self.settings.clone()))
    }

    fn resume(&self, locator: &Locator) -> Result<Arc<Clone>, Refused> {
        self.clones.resume(locator)
    }

    fn find(&self, locator: &Locator) -> Option<Arc<Clone>> {
        self.clones.find(locator)
    }

    fn start(&self, clone: &Arc<Clone>) -> io::Result<bool> {
        clone.start(self)
    }

    fn lost(&self, clone: &Clone) {
        self.clones.lost(clone);
    }

    fn remove(&self, clone: &Clone) {
        self.clones.remove(clone);
    }
}
