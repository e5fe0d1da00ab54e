//! The one clone that an agent has at a time.

use crate::agent::SnapshotTold;
use crate::donor::instance::InstanceOptions;
use crate::recipient::wire::{Flow, Known, Returning, Stopped, Turn};
use crate::serve::clones::{Clone, Refused};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wire::clone::{Locator, Stage};

/// What is kept of a clone besides its connections.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) options: InstanceOptions,
    pub(super) returning: Arc<Returning>,
}

#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    current: Option<Current>,
    /// The clone that was complete last.
    done: Option<(u64, Arc<Returning>)>,
}

#[derive(Debug)]
struct Current {
    clone: Arc<Clone>,
    begun: Instant,
    returning: Arc<Returning>,
    /// What was asked for, until it is begun with.
    request: Option<InstanceOptions>,
    is_increment: bool,
    /// Its client is away.
    away: bool,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_taken(&self) -> bool {
        self.lock().current.is_some()
    }

    /// A new clone, if there is no other whose client is here.
    pub(super) fn begin(&self, request: InstanceOptions) -> Result<Arc<Clone>, Refused> {
        let mut state = self.lock();
        if let Some(current) = &state.current {
            let idle = current.request.is_some() && current.begun.elapsed() > IDLE;
            if !(current.away || idle) {
                return Err(Refused::new(
                    3634,
                    "Too many concurrent clone operations. Maximum allowed - 1.",
                ));
            }
        }
        if let Some(current) = state.current.take() {
            current.end(Stopped::Interrupted);
        }
        state.last += 1;
        let id = state.last;
        let flow = Arc::new(Flow::new(Stage::Init, Known::Nothing));
        let clone = Arc::new(Clone::new(id, flow));
        state.current = Some(Current {
            clone: Arc::clone(&clone),
            begun: Instant::now(),
            returning: Arc::default(),
            is_increment: request.from.is_some(),
            request: Some(request),
            away: false,
        });
        Ok(clone)
    }

    /// What a clone that begins is to be; `None` if it has begun before.
    pub(super) fn take_request(&self, clone: &Clone) -> Option<Held> {
        let mut state = self.lock();
        let current = state.of(clone)?;
        Some(Held {
            options: current.request.take()?,
            returning: Arc::clone(&current.returning),
        })
    }

    /// A clone whose client comes back. What the instance gave is gone on with, at the place where
    /// the client is.
    pub(super) fn resume(&self, locator: &Locator) -> Result<Arc<Clone>, Refused> {
        let mut state = self.lock();
        let known = state.current.as_mut().filter(|current| {
            let same = current.clone.locator().is_same_clone(locator);
            same && current.request.is_none() && !current.returning.is_bound()
        });
        let Some(current) = known else {
            return Err(given_up());
        };
        let old = Arc::clone(&current.clone);
        // A client that has lost a connection may be back before its other end was found lost.
        old.flow.stop(Stopped::Interrupted);
        if let Some(Stopped::Failed { code, message }) = old.flow.stopped() {
            return Err(Refused { code, message });
        }
        let from_init = current.is_increment && locator.stage == Stage::Init;
        let (stage, known, received) = match old.flow.stage_to_resume() {
            // An increment has no FILE COPY.
            Stage::FileCopy | Stage::PageCopy if from_init => {
                (Stage::PageCopy, Known::Nothing, None)
            }
            _ => old.where_to_resume(locator)?,
        };
        tracing::info!(clone = old.id, ?stage, "clone resumed");
        let turn = Turn::again(stage, known, received);
        let clone = Arc::new(old.again(turn.flow()));
        // Workers may join before the master executes.
        clone.flow.join();
        current.clone = Arc::clone(&clone);
        current.away = false;
        current.returning.go_on(turn);
        Ok(clone)
    }

    pub(super) fn find(&self, locator: &Locator) -> Option<Arc<Clone>> {
        let state = self.lock();
        let current = state.current.as_ref()?;
        let same = current.clone.locator().is_same_clone(locator);
        same.then(|| Arc::clone(&current.clone))
    }

    /// The client has lost a connection, and may come back, unless locks last as long as it takes.
    pub(super) fn lost(&self, clone: &Clone) {
        clone.flow.stop(Stopped::Interrupted);
        let mut state = self.lock();
        let Some(current) = state.of(clone) else {
            return;
        };
        current.away = true;
        if current.returning.is_bound()
            && let Some(current) = state.current.take()
        {
            current.end(Stopped::Interrupted);
        }
    }

    /// It is over: complete, or failed.
    pub(super) fn remove(&self, clone: &Clone) {
        let mut state = self.lock();
        if state.of(clone).is_some()
            && let Some(current) = state.current.take()
        {
            current.returning.give_up();
            state.done = Some((clone.id, current.returning));
        }
    }

    /// Nobody came back to it.
    pub(super) fn forget(&self, id: u64) {
        let mut state = self.lock();
        let current = state.current.take_if(|current| current.clone.id == id);
        if let Some(current) = current {
            // Who comes back now is too late.
            let Refused { code, message } = given_up();
            current.end(Stopped::Failed { code, message });
        }
    }

    /// What a complete clone is.
    pub(super) fn snapshot(&self, id: u64) -> Option<Arc<SnapshotTold>> {
        let state = self.lock();
        let current = state.current.as_ref();
        let current = current.map(|current| (current.clone.id, &current.returning));
        let done = state.done.as_ref().map(|(id, returning)| (*id, returning));
        let mut all = [current, done].into_iter().flatten();
        all.find(|(known, _)| *known == id)?.1.told()
    }

    /// Ends it.
    pub(super) fn stop(&self) {
        let current = self.lock().current.take();
        if let Some(current) = current {
            current.end(Stopped::Failed {
                code: 1053,
                message: "Server shutdown in progress".into(),
            });
        }
    }
}

impl State {
    fn of(&mut self, clone: &Clone) -> Option<&mut Current> {
        let current = self.current.as_mut()?;
        std::ptr::eq(&raw const *current.clone, clone).then_some(current)
    }
}

impl Current {
    fn end(&self, why: Stopped) {
        self.clone.cancel(why);
        self.returning.give_up();
    }
}

fn given_up() -> Refused {
    Refused::new(
        3862,
        "the clone was given up when its client was gone: begin anew",
    )
}

/// How long a client may take to begin with its clone, when another one asks.
const IDLE: Duration = Duration::from_secs(60);
