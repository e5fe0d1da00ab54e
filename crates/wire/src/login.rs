//! The login: greeting, TLS, and the exchange of the authentication plugin.

use std::time::Duration;

use mysql_common::auth::plugins::{AuthProc, ChallengeResponsePlugin as _, Context, Response};
use mysql_common::packets::AuthPlugin;

use crate::cursor::Cursor;
use crate::frame::Frames;
use crate::handshake::{Capabilities, Greeting, NONCE, Response as HandshakeResponse};
use crate::options::{ConnectOptions, Endpoint, SslMode};
use crate::reply::{self, Finished, text};
use crate::rsa_key::RsaKey;
use crate::stream::{Socket, Stream};
use crate::{Error, tls};

/// A session that has just begun.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) frames: Frames<Stream>,
    pub(crate) server_version: String,
    pub(crate) connection_id: u32,
    pub(crate) capabilities: Capabilities,
    pub(crate) status: u16,
}

/// Connects and logs in. The socket keeps the time limit of the login.
pub(crate) fn login(options: &ConnectOptions) -> Result<Session, Error> {
    if options.user.contains('\0') {
        return Err(Error::Auth {
            plugin: "any".to_owned(),
            reason: "the user name contains a zero byte".to_owned(),
        });
    }
    // Zero would mean no limit at all to the socket.
    let timeout = options.connect_timeout.max(Duration::from_millis(1));
    let socket = Socket::connect(&options.endpoint, timeout)?;
    let limited = socket.set_read_timeout(Some(timeout));
    limited
        .and_then(|()| socket.set_write_timeout(Some(timeout)))
        .map_err(|source| Error::io("set time limit", source))?;

    let mut frames = Frames::new(Stream::Plain(socket), MAX_LOGIN_PACKET);
    let mut packet = Vec::new();
    frames.read(&mut packet)?;
    let greeting = Greeting::parse(&packet)?;

    let tls = wants_tls(options, greeting.capabilities)?;
    let attributes = attributes(options);
    let mut plugin = first_plugin(&greeting.auth_plugin);
    let response = HandshakeResponse {
        capabilities: HandshakeResponse::capabilities(greeting.capabilities, tls),
        max_packet: u32::try_from(options.max_allowed_packet).unwrap_or(u32::MAX),
        user: &options.user,
        auth_plugin: plugin,
        attributes: &attributes,
    };
    if tls {
        frames.write(&response.ssl_request(), &[])?;
        let client = tls::client(options)?;
        frames = frames.replace_stream(|stream| stream.into_tls(client))?;
    }

    let mut exchange = Exchange::begin(plugin, options, tls, greeting.nonce)?;
    let first = exchange.answer(&greeting.nonce)?.unwrap_or_default();
    frames.write(&response.serialise(&first), &[])?;

    // Two rounds for a plugin, two for the one it is switched to; more is no login.
    for _ in 0..MAX_ROUNDS {
        frames.read(&mut packet)?;
        let answer = match packet.split_first() {
            Some((&reply::OK, _)) => {
                let Finished { status, .. } = reply::parse_ok(&packet)?;
                frames.set_max_packet(options.max_allowed_packet);
                return Ok(Session {
                    frames,
                    server_version: greeting.server_version,
                    connection_id: greeting.connection_id,
                    capabilities: response.capabilities,
                    status,
                });
            }
            Some((&reply::ERR, _)) => return Err(reply::parse_error(&packet)?),
            Some((&MORE_DATA, challenge)) => exchange.answer(challenge)?,
            Some((&reply::EOF, request)) => {
                let (name, nonce) = switch_request(request)?;
                plugin = name;
                exchange = Exchange::begin(plugin, options, tls, nonce)?;
                Some(exchange.answer(&nonce)?.unwrap_or_default())
            }
            _ => return Err(Error::protocol("unknown packet during the login")),
        };
        if let Some(answer) = answer {
            frames.write(&answer, &[])?;
        }
    }
    Err(Error::protocol("the login does not come to an end"))
}

fn wants_tls(options: &ConnectOptions, server: Capabilities) -> Result<bool, Error> {
    let offered = server.has(Capabilities::SSL);
    match options.ssl_mode {
        SslMode::Disabled => Ok(false),
        SslMode::Preferred => Ok(offered && matches!(options.endpoint, Endpoint::Tcp { .. })),
        _ if offered => Ok(true),
        mode => Err(Error::tls(format!(
            "SSL mode {mode}, but the server offers no TLS"
        ))),
    }
}

/// The plugin to begin with: the server's, if its first packet gives nothing away.
fn first_plugin(offered: &str) -> &'static str {
    if offered == NATIVE {
        NATIVE
    } else {
        CACHING_SHA2
    }
}

fn attributes(options: &ConnectOptions) -> [(&'static str, String); 5] {
    [
        ("_client_name", "innoclone".to_owned()),
        ("_client_version", env!("CARGO_PKG_VERSION").to_owned()),
        ("_os", std::env::consts::OS.to_owned()),
        ("_pid", std::process::id().to_string()),
        ("program_name", options.program_name.clone()),
    ]
}

/// The plugin and the nonce in a request to switch the plugin (without its first byte).
fn switch_request(request: &[u8]) -> Result<(&'static str, [u8; NONCE]), Error> {
    let mut cursor = Cursor::new(request);
    if cursor.is_empty() {
        return Err(refusal(
            "mysql_old_password",
            "passwords of before MySQL 4.1 are not safe",
        ));
    }
    let name = cursor.until_nul("plugin name")?;
    let name = match name {
        b"caching_sha2_password" => CACHING_SHA2,
        b"sha256_password" => SHA256,
        b"mysql_native_password" => NATIVE,
        b"mysql_clear_password" => CLEAR,
        other => return Err(refusal(&text(other), "not supported by this client")),
    };
    let data = cursor.rest();
    let mut nonce = [0; NONCE];
    // Clear passwords come with no nonce, or an empty one.
    if name != CLEAR {
        let sent = data
            .get(..NONCE)
            .ok_or_else(|| Error::protocol("nonce of the plugin"))?;
        nonce.copy_from_slice(sent);
    }
    Ok((name, nonce))
}

/// The client's side of one authentication plugin.
struct Exchange<'a> {
    plugin: &'static str,
    procedure: AuthProc,
    options: &'a ConnectOptions,
    transport: Transport,
    nonce: [u8; NONCE],
    key: Option<RsaKey>,
    key_requested: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Plain,
    Ipc,
    Tls,
}

