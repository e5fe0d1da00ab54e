//! The face of a served chain: a handler for connections of the MySQL protocol.

use super::CloneDonor;
use super::admission::take_over;
use std::sync::Arc;
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
        take_over(&self.donor, &self.session, command, raw)
    }
}
