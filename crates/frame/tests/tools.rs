//! `zstd` and `lz4` read our files, and we read theirs.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use common::{file_of, pages};
use frame::{Algorithm, Index, Settings, decompress_stream};
use std::path::Path;
use std::process::Command;

/// Runs a tool, which `scripts/build-deps.sh` installs, on two files.
fn run(tool: &str, words: &[&str], from: &Path, to: &Path) {
    let mut command = Command::new(tool);
    let output = command.args(words).arg(from).arg("-o").arg(to).output();
    // lz4 takes no -o.
    let output = match tool {
        "lz4" => Command::new(tool).args(words).arg(from).arg(to).output(),
        _ => output,
    };
    let output = output.unwrap_or_else(|e| panic!("{tool}: {e}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {words:?}: {said}");
}

fn tool(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Zstd => "zstd",
        Algorithm::Lz4 => "lz4",
    }
}

#[test]
fn the_tools_read_our_files() {
    let dir = tempfile::tempdir().unwrap();
    let (packed, unpacked) = (dir.path().join("packed"), dir.path().join("unpacked"));
    for algorithm in Algorithm::ALL {
        for (count, chunk) in [(1, 65536), (300, 65536), (600, 1 << 22)] {
            let original = pages(count, 11);
            let settings = Settings::new(algorithm, 1, chunk).unwrap();
            std::fs::write(&packed, file_of(&original, &settings).0).unwrap();
            run(tool(algorithm), &["-d", "-q", "-f"], &packed, &unpacked);
            assert!(
                std::fs::read(&unpacked).unwrap() == original,
                "{settings:?}"
            );
        }
    }
}

#[test]
fn we_read_what_the_tools_write() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, packed) = (dir.path().join("plain"), dir.path().join("packed"));
    let original = pages(400, 12);
    std::fs::write(&plain, &original).unwrap();
    for (algorithm, words) in [
        (Algorithm::Zstd, &["-q", "-f", "-1"][..]),
        (Algorithm::Zstd, &["-q", "-f", "-12", "--long=24"]),
        (Algorithm::Zstd, &["-q", "-f", "--no-check"]),
        (Algorithm::Lz4, &["-q", "-f"]),
        (Algorithm::Lz4, &["-q", "-f", "-BD", "-B4"]),
        (Algorithm::Lz4, &["-q", "-f", "-BD", "-B7", "-BX"]),
        (
            Algorithm::Lz4,
            &["-q", "-f", "-9", "--content-size", "--no-frame-crc"],
        ),
    ] {
        run(tool(algorithm), words, &plain, &packed);
        let one = std::fs::read(&packed).unwrap();
        // Frames of one file after the other, as CLONE of GreatSQL writes them.
        let file = [&one[..], &one].concat();
        let mut found: Vec<u8> = Vec::new();
        let mut output = |piece: &[u8]| {
            found.extend(piece);
            Ok(())
        };
        decompress_stream(&file[..], &mut output, algorithm).unwrap();
        assert!(found == [&original[..], &original].concat(), "{words:?}");
        let read_at = |offset: u64, bytes: &mut [u8]| {
            bytes.copy_from_slice(&file[offset as usize..][..bytes.len()]);
            Ok(())
        };
        assert_eq!(Index::read(file.len() as u64, read_at).unwrap(), None);
    }
}

#[test]
fn the_legacy_format_of_lz4_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, packed) = (dir.path().join("plain"), dir.path().join("packed"));
    std::fs::write(&plain, pages(10, 13)).unwrap();
    run("lz4", &["-q", "-f", "-l"], &plain, &packed);
    let file = std::fs::read(&packed).unwrap();
    let error = decompress_stream(&file[..], &mut |_| Ok(()), Algorithm::Lz4).unwrap_err();
    assert!(error.to_string().contains("legacy"), "{error}");
}

#[test]
fn a_window_that_would_take_too_much_memory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, packed) = (dir.path().join("plain"), dir.path().join("packed"));
    std::fs::write(&plain, pages(10, 14)).unwrap();
    // From standard input the length is not known, so that the window is as large as asked for.
    let shell = format!(
        "zstd -q -f --long=28 -o '{}' < '{}'",
        packed.display(),
        plain.display()
    );
    assert!(
        Command::new("sh")
            .args(["-c", &shell])
            .status()
            .unwrap()
            .success()
    );
    let file = std::fs::read(&packed).unwrap();
    let error = decompress_stream(&file[..], &mut |_| Ok(()), Algorithm::Zstd).unwrap_err();
    assert!(error.to_string().contains("memory"), "{error}");
}
