use super::*;
use crate::{JobOptions, command::Problem};
use innodb::redo::{cut_block, empty_block, end_file_size, redo_file_header_area};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const CHECKPOINT: u64 = 512 * 100 + 40;
const BLOCKS: u64 = 5;
const END: u64 = 512 * (100 + BLOCKS - 1) + 77;

/// A full block of log.
fn full_block(lsn: u64) -> [u8; 512] {
    let mut block = empty_block(Lsn::new(lsn));
    block[4..6].copy_from_slice(&512u16.to_be_bytes());
    block[12..508].fill(0x5A);
    let crc = crc32c(&block[..508]);
    block[508..].copy_from_slice(&crc.to_be_bytes());
    block
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82F6_3B78 * (crc & 1))
        })
    })
}

fn redo_file() -> Vec<u8> {
    let header = RedoFileHeader {
        format: 6,
        log_uuid: 5,
        start_lsn: Lsn::new(CHECKPOINT).block_start(),
        creator: "MySQL 9.7.4".into(),
        flags: 0,
    };
    let mut bytes = redo_file_header_area(&header, Lsn::new(CHECKPOINT), None).to_vec();
    for block in 0..BLOCKS {
        let mut block = full_block((100 + block) * 512);
        if bytes.len() == HEADER_AREA + (BLOCKS as usize - 1) * 512 {
            cut_block(&mut block, Lsn::new(END)).unwrap();
        }
        bytes.extend(block);
    }
    bytes.resize(
        end_file_size(bytes.len() as u64, PageSize::DEFAULT) as usize,
        0,
    );
    bytes
}

fn job() -> Job {
    Job::new(&JobOptions::default(), Arc::new(AtomicBool::new(false)))
}

fn problems(bytes: &[u8], end: u64) -> Vec<Problem> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(REDO_DIR)).unwrap();
    let name = format!("{REDO_DIR}/#ib_redo0");
    std::fs::write(dir.path().join(&name), bytes).unwrap();
    let check = RedoCheck {
        files: list(dir.path()).unwrap(),
        checkpoint: Lsn::new(CHECKPOINT),
        end: Lsn::new(end),
        page_size: PageSize::DEFAULT,
    };
    let findings = Findings::new(dir.path());
    check.run(&findings, &job()).unwrap();
    findings.into_problems()
}

#[test]
fn a_log_that_ends_where_it_should_has_no_problems() {
    assert_eq!(problems(&redo_file(), END), []);
}

#[test]
fn another_end_is_a_problem() {
    for end in [END - 1, END + 1, END + 512, END - 512] {
        assert_eq!(problems(&redo_file(), end).len(), 1, "{end}");
    }
}

#[test]
fn every_flipped_byte_from_the_checkpoint_on_is_found() {
    let sound = redo_file();
    let log = HEADER_AREA + BLOCKS as usize * 512;
    // The block with the encryption key is zero in an unencrypted log and not checked.
    let places = (0..1024).chain(1536..log).chain([log, sound.len() - 1]);
    for at in places.step_by(7) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        let found = problems(&bytes, END);
        assert!(!found.is_empty(), "byte {at}");
        assert!(
            found
                .iter()
                .all(|problem| problem.path.ends_with("#ib_redo0")),
            "{found:?}"
        );
    }
}

#[test]
fn a_size_that_mysqld_refuses_is_a_problem() {
    let mut bytes = redo_file();
    bytes.truncate(bytes.len() - 512);
    assert_eq!(problems(&bytes, END).len(), 1);
    bytes.truncate(16384);
    assert_eq!(problems(&bytes, END).len(), 1);
}

#[test]
fn a_hole_in_the_log_of_a_data_directory_is_found() {
    let check = |bytes: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(REDO_DIR)).unwrap();
        std::fs::write(dir.path().join(REDO_DIR).join("#ib_redo7"), bytes).unwrap();
        let findings = Findings::new(dir.path());
        let end = check_directory(dir.path(), None, false, &findings, &job()).unwrap();
        (end, findings.into_problems().len())
    };
    let mut bytes = redo_file();
    assert_eq!(check(&bytes), (Some(Lsn::new(END)), 0));
    bytes[HEADER_AREA + 512 + 100] ^= 1;
    assert_eq!(check(&bytes), (Some(Lsn::new(512 * 101)), 1));
    // The newest block may be torn: a crash leaves it so.
    let mut bytes = redo_file();
    bytes[HEADER_AREA + 4 * 512 + 20] ^= 1;
    assert_eq!(check(&bytes), (Some(Lsn::new(512 * 104)), 0));
}
