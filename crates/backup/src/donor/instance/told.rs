//! What an agent tells of its instance.

use super::IncrementFrom;
use super::base::{Base, Method};
use super::facts::Facts;
use super::session::Session;
use crate::Result;
use crate::agent::{BaseTold, BaseWeighed, InstanceTold};
use crate::set::PagesBy;
use std::path::Path;
use std::time::Duration;
use wire::ConnectOptions;

/// Which instance this is, as it is now; refuses one that could not be backed up.
pub(crate) fn describe(connect: &ConnectOptions, datadir: Option<&Path>) -> Result<InstanceTold> {
    let mut session = Session::open(connect, PATIENCE)?;
    session.check_privileges()?;
    let facts = Facts::ask(&mut session, datadir)?;
    Ok(InstanceTold {
        server: facts.record(),
        page_size: facts.page_size.get(),
    })
}

/// What an increment on this base would be; refuses what cannot be right.
pub(crate) fn weigh(
    connect: &ConnectOptions,
    datadir: Option<&Path>,
    base: &BaseTold,
) -> Result<BaseWeighed> {
    let mut session = Session::open(connect, PATIENCE)?;
    let facts = Facts::ask(&mut session, datadir)?;
    let from = IncrementFrom::Told(Box::new(base.clone()));
    let base = Base::find(&from, base.scan, &mut session, &facts)?;
    Ok(BaseWeighed {
        start: base.start,
        pages_by: match base.method {
            Method::Tracked => PagesBy::Tracked,
            Method::Scan => PagesBy::Scan,
        },
    })
}

/// How long a statement waits for a lock.
const PATIENCE: Duration = Duration::from_secs(60);
