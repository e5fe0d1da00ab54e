//! What all sessions share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use catalogue::Catalogue;
use wire::ConnectOptions;

use crate::error::{Result, SqlError};
use crate::processes::Processes;
use crate::variables::Variables;

/// The instance that clones are made of, and where their history is.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// The local instance.
    pub local: ConnectOptions,
    /// Its data directory, where it is not where the server says.
    pub datadir: Option<PathBuf>,
    /// The directory of the history; variables that are made to last are kept there too.
    pub state_dir: PathBuf,
}

/// The statements of CLONE for one local instance.
#[derive(Debug)]
pub struct Service {
    pub(crate) options: ServiceOptions,
    pub(crate) catalogue: Catalogue,
    pub(crate) processes: Processes,
    variables: Mutex<Variables>,
    clones: AtomicU32,
    pub(crate) started: Instant,
}

/// As GreatSQL: so many clones at once.
const MOST_CLONES: u32 = 5;

impl Service {
    /// Opens the history, creating it where there is none, and reads the variables.
    pub fn open(options: ServiceOptions) -> Result<Arc<Self>> {
        let catalogue = Catalogue::open(&options.state_dir).map_err(|error| {
            let hint = error.hint();
            let mut error = SqlError::new(3862, format!("Clone Donor Error: {error}."));
            error.hint = hint;
            error
        })?;
        let variables = Variables::load(options.state_dir.join(VARIABLES_FILE))?;
        Ok(Arc::new(Self {
            options,
            catalogue,
            processes: Processes::default(),
            variables: Mutex::new(variables),
            clones: AtomicU32::new(0),
            started: Instant::now(),
        }))
    }

    /// Cancels what runs and ends every session.
    pub fn stop(&self) {
        self.processes.kill_all();
    }

    /// Clones that run.
    pub fn running_clones(&self) -> u32 {
        self.clones.load(Ordering::Relaxed)
    }

    pub(crate) fn variables(&self) -> MutexGuard<'_, Variables> {
        self.variables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the places for clones, until it is dropped.
    pub(crate) fn place(&self) -> Result<Place<'_>> {
        let more = |taken| (taken < MOST_CLONES).then_some(taken + 1);
        match self
            .clones
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        {
            Ok(_) => Ok(Place(&self.clones)),
            Err(_) => Err(SqlError::new(
                3634,
                format!("Too many concurrent clone operations. Maximum allowed - {MOST_CLONES}"),
            )),
        }
    }
}

/// A clone's place among those that run.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a AtomicU32);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Variables that outlive the process, in the directory of the history.
const VARIABLES_FILE: &str = "variables.json";
