//! Any row of standard frames, from front to end.

use crate::index::{FOOTER, SEEK_TABLE, SEEKABLE};
use crate::input::{Bytes as _, Input};
use crate::{Algorithm, Error, Result, lz4_frame, zstd_frame};
use std::cell::Cell;
use std::io::{self, Read};

/// Both formats have frames for others' data: `0x184D2A50` to `…5F`, a length of 4 bytes, and as
/// many bytes.
const SKIPPABLE: u32 = 0x184D_2A50;
/// What `lz4 -l` writes, a format without checksums and ends.
const LZ4_LEGACY: u32 = 0x184C_2102;

/// Decompresses a whole file, ours or any other concatenation of frames of this algorithm, and
/// hands the original to `output` in pieces. Returns its length in bytes.
///
/// Skippable frames are passed over, but an index must tell the length of what is before it. No bytes at all are an empty original. What is truncated, does
/// not fit a checksum, or has anything behind its last frame is an error that names the offset in
/// the stored bytes; the pieces handed over before are then worth nothing.
///
/// Takes a few MiB of memory, and for zstd what the frames' windows demand, 128 MiB at most.
pub fn decompress_stream(
    input: impl Read,
    output: &mut impl FnMut(&[u8]) -> io::Result<()>,
    algorithm: Algorithm,
) -> Result<u64> {
    let mut input = Input::new(input);
    let total = Cell::new(0);
    // How much of the original tables have told of.
    let mut told = 0;
    let mut output = |piece: &[u8]| {
        total.set(total.get() + piece.len() as u64);
        output(piece).map_err(Error::Write)
    };
    let mut reader = Reader::new(algorithm)?;
    loop {
        let start = input.peek(4)?;
        let Some(magic) = start
            .first_chunk::<4>()
            .map(|magic| u32::from_le_bytes(*magic))
        else {
            if start.is_empty() {
                return Ok(total.get());
            }
            let detail = format!("{} bytes that are no frame", start.len());
            return Err(Error::damaged(input.offset(), detail));
        };
        match (magic, &mut reader) {
            (SEEK_TABLE, _) => {
                table(&mut input, total.get() - told)?;
                told = total.get();
            }
            (SKIPPABLE..=0x184D_2A5F, _) => {
                let length = skippable(&mut input)?;
                input.skip(length, SKIPPED)?;
            }
            (zstd_frame::MAGIC, Reader::Zstd(reader)) => reader.frame(&mut input, &mut output)?,
            (lz4_frame::MAGIC, Reader::Lz4(reader)) => reader.frame(&mut input, &mut output)?,
            _ => return Err(Error::damaged(input.offset(), no_frame(magic, algorithm))),
        }
    }
}

enum Reader {
    Zstd(zstd_frame::Reader),
    Lz4(lz4_frame::Reader),
}

impl Reader {
    fn new(algorithm: Algorithm) -> Result<Self> {
        Ok(match algorithm {
            Algorithm::Zstd => Self::Zstd(zstd_frame::Reader::new()?),
            Algorithm::Lz4 => Self::Lz4(lz4_frame::Reader::default()),
        })
    }
}

const SKIPPED: &str = "a skippable frame";

/// Passes over the header of a skippable frame; the bytes behind it.
fn skippable(input: &mut Input<impl Read>) -> Result<u64> {
    let mut length = [0; 4];
    length.copy_from_slice(&input.take(8, SKIPPED)?[4..]);
    Ok(u32::from_le_bytes(length).into())
}

/// Passes over what may be an index. If it is one, its frames hold `length` bytes of the original.
fn table(input: &mut Input<impl Read>, length: u64) -> Result<()> {
    let at = input.offset();
    let size = skippable(input)?;
    let entries = size.checked_sub(FOOTER).filter(|entries| entries % 4 == 0);
    let Some(entries) = entries else {
        return input.skip(size, SKIPPED);
    };
    // Entries have two or three words, of which the second is a length; the end tells which.
    let (mut of_two, mut of_three) = (0, 0);
    for number in 0..entries / 4 {
        let mut word = [0; 4];
        word.copy_from_slice(input.take(4, SKIPPED)?);
        let word = u64::from(u32::from_le_bytes(word));
        of_two += if number % 2 == 1 { word } else { 0 };
        of_three += if number % 3 == 1 { word } else { 0 };
    }
    let footer = input.take(FOOTER as usize, SKIPPED)?;
    let (flags, magic) = (footer[4], &footer[5..]);
    let told = if flags < 0x80 { of_two } else { of_three };
    if magic != SEEKABLE.to_le_bytes() || told == length {
        return Ok(());
    }
    let detail =
        format!("the index is damaged: it tells of {told} bytes, its frames hold {length}");
    Err(Error::damaged(at, detail))
}

fn no_frame(magic: u32, algorithm: Algorithm) -> String {
    let other = match magic {
        zstd_frame::MAGIC => "one of zstd",
        lz4_frame::MAGIC => "one of lz4",
        LZ4_LEGACY => "one of the legacy format, which has no checksums",
        _ => "no frame at all",
    };
    format!("expected a frame of {algorithm}, found {other} ({magic:#010x})")
}
