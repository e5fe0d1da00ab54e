//! Files, as backups need them: bounded, hole-keeping, digested, durable.

mod checked;
mod digest;
mod durable;
mod handles;
mod lock;
mod original;
mod sparse;
mod throttle;
mod writeback;

pub(crate) use checked::CheckedFile;
pub(crate) use digest::{CHUNK, ChunkDigests, Digest, chunk_value, digest_of, values_of};
pub(crate) use durable::{
    create_dir_all, create_new, fsync_dir, fsync_file, read_bounded, remove_file, rename,
    sync_filesystem, syncs_as_a_whole, write_new,
};
pub(crate) use handles::{Handles, open_rw};
pub(crate) use lock::lock_holder;
pub(crate) use original::{Original, Unpacked, carry, of_frame, read_index};
pub(crate) use sparse::{Layout, is_zero, overwrite, write_fresh};
pub(crate) use throttle::Throttle;
pub(crate) use writeback::{WINDOW, Writeback, drop_cache};

/// Bytes that are copied at once: a whole number of chunks and of pages of every size.
pub(crate) const BUFFER: usize = 4 * CHUNK;
