//! `binlog archive`: whatever happens, the archive holds the server's own bytes, without a gap.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../dying/running.rs"]
mod running;
#[path = "../dying/small_disk.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod small_disk;

mod proxy;
mod scene;

mod broken;
mod refused;
mod streamed;
