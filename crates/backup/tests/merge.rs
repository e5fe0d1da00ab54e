//! Property: restoring a chain gives, for every page, the newest version that any set has.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod compressing;

use backup::command::{RestoreRequest, restore};
use backup::recipient::{
    BackupSetRecipient, Delivery, PlannedFile, Recipient, SetOptions, Snapshot, StagePlan, Target,
};
use backup::set::{
    BinlogPosition, CloneRecord, LsnRecord, PagesBy, ServerRecord, SetId, SetKind, SourceIdentity,
};
use backup::{FileDesc, FileId, FileKind, SpaceInfo, Stage};
use compressing::{Compression, compress_set};
use frame::Algorithm;
use innodb::flags::SpaceFlags;
use innodb::geometry::Geometry;
use innodb::ids::{PageNo, SpaceId};
use innodb::lsn::Lsn;
use proptest::prelude::*;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::path::Path;
use testkit::Scratch;

/// 4 KiB pages, no compression: the flags of a general tablespace at that page size.
const FLAGS: u32 = 0x48C0;
const PAGE: usize = 4096;
const SPACE: u32 = 7;

/// The pages of a file by number; what is missing is a hole.
type Pages = BTreeMap<u32, Vec<u8>>;

/// A page that verifies, with content told apart by `version`.
fn page(no: u32, version: u8) -> Vec<u8> {
    let mut page = vec![version; PAGE];
    page[..38].fill(0);
    page[4..8].copy_from_slice(&no.to_be_bytes());
    page[16..24].copy_from_slice(&u64::from(version).to_be_bytes());
    page[24..26].copy_from_slice(&6_u16.to_be_bytes());
    page[34..38].copy_from_slice(&SPACE.to_be_bytes());
    page[PAGE - 4..].copy_from_slice(&u32::from(version).to_be_bytes());
    innodb::checksum::stamp(&mut page, geometry());
    page
}

fn geometry() -> Geometry {
    Geometry::of(SpaceFlags::new(FLAGS).unwrap()).unwrap()
}

fn desc(name: &str, pages: u32) -> FileDesc {
    FileDesc {
        id: FileId(1),
        name: name.to_owned(),
        kind: FileKind::Tablespace,
        space: Some(SpaceInfo {
            id: SpaceId::new(SPACE),
            flags: SpaceFlags::new(FLAGS).unwrap(),
            geometry: geometry(),
            first_page: 0,
        }),
        length: u64::from(pages) * PAGE as u64,
        allocated: 0,
        source: Some(SourceIdentity {
            path: "/donor/t.ibd".into(),
            inode: 1,
            birth: None,
        }),
    }
}

struct Step {
    name: &'static str,
    /// Length of the file in pages.
    length: u32,
    /// Pages the set has: all of them in a full set or a file delivered whole.
    pages: Pages,
    whole: bool,
}

/// Writes a set with one tablespace and an (empty) redo file.
fn write_set(
    dir: &Path,
    number: u64,
    parent: Option<&(SetId, String)>,
    step: &Step,
) -> (SetId, String) {
    let kind = if parent.is_some() {
        SetKind::Increment
    } else {
        SetKind::Full
    };
    let (id, job) = (SetId::random().unwrap(), common::job());
    let options = SetOptions {
        kind,
        id: id.clone(),
        clone: CloneRecord::default(),
    };
    let recipient = BackupSetRecipient::new(Target::new(dir, false).unwrap(), options, &job);
    recipient.prepare(&job).unwrap();
    let desc = desc(step.name, step.length);
    let numbers: RoaringBitmap = step.pages.keys().copied().collect();
    let whole = step.whole || kind == SetKind::Full;
    let delivery = if whole {
        Delivery::Whole
    } else {
        Delivery::Pages(numbers)
    };
    let plan = StagePlan {
        files: vec![PlannedFile {
            desc: desc.clone(),
            delivery,
        }],
        directories: vec!["s".into(), "u".into()],
    };
    let stage = if kind == SetKind::Full {
        Stage::FileCopy
    } else {
        Stage::PageCopy
    };
    recipient.begin(stage, &plan).unwrap();
    for (position, (no, image)) in step.pages.iter().enumerate() {
        if whole {
            recipient
                .write(desc.id, u64::from(*no) * PAGE as u64, image)
                .unwrap();
        } else {
            let numbers = [PageNo::new(*no)];
            recipient
                .write_pages(desc.id, position as u64, &numbers, image)
                .unwrap();
        }
    }
    recipient.set_length(desc.id, desc.length).unwrap();
    recipient.end(stage).unwrap();
    let redo = FileDesc {
        id: FileId(2),
        name: "#innodb_redo/#ib_redo0".into(),
        kind: FileKind::Redo,
        space: None,
        length: 0,
        allocated: 0,
        source: None,
    };
    recipient.add_file(&redo).unwrap();
    recipient.write(redo.id, 0, &[number as u8; 512]).unwrap();
    recipient.set_length(redo.id, 65536).unwrap();
    recipient.sync(&job).unwrap();
    let lsn = |lsn: u64| Lsn::new(lsn * 1_000_000);
    let snapshot = Snapshot {
        kind,
        parent: parent.cloned(),
        server: ServerRecord {
            uuid: "u".into(),
            version: "9.7.4".into(),
            process: None,
            datadir: "/donor".into(),
            owner: (0, 0),
            variables: BTreeMap::new(),
            features: None,
            maturity: None,
        },
        lsn: LsnRecord {
            start: if parent.is_some() {
                lsn(number - 1)
            } else {
                Lsn::ZERO
            },
            page_track: lsn(number),
            checkpoint: lsn(number),
            end: lsn(number),
        },
        binlog: BinlogPosition::default(),
        page_size: PAGE as u32,
        means: None,
        pages_by: if parent.is_some() {
            PagesBy::Tracked
        } else {
            PagesBy::All
        },
        keys: None,
        source: "LOCAL INSTANCE".into(),
    };
    recipient.seal(&snapshot).unwrap();
    (id, dir.display().to_string())
}

