//! What the fuzz targets do with their input. Shared by `fuzz/` and by `fuzz_smoke`.
//!
//! Decoders must not panic; what they accept must survive being written and read again.
#![allow(clippy::unwrap_used, reason = "of what was just written")]
#![allow(dead_code, reason = "a fuzz target is one of these functions")]
#![allow(unused_imports, reason = "a fuzz target is one of these functions")]

mod client;
mod server;

use innoclone_wire::clone::{Command, Descriptor, Response};

pub(crate) use client::client;
pub(crate) use server::server;

pub(crate) fn clone_command(data: &[u8]) {
    let Ok(command) = Command::decode(data) else {
        return;
    };
    let mut packet = vec![command.code()];
    packet.extend(command.body());
    // Written again it can only be shorter: what follows a descriptor is not kept.
    assert!(packet.len() <= data.len());
    assert_eq!(Command::decode(&packet), Ok(command));
}

pub(crate) fn clone_response(data: &[u8]) {
    if let Ok(descriptor) = Descriptor::decode(data) {
        let bytes = descriptor.to_bytes();
        assert!(bytes.len() <= data.len());
        assert_eq!(Descriptor::decode(&bytes), Ok(descriptor));
    }
    let Ok(response) = Response::decode(data) else {
        return;
    };
    let packet = response.to_bytes();
    assert_eq!(Response::decode(&packet).unwrap(), response);
}
