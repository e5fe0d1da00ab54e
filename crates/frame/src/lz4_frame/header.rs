//! What stands before the blocks of a frame.

use crate::Result;
use crate::input::Bytes;
use twox_hash::XxHash32;

pub(crate) const MAGIC: u32 = 0x184D_2204;

/// The sizes that blocks may have at most, by the number in the header less 4.
pub(crate) const BLOCK_SIZES: [u64; 4] = [64 << 10, 256 << 10, 1 << 20, 4 << 20];

const VERSION_MASK: u8 = 0b1100_0000;
const VERSION: u8 = 0b0100_0000;
const INDEPENDENT: u8 = 1 << 5;
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const RESERVED: u8 = 1 << 1;
const DICTIONARY: u8 = 1;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the original in a block at most.
    pub block_size: usize,
    /// Whether no block refers to earlier ones.
    pub independent: bool,
    /// Whether blocks are followed by their checksum.
    pub block_checksums: bool,
    /// Bytes of the original in the frame, where it says that.
    pub content_size: Option<u64>,
    /// Whether the frame ends with the checksum of the original.
    pub content_checksum: bool,
}

impl Header {
    /// The header of our own frames: for `content_size` bytes in blocks of `block_size` bytes, which
    /// is one of [`BLOCK_SIZES`].
    pub(super) fn write(block_size: usize, content_size: u64, out: &mut Vec<u8>) {
        let class = BLOCK_SIZES
            .iter()
            .position(|size| *size >= block_size as u64)
            .unwrap_or(BLOCK_SIZES.len() - 1);
        out.extend(MAGIC.to_le_bytes());
        let start = out.len();
        out.push(VERSION | INDEPENDENT | CONTENT_SIZE | CONTENT_CHECKSUM);
        out.push((class as u8 + 4) << 4);
        out.extend(content_size.to_le_bytes());
        let check = check_byte(&out[start..]);
        out.push(check);
    }

    /// Reads a header, the magic included. An error is what is wrong.
    pub(super) fn read(input: &mut impl Bytes) -> Result<Result<Self, String>> {
        const WHAT: &str = "the header of an lz4 frame";
        let magic = input.take(4, WHAT)?;
        if magic != MAGIC.to_le_bytes() {
            return Ok(Err(format!(
                "{magic:02x?} is not the magic of an lz4 frame"
            )));
        }
        // Flags, block size, the longest of what may follow.
        let mut bytes = [0; 2 + 8];
        let (start, rest) = bytes.split_at_mut(2);
        start.copy_from_slice(input.take(2, WHAT)?);
        let (flags, block) = (start[0], start[1]);
        if flags & VERSION_MASK != VERSION || flags & RESERVED != 0 || block & 0b1000_1111 != 0 {
            let detail = format!("the lz4 frame's flags are damaged: {flags:#04x} {block:#04x}");
            return Ok(Err(detail));
        }
        if flags & DICTIONARY != 0 {
            return Ok(Err("the lz4 frame needs a dictionary".into()));
        }
        let Some(block_size) = usize::from(block >> 4)
            .checked_sub(4)
            .and_then(|class| BLOCK_SIZES.get(class))
        else {
            return Ok(Err(format!(
                "the lz4 frame's block size is damaged: {block:#04x}"
            )));
        };
        let mut len = 2;
        let mut content_size = None;
        if flags & CONTENT_SIZE != 0 {
            rest.copy_from_slice(input.take(8, WHAT)?);
            let mut size = [0; 8];
            size.copy_from_slice(rest);
            content_size = Some(u64::from_le_bytes(size));
            len += 8;
        }
        if input.take(1, WHAT)?[0] != check_byte(&bytes[..len]) {
            return Ok(Err(
                "the lz4 frame's header does not fit its checksum".into()
            ));
        }
        Ok(Ok(Self {
            block_size: *block_size as usize,
            independent: flags & INDEPENDENT != 0,
            block_checksums: flags & BLOCK_CHECKSUMS != 0,
            content_size,
            content_checksum: flags & CONTENT_CHECKSUM != 0,
        }))
    }
}

fn check_byte(bytes: &[u8]) -> u8 {
    XxHash32::oneshot(0, bytes).to_le_bytes()[1]
}
