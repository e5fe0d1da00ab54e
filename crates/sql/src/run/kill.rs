//! `KILL`.

use crate::access::Privilege;
use crate::error::{Result, SqlError};
use crate::session::Session;
use crate::statement::Killed;

/// Stops a session, or what it does. Those of others need CONNECTION_ADMIN. Who kills himself is told
/// as the server tells it, by 1317.
pub(super) fn kill(session: &Session, id: u64, what: Killed) -> Result<()> {
    let identity = &session.identity;
    let own = (!identity.has(Privilege::ConnectionAdmin)).then_some(identity.user.as_str());
    session.service.processes.kill(id, what, own)?;
    tracing::info!(
        session = session.id(),
        user = identity.user,
        killed = id,
        ?what,
        "kill"
    );
    if id == session.id() {
        return Err(SqlError::interrupted());
    }
    Ok(())
}
