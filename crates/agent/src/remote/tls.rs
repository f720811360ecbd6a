//! TLS 1.3 with the server's certificate pinned: by the authority that issued it, or by a fingerprint, which is that
//! of the authority (it comes along in the handshake) or of the certificate itself.
//! Refuses every other certificate, the system's authorities included, and remembers who showed it.

use crate::state::Pin;
use data_encoding::BASE64;
use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, version};
use std::sync::{Arc, Mutex, PoisonError};

/// What a refused certificate said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// SHA-256 of the authority's certificate where it came along, else of the server's: what an admin can compare.
    pub fingerprint: [u8; 32],
    /// Who it says has issued it; empty where it does not say.
    pub issuer: String,
    /// Why it was refused, as a phrase: `it has expired`.
    pub reason: &'static str,
}

/// The certificate that was refused last.
pub(super) type Refused = Arc<Mutex<Option<Stranger>>>;

/// The settings for a client of the server with this pin; without one, every certificate is refused and remembered.
/// `None` when the pin holds no certificate that can be used. Never fails otherwise.
pub(super) fn client_config(pin: Option<&Pin>, refused: Refused) -> Option<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let rule = match pin {
        Some(Pin::Ca(pem)) => Rule::Issued(issued_by(certificates_in(pem), &provider)?),
        Some(Pin::Fingerprint(sha256)) => Rule::Very(*sha256, Arc::clone(&provider)),
        None => Rule::Nothing,
    };
    let algorithms = provider.signature_verification_algorithms;
    let verifier = Arc::new(Pinned { rule, algorithms, refused });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .expect("the provider has the suites of TLS 1.3");
    let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Some(config)
}

/// How many certificates a PEM text holds that an authority could have. Never fails.
pub(super) fn certificates_in(pem: &str) -> Vec<CertificateDer<'static>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let bodies = pem.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END).map(|(body, _)| body));
    let decoded = bodies.filter_map(|body| {
        let letters: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        BASE64.decode(&letters).ok()
    });
    decoded.map(CertificateDer::from).collect()
}

/// SHA-256 of a certificate. Never fails.
pub(super) fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    digest(&SHA256, certificate).as_ref().try_into().expect("SHA-256 has 32 bytes")
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

#[derive(Debug)]
enum Rule {
    /// Issued by the pinned authority, for this server's name, and not expired.
    Issued(Arc<WebPkiServerVerifier>),
    /// The pinned certificate itself, and then name and dates say nothing more; or issued by it.
    Very([u8; 32], Arc<CryptoProvider>),
    Nothing,
}

#[derive(Debug)]
struct Pinned {
    rule: Rule,
    algorithms: WebPkiSupportedAlgorithms,
    refused: Refused,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let issued = |rule: &WebPkiServerVerifier| {
            rule.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let stranger = || Err(CertificateError::ApplicationVerificationFailure.into());
        let verified = match &self.rule {
            Rule::Issued(rule) => issued(rule),
            Rule::Very(pinned, _) if *pinned == fingerprint(end_entity) => Ok(ServerCertVerified::assertion()),
            Rule::Very(pinned, provider) => {
                let authority = intermediates.iter().find(|certificate| fingerprint(certificate) == *pinned);
                let rule = authority.and_then(|found| issued_by(vec![found.clone().into_owned()], provider));
                rule.map_or_else(stranger, |rule| issued(&rule))
            }
            Rule::Nothing => stranger(),
        };
        verified.inspect_err(|error| {
            let compared = intermediates.last().unwrap_or(end_entity);
            let stranger =
                Stranger { fingerprint: fingerprint(compared), issuer: issuer(end_entity), reason: reason(error) };
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(stranger);
        })
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
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn reason(error: &Error) -> &'static str {
    use CertificateError::{Expired, ExpiredContext, NotValidForName, NotValidForNameContext};
    use CertificateError::{NotValidYet, NotValidYetContext};
    match error {
        Error::InvalidCertificate(Expired | ExpiredContext { .. }) => "it has expired",
        Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            "it is not valid yet by this computer's clock"
        }
        Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "it was issued for another address"
        }
        _ => "it is not the one that was pinned",
    }
}

/// The common name of whoever a certificate says has issued it: the issuer stands before the subject, so the first
/// common name is the issuer's. For a sentence to a person, and nothing else: nothing here is trusted.
fn issuer(certificate: &[u8]) -> String {
    const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
    const NAME_BYTES_MAX: u8 = 64;
    let found = certificate.windows(COMMON_NAME.len()).position(|window| window == COMMON_NAME);
    let rest = found.map_or(&[][..], |at| &certificate[at + COMMON_NAME.len()..]);
    let [_kind, len, text @ ..] = rest else { return String::new() };
    let text = text.get(..usize::from((*len).min(NAME_BYTES_MAX))).unwrap_or_default();
    String::from_utf8_lossy(text).chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_found_in_a_text_with_anything_around_them() {
        let one = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(b"not one"));
        assert_eq!(certificates_in(&format!("a comment\n{one}{one}")).len(), 2);
        for text in ["", "-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----"] {
            assert_eq!(certificates_in(text), [], "{text}");
        }
    }

    #[test]
    fn a_pin_without_a_certificate_is_no_pin() {
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(b"not one"));
        for pem in ["", pem.as_str()] {
            assert!(client_config(Some(&Pin::Ca(pem.to_owned())), Refused::default()).is_none());
        }
    }

    #[test]
    fn the_issuer_of_a_broken_certificate_is_nobody() {
        let cases: [&[u8]; 4] = [b"", &[0x06, 0x03, 0x55, 0x04, 0x03], &[0x06, 0x03, 0x55, 0x04, 0x03, 0x0c], b"x"];
        for bytes in cases {
            assert_eq!(issuer(bytes), "");
        }
        let named = [&[0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x04][..], b"Anna", b"rest"].concat();
        assert_eq!(issuer(&named), "Anna");
        let short = [&[0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x40][..], b"Anna"].concat();
        assert_eq!(issuer(&short), "");
    }
}
