//! `innoclone decompress`, and the tools of which the program takes the place.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use common::{Ended, innoclone, run};
use frame::{Algorithm, Compressor, Index, Settings};
use tempfile::TempDir;

/// Bytes between noise and order.
fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 64);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(format!("row {:07} ", state % 50_000).bytes());
    }
    bytes.truncate(length);
    bytes
}

fn packed(original: &[u8], algorithm: Algorithm) -> Vec<u8> {
    let settings = Settings::of(algorithm);
    let mut compressor = Compressor::new(&settings).unwrap();
    let (mut file, mut frames) = (Vec::new(), Vec::new());
    for unit in original.chunks(settings.unit() as usize) {
        let start = file.len();
        compressor.compress(unit, &mut file).unwrap();
        frames.push((file.len() - start) as u32);
    }
    let index = Index::new(settings.unit(), original.len() as u64, &frames).unwrap();
    file.extend(index.encode());
    file
}

/// A directory like a compressed backup, and the program under all of its names.
struct World {
    dir: TempDir,
    files: Vec<(String, Vec<u8>)>,
}

impl World {
    fn new(algorithm: Algorithm) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_innoclone");
        for name in ["zstd_decompress", "lz4_decompress"] {
            symlink(program, dir.path().join(name)).unwrap();
        }
        let mut world = Self { dir, files: vec![] };
        for (name, length) in [
            ("ibdata1", 12 << 20),
            ("ibdata1.delta", 32768),
            ("s chema/t able.ibd", 700_000),
            ("s chema/t able.ibd.delta", 0),
            ("#innodb_redo/#ib_redo0", 100_000),
        ] {
            let original = bytes(length, length as u64);
            let path = world.stored(name, algorithm);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, packed(&original, algorithm)).unwrap();
            world.files.push((name.to_owned(), original));
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("set").join(name)
    }

    fn stored(&self, name: &str, algorithm: Algorithm) -> PathBuf {
        self.path(&format!("{name}{}", algorithm.suffix()))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = innoclone(&self.dir.path().join("state"));
        command.arg("decompress").arg(self.path("")).args(words);
        command
    }

    fn run(&self, words: &[&str]) -> Ended {
        run(&mut self.command(words))
    }

    fn tool(&self, name: &str, from: &Path, to: &Path) -> Output {
        let mut command = Command::new(self.dir.path().join(name));
        command.arg(from).arg(to).output().unwrap()
    }

    #[track_caller]
    fn check(&self) {
        for (name, original) in &self.files {
            assert!(fs::read(self.path(name)).unwrap() == *original, "{name}");
        }
    }

    /// Names of everything in the directory.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for directory in ["", "s chema", "#innodb_redo"] {
            for entry in fs::read_dir(self.path(directory)).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    names.push(entry.file_name().into_string().unwrap());
                }
            }
        }
        names
    }
}

#[test]
fn a_directory_is_decompressed_and_ok_is_the_last_word() {
    let world = World::new(Algorithm::Zstd);
    let ended = world.run(&[]).expect(0);
    assert!(
        ended.stdout.ends_with("\ncompleted OK!\n"),
        "{}",
        ended.stdout
    );
    world.check();
    assert_eq!(world.names().len(), 10);
    let ended = world.run(&["--remove-original", "--json"]).expect(0);
    let report = &ended.json()["decompress"];
    assert_eq!(report["files_already_there"], 5);
    assert_eq!(report["files_removed"], 5);
    world.check();
    assert_eq!(world.names().len(), 5);
    world.run(&["--remove-original"]).expect(0);
}

#[test]
fn problems_end_with_three_and_never_with_ok() {
    let world = World::new(Algorithm::Lz4);
    let path = world.stored("ibdata1", Algorithm::Lz4);
    let mut file = fs::read(&path).unwrap();
    file[2_000_000] ^= 1;
    fs::write(&path, &file).unwrap();
    let ended = world.run(&["--remove-original"]).expect(3);
    assert!(
        ended.stdout.contains("ibdata1.lz4: at byte "),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains("OK"));
    assert!(ended.stderr.contains("1 problem(s) found"));
    assert!(path.exists() && !world.path("ibdata1").exists());
    let ended = world.run(&["--json"]).expect(3);
    let problems = &ended.json()["decompress"]["problems"];
    assert_eq!(problems.as_array().unwrap().len(), 1);
}

#[test]
fn what_is_in_the_place_of_a_file_stays_and_is_named() {
    let world = World::new(Algorithm::Zstd);
    fs::write(world.path("ibdata1"), "precious").unwrap();
    let ended = world.run(&["--remove-original"]).expect(3);
    let told = format!(
        "'{}' exists, and is not what the compressed file holds",
        world.path("ibdata1").display()
    );
    assert!(ended.stdout.contains(&told), "{}", ended.stdout);
    assert_eq!(fs::read(world.path("ibdata1")).unwrap(), b"precious");
    assert!(world.stored("ibdata1", Algorithm::Zstd).exists());
}

