//! Reading frames: one whole unit in memory, or any frame from a stream.

use super::header::Header;
use super::write::STORED;
use crate::input::{Bytes, Input, Slice};
use crate::{Error, Result};
use std::hash::Hasher as _;
use std::io::Read;
use twox_hash::XxHash32;

/// How far back a block may refer.
const HISTORY: usize = 64 << 10;

/// Reads exactly one frame of exactly `out.len()` bytes of the original.
pub(crate) fn decompress(frame: &[u8], out: &mut [u8]) -> Result<()> {
    let mut input = Slice::new(frame);
    let header = Header::read(&mut input)?.map_err(|detail| Error::damaged(0, detail))?;
    let expected = out.len();
    let mut made = 0;
    loop {
        let (past, room) = out.split_at_mut(made);
        let past = &past[past.len().saturating_sub(HISTORY)..];
        let room = &mut room[..header.block_size.min(expected - made)];
        match block(&mut input, header, past, room)? {
            Some(length) => made += length,
            None => break,
        }
    }
    if made != expected {
        let detail = format!("the lz4 frame holds {made} bytes, not {expected}");
        return Err(Error::damaged(0, detail));
    }
    let hash = || XxHash32::oneshot(0, out);
    check_end(&mut input, header, 0, made as u64, hash)?;
    if input.offset() != frame.len() as u64 {
        let (found, given) = (input.offset(), frame.len());
        let detail = format!("the lz4 frame has {found} bytes, not {given}");
        return Err(Error::damaged(found, detail));
    }
    Ok(())
}

/// Reads frames from a stream; keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The history, and behind it room for a block.
    window: Vec<u8>,
}

impl Reader {
    /// Reads the frame at which `input` stands; the caller has seen its magic.
    pub(crate) fn frame(
        &mut self,
        input: &mut Input<impl Read>,
        output: &mut impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let begin = input.offset();
        let header = Header::read(input)?.map_err(|detail| Error::damaged(begin, detail))?;
        let mut hash = XxHash32::with_seed(0);
        let mut history = 0;
        let mut total = 0;
        if self.window.len() < HISTORY + header.block_size {
            self.window.resize(HISTORY + header.block_size, 0);
        }
        loop {
            let (past, room) = self.window.split_at_mut(history);
            let room = &mut room[..header.block_size];
            let Some(made) = block(input, header, past, room)? else {
                break;
            };
            let made_bytes = &room[..made];
            if header.content_checksum {
                hash.write(made_bytes);
            }
            total += made as u64;
            output(made_bytes)?;
            if !header.independent {
                let end = history + made;
                history = end.min(HISTORY);
                self.window.copy_within(end - history..end, 0);
            }
        }
        check_end(input, header, begin, total, || hash.finish_32())
    }
}

/// Reads a block to `room`, which has the size of a block or that of the rest of the original;
/// `past` is what it may refer to. Returns its length, `None` behind the last one.
fn block(
    input: &mut impl Bytes,
    header: Header,
    past: &[u8],
    room: &mut [u8],
) -> Result<Option<usize>> {
    const WHAT: &str = "a block of an lz4 frame";
    let at = input.offset();
    let damaged = |detail: String| Error::damaged(at, detail);
    let mut word = [0; 4];
    word.copy_from_slice(input.take(4, WHAT)?);
    let word = u32::from_le_bytes(word);
    if word == 0 {
        return Ok(None);
    }
    let length = (word & !STORED) as usize;
    if length > header.block_size {
        let most = header.block_size;
        let detail = format!("an lz4 block of {length} bytes in a frame of blocks of {most}");
        return Err(damaged(detail));
    }
    let checksum = if header.block_checksums { 4 } else { 0 };
    let bytes = input.take(length + checksum, WHAT)?;
    let (bytes, checksum) = bytes.split_at(length);
    if header.block_checksums && checksum != XxHash32::oneshot(0, bytes).to_le_bytes() {
        return Err(damaged("an lz4 block does not fit its checksum".into()));
    }
    if word & STORED != 0 {
        let Some(room) = room.get_mut(..length) else {
            return Err(damaged(
                "an lz4 block beyond the length of the original".into(),
            ));
        };
        room.copy_from_slice(bytes);
        return Ok(Some(length));
    }
    let made = if header.independent {
        lz4_flex::block::decompress_into(bytes, room)
    } else {
        lz4_flex::block::decompress_into_with_dict(bytes, room, past)
    };
    let made = made.map_err(|e| damaged(format!("an lz4 block is damaged: {e}")))?;
    Ok(Some(made))
}

/// Checks what the frame that begins at byte `begin` says of the original as a whole.
fn check_end(
    input: &mut impl Bytes,
    header: Header,
    begin: u64,
    length: u64,
    hash: impl FnOnce() -> u32,
) -> Result<()> {
    if let Some(size) = header.content_size.filter(|size| *size != length) {
        let detail = format!("the lz4 frame holds {length} bytes, not {size}");
        return Err(Error::damaged(begin, detail));
    }
    let at = input.offset();
    if header.content_checksum
        && input.take(4, "the checksum of an lz4 frame")? != hash().to_le_bytes()
    {
        let detail = format!(
            "the original does not fit the checksum of the lz4 frame that begins at byte {begin}"
        );
        return Err(Error::damaged(at, detail));
    }
    Ok(())
}