impl<'a> Exchange<'a> {
    fn begin(
        plugin: &'static str,
        options: &'a ConnectOptions,
        tls: bool,
        nonce: [u8; NONCE],
    ) -> Result<Self, Error> {
        let transport = match options.endpoint {
            _ if tls => Transport::Tls,
            Endpoint::Socket(_) => Transport::Ipc,
            Endpoint::Tcp { .. } => Transport::Plain,
        };
        if plugin == CLEAR && (!options.enable_cleartext_plugin || transport == Transport::Plain) {
            let reason = "needs enable-cleartext-plugin, and TLS or a unix socket";
            return Err(refusal(plugin, reason));
        }
        let key = options.server_public_key_path.as_deref();
        let key = key.map(|path| {
            let read = |reason: String| refusal(plugin, &format!("{}: {reason}", path.display()));
            let pem = std::fs::read(path).map_err(|source| read(source.to_string()))?;
            RsaKey::parse(&pem).map_err(|source| read(source.to_string()))
        });
        let name = match plugin {
            NATIVE => AuthPlugin::MysqlNativePassword,
            SHA256 => AuthPlugin::Sha256Password,
            CLEAR => AuthPlugin::MysqlClearPassword,
            _ => AuthPlugin::CachingSha2Password,
        };
        let procedure =
            AuthProc::init(&name).map_err(|source| refusal(plugin, &source.to_string()))?;
        let key = key.transpose()?;
        Ok(Self {
            plugin,
            procedure,
            options,
            transport,
            nonce,
            key,
            key_requested: false,
        })
    }

    /// What to send when the server has sent `challenge`; `None` when it is its turn again.
    fn answer(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if self.key_requested {
            // The procedure encrypts with what it is given, so it is given nothing unchecked.
            let key = RsaKey::parse(challenge)?;
            let pem = self.pem(&key)?.to_vec();
            return self.run(&pem);
        }
        if let Some(key) = &self.key {
            self.pem(key)?;
        }
        let answer = self.run(challenge)?;
        if answer.as_deref() == self.key_request() {
            self.allow_key_request()?;
            self.key_requested = true;
        }
        Ok(answer)
    }

    fn run(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let context = Credentials {
            password: self.password(),
            nonce: self.nonce,
            transport: self.transport,
            key: self.key.clone(),
        };
        match self.procedure.run(&context, challenge) {
            Ok(Response::Next { packet } | Response::Last { packet }) => Ok(packet),
            Err(source) => Err(refusal(self.plugin, &source.to_string())),
        }
    }

    fn password(&self) -> &'a str {
        self.options
            .password
            .as_ref()
            .map_or("", |password| password.expose())
    }

    fn pem<'k>(&self, key: &'k RsaKey) -> Result<&'k [u8], Error> {
        key.pem_for(self.password().len())
            .ok_or_else(|| refusal(self.plugin, "the password is too long for the server's key"))
    }

    /// The byte by which the plugin asks for the server's key.
    fn key_request(&self) -> Option<&'static [u8]> {
        match self.plugin {
            CACHING_SHA2 => Some(&[2]),
            SHA256 => Some(&[1]),
            _ => None,
        }
    }

    fn allow_key_request(&self) -> Result<(), Error> {
        if self.transport == Transport::Plain && !self.options.get_server_public_key {
            let reason = "authentication requires a secure connection: use TLS, or \
                          server-public-key-path, or get-server-public-key";
            return Err(refusal(self.plugin, reason));
        }
        Ok(())
    }
}

fn refusal(plugin: &str, reason: &str) -> Error {
    Error::Auth {
        plugin: plugin.to_owned(),
        reason: reason.to_owned(),
    }
}

/// What the plugins of `mysql_common` ask for.
struct Credentials<'a> {
    password: &'a str,
    nonce: [u8; NONCE],
    transport: Transport,
    key: Option<RsaKey>,
}

impl Context for &Credentials<'_> {
    fn pass(&self) -> &[u8] {
        self.password.as_bytes()
    }

    fn is_ipc_transport(&self) -> bool {
        self.transport == Transport::Ipc
    }

    fn is_tls_transport(&self) -> bool {
        self.transport == Transport::Tls
    }

    fn scramble(&self) -> &[u8] {
        &self.nonce
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        self.key
            .as_ref()
            .and_then(|key| key.pem_for(self.password.len()))
    }
}

const CACHING_SHA2: &str = "caching_sha2_password";
const SHA256: &str = "sha256_password";
const NATIVE: &str = "mysql_native_password";
const CLEAR: &str = "mysql_clear_password";

/// First byte of a packet that belongs to the plugin.
const MORE_DATA: u8 = 0x01;
const MAX_ROUNDS: usize = 8;
const MAX_LOGIN_PACKET: usize = 64 << 10;
