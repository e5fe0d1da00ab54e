//! The face of a served chain: a handler for connections of the MySQL protocol.

use super::CloneDonor;
use super::conversation::converse;
use super::host::Host;
use std::sync::Arc;
use wire::clone::COM_CLONE;
use wire::server::{Answer, Handler, Raw, Refusal, Session};

/// Serves clones to one connection, and no statements.
#[derive(Debug)]
pub struct DonorFace {
    donor: Arc<CloneDonor>,
    session: Session,
}

impl DonorFace {
    /// The face for a client that has logged in.
    pub fn new(donor: Arc<CloneDonor>, session: Session) -> Self {
        Self { donor, session }
    }
}

impl Handler for DonorFace {
    fn query(&mut self, _: &str) -> Answer {
        let message = "This is a backup set for CLONE INSTANCE FROM: it executes no statements. A set \
                       is copied by copying its directory";
        Refusal::new(1235, message).into()
    }

    fn take_over(
        &mut self,
        command: u8,
        _payload: &[u8],
        raw: &mut Raw<'_>,
    ) -> Option<Result<(), wire::Error>> {
        if command != COM_CLONE {
            return None;
        }
        if !self.session.grants.has(PRIVILEGE) {
            return Some(raw.write_error(&Refusal::privilege(PRIVILEGE)));
        }
        if self.donor.is_stopping() {
            let refusal = Refusal::new(1053, "Server shutdown in progress");
            return Some(raw.write_error(&refusal));
        }
        Some({
            let host: &dyn Host = &self.donor;
            converse(host, &self.session, raw)
        })
    }
}

/// What a donor asks of those who clone it.
const PRIVILEGE: &str = "BACKUP_ADMIN";
