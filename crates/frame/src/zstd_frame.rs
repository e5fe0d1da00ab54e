//! Frames of Zstandard, as RFC 8878 has them.
//!
//! | offset | bytes | field, little-endian |
//! |---:|---:|---|
//! | 0 | 4 | `0xFD2FB528` |
//! | 4 | 1 | descriptor: bit 2 content checksum, bit 3 reserved, bit 4 unused, bit 5 single segment, bits 0-1 dictionary, bits 6-7 size of the content size |
//! | 5 | 0-13 | window, dictionary, content size |
//! | … | … | blocks |
//! | end-4 | 4 | the low half of XXH64 of the content |

use crate::input::{Bytes as _, Input};
use crate::{Error, Result, Settings};
use std::io::{self, Read};
use zstd::bulk;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::{DParameter, find_frame_compressed_size, get_frame_content_size};

pub(crate) const MAGIC: u32 = 0xFD2F_B528;

/// Magic and descriptor.
const START: usize = 5;
/// Bits of the descriptor that nobody sets. Decoders need not look at the unused one: it would be
/// a bit that can flip without being noticed.
const UNUSED_BITS: u8 = 0b0001_1000;

/// Windows of up to 128 MiB are read, which is what `zstd -d` does unless it is asked for more.
const WINDOW_LOG_MAX: u32 = 27;

/// Bytes of the original that are handed over at once.
const OUTPUT: usize = 1 << 20;

/// Makes frames.
pub(crate) fn compressor(settings: &Settings) -> Result<bulk::Compressor<'static>> {
    let make = || -> io::Result<_> {
        let mut compressor = bulk::Compressor::new(settings.level())?;
        compressor.include_checksum(true)?;
        compressor.include_contentsize(true)?;
        Ok(compressor)
    };
    make().map_err(Error::Compress)
}

/// Appends one frame.
pub(crate) fn compress(
    compressor: &mut bulk::Compressor<'static>,
    original: &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    let start = out.len();
    out.resize(start + zstd::zstd_safe::compress_bound(original.len()), 0);
    let made = compressor.compress_to_buffer(original, &mut out[start..]);
    out.truncate(start + made.as_ref().map_or(0, |len| *len));
    made.map(drop).map_err(Error::Compress)
}

/// Reads exactly one frame of exactly `out.len()` bytes of the original.
pub(crate) fn decompress(
    decompressor: &mut bulk::Decompressor<'static>,
    frame: &[u8],
    out: &mut [u8],
) -> Result<()> {
    check_start(frame).map_err(|detail| Error::damaged(0, detail))?;
    let damaged = |detail: String| Error::damaged(0, detail);
    match find_frame_compressed_size(frame) {
        Ok(len) if len == frame.len() => {}
        Ok(len) => {
            let detail = format!("the zstd frame has {len} bytes, not {}", frame.len());
            return Err(damaged(detail));
        }
        Err(code) => {
            return Err(damaged(format!(
                "the zstd frame is damaged: {}",
                said(code)
            )));
        }
    }
    let expected = out.len() as u64;
    match get_frame_content_size(frame) {
        Ok(size) if size.unwrap_or(expected) == expected => {}
        Ok(size) => {
            let size = size.unwrap_or_default();
            let detail = format!("the zstd frame holds {size} bytes, not {expected}");
            return Err(damaged(detail));
        }
        Err(_) => return Err(damaged("the zstd frame's header is damaged".into())),
    }
    match decompressor.decompress_to_buffer(frame, out) {
        Ok(len) if len as u64 == expected => Ok(()),
        Ok(len) => Err(damaged(format!(
            "the zstd frame holds {len} bytes, not {expected}"
        ))),
        Err(e) => Err(damaged(format!("the zstd frame is damaged: {e}"))),
    }
}

/// Reads frames from a stream; keeps its memory from one to the next.
pub(crate) struct Reader {
    decoder: Decoder<'static>,
    output: Vec<u8>,
}

impl Reader {
    pub(crate) fn new() -> Result<Self> {
        let make = || -> io::Result<_> {
            let mut decoder = Decoder::new()?;
            decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
            Ok(decoder)
        };
        Ok(Self {
            decoder: make().map_err(Error::Compress)?,
            output: vec![0; OUTPUT],
        })
    }

    /// Reads the frame at which `input` stands.
    pub(crate) fn frame(
        &mut self,
        input: &mut Input<impl Read>,
        output: &mut impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let begin = input.offset();
        let within = |what: &str| format!("{what} in the zstd frame that begins at byte {begin}");
        check_start(input.peek(START)?).map_err(|detail| Error::damaged(begin, detail))?;
        self.decoder.reinit().map_err(Error::Compress)?;
        loop {
            let bytes = input.peek(1)?;
            let exhausted = bytes.is_empty();
            let mut source = InBuffer::around(bytes);
            let mut target = OutBuffer::around(self.output.as_mut_slice());
            let left = self.decoder.run(&mut source, &mut target);
            let (read, made) = (source.pos(), target.pos());
            let left = left.map_err(|e| {
                Error::damaged(
                    input.offset(),
                    within(&format!("{e}, at or before this byte")),
                )
            })?;
            input.consume(read);
            if let Some(made) = self.output.get(..made).filter(|made| !made.is_empty()) {
                output(made)?;
            }
            if left == 0 {
                return Ok(());
            }
            if exhausted && made == 0 {
                return Err(Error::damaged(input.offset(), within("the file ends with")));
            }
        }
    }
}

/// Fails unless a frame may begin so.
fn check_start(bytes: &[u8]) -> Result<(), String> {
    let Some(start) = bytes.first_chunk::<START>() else {
        return Err("the file ends within the header of a zstd frame".into());
    };
    let [m0, m1, m2, m3, descriptor] = *start;
    let magic = u32::from_le_bytes([m0, m1, m2, m3]);
    if magic != MAGIC {
        return Err(format!("{magic:#010x} is not the magic of a zstd frame"));
    }
    if descriptor & UNUSED_BITS != 0 {
        return Err(format!(
            "the zstd frame's descriptor is damaged: {descriptor:#04x}"
        ));
    }
    Ok(())
}

fn said(code: usize) -> &'static str {
    zstd::zstd_safe::get_error_name(code)
}
