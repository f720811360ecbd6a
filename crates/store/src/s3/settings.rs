//! What an admin says about a bucket, checked before the first request.
//! Refuses HTTP without TLS to another computer, and texts that no server would take. No credential is a setting.

use crate::{Place, StoreError};
use base::{Bytes, Span};
use reqwest::Url;

/// The size of a part of a large object; S3 asks for at least 5 MiB, and all but the last are equal.
pub(super) const PART_BYTES: Bytes = Bytes::mib(8);
/// A prefix of this length and the longest name are well below the 1,024 bytes that S3 allows a key.
const PREFIX_BYTES_MAX: usize = 500;

/// Where a bucket is and how patiently its server is asked. `S3Settings::new` gives every default.
#[derive(Clone, Debug)]
pub struct S3Settings {
    /// The server's address, `https://s3.example.org` with a port if need be; empty for Amazon's in the region.
    pub endpoint: String,
    /// The region, which is part of every signature; default `us-east-1`, which servers without regions expect.
    pub region: String,
    /// The bucket, which must exist.
    pub bucket: String,
    /// What every key begins with, `backups/holdfast`; nobody else may write below it. Default empty: the bucket is
    /// the store's alone.
    pub prefix: String,
    /// Where in an address the bucket's name stands.
    pub addressing: Addressing,
    /// The certificates, in PEM form, of the only authorities that may vouch for the server; default none: those that
    /// the operating system trusts.
    pub authority_pem: Option<Vec<u8>>,
    /// Whether HTTP without TLS may go to another computer; default no. The contents are sealed, names and sizes are
    /// not, and whoever is between can remove objects' answers.
    pub plain_http_anywhere: bool,
    /// How long a request may be without an answer, or a body without a byte; default 30 s. A large body has 4 s a MiB
    /// beyond that.
    pub request_span: Span,
    /// How long after its beginning a request that failed is repeated, beyond the once that it always is; default 60 s.
    pub retry_span: Span,
    /// How often a request is repeated at most; default 12.
    pub retries_max: u32,
    /// How many requests are under way at once at most; default 64. The rest wait for their turn.
    pub requests_max: usize,
    /// Objects above this size go in parts, if the server can complete parts only where no object is; default 32 MiB.
    pub whole_bytes_max: Bytes,
}

/// Where in an address the bucket's name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// First in the path: `https://s3.example.org/bucket/key`. Most servers of one's own.
    Path,
    /// Before the server's name: `https://bucket.s3.example.org/key`. Amazon, and servers with such names in their DNS.
    Name,
}

impl S3Settings {
    /// The defaults for a bucket: Amazon's in `us-east-1`, no prefix. Never fails.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            endpoint: String::new(),
            region: "us-east-1".to_owned(),
            bucket: bucket.into(),
            prefix: String::new(),
            addressing: Addressing::Name,
            authority_pem: None,
            plain_http_anywhere: false,
            request_span: Span::seconds(30),
            retry_span: Span::seconds(60),
            retries_max: 12,
            requests_max: 64,
            whole_bytes_max: Bytes::mib(32),
        }
    }

    /// The addresses and the prefix that follow from the settings.
    ///
    /// # Errors
    /// `Setting` for the first that cannot be used.
    pub(super) fn checked(&self) -> Result<Checked, StoreError> {
        let refused = |setting, rule: &str| Err(StoreError::Setting { setting, rule: rule.to_owned() });
        let plain = |text: &str, more: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || more.contains(char::from(byte)))
        };
        if self.region.is_empty() || !plain(&self.region, "-_") {
            return refused("region", "it is not of the form us-east-1");
        }
        if !(3..=63).contains(&self.bucket.len()) || !plain(&self.bucket, "-.") {
            return refused("bucket", "a bucket has a name of 3 to 63 of the letters a-z 0-9 - .");
        }
        if self.requests_max == 0 {
            return refused("requests_max", "no request could ever be sent");
        }
        if self.request_span == Span::ZERO {
            return refused("request_span", "no answer could ever come in time");
        }
        let prefix = checked_prefix(&self.prefix)?;
        let url = self.server_url()?;
        let endpoint = url.as_str().trim_end_matches('/').to_owned();
        let bucket_url = match self.addressing {
            Addressing::Path => format!("{endpoint}/{}", self.bucket),
            Addressing::Name => self.named_url(&url)?.as_str().trim_end_matches('/').to_owned(),
        };
        let place = Place::Bucket { endpoint, bucket: self.bucket.clone(), prefix: prefix.clone() };
        let is_plain = url.scheme() == "http";
        Ok(Checked { bucket_url, is_plain, prefix, place })
    }

    fn server_url(&self) -> Result<Url, StoreError> {
        let refused = |rule: String| StoreError::Setting { setting: "endpoint", rule };
        let text = match self.endpoint.trim() {
            "" => format!("https://s3.{}.amazonaws.com", self.region),
            text => text.to_owned(),
        };
        // The text is not repeated: somebody may have written a password into it.
        let url = Url::parse(&text)
            .map_err(|error| refused(format!("it is no address such as https://s3.example.org ({error})")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("it has a name or password in it: credentials are no part of the address".to_owned()));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("nothing may follow the server's name and port".to_owned()));
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.plain_http_anywhere || is_loopback(&url) => Ok(url),
            "http" => {
                let rule =
                    "HTTP without TLS goes to this computer only: write https, or allow plain HTTP by its setting";
                Err(refused(rule.to_owned()))
            }
            scheme => Err(refused(format!("it begins with {scheme}, neither with https nor with http"))),
        }
    }

    /// The address with the bucket before the server's name.
    fn named_url(&self, url: &Url) -> Result<Url, StoreError> {
        let rule = "a bucket's name cannot stand before this address: use the addressing by path";
        let refused = || StoreError::Setting { setting: "addressing", rule: rule.to_owned() };
        let server = url.domain().ok_or_else(refused)?;
        let mut named = url.clone();
        named.set_host(Some(&format!("{}.{server}", self.bucket))).map_err(|_| refused())?;
        Ok(named)
    }
}

