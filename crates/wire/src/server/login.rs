//! The server's side of a login: greeting, TLS, proof of the password.
//!
//! A client whose password's digest is known proves that it knows the password, and the password
//! stays where it is. Else it has to send the password: in clear over TLS or a unix socket, encrypted
//! with the server's RSA key over plain TCP.

use super::accounts::{Accounts, Login, Peer};
use super::answer::Refusal;
use super::connections::Registered;
use super::grants::Grants;
use super::greeting::{self, LoginRequest, Reply};
use super::rsa::ServerRsa;
use super::{ServerOptions, encode};
use crate::frame::Frames;
use crate::handshake::{Capabilities, NONCE};
use crate::stream::Stream;
use crate::{Error, Secret, reply};

/// A client that is in.
#[derive(Debug)]
pub(super) struct LoggedIn {
    pub(super) frames: Frames<Stream>,
    pub(super) login: Login,
    pub(super) grants: Grants,
    pub(super) database: Option<String>,
    pub(super) capabilities: Capabilities,
}

/// Lets a client in, but for the last OK. `Ok(None)`: it was refused, and has been told so. An error
/// is a connection that broke off.
pub(super) fn let_in(
    stream: Stream,
    options: &ServerOptions,
    accounts: &dyn Accounts,
    peer: Peer,
    place: &Registered,
) -> Result<Option<LoggedIn>, Error> {
    let mut frames = Frames::new(stream, MAX_LOGIN_PACKET);
    frames.set_read_ahead(false);
    let nonce = greeting::nonce()?;
    frames.write(&greeting::greeting(options, place.id(), &nonce), &[])?;

    let mut packet = Vec::new();
    frames.read(&mut packet)?;
    let mut reply = parse(&mut frames, &packet, false)?;
    if reply == Reply::Tls {
        let Some(tls) = &options.tls else {
            return Err(Error::protocol("request for TLS, which was not offered"));
        };
        let server = tls.connection()?;
        frames = frames.replace_stream(|stream| stream.into_server_tls(server))?;
        frames.read(&mut packet)?;
        reply = parse(&mut frames, &packet, true)?;
    }
    let Reply::Login(request) = reply else {
        return Err(Error::protocol("two requests for TLS"));
    };
    let offered = greeting::offered(options.tls.is_some());
    let capabilities = Capabilities(request.capabilities.0 & offered.0);
    let login = Login {
        user: request.user.clone(),
        peer,
        tls: frames.stream().is_tls(),
    };
    let grants = if options.require_tls && !login.tls && peer != Peer::Socket {
        Err(Refusal::new(
            3159,
            "Connections using insecure transport are prohibited while \
             --require_secure_transport=ON.",
        ))
    } else {
        authenticate(
            &mut frames,
            &request,
            &login,
            accounts,
            &options.rsa,
            &nonce,
            place,
        )?
    };
    match grants {
        Ok(grants) => {
            frames.set_read_ahead(true);
            frames.set_max_packet(options.max_allowed_packet);
            Ok(Some(LoggedIn {
                frames,
                login,
                grants,
                database: request.database,
                capabilities,
            }))
        }
        Err(refusal) => {
            let (user, code) = (&login.user, refusal.code);
            tracing::debug!(user, %peer, code, "login refused");
            frames.write(&encode::err(&refusal, true), &[])?;
            frames.stream_mut().close_notify();
            Ok(None)
        }
    }
}

/// Reads the client's answer to the greeting; one that is none is told so.
fn parse(frames: &mut Frames<Stream>, packet: &[u8], tls: bool) -> Result<Reply, Error> {
    Reply::parse(packet, tls).inspect_err(|_| {
        // It may be gone: then there is nobody to tell.
        let _ = frames.write(
            &encode::err(&Refusal::new(1043, "Bad handshake"), true),
            &[],
        );
    })
}

fn authenticate(
    frames: &mut Frames<Stream>,
    request: &LoginRequest,
    login: &Login,
    accounts: &dyn Accounts,
    rsa: &ServerRsa,
    nonce: &[u8; NONCE],
    place: &Registered,
) -> Result<Result<Grants, Refusal>, Error> {
    if !request.capabilities.has(Capabilities::PLUGIN_AUTH) {
        return Ok(Err(Refusal::new(
            1251,
            "Client does not support authentication protocol requested by server; consider \
             upgrading MySQL client",
        )));
    }
    let mut proof = request.proof.clone();
    if request.plugin != PLUGIN.as_bytes() {
        let mut switch = vec![reply::EOF];
        switch.extend_from_slice(PLUGIN.as_bytes());
        switch.push(0);
        switch.extend_from_slice(nonce);
        switch.push(0);
        frames.write(&switch, &[])?;
        frames.read(&mut proof)?;
    }
    if let Some(digest) = accounts.digest(login) {
        if !digest.accepts(&proof, nonce) {
            return Ok(Err(login.denied(!matches!(proof.as_slice(), [] | [0]))));
        }
        let grants = place.at_work(|| accounts.grants(login));
        if grants.is_ok() && !matches!(proof.as_slice(), [] | [0]) {
            frames.write(&[MORE_DATA, FAST_AUTH_OK], &[])?;
        }
        return Ok(grants);
    }
    if matches!(proof.as_slice(), [] | [0]) {
        return Ok(place.at_work(|| accounts.verify(login, &Secret::new(""))));
    }
    frames.write(&[MORE_DATA, FULL_AUTH], &[])?;
    frames.read(&mut proof)?;
    let password = if login.tls || login.peer == Peer::Socket {
        let text = proof.strip_suffix(&[0]);
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        text.map(Secret::new)
    } else {
        if proof == [KEY_REQUEST] {
            let key = place.at_work(|| rsa.public())?;
            frames.write(&[MORE_DATA], key.as_bytes())?;
            frames.read(&mut proof)?;
        }
        place.at_work(|| rsa.decrypt(&proof, nonce))?
    };
    Ok(match password {
        Some(password) => place.at_work(|| accounts.verify(login, &password)),
        None => Err(login.denied(true)),
    })
}

/// The one plugin there is; clients that begin with another are asked to change over.
pub(super) const PLUGIN: &str = "caching_sha2_password";

const MORE_DATA: u8 = 0x01;
const FAST_AUTH_OK: u8 = 0x03;
const FULL_AUTH: u8 = 0x04;
/// What a client sends that wants the RSA key.
const KEY_REQUEST: u8 = 0x02;
const MAX_LOGIN_PACKET: usize = 64 << 10;
