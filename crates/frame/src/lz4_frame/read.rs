//! Reading frames: one whole unit in memory, or any frame from a stream.

use super::header::Header;
use super::write::STORED;
use crate::input::Input;
use crate::{Error, Result};
use std::hash::Hasher as _;
use std::io::Read;
use twox_hash::XxHash32;

/// How far back a block may refer.
const HISTORY: usize = 64 << 10;

/// Reads exactly one frame of exactly `out.len()` bytes of the original.
pub(crate) fn decompress(frame: &[u8], out: &mut [u8]) -> Result<()> {
    let mut input = Input::new(frame);
    let mut reader = Reader::default();
    check_magic(&mut input)?;
    let expected = out.len();
    let mut made = 0;
    reader.frame(&mut input, &mut |bytes| {
        let room = made..made + bytes.len();
        made += bytes.len();
        match out.get_mut(room) {
            Some(room) => room.copy_from_slice(bytes),
            None => return Err(Error::damaged(0, too_long(expected))),
        }
        Ok(())
    })?;
    if made != expected {
        let detail = format!("the lz4 frame holds {made} bytes, not {expected}");
        return Err(Error::damaged(0, detail));
    }
    if !input.peek(1)?.is_empty() {
        let detail = format!(
            "the lz4 frame has {} bytes, not {}",
            input.offset(),
            frame.len()
        );
        return Err(Error::damaged(input.offset(), detail));
    }
    Ok(())
}

fn too_long(expected: usize) -> String {
    format!("the lz4 frame holds more than {expected} bytes")
}

fn check_magic(input: &mut Input<impl Read>) -> Result<()> {
    let start = input.peek(4)?.first_chunk::<4>();
    match start.map(|magic| u32::from_le_bytes(*magic)) {
        Some(super::MAGIC) => Ok(()),
        Some(magic) => {
            let detail = format!("{magic:#010x} is not the magic of an lz4 frame");
            Err(Error::damaged(0, detail))
        }
        None => Err(Error::damaged(0, "too short for an lz4 frame")),
    }
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
        while let Some(made) = self.block(input, header, history)? {
            let block = &self.window[history..history + made];
            if header.content_checksum {
                hash.write(block);
            }
            total += made as u64;
            output(block)?;
            if !header.independent {
                let end = history + made;
                history = end.min(HISTORY);
                self.window.copy_within(end - history..end, 0);
            }
        }
        if let Some(size) = header.content_size.filter(|size| *size != total) {
            let detail = format!("the lz4 frame holds {total} bytes, not {size}");
            return Err(Error::damaged(begin, detail));
        }
        if header.content_checksum {
            let what = "the checksum of an lz4 frame";
            let at = input.offset();
            if input.take(4, what)? != hash.finish_32().to_le_bytes() {
                let detail = format!(
                    "the original does not fit the checksum of the lz4 frame that begins at byte {begin}"
                );
                return Err(Error::damaged(at, detail));
            }
        }
        Ok(())
    }

    /// Reads a block to `window[history..]`; `None` behind the last one.
    fn block(
        &mut self,
        input: &mut Input<impl Read>,
        header: Header,
        history: usize,
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
        let (past, room) = self.window.split_at_mut(history);
        let room = &mut room[..header.block_size];
        if word & STORED != 0 {
            room[..length].copy_from_slice(bytes);
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
}
