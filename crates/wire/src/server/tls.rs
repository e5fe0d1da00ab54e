//! TLS of an endpoint.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::Error;
use crate::tls::{certificates, failed};

/// A certificate and its key.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

impl ServerTls {
    /// Certificate (with its chain) and key from PEM files.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|source| failed(format!("read the key {}", key.display()), source))?;
        Self::new(chain, key)
    }

    /// A certificate made now, for the names and addresses `names`. Nobody vouches for it, like for
    /// the one that a server makes for itself: it keeps out who only listens.
    pub fn self_signed(names: Vec<String>) -> Result<Self, Error> {
        let made = rcgen::generate_simple_self_signed(names)
            .map_err(|source| failed("make a certificate", source))?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Self::new(vec![made.cert.der().clone()], key.into())
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| failed("prepare the server", source))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|source| failed("use the certificate and the key", source))?;
        Ok(Self(Arc::new(config)))
    }

    pub(super) fn connection(&self) -> Result<ServerConnection, Error> {
        ServerConnection::new(Arc::clone(&self.0))
            .map_err(|source| failed("prepare the server", source))
    }
}
