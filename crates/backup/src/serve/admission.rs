//! Who is let into the clone protocol.

use super::conversation::converse;
use super::host::Host;
use wire::Error;
use wire::clone::COM_CLONE;
use wire::server::{Raw, Refusal, Session};

/// Speaks the clone protocol with a client that asks for it and may; `None` when `command` asks for
/// something else.
pub(super) fn take_over(
    host: &dyn Host,
    session: &Session,
    command: u8,
    raw: &mut Raw<'_>,
) -> Option<Result<(), Error>> {
    (command == COM_CLONE).then(|| {
        if !session.grants.has(PRIVILEGE) {
            return raw.write_error(&Refusal::privilege(PRIVILEGE));
        }
        if host.is_stopping() {
            return raw.write_error(&Refusal::new(1053, "Server shutdown in progress"));
        }
        if let Some(limit) = host.peer_timeout() {
            raw.set_peer_timeout(limit)?;
        }
        converse(host, session, raw)
    })
}

/// What a donor asks of those who clone it.
pub(super) const PRIVILEGE: &str = "BACKUP_ADMIN";
