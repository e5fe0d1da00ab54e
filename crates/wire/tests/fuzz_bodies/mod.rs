//! What the fuzz targets do with their input. Shared by `fuzz/` and by `fuzz_smoke`.
//!
//! Decoders must not panic; what they accept must survive being written and read again.
#![allow(clippy::unwrap_used, reason = "of what was just written")]
#![allow(dead_code, reason = "a fuzz target is one of these functions")]
#![allow(unused_imports, reason = "a fuzz target is one of these functions")]

mod client;
mod login;
mod server;

use innoclone_wire::clone::{Command, Descriptor, Dialect, Response};

pub(crate) use client::client;
pub(crate) use login::login_block;
pub(crate) use server::server;

pub(crate) fn clone_command(data: &[u8]) {
    command_in(Dialect::Stock, data);
}

pub(crate) fn clone_command_greatsql(data: &[u8]) {
    command_in(Dialect::GreatSql, data);
}

pub(crate) fn clone_response(data: &[u8]) {
    response_in(Dialect::Stock, data);
}

pub(crate) fn clone_response_greatsql(data: &[u8]) {
    response_in(Dialect::GreatSql, data);
}

fn command_in(dialect: Dialect, data: &[u8]) {
    let Ok(command) = Command::decode_in(dialect, data) else {
        return;
    };
    let mut packet = vec![command.code()];
    packet.extend(command.body_in(dialect));
    // Written again it can only be shorter: what follows a descriptor is not kept.
    assert!(packet.len() <= data.len());
    assert_eq!(Command::decode_in(dialect, &packet), Ok(command));
}

fn response_in(dialect: Dialect, data: &[u8]) {
    if let Ok(descriptor) = Descriptor::decode_in(dialect, data) {
        let mut bytes = Vec::new();
        descriptor.encode_in(dialect, &mut bytes);
        assert!(bytes.len() <= data.len());
        assert_eq!(Descriptor::decode_in(dialect, &bytes), Ok(descriptor));
    }
    let Ok(response) = Response::decode_in(dialect, data) else {
        return;
    };
    let mut packet = Vec::new();
    response.encode_in(dialect, &mut packet);
    assert_eq!(Response::decode_in(dialect, &packet).unwrap(), response);
}
