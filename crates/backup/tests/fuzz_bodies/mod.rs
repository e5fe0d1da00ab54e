//! Bodies of the fuzz targets for this crate's parsers of foreign bytes.
#![allow(dead_code, reason = "a fuzz target is one of these functions")]

use backup::set::Manifest;
use std::path::Path;

/// Any bytes are a manifest or an error; what is a manifest stays one when written and read again.
pub(crate) fn manifest(data: &[u8]) {
    let path = Path::new("manifest.json");
    if let Ok(manifest) = Manifest::parse(path, data) {
        let text = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(Manifest::parse(path, &text).unwrap(), manifest);
        assert!(
            manifest
                .stored_files()
                .all(|stored| !stored.name.contains("..") || stored.name.len() > 2)
        );
    }
}

/// Any bytes are a file of sealed keys or an error; what is one is of the length that its number of
/// keys takes, and is not opened: nobody has its key.
pub(crate) fn sealed_keys(data: &[u8]) {
    use backup::{EncryptionKey, SealedKeys};
    use std::sync::OnceLock;
    static KEY: OnceLock<EncryptionKey> = OnceLock::new();
    if let Ok(sealed) = SealedKeys::parse(data) {
        assert_eq!(data.len(), 60 + 68 * sealed.len());
        assert_eq!(sealed.key_id().len(), 16);
        let key = KEY.get_or_init(|| EncryptionKey::from_bytes(&[7; 32]).unwrap());
        assert!(sealed.open(key, "set").is_err());
    }
}

/// Any bytes are a query event or not; the statement is what was logged, and at most a definer more.
pub(crate) fn logged_statement(data: &[u8]) {
    if let Some((settings, statement)) = backup::pitr::logged_statement(data) {
        assert!(settings.starts_with("SET TIMESTAMP = 0."));
        // User and host of 255 bytes at most, each byte doubled at most.
        assert!(statement.len() <= data.len() + 2048);
    }
}
