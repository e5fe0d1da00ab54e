//! The bytes of InnoDB files.
//!
//! Pages and their checksums, tablespace headers, the redo log, the page-tracking archive, and the
//! small files a backup set is made of (`.delta`, `.meta`, `#clone/*`). Everything here is a
//! function from bytes to values or back: no IO, no threads, no clock, no allocation where a
//! page is only looked at.
//!
//! Integers of InnoDB files are big-endian throughout. Bytes come from disks and networks and are
//! never trusted: malformed input is an error that names the field, never a panic and never a guess.
//!
//! | module | structure | server source that defines it |
//! |---|---|---|
//! | [`page`], [`checksum`], [`verify`] | a page, its header, its checksums | `fil0types.h`, `buf0checksum.cc` |
//! | [`flags`], [`geometry`], [`tablespace`] | page 0 of a tablespace | `fsp0types.h`, `fsp0fsp.h` |
//! | [`encryption`] | keys of encrypted tablespaces | `os0enc.h` |
//! | [`redo`] | `#innodb_redo/#ib_redoN`, format 6 | `log0types.h`, `log0constants.h` |
//! | [`page_track`] | `#ib_archive/page_group_*/ib_page_*` | `arch0page.h` |
//! | [`delta`], [`meta`], [`clone_dir`] | files of a backup set | — |
#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![deny(clippy::little_endian_bytes)]

pub mod checksum;
pub mod clone_dir;
pub mod delta;
pub mod encryption;
pub mod first_page;
pub mod flags;
pub mod geometry;
pub mod ids;
pub mod lsn;
pub mod meta;
pub mod page;
pub mod page_track;
pub mod redo;
pub mod tablespace;
pub mod trx_sys;
pub mod verify;

mod bytes;
mod text;
