//! The daemon, spoken to by the stock `mysql` client.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod clients;
#[path = "../common/mod.rs"]
mod common;
mod daemon;
mod document;
mod killing;
mod manager;
mod sessions;
mod stopping;
