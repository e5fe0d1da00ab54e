//! Applying to small sets of true pages: the same result as a restore, from every point at which
//! an apply can die, and nothing changed where it is refused.

use super::testing::compressing::{Compression, compress_set};
use super::testing::{Space, World, ZIP_1K, contents, copy_tree, job};
use super::*;
use crate::command::{
    ApplyRequest, DecompressRequest, RestoreRequest, decompress, decompress_file, restore,
};
use crate::set::layout::{IN_PROGRESS, MANIFEST};
use frame::Algorithm;
use std::path::PathBuf;

/// Does something to a data directory or to an increment.
type Damage = fn(&Path, &Path);

/// Directories of one test.
struct Place {
    dir: tempfile::TempDir,
    /// The full set and its increments.
    sets: Vec<PathBuf>,
}

impl Place {
    /// Backs up one world after the other.
    fn new(worlds: &[World]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut sets: Vec<PathBuf> = Vec::new();
        for (at, world) in worlds.iter().enumerate() {
            let mut world = world.clone();
            world.generation = at as u64 + 1;
            let base = at
                .checked_sub(1)
                .map(|at| (&worlds[at], sets[at].as_path()));
            let set = world.backup(&dir.path().join(format!("set{at}")), base);
            sets.push(set);
        }
        Self { dir, sets }
    }

