//! Making a frame.

use super::header::Header;
use twox_hash::XxHash32;

/// Bit of a block's length: the block is the original itself.
pub(super) const STORED: u32 = 1 << 31;

/// Appends one frame with blocks of `block_size` bytes of the original.
pub(crate) fn compress(block_size: usize, original: &[u8], out: &mut Vec<u8>) {
    Header::write(block_size, original.len() as u64, out);
    for block in original.chunks(block_size) {
        let start = out.len();
        // Room for one byte less than the original: what does not fit is stored as it is.
        out.resize(start + 4 + block.len().saturating_sub(1), 0);
        let (word, room) = out[start..].split_at_mut(4);
        let packed = pack(block, room);
        let (length, end) = match packed {
            Some(length) => (length as u32, start + 4 + length),
            None => (block.len() as u32 | STORED, start + 4),
        };
        word.copy_from_slice(&length.to_le_bytes());
        out.truncate(end);
        if packed.is_none() {
            out.extend(block);
        }
    }
    out.extend(0_u32.to_le_bytes());
    out.extend(XxHash32::oneshot(0, original).to_le_bytes());
}

/// Packs a block; `None` when it does not become smaller.
fn pack(block: &[u8], room: &mut [u8]) -> Option<usize> {
    // The library fails when the room is too small, and for nothing else.
    let packed = lz4::block::compress_to_buffer(block, None, false, room);
    packed.ok().filter(|length| *length > 0)
}
