//! Files to decompress.

#![allow(dead_code, reason = "every test file uses its own part")]

use backup::{Job, JobOptions};
use frame::{Algorithm, Compressor, Index, Settings};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(crate) fn job() -> Job {
    let options = JobOptions {
        parallel: 3,
        ..JobOptions::default()
    };
    Job::new(&options, Arc::new(AtomicBool::new(false)))
}

/// Bytes between noise and order.
pub(crate) fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes = Vec::with_capacity(length + 64);
    while bytes.len() < length {
        match next() % 4 {
            0 => (0..40).for_each(|_| bytes.extend(next().to_le_bytes())),
            1 => bytes.resize(bytes.len() + (next() % 5000) as usize, 0),
            _ => bytes.extend(format!("row {:07} ", next() % 5000).bytes()),
        }
    }
    bytes.truncate(length);
    bytes
}

/// A compressed file as we write it.
pub(crate) fn packed(original: &[u8], algorithm: Algorithm) -> Vec<u8> {
    let settings = Settings::of(algorithm);
    let mut compressor = Compressor::new(&settings).unwrap();
    let mut file = Vec::new();
    let mut frames = Vec::new();
    for unit in original.chunks(settings.unit() as usize) {
        let start = file.len();
        compressor.compress(unit, &mut file).unwrap();
        frames.push((file.len() - start) as u32);
    }
    let index = Index::new(settings.unit(), original.len() as u64, &frames).unwrap();
    file.extend(index.encode());
    file
}

/// All files below a directory, in order.
pub(crate) fn plain_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(plain_files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Compresses with `zstd` or `lz4`.
pub(crate) fn tool(program: &str, words: &[&str], from: &Path, to: &Path) {
    let mut command = Command::new(program);
    command.args(words).arg("-f").arg(from);
    // lz4 takes no -o.
    if program == "zstd" {
        command.arg("-o");
    }
    assert!(command.arg(to).status().unwrap().success());
}
