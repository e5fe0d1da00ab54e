//! TLS as MySQL's own client does it.
//!
//! The certificate that a server makes for itself names no host, only a common name, so that the
//! usual check of authority *and* name could never pass. MySQL's modes split the two.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, DigitallySignedStruct, RootCertStore,
    SideData, SignatureScheme, StreamOwned,
};

use crate::Error;
use crate::options::{ConnectOptions, Endpoint, SslMode};
use crate::stream::Socket;

/// Prepares the client's side of a TLS session with the server of `options`.
pub(crate) fn client(options: &ConnectOptions) -> Result<ClientConnection, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Verifier {
        trust: Trust::of(options)?,
        provider: provider.clone(),
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| failed("prepare the client", source))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match (&options.ssl_cert, &options.ssl_key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|source| failed(format!("read the key {}", key.display()), source))?;
            builder
                .with_client_auth_cert(certificates(cert)?, key)
                .map_err(|source| failed("use the client's certificate and key", source))?
        }
        _ => {
            return Err(Error::tls(
                "a client certificate and its key are given together",
            ));
        }
    };
    // As MySQL's client: no host name in clear. It also makes bad host names harmless.
    config.enable_sni = false;
    ClientConnection::new(Arc::new(config), server_name(options)?)
        .map_err(|source| failed("prepare the client", source))
}

/// Performs the handshake on a connected socket, within the socket's own time limits.
pub(crate) fn handshake<C, D>(
    mut side: C,
    mut socket: Socket,
) -> Result<StreamOwned<C, Socket>, Error>
where
    C: DerefMut + Deref<Target = ConnectionCommon<D>>,
    D: SideData,
{
    while side.is_handshaking() {
        side.complete_io(&mut socket)
            .map_err(|source| Error::io("TLS handshake", source))?;
    }
    Ok(StreamOwned::new(side, socket))
}

/// The name the certificate must bear under `VERIFY_IDENTITY`.
fn server_name(options: &ConnectOptions) -> Result<ServerName<'static>, Error> {
    let host = match &options.endpoint {
        Endpoint::Socket(_) => "localhost",
        Endpoint::Tcp { host, .. } => host.as_str(),
    };
    match ServerName::try_from(host.to_owned()) {
        Ok(name) => Ok(name),
        Err(source) if options.ssl_mode == SslMode::VerifyIdentity => Err(failed(
            format!("no certificate can be for the host {host}"),
            source,
        )),
        // The name is not looked at in this mode.
        Err(_) => ServerName::try_from("localhost").map_err(|source| failed("name", source)),
    }
}

/// What a server's certificate must prove.
#[derive(Debug)]
enum Trust {
    Nothing,
    Authority(RootCertStore),
    Identity(RootCertStore),
}

impl Trust {
    fn of(options: &ConnectOptions) -> Result<Self, Error> {
        let authorities = || match &options.ssl_ca {
            Some(path) => authorities(path),
            None => Err(Error::tls(format!(
                "SSL mode {} needs ssl-ca",
                options.ssl_mode
            ))),
        };
        match options.ssl_mode {
            SslMode::Disabled | SslMode::Preferred | SslMode::Required => Ok(Self::Nothing),
            SslMode::VerifyCa => authorities().map(Self::Authority),
            SslMode::VerifyIdentity => authorities().map(Self::Identity),
        }
    }
}

/// OpenSSL's name of a cipher suite, from the name of its standard.
pub(crate) fn openssl_name(suite: &str) -> String {
    if let Some(rest) = suite.strip_prefix("TLS13_") {
        return format!("TLS_{rest}");
    }
    let name = suite.trim_start_matches("TLS_").replace("_WITH_", "_");
    let name = name
        .replace("AES_128", "AES128")
        .replace("AES_256", "AES256");
    // What follows this cipher is its only digest.
    let name = name.replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305");
    name.replace('_', "-")
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = |source| failed(format!("read certificates from {}", path.display()), source);
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(read)?;
    if certificates.is_empty() {
        return Err(Error::tls(format!("no certificate in {}", path.display())));
    }
    Ok(certificates)
}

fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|source| failed(format!("use {} as authority", path.display()), source))?;
    }
    Ok(roots)
}

pub(crate) fn failed(
    what: impl Into<String>,
    source: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::Tls {
        reason: what.into(),
        source: Some(Box::new(source)),
    }
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let roots = match &self.trust {
            Trust::Nothing => return Ok(ServerCertVerified::assertion()),
            Trust::Authority(roots) | Trust::Identity(roots) => roots,
        };
        let certificate = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            roots,
            intermediates,
            now,
            algorithms,
        )?;
        if let Trust::Identity(_) = self.trust {
            verify_server_name(&certificate, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if let Trust::Nothing = self.trust {
            return Ok(unauthenticated());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if let Trust::Nothing = self.trust {
            return Ok(unauthenticated());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A signature by a key that nobody vouches for proves nothing: whoever stands in between brings a
/// key of his own. Not looking at it lets in the version 1 certificates that `openssl x509 -req`
/// makes and many servers use.
fn unauthenticated() -> HandshakeSignatureValid {
    HandshakeSignatureValid::assertion()
}

#[cfg(test)]
mod tests {
    #[test]
    fn ciphers_have_the_names_that_servers_show() {
        for (suite, name) in [
            ("TLS13_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
            (
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "ECDHE-RSA-AES128-GCM-SHA256",
            ),
            (
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                "ECDHE-ECDSA-CHACHA20-POLY1305",
            ),
        ] {
            assert_eq!(super::openssl_name(suite), name);
        }
    }
}
