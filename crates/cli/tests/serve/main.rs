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
mod killing;
mod manager;
mod remote;
mod sessions;
mod stopping;
mod waits;