fn expected(steps: &[Step]) -> Vec<u8> {
    let mut pages = Pages::new();
    for step in steps {
        if step.whole {
            pages.clear();
        }
        pages.extend(step.pages.clone());
        pages.retain(|no, _| *no < step.length);
    }
    let length = steps.last().unwrap().length as usize;
    let mut bytes = vec![0; length * PAGE];
    for (no, image) in pages {
        bytes[no as usize * PAGE..][..PAGE].copy_from_slice(&image);
    }
    bytes
}

const NAMES: [&str; 3] = ["s/t.ibd", "s/renamed.ibd", "u/moved.ibd"];

/// How a set of a chain is stored.
fn storage() -> impl Strategy<Value = Option<Compression>> {
    let compression = (
        proptest::sample::select(&Algorithm::ALL[..]),
        proptest::bool::ANY,
    );
    let compression =
        compression.prop_map(|(algorithm, layered)| Compression { algorithm, layered });
    proptest::option::of(compression)
}

/// Page numbers of a step: few, or many more than a cluster of the delta holds.
fn numbers() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![
        proptest::collection::vec(0..3000_u32, 0..20),
        (0..1000_u32, 1000..3000_u32).prop_map(|(low, high)| (low..high).collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_newest_version_of_every_page_is_restored(
        full in numbers(),
        full_length in 1..3000_u32,
        steps in proptest::collection::vec((numbers(), 1..3000_u32, 0..3_usize, proptest::bool::weighted(0.15)), 0..5),
        stored in proptest::collection::vec(storage(), 6),
    ) {
        let place = Scratch::new().unwrap();
        let mut all = vec![Step { name: NAMES[0], length: full_length, pages: Pages::new(), whole: true }];
        all[0].pages = full.iter().filter(|no| **no < full_length).map(|no| (*no, page(*no, 1))).collect();
        for (index, (numbers, length, name, whole)) in steps.into_iter().enumerate() {
            let version = index as u8 + 2;
            let pages = numbers.iter().filter(|no| **no < length).map(|no| (*no, page(*no, version)));
            all.push(Step { name: NAMES[name], length, pages: pages.collect(), whole });
        }
        let mut parent = None;
        for (index, step) in all.iter().enumerate() {
            let dir = place.join(format!("set{index}"));
            parent = Some(write_set(&dir, index as u64 + 1, parent.as_ref(), step));
            if let Some(how) = stored[index] {
                compress_set(&dir, how);
            }
        }
        let last = place.join(format!("set{}", all.len() - 1));
        let to = place.join("data");
        let request =
            RestoreRequest { set: last, chain: Vec::new(), to: to.clone(), force: false, owner: None, encryption_key: None };
        restore(&request, &common::job()).unwrap();
        let restored = std::fs::read(to.join(all.last().unwrap().name)).unwrap();
        prop_assert!(restored == expected(&all));
        let redo = std::fs::read(to.join("#innodb_redo/#ib_redo0")).unwrap();
        prop_assert_eq!(redo[0] as usize, all.len());
    }
}
