//! `clone_encrypt_key_path`: the key that seals the keys of encrypted tablespaces.
//!
//! A set of the local instance leaves these keys wrapped as they are, so there is nothing to seal;
//! only a clone of a remote instance gets them in the open.

use std::path::Path;

use backup::EncryptionKey;

use crate::error::{Result, SqlError};
use crate::statement::CloneStatement;
use crate::variables::{Compressed, Variable, Variables};

/// Fails unless the file can be the key: what `SET` finds out.
pub(super) fn check_path(path: &str) -> Result<()> {
    if path.is_empty() {
        return Ok(());
    }
    read(path).map(drop)
}

/// The key that a clone is to use, if one is set. What cannot be encrypted is refused, so that
/// nobody takes a set for encrypted that is not.
pub(super) fn key(
    statement: &CloneStatement,
    variables: &Variables,
) -> Result<Option<EncryptionKey>> {
    let path = variables.text(Variable::EncryptKeyPath);
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    if statement.donor.is_some() {
        return read(&path).map(Some);
    }
    if variables.compressed() != Compressed::Not {
        return Err(SqlError::configuration(
            "Currently, not supported enable compress and encrypt at the same time.",
        ));
    }
    Err(SqlError::configuration(
        "clone_encrypt_key_path is set, and a clone of the local instance is not encrypted",
    )
    .hint("SET GLOBAL clone_encrypt_key_path = NULL: encrypted tables stay encrypted."))
}

fn read(path: &str) -> Result<EncryptionKey> {
    EncryptionKey::read(Path::new(path)).map_err(|error| {
        let refused = match &error {
            backup::Error::Io { source, .. } => SqlError::configuration(format_args!(
                "Error: Fail to open encrypt key file '{path}' ({source})."
            )),
            _ => SqlError::configuration(format_args!(
                "Error: Invalid dump encrypt key file. ({error})"
            )),
        };
        match error.hint() {
            Some(hint) => refused.hint(hint),
            None => refused,
        }
    })
}
