//! The manual procedure with compressed sets of a real server: copy the full, decompress it, apply
//! it to itself, then every increment.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod applying;
mod common;

use applying::{
    assert_equal_trees, assert_mysqld_refuses, assert_verifies, compressed_chain, contents, copy,
    kill_at_work, try_apply,
};
use backup::command::{
    DecompressReport, DecompressRequest, VerifyRequest, decompress, decompress_file, verify,
};
use backup::set::BackupSet;
use common::{Place, check_restored, check_with_binlog, job};
use frame::Algorithm;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use testkit::{Server, ServerOptions, Workload};

fn decompressed(directory: &Path) -> DecompressReport {
    let request = DecompressRequest {
        paths: vec![directory.to_owned()],
        remove_original: true,
    };
    let report = decompress(&request, &job()).unwrap();
    assert_eq!(report.problems, []);
    report
}

/// One file after the other, and the compressed ones removed.
fn by_hand(directory: &Path) {
    for name in contents(directory).into_keys() {
        let from = directory.join(&name);
        let Some((plain, algorithm)) = name.to_str().and_then(Algorithm::of_name) else {
            continue;
        };
        decompress_file(&from, &directory.join(plain), algorithm, &job()).unwrap();
        std::fs::remove_file(from).unwrap();
    }
}

/// Whether a file of a full set has pages beside it.
fn is_layered(set: &Path) -> bool {
    let set = BackupSet::open(set).unwrap();
    let files = &set.manifest().files;
    files
        .iter()
        .any(|file| file.pages > 0 && file.stored.len() == 3)
}

#[test]
fn the_procedure_gives_what_a_restore_gives_and_boots() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    let algorithms = [Some(Algorithm::Zstd), Some(Algorithm::Lz4), None];
    let [_, first, second] = compressed_chain(&server, &place, algorithms);
    assert!(is_layered(&place.path("full")), "no page was copied again");
    for set in ["full", "incr1", "incr2"] {
        let request = VerifyRequest::new(place.path(set));
        assert_eq!(verify(&request, &job()).unwrap().problems, [], "{set}");
    }
    let data = place.path("data");
    copy(&place.path("full"), &data);
    let report = decompressed(&data);
    assert_eq!(report.sets_rewritten.len(), 1);
    place.restore("full", "restored");
    assert_equal_trees(&data, &place.path("restored"));
    assert_verifies(&data);
    assert!(try_apply(&data, &data).unwrap().already_applied);

    let report = try_apply(&data, &place.path("incr1")).unwrap();
    assert_eq!(report.lsn.end, first.lsn.end);
    place.restore("incr1", "restored1");
    assert_equal_trees(&data, &place.path("restored1"));
    assert_verifies(&data);

    // The same by the loop of GreatSQL's manual.
    let (again, increment) = (place.path("again"), place.path("plain1"));
    copy(&place.path("full"), &again);
    copy(&place.path("incr1"), &increment);
    by_hand(&again);
    by_hand(&increment);
    try_apply(&again, &again).unwrap();
    assert_equal_trees(&again, &place.path("restored"));
    assert_verifies(&again);
    try_apply(&again, &increment).unwrap();
    assert_verifies(&increment);
    assert_equal_trees(&again, &data);

    try_apply(&data, &place.path("incr2")).unwrap();
    place.restore("incr2", "restored2");
    assert_equal_trees(&data, &place.path("restored2"));
    assert_verifies(&data);
    let restored = place.boot("data", &[]);
    check_restored(&restored, &second);
    Workload::check(&restored).unwrap();
    check_with_binlog(&server, &restored, &second);
}

/// Names the directory that a child process decompresses; see [`start_child`].
const CHILD: &str = "INNOCLONE_TEST_DECOMPRESS";

/// Does nothing but in a child of the test below, which kills it.
#[test]
fn decompress_in_a_child() {
    if let Ok(directory) = std::env::var(CHILD) {
        decompressed(Path::new(&directory));
    }
}

fn start_child(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "decompress_in_a_child", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[test]
fn a_decompression_killed_at_any_time_is_finished_by_the_next() {
    let (server, place) = (
        Server::start(ServerOptions::default()).unwrap(),
        Place::new(),
    );
    let algorithms = [Some(Algorithm::Lz4), Some(Algorithm::Zstd), None];
    compressed_chain(&server, &place, algorithms);
    drop(server);
    place.restore("full", "restored");
    let data = place.path("data");
    let owner = std::fs::metadata(place.path("full")).unwrap().uid();
    let owner = if owner == 0 { 4321 } else { owner };
    let fresh = || {
        copy(&place.path("full"), &data);
        for (program, what) in [("chown", owner.to_string()), ("chmod", "u=rwX,g=rX".into())] {
            let mut command = Command::new(program);
            let status = command.arg("-R").arg(what).arg(&data).status();
            assert!(status.unwrap().success());
        }
    };
    fresh();
    let begin = Instant::now();
    assert!(start_child(&data).wait().unwrap().success());
    let mut time = begin.elapsed();
    assert_equal_trees(&data, &place.path("restored"));
    let (mut half, mut refused) = (0, false);
    // More rounds are needed where the machine is now fast, now slow.
    for round in 0..200_u32 {
        if round >= 10 && half >= 3 && refused {
            break;
        }
        std::fs::remove_dir_all(&data).unwrap();
        fresh();
        let mut child = start_child(&data);
        let part = f64::from(round * 3 % 10 + 1) / 11.0;
        if kill_at_work(&mut child, &data, round, part, &mut time) {
            half += 1;
            // When all of them are gone only the mark is left, and apply takes it away.
            if !refused && data.join("mysql.ibd.lz4").exists() {
                is_refused_by_everything(&place, &data);
                refused = true;
            }
        }
        decompressed(&data);
        assert_equal_trees(&data, &place.path("restored"));
        for name in contents(&data).into_keys() {
            let meta = std::fs::metadata(data.join(&name)).unwrap();
            let mode = meta.permissions().mode() & 0o777;
            let wanted = if meta.is_dir() { 0o750 } else { 0o640 };
            assert_eq!((meta.uid(), mode), (owner, wanted), "{}", name.display());
        }
    }
    assert!(
        half >= 3 && refused,
        "only {half} kills met a half decompressed directory, refused: {refused}"
    );
    assert_verifies(&data);
    try_apply(&data, &place.path("incr1")).unwrap();
}

fn is_refused_by_everything(place: &Place, data: &Path) {
    assert_mysqld_refuses(data, &place.path("refused"));
    let said = "half decompressed";
    let error = try_apply(data, &place.path("incr1")).unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
    let error = place.try_restore(data, "of-half").unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
    assert!(!place.path("of-half").exists());
    let request = VerifyRequest::new(data);
    let found = verify(&request, &job()).unwrap().problems;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].detail.contains(said), "{found:?}");
}
