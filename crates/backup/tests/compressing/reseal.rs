//! Makes the digests of a damaged set fit: what a program does that went wrong.

use blake3::hazmat::{ChainingValue, HasherExt};
use serde_json::Value;
use std::path::Path;

const CHUNK: usize = 256 << 10;
const MANIFEST: &str = "#clone/manifest.json";

/// The manifest of a set.
pub(crate) fn manifest(set: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(set.join(MANIFEST)).unwrap()).unwrap()
}

/// Changes the manifest, and makes its digest fit.
pub(crate) fn edit(set: &Path, how: impl FnOnce(&mut Value)) {
    let mut value = manifest(set);
    how(&mut value);
    write(set, &value);
}

/// Makes size and digest of every stored file fit what is there.
pub(crate) fn reseal(set: &Path) {
    reseal_those(set, |_| true);
}

/// Makes size and digest of one stored file fit what is there.
pub(crate) fn reseal_file(set: &Path, name: &str) {
    reseal_those(set, |stored| stored["name"] == name);
}

fn reseal_those(set: &Path, which: impl Fn(&Value) -> bool) {
    let mut value = manifest(set);
    let path = set.join("#clone/chunks.b3");
    let old = std::fs::read(&path).unwrap();
    let mut rest = &old[..];
    let mut values = Vec::new();
    let mut each = |stored: &mut Value| {
        let size = stored["size"].as_u64().unwrap() as usize;
        let chunks = if size <= CHUNK {
            0
        } else {
            size.div_ceil(CHUNK)
        };
        let known;
        (known, rest) = rest.split_at((chunks * 32).min(rest.len()));
        if which(stored) {
            values.extend(digest(set, stored).concat());
        } else {
            values.extend(known);
        }
    };
    for file in value["files"].as_array_mut().unwrap() {
        file["stored"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(&mut each);
    }
    value["own_files"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .for_each(&mut each);
    replace(&path, &values);
    write(set, &value);
}

fn digest(set: &Path, stored: &mut Value) -> Vec<ChainingValue> {
    let bytes = std::fs::read(set.join(stored["name"].as_str().unwrap())).unwrap();
    stored["size"] = bytes.len().into();
    stored["blake3"] = blake3::hash(&bytes).to_string().into();
    if bytes.len() <= CHUNK {
        return Vec::new();
    }
    let chunks = bytes.chunks(CHUNK).enumerate();
    chunks
        .map(|(index, chunk)| {
            let mut hasher = blake3::Hasher::new();
            hasher.set_input_offset((index * CHUNK) as u64);
            hasher.update(chunk).finalize_non_root()
        })
        .collect()
}

fn write(set: &Path, value: &Value) {
    let bytes = serde_json::to_vec_pretty(value).unwrap();
    let line = format!("{}  manifest.json\n", blake3::hash(&bytes));
    replace(&set.join("#clone/manifest.json.b3"), line.as_bytes());
    replace(&set.join(MANIFEST), &bytes);
}

fn replace(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}
