use super::*;
use crate::bytes::put;

fn block(kind: u8, number: u64, reset_lsn: u64, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; BLOCK_SIZE];
    block[..2].copy_from_slice(&[1, kind]);
    let len = u16::try_from(content.len()).unwrap();
    put(&mut block, 2, &crc32c::crc32c(content).to_be_bytes()).unwrap();
    put(&mut block, 6, &len.to_be_bytes()).unwrap();
    put(&mut block, 8, &9000u64.to_be_bytes()).unwrap();
    put(&mut block, 16, &reset_lsn.to_be_bytes()).unwrap();
    put(&mut block, 24, &number.to_be_bytes()).unwrap();
    put(&mut block, 32, content).unwrap();
    block
}

#[test]
fn entries_come_in_the_order_of_the_flushes() {
    let content: Vec<u8> = [5u32, 3, 4, 0xFFFF_FFFE]
        .iter()
        .flat_map(|n| n.to_be_bytes())
        .collect();
    let bytes = block(1, 7, 0, &content);
    let data = DataBlock::parse(&bytes).unwrap();
    assert_eq!(
        (data.header().number, data.header().stop_lsn),
        (7, Lsn::new(9000))
    );
    assert_eq!(data.header().start_point(), None);
    let entries: Vec<_> = data.entries().map(|(s, p)| (s.get(), p.get())).collect();
    assert_eq!(entries, [(5, 3), (4, 0xFFFF_FFFE)]);
    assert_eq!(data.entries_from(32).unwrap().len(), 2);
    assert_eq!(data.entries_from(40).unwrap().len(), 1);
    assert_eq!(data.entries_from(48).unwrap().len(), 0);
    for offset in [0, 31, 33, 56] {
        let error = PageTrackError::Offset { offset, number: 7 };
        assert_eq!(data.entries_from(offset).err(), Some(error));
    }
}

#[test]
fn a_block_being_written_is_recognised() {
    let mut bytes = block(1, 7, 0, &[1; 64]);
    bytes[50] = 0;
    assert!(!BlockHeader::parse(&bytes).unwrap().crc_ok);
    let torn = PageTrackError::Torn {
        kind: BlockKind::Data,
        number: 7,
    };
    assert_eq!(DataBlock::parse(&bytes).err(), Some(torn));
    assert_eq!(
        BlockHeader::parse(&[0; BLOCK_SIZE]),
        Err(PageTrackError::NeverWritten)
    );
}

#[test]
fn lengths_beyond_the_block_or_between_entries_are_refused() {
    let mut bytes = block(1, 0, 0, &[]);
    put(&mut bytes, 6, &16353u16.to_be_bytes()).unwrap();
    let error = PageTrackError::UsedLength {
        kind: BlockKind::Data,
        len: 16353,
    };
    assert_eq!(DataBlock::parse(&bytes).err(), Some(error));
    let error = PageTrackError::UsedLength {
        kind: BlockKind::Data,
        len: 12,
    };
    assert_eq!(
        DataBlock::parse(&block(1, 0, 0, &[0; 12])).err(),
        Some(error)
    );
    let error = PageTrackError::UsedLength {
        kind: BlockKind::Reset,
        len: 10,
    };
    assert_eq!(
        ResetBlock::parse(&block(0, 0, 0, &[0; 10])).err(),
        Some(error)
    );
    assert_eq!(
        BlockHeader::parse(&bytes[1..]),
        Err(PageTrackError::Length { found: 16383 })
    );
}

#[test]
fn start_points_name_their_block_and_the_first_its_lsn() {
    let mut content = 8001u64.to_be_bytes().to_vec();
    for (number, offset) in [(0u16, 32u16), (3, 40)] {
        content.extend(number.to_be_bytes());
        content.extend(offset.to_be_bytes());
    }
    let reset = ResetBlock::parse(&block(0, 0, 0, &content)).unwrap();
    let first = ResetPoint {
        lsn: Some(Lsn::new(8001)),
        block: 0,
        offset: 32,
    };
    assert_eq!(
        reset.points(),
        [
            first,
            ResetPoint {
                lsn: None,
                block: 3,
                offset: 40
            }
        ]
    );
}

#[test]
fn sixteen_bits_name_a_block_of_their_file_only() {
    assert_eq!(resolve(0, 0), Some(0));
    assert_eq!(resolve(2042, 0), Some(2042));
    assert_eq!(resolve(2043, 0), None);
    assert_eq!(resolve(2043, 1), Some(2043));
    // File 32 has the blocks 65376..67419: both sides of the wrap.
    assert_eq!(resolve(65535, 32), Some(65535));
    assert_eq!(resolve(5, 32), Some(65541));
    assert_eq!(resolve(5000, 32), None);
    assert_eq!(resolve(0, u64::MAX), None);
}

#[test]
fn data_blocks_follow_the_reset_block_of_their_file() {
    assert_eq!(data_block_place(0), (0, 16384));
    assert_eq!(data_block_place(2042), (0, 2043 * 16384));
    assert_eq!(data_block_place(2043), (1, 16384));
}

#[test]
fn a_start_point_is_neither_zero_nor_unknown() {
    let start = |lsn| {
        BlockHeader::parse(&block(1, 0, lsn, &[]))
            .unwrap()
            .start_point()
    };
    assert_eq!(start(0), None);
    assert_eq!(start(STOP_UNKNOWN.get()), None);
    assert_eq!(start(77), Some(Lsn::new(77)));
}
