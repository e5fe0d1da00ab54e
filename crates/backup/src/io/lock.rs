//! Whether a running mysqld has a file open.

use crate::{Error, Result};
use rustix::process::{Flock, FlockType, fcntl_getlk};
use std::fs::File;
use std::path::Path;

/// The process that holds a lock on a file, or part of it, against writing; 0 for one that cannot
/// be seen from here (another container). mysqld locks every data file that it may write, unless
/// its file system knows no locks.
pub(crate) fn lock_holder(path: &Path) -> Result<Option<u32>> {
    let error = |e| Error::io("open file", path, e);
    let file = File::open(path).map_err(error)?;
    match fcntl_getlk(&file, &Flock::from(FlockType::WriteLock)) {
        Ok(held) => Ok(held.map(|lock| lock.pid.map_or(0, |pid| pid.as_raw_pid().unsigned_abs()))),
        Err(e) => Err(error(e.into())),
    }
}
