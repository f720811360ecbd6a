//! TLS for the listener: version 1.3 only, by rustls with ring. Refuses older versions and everything but HTTP/1.1.

use app::init::TlsFiles;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// Why the certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// `server.pem`, `ca.pem` or `keys/server.key` is not what it must be.
    #[error("the certificate or its key is not in PEM form")]
    Pem {
        /// What the reader met.
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// The two do not belong together, or the library does not take them.
    #[error("the certificate does not fit its key")]
    Certificate {
        /// What the library says.
        #[source]
        cause: rustls::Error,
    },
}

/// The listener's TLS with these files.
///
/// # Errors
/// Files that are not PEM, or do not belong together.
pub(crate) fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let pem = |cause| TlsError::Pem { cause };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(files.chain.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(files.key.as_bytes()).map_err(pem)?;
    let certificate = |cause| TlsError::Certificate { cause };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(certificate)?
        .with_no_client_auth()
        .with_single_cert(chain.map_err(pem)?, key)
        .map_err(certificate)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A device opens one connection and keeps it: a ticket would cost two more sealings and a write for each, and what
    // is remembered for it memory.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(Arc::new(config))
}
