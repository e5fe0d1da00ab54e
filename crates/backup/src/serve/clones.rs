//! The clones under way: one for each client, whatever its connections.

use super::CloneDonor;
use crate::recipient::Recipient;
use crate::recipient::wire::{Flow, From, Known, Stopped, WireRecipient};
use crate::{Error, Job, engine};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wire::clone::{Locator, Received, Stage};

/// All clones.
#[derive(Debug)]
pub(super) struct Clones {
    all: Mutex<Registry>,
}

#[derive(Debug)]
struct Registry {
    /// How long a client may be away.
    patience: Duration,
    last: u64,
    clones: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    clone: Arc<Clone>,
    /// Since when its client is away.
    away: Option<Instant>,
}

/// A clone from INIT, or REINIT, on, until a connection is lost or all is said.
#[derive(Debug)]
pub(super) struct Clone {
    pub(super) id: u64,
    pub(super) flow: Arc<Flow>,
    cancelled: Arc<AtomicBool>,
    /// What is sent now or later has keys in it.
    tls_only: Arc<AtomicBool>,
    from: From,
    started: AtomicBool,
}

/// Why a client does not get a clone: for its user.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: u16,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl Clones {
    /// None; their clients may be away for so many minutes.
    pub(super) fn new(away_minutes: u64) -> Self {
        Self {
            all: Mutex::new(Registry {
                patience: Duration::from_secs(60 * away_minutes),
                last: 0,
                clones: BTreeMap::new(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self) -> usize {
        let mut registry = self.lock();
        registry.forget_the_lost();
        registry.clones.len()
    }

    /// A new clone.
    pub(super) fn begin(&self) -> Result<Arc<Clone>, Refused> {
        let mut registry = self.lock();
        registry.forget_the_lost();
        if registry.clones.len() >= MOST {
            // A client that is here goes before one that is away.
            let longest = registry
                .clones
                .iter()
                .filter_map(|(id, entry)| Some((entry.away?, *id)))
                .min();
            let Some((_, id)) = longest else {
                let message =
                    format!("Too many concurrent clone operations. Maximum allowed - {MOST}.");
                return Err(Refused::new(3634, message));
            };
            registry.clones.remove(&id);
        }
        registry.last += 1;
        let id = registry.last;
        let flow = Flow::new(Stage::Init, Known::Nothing);
        Ok(registry.insert(id, flow, From::default()))
    }

    /// A clone whose client comes back.
    pub(super) fn resume(&self, locator: &Locator) -> Result<Arc<Clone>, Refused> {
        let mut registry = self.lock();
        registry.forget_the_lost();
        let found = registry.find(locator);
        let old = found.ok_or_else(|| {
            Refused::new(
                3862,
                "the clone to be resumed is not known here: begin anew",
            )
        })?;
        // A client that has lost a connection may be back before its other end was found lost.
        old.cancel(Stopped::Interrupted);
        if let Some(Stopped::Failed { code, message }) = old.flow.stopped() {
            return Err(Refused { code, message });
        }
        let (stage, known, received) = old.where_to_resume(locator)?;
        tracing::info!(clone = old.id, ?stage, "clone resumed");
        let flow = Flow::new(stage, known);
        let from = From { stage, received };
        Ok(registry.insert(old.id, flow, from))
    }

    /// The clone that a connection joins or speaks of.
    pub(super) fn find(&self, locator: &Locator) -> Option<Arc<Clone>> {
        self.lock().find(locator)
    }

    /// The client of `clone` has lost a connection, and may come back.
    pub(super) fn lost(&self, clone: &Clone) {
        clone.cancel(Stopped::Interrupted);
        let mut registry = self.lock();
        if let Some(entry) = registry.clones.get_mut(&clone.id)
            && std::ptr::eq(&raw const *entry.clone, clone)
        {
            entry.away.get_or_insert_with(Instant::now);
        }
    }

    /// It is over.
    pub(super) fn remove(&self, clone: &Clone) {
        let mut registry = self.lock();
        let same = |entry: &Entry| std::ptr::eq(&raw const *entry.clone, clone);
        if registry.clones.get(&clone.id).is_some_and(same) {
            registry.clones.remove(&clone.id);
        }
    }

    /// Ends all.
    pub(super) fn stop(&self) {
        for (_, entry) in std::mem::take(&mut self.lock().clones) {
            entry.clone.cancel(Stopped::Failed {
                code: 1053,
                message: "Server shutdown in progress".into(),
            });
        }
    }
}

impl Registry {
    fn insert(&mut self, id: u64, flow: Flow, from: From) -> Arc<Clone> {
        let clone = Arc::new(Clone {
            id,
            flow: Arc::new(flow),
            cancelled: Arc::default(),
            tls_only: Arc::default(),
            from,
            started: AtomicBool::new(false),
        });
        let entry = Entry {
            clone: Arc::clone(&clone),
            away: None,
        };
        self.clones.insert(id, entry);
        clone
    }

    fn find(&self, locator: &Locator) -> Option<Arc<Clone>> {
        let entry = self.clones.get(&locator.clone)?;
        let same = entry.clone.locator().is_same_clone(locator);
        same.then(|| Arc::clone(&entry.clone))
    }

    fn forget_the_lost(&mut self) {
        let limit = self.patience;
        self.clones
            .retain(|_, entry| entry.away.is_none_or(|since| since.elapsed() < limit));
    }
}

impl Clone {
    /// A clone whose connections pull from `flow`.
    pub(super) fn new(id: u64, flow: Arc<Flow>) -> Self {
        Self {
            id,
            flow,
            cancelled: Arc::default(),
            tls_only: Arc::default(),
            from: From::default(),
            started: AtomicBool::new(false),
        }
    }

    /// The same clone, for a client that came back.
    pub(super) fn again(&self, flow: Arc<Flow>) -> Self {
        Self {
            cancelled: Arc::clone(&self.cancelled),
            tls_only: Arc::clone(&self.tls_only),
            ..Self::new(self.id, flow)
        }
    }

    /// Set when something encrypted is to be sent.
    pub(super) fn tls_only(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.tls_only)
    }

    /// The flag that ends what runs for it.
    pub(super) fn cancelled(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    /// Whether this is the first call.
    pub(super) fn begins(&self) -> bool {
        !self.started.swap(true, Ordering::Relaxed)
    }

    /// Where a client goes on that comes back: the stage, and what it knows and has of that.
    pub(super) fn where_to_resume(
        &self,
        locator: &Locator,
    ) -> Result<(Stage, Known, Option<Received>), Refused> {
        let stage = self.flow.stage_to_resume();
        if locator.stage == stage {
            let known = match stage {
                // Of its redo files a client can be told again.
                Stage::FileCopy | Stage::PageCopy if !locator.has_files => Known::Begin,
                Stage::RedoCopy => Known::Begin,
                _ => Known::Files,
            };
            return Ok((stage, known, locator.received.clone()));
        }
        if locator.stage.next() == Some(stage) {
            return Ok((stage, Known::Nothing, None));
        }
        let message = "the client is in a stage in which its clone cannot be";
        Err(Refused::new(3863, message))
    }

    /// What the client calls it by.
    pub(super) fn locator(&self) -> Locator {
        Locator {
            clone: self.id,
            snapshot: self.id,
            ..Locator::default()
        }
    }

    /// Runs the engine, in a thread of its own, unless it runs already. Its failure is what the
    /// client is told.
    pub(super) fn start(self: &Arc<Self>, donor: &Arc<CloneDonor>) -> std::io::Result<bool> {
        if !self.begins() {
            return Ok(false);
        }
        self.flow.join();
        let (clone, donor) = (Arc::clone(self), Arc::clone(donor));
        let name = format!("clone {}", self.id);
        let thread = std::thread::Builder::new().name(name);
        thread.spawn(move || clone.run(&donor))?;
        Ok(true)
    }

    fn run(&self, donor: &CloneDonor) {
        let ran = donor.donor().and_then(|mut chain| {
            let job = Job::new(&donor.options.job, Arc::clone(&self.cancelled));
            let flow = Arc::clone(&self.flow);
            let recipient =
                WireRecipient::new(flow, self.from.clone(), chain.chain().last(), chain.keys())?;
            let recipient: Arc<dyn Recipient> = Arc::new(recipient);
            engine::run(&mut chain, &recipient, &job)
        });
        match ran {
            Ok(_) | Err(Error::Cancelled) => {}
            Err(error) => {
                tracing::error!(clone = self.id, %error, "clone failed");
                self.cancel(Stopped::Failed {
                    code: error.code(),
                    message: error.to_string(),
                });
            }
        }
    }

    /// Ends it, for the engine and for every connection.
    pub(super) fn cancel(&self, why: Stopped) {
        self.flow.stop(why);
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Clones at the same time: a handful of threads and some ten mebibytes for each.
const MOST: usize = 32;
