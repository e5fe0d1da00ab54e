//! Bodies of the fuzz targets for this crate's parsers of foreign bytes.

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
