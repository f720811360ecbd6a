//! The server's own certificate authority and certificate. Refuses to sign anything later: the authority's key is
//! used by `init` and by a rebuild alone. Keys come from the operating system's generator, inside the TLS library.

use crate::AppError;
use base::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::net::IpAddr;
use std::time::Duration;

/// Names that every certificate is good for: devices on the server itself, and tests.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Clocks of devices that are behind must not find the certificate not yet valid.
const BACKDATED: Duration = Duration::from_secs(24 * 3_600);
/// Both certificates; devices pin the authority, so that its end is the end of the pin.
const VALID: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// The longest part of a host name between its dots, and the longest host name.
const LABEL_MAX: usize = 63;
const NAME_MAX: usize = 253;

/// Two certificates and their keys, as PEM text.
pub(crate) struct Certificates {
    pub(crate) ca: String,
    pub(crate) ca_key: String,
    pub(crate) server: String,
    pub(crate) server_key: String,
}

/// Makes a certificate for this machine and `names`, under this authority (its certificate and its key, as PEM) or a
/// new one.
///
/// # Errors
/// `name_invalid`: a name that is neither a host's nor an address; `certificate_damaged`: not an authority and its key.
pub(crate) fn issue(
    now: Timestamp,
    authority: Option<(&str, &str)>,
    names: &[String],
) -> Result<Certificates, AppError> {
    if let Some(name) = names.iter().find(|name| !fits(name)) {
        return Err(name_invalid(name));
    }
    let mut all: Vec<String> = OWN_NAMES.map(str::to_owned).into();
    all.extend(names.iter().filter(|name| !OWN_NAMES.contains(&name.as_str())).cloned());
    let mut server = CertificateParams::new(all).map_err(|_| name_invalid(&names.join(", ")))?;
    let mut ca = CertificateParams::default();
    for params in [&mut ca, &mut server] {
        let now = date_time_ymd(1970, 1, 1) + Duration::from_millis(now.as_ms().unsigned_abs());
        (params.not_before, params.not_after) = (now - BACKDATED, now + VALID);
        params.distinguished_name = DistinguishedName::new();
    }
    ca.distinguished_name.push(DnType::CommonName, "Holdfast certificate authority");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    server.distinguished_name.push(DnType::CommonName, "Holdfast server");
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;

    let server_key = KeyPair::generate().map_err(not_made)?;
    let (ca_pem, ca_key, server) = match authority {
        Some((ca_pem, key)) => {
            let ca_key = KeyPair::from_pem(key).map_err(|_| damaged())?;
            // Of the certificate, only what a signature under it says is needed again: its name.
            let server = server.signed_by(&server_key, &Issuer::from_params(&ca, &ca_key)).map_err(not_made)?;
            (ca_pem.to_owned(), ca_key, server)
        }
        None => {
            let ca_key = KeyPair::generate().map_err(not_made)?;
            let ca_pem = ca.self_signed(&ca_key).map_err(not_made)?.pem();
            let server = server.signed_by(&server_key, &Issuer::from_params(&ca, &ca_key)).map_err(not_made)?;
            (ca_pem, ca_key, server)
        }
    };
    Ok(Certificates {
        ca_key: ca_key.serialize_pem(),
        server: server.pem(),
        server_key: server_key.serialize_pem(),
        ca: ca_pem,
    })
}

/// Whether a device can look for this name in a certificate: an IP address, or a host name as DNS writes it.
fn fits(name: &str) -> bool {
    let label = |label: &str| {
        let plain = label.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-');
        plain && (1..=LABEL_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_dns = name.len() <= NAME_MAX && name.split('.').all(label);
    // Four numbers are an address or nothing: no host is called 10.0.0.256.
    let number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|letter| letter.is_ascii_digit()));
    name.parse::<IpAddr>().is_ok() || (is_dns && !number)
}

fn name_invalid(name: &str) -> AppError {
    let said = "is no name for the certificate: give a host name, such as backup.example.org, or an IP address";
    AppError::invalid("name_invalid", format!("\"{}\" {said}.", name.escape_debug()))
}

/// SHA-256 of the certificate in this PEM text: 64 hexadecimal digits.
///
/// # Errors
/// `certificate_damaged`.
pub(crate) fn fingerprint(pem: &str) -> Result<String, AppError> {
    let body = pem
        .split_once("-----BEGIN CERTIFICATE-----")
        .and_then(|(_, rest)| rest.split_once("-----END CERTIFICATE-----"))
        .map(|(body, _)| body.split_whitespace().collect::<String>());
    let der = body.and_then(|body| data_encoding::BASE64.decode(body.as_bytes()).ok());
    der.map(|der| hex_digest(&der)).ok_or_else(damaged)
}

fn damaged() -> AppError {
    AppError::damaged("certificate_damaged", "ca.pem does not hold a certificate.")
}

fn hex_digest(der: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, der).as_ref())
}

fn not_made(_: rcgen::Error) -> AppError {
    AppError::damaged("certificate_not_made", "The TLS library could not make a certificate.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_a_device_can_look_for() {
        let (longest, long) = ("a".repeat(63), "a".repeat(64));
        for name in [
            "backup",
            "backup.example.org",
            "B-1.example",
            "xn--hst-sna.example",
            "10.0.0.1",
            "fe80::1",
            "3com.example",
            &longest,
        ] {
            assert!(fits(name), "{name}");
        }
        let too_long = [longest.as_str(); 4].join(".");
        for name in [
            "",
            " ",
            "bad host!",
            "h\u{f6}st",
            "-a",
            "a-",
            "a..b",
            ".a",
            "a.",
            "a_b",
            "a/b",
            "a:1",
            "https://a",
            "[::1]",
            "*.example.org",
            "10.0.0.256",
            "10.0.0",
            "fe80::1%eth0",
            "a\n",
            &long,
            &too_long,
        ] {
            assert!(!fits(name), "{name:?}");
        }
        let error =
            issue(Timestamp::from_ms(0), None, &["good".to_owned(), "bad host!".to_owned()]).err().expect("refused");
        assert!(error.to_string().contains("\"bad host!\" is no name"), "{error}");
    }
}
