//! `clone_encrypt_key_path`: the key that seals the keys of encrypted tablespaces.
//!
//! A set of the local instance leaves these keys wrapped as they are, so there is nothing to seal;
//! only a clone of a remote instance gets them in the open.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::error::{Result, SqlError};
use crate::statement::CloneStatement;
use crate::variables::{Compressed, Variable, Variables};

/// Fails unless the file can be the key: what `SET` finds out.
pub(super) fn check_path(path: &str) -> Result<()> {
    if path.is_empty() {
        return Ok(());
    }
    let opened = File::open(Path::new(path)).and_then(|file| {
        let is_file = file.metadata()?.is_file();
        let mut bytes = Vec::new();
        file.take(SHORTEST + 1).read_to_end(&mut bytes)?;
        Ok(is_file && bytes.len() as u64 >= SHORTEST)
    });
    match opened {
        Ok(true) => Ok(()),
        Ok(false) => Err(SqlError::configuration(format_args!(
            "Error: Invalid dump encrypt key file '{path}'."
        ))
        .hint("A key file has at least 32 bytes: make one by 'head -c 32 /dev/urandom'.")),
        Err(error) => Err(SqlError::configuration(format_args!(
            "Error: Fail to open encrypt key file '{path}' ({error})."
        ))),
    }
}

/// The key file that a clone is to use, if one is set. What cannot be encrypted is refused, so that
/// nobody takes a set for encrypted that is not.
pub(super) fn key_file(
    statement: &CloneStatement,
    variables: &Variables,
) -> Result<Option<PathBuf>> {
    let path = variables.text(Variable::EncryptKeyPath);
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    if variables.compressed() != Compressed::Not {
        return Err(SqlError::configuration(
            "Currently, not supported enable compress and encrypt at the same time.",
        ));
    }
    if statement.donor.is_none() {
        return Err(SqlError::configuration(
            "clone_encrypt_key_path is set, and a clone of the local instance is not encrypted",
        )
        .hint("SET GLOBAL clone_encrypt_key_path = NULL: encrypted tables stay encrypted."));
    }
    check_path(&path)?;
    // The place to hand the key to the request of a remote clone: until a request takes one, a
    // clone that would not be encrypted is refused.
    Err(SqlError::configuration(
        "clone_encrypt_key_path is set, and a clone of a remote instance is not encrypted",
    )
    .hint("SET GLOBAL clone_encrypt_key_path = NULL, or make the clone on the donor's host."))
}

/// Fewer bytes are no key.
const SHORTEST: u64 = 32;
