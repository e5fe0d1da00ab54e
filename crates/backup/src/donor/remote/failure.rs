//! Failures of a donor in the words of the server: error 3862, with what the donor said in it.

use crate::Error;
use wire::Endpoint;

/// `ER_CLONE_DONOR`.
const ER_CLONE_DONOR: u16 = 3862;

impl Error {
    /// Number and message of the failure of a clone of a remote donor: 3862 around the number and
    /// the words of what the donor said, or of why it could not be reached. Other failures keep
    /// their own.
    pub fn of_clone_from(&self, donor: &Endpoint) -> Option<(u16, String)> {
        let (connecting, code, said) = match self {
            Self::Server { action, source } => {
                let connecting = action.starts_with("connect ");
                match source {
                    wire::Error::Server { code, message, .. } => {
                        (connecting, *code, message.clone())
                    }
                    wire::Error::Connect { source, .. } => {
                        let errno = source.raw_os_error().unwrap_or_else(|| {
                            // As the system says it; the limit is one of the library.
                            let is_late = source.kind() == std::io::ErrorKind::TimedOut;
                            if is_late { 110 } else { 0 }
                        });
                        (
                            true,
                            2003,
                            format!("Can't connect to MySQL server on '{donor}' ({errno})"),
                        )
                    }
                    other => (connecting, other.code().unwrap_or(2013), other.to_string()),
                }
            }
            Self::Donor { code, message, .. } => (false, *code, message.clone()),
            Self::Privilege { privilege, .. } => (
                true,
                1227,
                format!(
                    "Access denied; you need (at least one of) the {privilege} privilege(s) for \
                     this operation"
                ),
            ),
            Self::NoClonePlugin => (true, 1524, "Plugin 'clone' is not loaded".to_owned()),
            _ => return None,
        };
        let failed = if connecting { "Connect failed: " } else { "" };
        let message = format!("Clone Donor Error: {failed}{code} : {said}.");
        Some((ER_CLONE_DONOR, message))
    }
}
