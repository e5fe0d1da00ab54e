//! The daemon, spoken to by the stock `mysql` client.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod clients;
#[path = "../common/mod.rs"]
mod common;
mod configured;
mod daemon;
mod document;
mod encrypted;
mod errors;
mod errors_of_files;
mod killing;
mod manager;
mod recipients;
mod remote;
#[path = "../dying/running.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod running;
mod sessions;
#[path = "../dying/small_disk.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod small_disk;
mod stopping;
mod waits;
