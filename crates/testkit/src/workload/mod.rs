//! Load on a server while it is backed up: transactions that keep invariants, and DDL.

mod ddl;
mod dml;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::session::{Outcome, Session};
use crate::{Client, Result, Server};

/// What a [`Workload`] does.
#[derive(Debug, Clone, Copy)]
pub struct WorkloadOptions {
    /// Sessions that run transactions.
    pub threads: u32,
    /// Run random DDL too, in a session of its own.
    pub ddl: bool,
    /// The same seed chooses the same statements (their interleaving is the server's).
    pub seed: u64,
    /// Pause between transactions of a session; none by default.
    pub pause: Duration,
}

impl Default for WorkloadOptions {
    fn default() -> Self {
        Self {
            threads: 2,
            ddl: false,
            seed: 1,
            pause: Duration::ZERO,
        }
    }
}

/// What a [`Workload`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Committed transactions.
    pub transactions: u64,
    /// DDL statements that succeeded.
    pub ddl: u64,
    /// Statements that failed: deadlocks, lock wait timeouts under a backup lock, DDL on what is
    /// not there.
    pub failed: u64,
}

/// Random transactions in schema `load`, and random DDL in schemas `churn_*`, until stopped.
///
/// Lock wait timeouts (a backup lock is held) are part of the game, and so is a server that dies:
/// the sessions try to reconnect until [`Workload::stop`].
///
/// A server killed while it truncates a table finds that table's file only at the start after the
/// one that recovered (seen on 9.7.4): restart it once more before checking its tables.
#[derive(Debug)]
pub struct Workload {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    transactions: AtomicU64,
    ddl: AtomicU64,
    failed: AtomicU64,
}

impl Workload {
    /// Creates the tables unless they exist (from an earlier workload, or a restore) and starts the
    /// sessions.
    pub fn start(server: &Server, options: WorkloadOptions) -> Result<Self> {
        dml::create(server)?;
        if options.ddl {
            ddl::create(server)?;
        }
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        let pause = options.pause;
        for number in 0..u64::from(options.threads) {
            let statements = dml::Statements::new(options.seed.wrapping_mul(1000) + number);
            threads.push(spawn(
                server.client(),
                &shared,
                Kind::Transaction,
                pause,
                statements,
            ));
        }
        if options.ddl {
            let statements = ddl::Statements::new(options.seed);
            threads.push(spawn(
                server.client(),
                &shared,
                Kind::Ddl,
                pause,
                statements,
            ));
        }
        Ok(Self { shared, threads })
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        Stats {
            transactions: self.shared.transactions.load(Ordering::Relaxed),
            ddl: self.shared.ddl.load(Ordering::Relaxed),
            failed: self.shared.failed.load(Ordering::Relaxed),
        }
    }

    /// Waits until so many further transactions have been committed and so many further statements
    /// of DDL have succeeded, however long that takes on this machine.
    ///
    /// # Errors
    /// When that takes a quarter of an hour: something is stuck.
    pub fn wait_for(&self, transactions: u64, ddl: u64) -> Result<()> {
        let (before, begin) = (self.stats(), Instant::now());
        loop {
            let now = self.stats();
            if now.transactions - before.transactions >= transactions && now.ddl - before.ddl >= ddl
            {
                return Ok(());
            }
            ensure!(
                begin.elapsed() < STUCK,
                "the workload is stuck: {transactions} transactions and {ddl} statements of DDL were \
                 wanted, {before:?} has become {now:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Lets every session end its statement and waits for them.
    pub fn stop(mut self) -> Stats {
        self.join();
        self.stats()
    }

    fn join(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    /// Checks what the transactions keep true at every commit: all balances sum up to zero, there
    /// are as many journal entries as the counters say, every order has the number of lines and the
    /// total it names. Holds on a restored server too.
    pub fn check(server: &Server) -> Result<()> {
        dml::check(server)
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.join();
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Transaction,
    Ddl,
}

/// An endless source of statements.
trait Source: Send + 'static {
    fn next(&mut self) -> String;
}

fn spawn(
    client: &Client,
    shared: &Arc<Shared>,
    kind: Kind,
    pause: Duration,
    mut source: impl Source,
) -> JoinHandle<()> {
    let (client, shared) = (client.clone(), Arc::clone(shared));
    std::thread::spawn(move || {
        while !shared.stop.load(Ordering::Relaxed) {
            // Any error here means that the connection is gone: the server was killed or restarts.
            let _ = converse(&client, &shared, kind, pause, &mut source);
            std::thread::sleep(Duration::from_millis(100));
        }
    })
}

fn converse(
    client: &Client,
    shared: &Shared,
    kind: Kind,
    pause: Duration,
    source: &mut impl Source,
) -> Result<()> {
    let mut session = Session::open(client, SETUP)?;
    while !shared.stop.load(Ordering::Relaxed) {
        let done = match (session.run(&source.next(), PATIENCE)?, kind) {
            (Outcome::Failed, _) => &shared.failed,
            (Outcome::Done, Kind::Transaction) => &shared.transactions,
            (Outcome::Done, Kind::Ddl) => &shared.ddl,
        };
        done.fetch_add(1, Ordering::Relaxed);
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
    Ok(())
}

/// Short waits, so that a session blocked by a backup lock can be stopped soon.
const SETUP: &str = "SET SESSION lock_wait_timeout = 2, innodb_lock_wait_timeout = 2, \
                     foreign_key_checks = 1, cte_max_recursion_depth = 10000";

/// Longer than any statement of a workload, waits included.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long [`Workload::wait_for`] waits: a guard, not a goal.
const STUCK: Duration = Duration::from_secs(900);
