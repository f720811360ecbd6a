//! TLS 1.3 with the server's certificate pinned, for the commands: by the authority that issued it, or by a
//! fingerprint, which is that of the authority or of the certificate itself. Refuses the system's authorities.

use super::Pin;
use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, version};
use std::sync::Arc;

/// The settings for a client of the server with this pin; `None` when it holds no certificate that can be used.
/// Never fails otherwise.
pub(super) fn client_config(pin: &Pin) -> Option<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&version::TLS13])
        .expect("the provider has the suites of TLS 1.3");
    let config = match pin {
        Pin::Ca(pem) => {
            let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().ok()?;
            builder.with_webpki_verifier(issued_by(certificates, &provider)?).with_no_client_auth()
        }
        Pin::Fingerprint(sha256) => {
            let verifier = Arc::new(Very { sha256: *sha256, provider });
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
    };
    Some(config)
}

fn issued_by(
    authorities: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots.add(certificate).ok()?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}

/// The pinned certificate itself, and then name and dates say nothing more; or one issued by it.
#[derive(Debug)]
struct Very {
    sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl Very {
    fn is(&self, certificate: &CertificateDer<'_>) -> bool {
        digest(&SHA256, certificate).as_ref() == self.sha256
    }
}

impl ServerCertVerifier for Very {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.is(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let authority = intermediates.iter().find(|certificate| self.is(certificate));
        let rule = authority.and_then(|found| issued_by(vec![found.clone().into_owned()], &self.provider));
        let stranger = || CertificateError::ApplicationVerificationFailure;
        rule.ok_or_else(stranger)?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