    /// The same with sets compressed, as many as are named.
    fn compressed(worlds: &[World], how: &[Option<Compression>]) -> Self {
        let place = Self::new(worlds);
        for (set, how) in place.sets.iter().zip(how) {
            if let Some(how) = how {
                compress_set(set, *how);
            }
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A copy of the full set, decompressed.
    fn copy(&self, name: &str) -> PathBuf {
        let to = self.path(name);
        copy_tree(&self.sets[0], &to);
        let request = DecompressRequest {
            paths: vec![to.clone()],
            remove_original: true,
        };
        assert_eq!(decompress(&request, &job()).unwrap().problems, []);
        to
    }

    /// What a restore of the first `count` sets gives.
    fn restored(&self, count: usize) -> PathBuf {
        let to = self.path(&format!("restored{count}"));
        let request = RestoreRequest {
            set: self.sets[count - 1].clone(),
            chain: Vec::new(),
            to: to.clone(),
            force: false,
            owner: None,
            encryption_key: None,
        };
        restore(&request, &job()).unwrap();
        to
    }

    /// `datadir` is what a restore gives, says so, and every digest of it holds.
    fn check(&self, datadir: &Path, count: usize) {
        let expected = self.path(&format!("restored{count}"));
        let expected = if expected.exists() {
            expected
        } else {
            self.restored(count)
        };
        assert_eq!(contents(datadir), contents(&expected));
        let set = BackupSet::open(datadir).unwrap();
        let last = BackupSet::open(&self.sets[count - 1]).unwrap();
        let (ours, theirs) = (set.manifest(), last.manifest());
        assert_eq!((&ours.id, ours.kind), (&theirs.id, SetKind::Full));
        assert_eq!(ours.lsn.end, theirs.lsn.end);
        for stored in ours.stored_files() {
            source::read_all(set.open_stored(stored).unwrap(), |_, _| Ok(())).unwrap();
        }
        assert!(!datadir.join(journal::APPLY_DIR).exists());
    }
}

/// Everything that can happen to a file between two backups.
fn eventful() -> [World; 3] {
    let mut full = World::default();
    let mut add = |id, name: &str, pages: &[u8]| {
        full.spaces.insert(id, Space::new(name, pages));
    };
    add(0, "ibdata1", &[1, 2, 3, 4]);
    add(100, "undo_001", &[5, 6]);
    add(5, "s/a.ibd", &[7, 8, 9]);
    add(6, "s/b.ibd", &[10; 40]);
    add(7, "s/c.ibd", &[11, 12]);
    add(8, "s/t.ibd", &[13, 0, 14]);
    add(9, "gone/x.ibd", &[15]);
    add(10, "s/z.ibd", &[16; 9]);
    add(11, "s/imported.ibd", &[17]);
    full.space(10).flags = ZIP_1K;
    full.directories = vec!["s".into(), "gone".into(), "empty".into()];
    full.plain.insert("s/m.MYD".into(), vec![1; 9000]);
    full.plain.insert("gone/m.MYI".into(), vec![2; 10]);

    let mut one = full.clone();
    one.space(0).pages[1] = 50;
    // Undo truncation: another id, a shorter file.
    let mut undo = one.spaces.remove(&100).unwrap();
    undo.pages.truncate(1);
    one.spaces.insert(99, undo);
    // A cycle, across schemas; one of its files changes and grows over a chunk's end.
    one.space(5).name = "s/b.ibd".into();
    one.space(6).name = "new/c.ibd".into();
    one.space(7).name = "s/a.ibd".into();
    one.space(6).pages[17] = 51;
    one.space(6).pages.extend([0, 52, 0]);
    // TRUNCATE: same name, new id. The name of a dropped table used by another.
    one.spaces.remove(&8);
    one.spaces.insert(20, Space::new("s/t.ibd", &[53, 54]));
    one.spaces.remove(&9);
    one.directories = vec!["s".into(), "new".into()];
    one.plain.insert("s/m.MYD".into(), vec![3; 20]);
    one.plain.remove("gone/m.MYI");
    one.space(10).pages[4] = 55;
    one.space(11).pages = vec![56, 57];
    one.replaced = vec![11];

    let mut two = one.clone();
    two.replaced.clear();
    // t -> t_old, a new t, a -> t_older.
    two.space(20).name = "s/t_old.ibd".into();
    two.spaces.insert(21, Space::new("s/t.ibd", &[60; 20]));
    two.space(7).name = "s/t_older.ibd".into();
    two.space(6).pages[0] = 0;
    two.space(0).pages.push(61);
    two.directories.push("gone".into());
    [full, one, two]
}

fn apply_to(datadir: &Path, increment: &Path) -> Result<Applied> {
    apply(datadir, increment, None, &job())
}

/// The ways to compress a full set and two increments that are tried.
fn compressions() -> [[Option<Compression>; 3]; 3] {
    let [zstd, lz4] = [Algorithm::Zstd, Algorithm::Lz4];
    [
        [None, None, None],
        [
            Some(Compression::layered(zstd)),
            Some(Compression::plain(lz4)),
            Some(Compression::plain(zstd)),
        ],
        [
            Some(Compression::layered(lz4)),
            None,
            Some(Compression::plain(lz4)),
        ],
    ]
}

#[test]
fn a_chain_applied_is_a_chain_restored() {
    for how in compressions() {
        check_chain(&Place::compressed(&eventful(), &how));
    }
}

fn check_chain(place: &Place) {
    let datadir = place.copy("d");
    // As the procedure for compressed sets demands.
    for _ in 0..2 {
        let itself = apply_to(&datadir, &datadir).unwrap();
        assert!(itself.plan.is_none());
        place.check(&datadir, 1);
    }
    let first = apply_to(&datadir, &place.sets[1]).unwrap();
    place.check(&datadir, 2);
    let counts = first.plan.unwrap();
    assert_eq!((counts.renamed, counts.removed), (3, 2));
    apply_to(&datadir, &place.sets[2]).unwrap();
    place.check(&datadir, 3);
    let before = (
        contents(&datadir),
        std::fs::read(datadir.join(MANIFEST)).unwrap(),
    );
    let again = apply_to(&datadir, &place.sets[2]).unwrap();
    assert!(again.plan.is_none(), "already applied");
    let after = (
        contents(&datadir),
        std::fs::read(datadir.join(MANIFEST)).unwrap(),
    );
    assert_eq!(before, after);
}

#[test]
fn an_apply_that_dies_anywhere_is_finished_by_the_next() {
    check_dying(&Place::new(&eventful()), 1);
}

#[test]
fn an_apply_of_a_compressed_increment_that_dies_is_finished_by_the_next() {
    // What is done to the disk is the same: not every point again.
    let place = Place::compressed(&eventful(), &compressions()[1]);
    check_dying(&place, 5);
}

fn check_dying(place: &Place, step: usize) {
    let [_, first, second] = place.sets.as_slice() else {
        unreachable!()
    };
    let base = place.copy("base");
    let run_until = |datadir: &Path, increment: &Path, stop: u64| {
        let disk = Disk::new(datadir).unwrap();
        disk.stop.after(stop);
        (run(&disk, increment, None, &job()), disk.stop.done())
    };
    let counted = place.copy("counted");
    let (done, operations) = run_until(&counted, first, u64::MAX);
    done.unwrap();
    assert!(operations > 100, "{operations}");
    for stop in (0..operations).step_by(step) {
        let datadir = place.path("d");
        copy_tree(&base, &datadir);
        run_until(&datadir, first, stop).0.unwrap_err();
        let marked = datadir.join(IN_PROGRESS).exists();
        if marked {
            let other = apply_to(&datadir, second).unwrap_err();
            assert!(other.to_string().contains("half way"), "{other}");
            let itself = apply_to(&datadir, &datadir).unwrap_err();
            assert!(itself.to_string().contains("half way"), "{itself}");
            assert!(BackupSet::open(&datadir).is_err(), "not usable meanwhile");
        }
        // The second run dies, too, somewhere else.
        if run_until(&datadir, first, (stop * 7919) % operations)
            .0
            .is_err()
        {
            let applied = apply_to(&datadir, first).unwrap();
            assert!(!marked || applied.resumed || applied.plan.is_none());
        }
        place.check(&datadir, 2);
        std::fs::remove_dir_all(&datadir).unwrap();
    }
}

#[test]
fn what_is_refused_is_not_touched() {
    let place = Place::new(&eventful());
    let cases: &[(&str, Damage)] = &[
        ("is not an untouched copy", |d, _| {
            std::fs::write(d.join("auto.cnf"), "x").unwrap();
        }),
        ("is not an untouched copy", |d, _| {
            std::fs::create_dir(d.join("#innodb_temp")).unwrap();
        }),
        ("is not an untouched copy", |d, _| {
            flip(&d.join("ibdata1"), 30);
        }),
        ("is not an untouched copy", |d, _| {
            flip(&d.join("#innodb_redo/#ib_redo0"), 520);
        }),
        ("is not an untouched copy", |d, _| {
            std::fs::write(d.join("#innodb_redo/#ib_redo1_tmp"), "x").unwrap();
        }),
        ("is not an untouched copy", |d, _| {
            std::fs::write(d.join("s/a.ibd"), "x").unwrap();
        }),
        ("lacks 's/c.ibd'", |d, _| {
            std::fs::remove_file(d.join("s/c.ibd")).unwrap();
        }),
        ("which is not of the full backup", |d, _| {
            std::fs::write(d.join("s/other.ibd"), "x").unwrap();
        }),
        ("which is not of the full backup", |d, _| {
            std::fs::rename(d.join("s"), d.join("away")).unwrap();
            std::os::unix::fs::symlink("away", d.join("s")).unwrap();
        }),
        ("is compressed", |d, _| {
            std::fs::write(d.join("ibdata1.zstd"), "x").unwrap();
        }),
        ("is damaged", |_, i| flip(&i.join("ibdata1.delta"), 20000)),
        ("is damaged", |_, i| flip(&i.join("s/a.ibd.meta"), 3)),
        ("is damaged", |_, i| {
            flip(&i.join("#innodb_redo/#ib_redo0"), 3);
        }),
        ("is damaged", |_, i| flip(&i.join(MANIFEST), 30)),
        // Rotten bytes of the copy, beside a page that changes.
        ("is damaged", |d, _| {
            flip(&d.join("s/b.ibd"), 16 * 16384 + 99);
        }),
        ("not a complete backup set", |_, i| {
            std::fs::write(i.join(IN_PROGRESS), "").unwrap();
        }),
        ("not a complete backup set", |d, _| {
            std::fs::write(d.join(IN_PROGRESS), "").unwrap();
        }),
        ("not a complete backup set", |d, _| {
            std::fs::remove_file(d.join(MANIFEST)).unwrap();
        }),
    ];
    for (at, (expected, damage)) in cases.iter().enumerate() {
        let (datadir, increment) = (place.copy("d"), place.path("i"));
        copy_tree(&place.sets[1], &increment);
        damage(&datadir, &increment);
        let before = contents(&datadir);
        let error = apply_to(&datadir, &increment).unwrap_err().to_string();
        assert!(error.contains(expected), "case {at}: {error}");
        assert_eq!(contents(&datadir), before, "case {at}");
        assert!(!datadir.join(journal::APPLY_DIR).exists(), "case {at}");
        for directory in [datadir, increment] {
            std::fs::remove_dir_all(directory).unwrap();
        }
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn the_wrong_directories_are_refused() {
    let place = Place::new(&eventful());
    let datadir = place.copy("d");
    let refused = |datadir: &Path, increment: &Path, expected: &str| {
        let error = apply_to(datadir, increment).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(&datadir, &place.sets[2], "broken chain");
    refused(&datadir, &place.sets[0], "is a full backup");
    let (copy, link) = (place.path("copy"), place.path("link"));
    copy_tree(&place.sets[1], &copy);
    refused(&copy, &place.sets[1], "is an increment");
    refused(&copy, &copy, "is an increment");
    std::os::unix::fs::symlink(&datadir, &link).unwrap();
    assert!(apply_to(&datadir, &link).unwrap().plan.is_none());
    let inside = datadir.join("increment");
    copy_tree(&place.sets[1], &inside);
    refused(&datadir, &inside, "lie one in the other");
    std::fs::remove_dir_all(&inside).unwrap();
    let held = Lock::take(&datadir).unwrap();
    refused(&datadir, &place.sets[1], "another apply works");
    drop(held);
    apply_to(&datadir, &place.sets[1]).unwrap();
    refused(&datadir, &place.sets[0], "is a full backup");
    apply_to(&datadir, &place.sets[2]).unwrap();
    refused(&datadir, &place.sets[1], "broken chain");
    place.check(&datadir, 3);
}

#[test]
fn a_compressed_or_half_decompressed_directory_is_refused() {
    let how = Some(Compression::layered(Algorithm::Zstd));
    let place = Place::compressed(&eventful(), &[how, how, how]);
    let datadir = place.path("d");
    copy_tree(&place.sets[0], &datadir);
    let before = contents(&datadir);
    for increment in [&datadir, &place.sets[1]] {
        let error = apply_to(&datadir, increment).unwrap_err();
        assert!(error.to_string().contains("is compressed"), "{error}");
        assert!(error.hint().unwrap().contains("--remove-original"));
    }
    // As a decompression leaves it that was killed.
    std::fs::write(datadir.join(IN_PROGRESS), "decompress\n").unwrap();
    let increment = place.path("i");
    copy_tree(&place.sets[1], &increment);
    std::fs::write(increment.join(IN_PROGRESS), "decompress\n").unwrap();
    let copy = place.copy("copy");
    for (datadir, other) in [
        (&datadir, &datadir),
        (&datadir, &place.sets[1]),
        (&copy, &increment),
    ] {
        let error = apply_to(datadir, other).unwrap_err();
        assert!(error.to_string().contains("half decompressed"), "{error}");
    }
    assert_eq!(contents(&datadir), before);
    place.check(&copy, 1);
}

/// What the document's loop does: one file after the other, `zstd_decompress` and `rm`.
fn decompress_by_hand(directory: &Path) {
    for (name, content) in contents(directory) {
        if let (Some(_), Some((plain, algorithm))) = (content, Algorithm::of_name(&name)) {
            let from = directory.join(&name);
            decompress_file(&from, &directory.join(plain), algorithm, &job()).unwrap();
            std::fs::remove_file(from).unwrap();
        }
    }
}

#[test]
fn sets_decompressed_by_hand_are_applied() {
    let run = |datadir: &Path, incremental_dir: &Path| {
        let request = ApplyRequest {
            datadir: datadir.to_owned(),
            incremental_dir: incremental_dir.to_owned(),
            encryption_key: None,
        };
        crate::command::apply(&request, &job())
    };
    for algorithm in Algorithm::ALL {
        let how = Some(Compression::layered(algorithm));
        let place = Place::compressed(&eventful(), &[how, how, how]);
        let (datadir, increment) = (place.path("d"), place.path("i"));
        copy_tree(&place.sets[0], &datadir);
        copy_tree(&place.sets[1], &increment);
        decompress_by_hand(&datadir);
        decompress_by_hand(&increment);
        assert!(datadir.join("s/b.ibd.delta").exists());
        let (killed, changed, started) = (
            place.path("killed"),
            place.path("changed"),
            place.path("started"),
        );
        for other in [&killed, &changed, &started] {
            copy_tree(&datadir, other);
        }
        for _ in 0..2 {
            assert!(run(&datadir, &datadir).unwrap().already_applied);
            place.check(&datadir, 1);
        }
        run(&datadir, &increment).unwrap();
        place.check(&datadir, 2);
        run(&datadir, &place.sets[2]).unwrap();
        place.check(&datadir, 3);

        // Some pages are in their file already, and some files of the old set are gone.
        std::fs::write(killed.join(IN_PROGRESS), "decompress\n").unwrap();
        std::fs::copy(
            place.path("restored1").join("s/b.ibd"),
            killed.join("s/b.ibd"),
        )
        .unwrap();
        std::fs::write(killed.join("s/a.ibd.decompress-unfinished"), "half").unwrap();
        run(&killed, &killed).unwrap();
        place.check(&killed, 1);

        // A page that is not what it was, and a file that is not.
        flip(&changed.join("s/b.ibd.delta"), 16384 + 99);
        let before = contents(&changed);
        let error = run(&changed, &changed).unwrap_err().to_string();
        assert!(error.contains("s/b.ibd"), "{error}");
        assert_eq!(contents(&changed)["s/b.ibd"], before["s/b.ibd"]);
        std::fs::write(started.join("auto.cnf"), "x").unwrap();
        let error = run(&started, &started).unwrap_err().to_string();
        assert!(error.contains("a server has been started"), "{error}");
    }
}

#[test]
fn files_of_the_user_stay() {
    let place = Place::new(&eventful());
    let datadir = place.copy("d");
    for name in ["my.cnf", "gone/notes.txt"] {
        std::fs::write(datadir.join(name), "mine").unwrap();
    }
    apply_to(&datadir, &place.sets[1]).unwrap();
    for name in ["my.cnf", "gone/notes.txt"] {
        assert_eq!(std::fs::read(datadir.join(name)).unwrap(), b"mine");
        std::fs::remove_file(datadir.join(name)).unwrap();
    }
    std::fs::remove_dir(datadir.join("gone")).unwrap();
    place.check(&datadir, 2);
}

/// Small random numbers, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // Knuth's MMIX constants; the high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// What happens to a world between two backups, at random.
fn live(mut world: World, dice: &mut Dice, next_id: &mut u32) -> World {
    world.replaced.clear();
    let mut ids: Vec<u32> = world.spaces.keys().copied().collect();
    // Any permutation of names is a legal sequence of renames.
    for at in (1..ids.len())
        .rev()
        .filter(|_| dice.roll(3) == 0)
        .collect::<Vec<_>>()
    {
        let other = ids[dice.roll(at)];
        let (one, two) = (
            world.space(ids[at]).name.clone(),
            world.space(other).name.clone(),
        );
        world.space(ids[at]).name = two;
        world.space(other).name = one;
    }
    ids.retain(|_| dice.roll(2) == 0);
    for id in ids {
        let directory = ["s", "t", "u"][dice.roll(3)];
        let content = 1 + dice.roll(250) as u8;
        match dice.roll(6) {
            0 => drop(world.spaces.remove(&id)),
            1 => world.space(id).name = format!("{directory}/moved{id}.ibd"),
            2 => {
                // TRUNCATE, DROP and CREATE, undo truncation: the name with another id.
                let space = world.spaces.remove(&id).unwrap();
                *next_id += 1;
                let pages = vec![content; 1 + dice.roll(30)];
                world.spaces.insert(*next_id, Space { pages, ..space });
            }
            3 => {
                world.replaced.push(id);
                world.space(id).pages = vec![content; 1 + dice.roll(30)];
            }
            _ => {
                let space = world.space(id);
                let grown = space.pages.len() + dice.roll(30);
                space.pages.resize(grown, 0);
                for _ in 0..dice.roll(4) {
                    let at = dice.roll(grown);
                    space.pages[at] = content;
                }
            }
        }
    }
    for _ in 0..dice.roll(4) {
        *next_id += 1;
        let name = format!("{}/new{next_id}.ibd", ["s", "t", "u"][dice.roll(3)]);
        world
            .spaces
            .insert(*next_id, Space::new(&name, &vec![9; 1 + dice.roll(30)]));
    }
    world
        .plain
        .insert("s/m.MYD".into(), vec![7; dice.roll(700_000)]);
    world.directories = vec!["s".into()];
    if dice.roll(2) == 0 {
        world.directories.push("empty".into());
    }
    world
}

#[test]
fn any_history_applied_is_the_history_restored() {
    for seed in 0..12 {
        let (mut dice, mut next_id) = (Dice(seed), 100);
        let mut worlds = vec![live(eventful()[0].clone(), &mut dice, &mut next_id)];
        for _ in 0..3 {
            worlds.push(live(
                worlds[worlds.len() - 1].clone(),
                &mut dice,
                &mut next_id,
            ));
        }
        let mut how = || match dice.roll(4) {
            0 => None,
            1 => Some(Compression::layered(Algorithm::Zstd)),
            2 => Some(Compression::layered(Algorithm::Lz4)),
            _ => Some(Compression::plain(Algorithm::Lz4)),
        };
        let how: Vec<_> = worlds.iter().map(|_| how()).collect();
        let place = Place::compressed(&worlds, &how);
        let datadir = place.copy("d");
        for count in 2..=worlds.len() {
            apply_to(&datadir, &place.sets[count - 1]).unwrap();
            place.check(&datadir, count);
        }
    }
}
