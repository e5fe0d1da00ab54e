//! Any row of standard frames, from front to end.

use crate::input::{Bytes as _, Input};
use crate::{Algorithm, Error, Result, lz4_frame, zstd_frame};
use std::io::{self, Read};

/// Both formats have frames for others' data: `0x184D2A50` to `…5F`, a length of 4 bytes, and as
/// many bytes.
const SKIPPABLE: u32 = 0x184D_2A50;
/// What `lz4 -l` writes, a format without checksums and ends.
const LZ4_LEGACY: u32 = 0x184C_2102;

/// Decompresses a whole file, ours or any other concatenation of frames of this algorithm, and
/// hands the original to `output` in pieces. Returns its length in bytes.
///
/// Skippable frames are passed over. No bytes at all are an empty original. What is truncated, does
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
    let mut total = 0;
    let mut output = |piece: &[u8]| {
        total += piece.len() as u64;
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
                return Ok(total);
            }
            let detail = format!("{} bytes that are no frame", start.len());
            return Err(Error::damaged(input.offset(), detail));
        };
        match (magic, &mut reader) {
            (SKIPPABLE..=0x184D_2A5F, _) => skip(&mut input)?,
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

fn skip(input: &mut Input<impl Read>) -> Result<()> {
    const WHAT: &str = "a skippable frame";
    let mut length = [0; 4];
    length.copy_from_slice(&input.take(8, WHAT)?[4..]);
    input.skip(u32::from_le_bytes(length).into(), WHAT)
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
