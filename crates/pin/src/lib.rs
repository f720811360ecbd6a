//! TLS 1.3 with the server's certificate pinned, for every client of a server: by the authority that issued it, or by a
//! fingerprint, which is that of the authority (it comes along in the handshake) or of the certificate itself.
//! Refuses every other certificate, the system's authorities included, and remembers who showed it.

use data_encoding::{BASE64, HEXLOWER};
use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, version};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What a server's certificate must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Issued by one of these authorities: certificates in PEM.
    Ca(String),
    /// This very certificate, or one issued by it: SHA-256 of its bytes.
    Fingerprint([u8; 32]),
}

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
pub type Refused = Arc<Mutex<Option<Stranger>>>;

/// The settings for a client of the server with this pin; without one, every certificate is refused and remembered.
/// `None` when the pin holds no certificate that can be used. Never fails otherwise.
pub fn client_config(pin: Option<&Pin>, refused: Refused) -> Option<ClientConfig> {
    config(pin, refused, None)
}

/// The same for thousands of clients in one process, each with handshakes of its own: nothing is resumed, and a
/// certificate that was verified once is compared after that instead of being verified again, because verifying it is
/// each client's own work and no load on the server.
pub fn client_config_of_many(pin: &Pin) -> Option<ClientConfig> {
    let mut config = config(Some(pin), Refused::default(), Some(OnceLock::new()))?;
    config.resumption = Resumption::disabled();
    Some(config)
}

fn config(
    pin: Option<&Pin>,
    refused: Refused,
    seen: Option<OnceLock<CertificateDer<'static>>>,
) -> Option<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let rule = rule(pin, &provider)?;
    let algorithms = provider.signature_verification_algorithms;
    let verifier = Arc::new(Pinned { rule, algorithms, refused, seen });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .expect("the provider has the suites of TLS 1.3");
    let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Some(config)
}

fn rule(pin: Option<&Pin>, provider: &Arc<CryptoProvider>) -> Option<Rule> {
    Some(match pin {
        Some(Pin::Ca(pem)) => Rule::Issued(issued_by(certificates_in(pem), provider)?),
        Some(Pin::Fingerprint(sha256)) => Rule::Very(*sha256, Arc::clone(provider)),
        None => Rule::Nothing,
    })
}

/// A fingerprint as `holdfast-server fingerprint` shows it: 64 hexadecimal digits. Never fails.
pub fn fingerprint_text(sha256: &[u8; 32]) -> String {
    HEXLOWER.encode(sha256)
}

/// The fingerprint in a text of 64 hexadecimal digits, with or without colons or spaces, in either case; `None` for
/// anything else. Never fails otherwise.
pub fn fingerprint_from_text(text: &str) -> Option<[u8; 32]> {
    let digits: String = text.chars().filter(|letter| !matches!(letter, ':' | ' ')).collect();
    let digits = digits.to_ascii_lowercase();
    let digits = digits.strip_prefix("sha256").unwrap_or(&digits);
    HEXLOWER.decode(digits.as_bytes()).ok()?.try_into().ok()
}

/// The certificates in a PEM text, whatever else stands in it.
fn certificates_in(pem: &str) -> Vec<CertificateDer<'static>> {
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
fn fingerprint(certificate: &[u8]) -> [u8; 32] {
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
    /// What was verified, where that is remembered.
    seen: Option<OnceLock<CertificateDer<'static>>>,
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
        if self.seen.as_ref().and_then(OnceLock::get).is_some_and(|seen| seen == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
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
        if let (Some(seen), Ok(_)) = (&self.seen, &verified) {
            // Another thread may have been first; it has seen the same.
            let _ = seen.set(end_entity.clone().into_owned());
        }
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
    fn fingerprints_are_read_as_people_copy_them() {
        let text = fingerprint_text(&[0xab; 32]);
        assert_eq!(text, "ab".repeat(32));
        let pairs = ["AB"; 32].join(":");
        for text in [text.clone(), text.to_uppercase(), pairs.clone(), format!("SHA256:{pairs}"), format!(" {text}")] {
            assert_eq!(fingerprint_from_text(&text), Some([0xab; 32]), "{text}");
        }
        for text in ["", "ab", &text[..62], &text.replace('a', "g")] {
            assert_eq!(fingerprint_from_text(text), None, "{text}");
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

    /// An authority and a certificate that it has issued for `name`.
    fn issued(name: &str) -> (CertificateDer<'static>, CertificateDer<'static>, String) {
        let ca_key = rcgen::KeyPair::generate().expect("a key");
        let mut ca = rcgen::CertificateParams::new(vec![]).expect("parameters");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = ca.self_signed(&ca_key).expect("a certificate");
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().expect("a key");
        let leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
        (certificate.der().clone(), leaf.der().clone(), certificate.pem())
    }

    fn pinned(pin: Option<&Pin>, seen: bool) -> Pinned {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let rule = rule(pin, &provider).expect("a pin");
        let seen = seen.then(OnceLock::new);
        Pinned { rule, algorithms: provider.signature_verification_algorithms, refused: Refused::default(), seen }
    }

    fn takes(pinned: &Pinned, leaf: &CertificateDer<'_>, chain: &[CertificateDer<'_>], name: &str) -> bool {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        pinned.verify_server_cert(leaf, chain, &name, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn only_what_was_pinned_is_taken_and_a_stranger_is_remembered() {
        let (ca, leaf, pem) = issued("backup.example.org");
        let (other_ca, other, _) = issued("backup.example.org");
        let pins = [
            (Pin::Ca(pem.clone()), true, false),
            (Pin::Fingerprint(fingerprint(&ca)), true, false),
            // The certificate itself is known whatever it is called.
            (Pin::Fingerprint(fingerprint(&leaf)), true, true),
            (Pin::Fingerprint(fingerprint(&other_ca)), false, false),
        ];
        for (pin, by_name, by_other_name) in pins {
            let pinned = pinned(Some(&pin), false);
            let chain = [ca.clone()];
            assert_eq!(takes(&pinned, &leaf, &chain, "backup.example.org"), by_name, "{pin:?}");
            assert_eq!(takes(&pinned, &leaf, &chain, "elsewhere.example.org"), by_other_name, "{pin:?}");
            assert_eq!(pinned.refused.lock().expect("free").is_some(), !by_name || !by_other_name);
        }
        let by_authority = pinned(Some(&Pin::Ca(pem)), false);
        assert!(!takes(&by_authority, &other, &[other_ca], "backup.example.org"));
        assert!(!takes(&pinned(None, false), &leaf, &[ca], "backup.example.org"));
    }

    #[test]
    fn a_process_of_many_clients_verifies_once_and_takes_no_other_certificate() {
        let (ca, leaf, pem) = issued("backup.example.org");
        let (other_ca, other, _) = issued("backup.example.org");
        let many = pinned(Some(&Pin::Ca(pem)), true);
        assert!(
            !takes(&many, &other, std::slice::from_ref(&other_ca), "backup.example.org"),
            "a stranger is not remembered"
        );
        assert!(takes(&many, &leaf, &[ca], "backup.example.org"));
        assert!(takes(&many, &leaf, &[], "elsewhere.example.org"), "it is compared, not verified");
        assert!(!takes(&many, &other, &[other_ca], "backup.example.org"));
    }
}