#[test]
fn what_is_no_compressed_file_is_an_error() {
    let world = World::new(Algorithm::Zstd);
    let mut command = innoclone(&world.dir.path().join("state"));
    let ended = run(command.arg("decompress").arg(world.path("none"))).expect(1);
    assert!(ended.stderr.contains("No such file"), "{}", ended.stderr);
}

#[test]
fn killed_at_any_moment_it_is_run_again() {
    for algorithm in Algorithm::ALL {
        let mut finished = 0;
        for delay in (0..)
            .map(|step| Duration::from_micros(step * 4000))
            .take(25)
        {
            let world = World::new(algorithm);
            let mut child = world
                .command(&["--remove-original", "--quiet"])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(delay);
            child.kill().unwrap();
            finished += i32::from(child.wait().unwrap().success());
            for (name, original) in &world.files {
                let there = fs::read(world.path(name));
                let whole = there.as_ref().is_ok_and(|bytes| bytes == original);
                assert!(whole || there.is_err(), "{name} is half-written");
                assert!(
                    whole || world.stored(name, algorithm).exists(),
                    "{name} is lost"
                );
            }
            world.run(&["--remove-original"]).expect(0);
            world.check();
            assert_eq!(world.names().len(), 5);
        }
        assert!(finished < 25, "no run was killed");
    }
}

#[test]
fn the_tools_say_and_end_as_they_do() {
    let world = World::new(Algorithm::Zstd);
    let (from, to) = (world.stored("ibdata1", Algorithm::Zstd), world.path("out"));
    let output = world.tool("zstd_decompress", &from, &to);
    assert!(output.status.success());
    let line = format!("decompress file: {} \n", from.display());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), line);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(fs::read(&to).unwrap() == world.files[0].1);

    let world = World::new(Algorithm::Lz4);
    let (from, to) = (world.stored("ibdata1", Algorithm::Lz4), world.path("out"));
    let output = world.tool("lz4_decompress", &from, &to);
    assert!(output.status.success());
    assert_eq!((output.stdout.len(), output.stderr.len()), (0, 0));
    assert!(fs::read(&to).unwrap() == world.files[0].1);
}

#[test]
fn the_tools_end_with_one_when_anything_is_wrong() {
    for (name, algorithm) in [
        ("zstd_decompress", Algorithm::Zstd),
        ("lz4_decompress", Algorithm::Lz4),
    ] {
        let world = World::new(algorithm);
        let stored = world.stored("ibdata1", algorithm);
        let to = world.path("out");
        let fails = |from: &Path, why: &str| {
            let output = world.tool(name, from, &to);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.starts_with(&format!("{name}: ")), "{said}");
            assert!(said.contains(why), "{said}");
            assert_eq!(world.names().len(), 5, "something was left behind");
        };
        fails(&world.path("none"), "No such file");
        let whole = fs::read(&stored).unwrap();
        fs::write(&stored, &whole[..whole.len() / 2]).unwrap();
        fails(&stored, "ends");
        let mut flipped = whole.clone();
        flipped[whole.len() / 2..][..8].fill(0x55);
        fs::write(&stored, flipped).unwrap();
        fails(&stored, "at byte");
        fs::write(&stored, "not compressed at all").unwrap();
        fails(&stored, "expected a frame");
        for count in [0, 1, 3] {
            let mut command = Command::new(world.dir.path().join(name));
            command.args(std::iter::repeat_n(&stored, count));
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            assert!(
                String::from_utf8(output.stderr)
                    .unwrap()
                    .starts_with("Usage: ")
            );
        }
    }
}

#[test]
fn the_loop_of_the_manual_works_and_keeps_owner_and_mode() {
    let world = World::new(Algorithm::Zstd);
    let stored = world.stored("ibdata1", Algorithm::Zstd);
    fs::set_permissions(&stored, fs::Permissions::from_mode(0o640)).unwrap();
    let is_root = std::os::unix::fs::chown(&stored, Some(4321), Some(1234)).is_ok();
    // As in the manual, but for the names with blanks, which its loop takes apart.
    let script = r#"find . -name '*.zstd' | while read -r f; do
        zstd_decompress "$f" "$(dirname "$f")/$(basename "$f" .zstd)" || exit 1; rm -f "$f"
    done"#;
    let path = format!(
        "{}:{}",
        world.dir.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).current_dir(world.path(""));
    let output = shell.env("PATH", path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    world.check();
    assert_eq!(world.names().len(), 5);
    let meta = fs::metadata(world.path("ibdata1")).unwrap();
    assert_eq!(meta.mode() & 0o7777, 0o640);
    if is_root {
        assert_eq!((meta.uid(), meta.gid()), (4321, 1234));
    }
}

#[test]
fn a_tool_writes_to_what_is_no_file() {
    let world = World::new(Algorithm::Lz4);
    let (from, to) = (
        world.stored("ibdata1", Algorithm::Lz4),
        Path::new("/dev/stdout"),
    );
    let output = world.tool("lz4_decompress", &from, to);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stdout == world.files[0].1);
}