/// What follows from the settings.
#[derive(Debug)]
pub(super) struct Checked {
    /// Scheme, server and bucket, to which a slash and a key are added.
    pub bucket_url: String,
    /// HTTP without TLS.
    pub is_plain: bool,
    /// Empty, or ends with a slash.
    pub prefix: String,
    pub place: Place,
}

fn checked_prefix(text: &str) -> Result<String, StoreError> {
    let trimmed = text.trim_matches('/');
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/');
    let whole = |component: &str| !component.is_empty() && !component.chars().all(|letter| letter == '.');
    if trimmed.is_empty() {
        return Ok(String::new());
    }
    if trimmed.len() > PREFIX_BYTES_MAX || !trimmed.bytes().all(known) || !trimmed.split('/').all(whole) {
        let rule = "it is longer than 500 bytes, or has letters outside A-Z a-z 0-9 _ . - /, or an empty component";
        return Err(StoreError::Setting { setting: "prefix", rule: rule.to_owned() });
    }
    Ok(format!("{trimmed}/"))
}

/// Whether the address leads to this very computer.
pub(super) fn is_loopback(url: &Url) -> bool {
    let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let address: Option<std::net::IpAddr> = name.parse().ok();
    address.is_some_and(|address| address.is_loopback()) || is_local_name(name)
}

/// Whether the name is `localhost` or one below it, which always is this computer (RFC 6761, 6.3).
pub(super) fn is_local_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(change: impl FnOnce(&mut S3Settings)) -> Result<Checked, String> {
        let mut settings = S3Settings { addressing: Addressing::Path, ..S3Settings::new("backups") };
        change(&mut settings);
        settings.checked().map_err(|error| {
            assert_eq!(error.kind(), base::Kind::Invalid);
            error.to_string()
        })
    }

    #[test]
    fn addresses_and_prefixes_follow_from_the_settings() {
        let plain = checked(|_| ()).expect("the defaults");
        assert_eq!(
            (plain.bucket_url.as_str(), plain.prefix.as_str()),
            ("https://s3.us-east-1.amazonaws.com/backups", "")
        );
        let named = checked(|settings| {
            settings.endpoint = "https://s3.example.org:9000/".to_owned();
            settings.addressing = Addressing::Name;
            settings.prefix = "/a/B_1/".to_owned();
        });
        let named = named.expect("plain settings");
        assert_eq!((named.bucket_url.as_str(), named.is_plain), ("https://backups.s3.example.org:9000", false));
        assert_eq!(named.place.to_string(), "the part a/B_1/ of the bucket backups at https://s3.example.org:9000");
    }

    #[test]
    fn http_without_tls_goes_to_this_computer_only_unless_it_is_allowed() {
        for endpoint in ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost", "http://s3.localhost:1"] {
            assert!(checked(|settings| settings.endpoint = endpoint.to_owned()).expect(endpoint).is_plain);
        }
        for endpoint in ["http://10.0.0.1", "http://s3.example.org", "http://localhost.example.org"] {
            let error = checked(|settings| settings.endpoint = endpoint.to_owned()).expect_err(endpoint);
            assert!(error.contains("this computer only"), "{error}");
        }
        let allowed = checked(|settings| {
            settings.endpoint = "http://s3.example.org".to_owned();
            settings.plain_http_anywhere = true;
        });
        assert!(allowed.expect("it is allowed").is_plain);
    }

    #[test]
    fn what_no_server_takes_is_refused_by_name_and_without_a_password() {
        type Change = fn(&mut S3Settings);
        let rows: [(Change, &str); 9] = [
            (|settings| settings.bucket = "no".to_owned(), "setting bucket"),
            (|settings| settings.bucket = "Backups".to_owned(), "setting bucket"),
            (|settings| settings.region = String::new(), "setting region"),
            (|settings| settings.prefix = "a//b".to_owned(), "setting prefix"),
            (|settings| settings.prefix = "a/../b".to_owned(), "setting prefix"),
            (|settings| settings.endpoint = "s3.example.org".to_owned(), "setting endpoint"),
            (|settings| settings.endpoint = "https://me:hunter2@s3.example.org".to_owned(), "name or password"),
            (|settings| settings.endpoint = "https://s3.example.org/base".to_owned(), "nothing may follow"),
            (
                |settings| {
                    settings.endpoint = "http://127.0.0.1:9".to_owned();
                    settings.addressing = Addressing::Name;
                },
                "addressing by path",
            ),
        ];
        for (change, sentence) in rows {
            let error = checked(change).expect_err(sentence);
            assert!(error.contains(sentence) && !error.contains("hunter2"), "{sentence}: {error}");
        }
    }
}
