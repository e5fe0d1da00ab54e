//! Compressed files: what stands in `x.zstd` and `x.lz4`.
//!
//! A compressed file is a row of standard frames, each of which holds one *unit* of the original
//! and depends on no other, and behind them an [`Index`] in a skippable frame. So every frame is
//! work for another thread, one page can be read without unpacking the file, and `zstd -d` and
//! `lz4 -d` unpack it like any file of theirs.
//!
//! ```text
//! frame of unit 0 | frame of unit 1 | … | frame of the last, shorter unit | index
//! ```
//!
//! An empty file is stored as an empty file: no frame, no index.
//!
//! A [`Compressor`] makes the frames of one thread, a [`Decompressor`] reads them; which frame is
//! where is the caller's business, with the help of the [`Index`]. [`decompress_stream`] reads any
//! row of standard frames from front to end, ours or others'.
//!
//! Nothing here opens a file or starts a thread. Bytes read are not trusted: whatever they are, the
//! answer is the original or an [`Error`], and memory is bounded.

mod algorithm;
mod error;
mod index;
mod input;
mod lz4_frame;
mod settings;
mod stream;
mod unit;
mod zstd_frame;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use error::{Error, Result};
pub use index::{Index, Place};
pub use settings::Settings;
pub use stream::decompress_stream;
pub use unit::{Compressor, Decompressor};
