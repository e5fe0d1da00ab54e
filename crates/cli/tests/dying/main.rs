//! Dying well: however the program, the server or the disk ends, the server gets its locks back
//! and nothing half-made is taken for a backup.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "../common/mod.rs"]
mod common;

mod left;
mod moments;
mod released;
mod running;
mod scene;
mod small_disk;

mod backup_compressed;
mod backup_killed;
mod backup_signalled;
mod remote_killed;
mod restore_killed;
mod server_dies;
mod server_lacks;
mod target_unusable;
