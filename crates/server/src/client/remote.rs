//! The admin API of a server over HTTPS, with a credential. Refuses every certificate but the pinned one, redirects,
//! and to ask twice for one change: a request that is repeated because no answer came bears the same key.

use super::{Call, Pieces, refused, whole};
use crate::admin::once::KEY;
use crate::out::Failure;
use base::{Clock, Entropy, Span};
use data_encoding::HEXLOWER;
use futures::{StreamExt as _, TryStreamExt as _};
use pin::{Pin, Refused};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method, Url};
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

/// How long the server may take to accept a connection.
const CONNECT_SPAN: Duration = Duration::from_secs(10);
/// How long the server may take with the next piece of its answer.
const READ_SPAN: Duration = Duration::from_secs(15 * 60);
/// How often a request is sent at the most, when no answer comes.
const ATTEMPTS: u32 = 3;
const ATTEMPT_GAP: Span = Span::seconds(1);
/// How often it is asked again for the answer to an attempt that is still being carried out.
const IN_PROGRESS_WAITS: u32 = 60;
const UNREACHABLE: &str = "server_unreachable";
/// The server's word for that: `Refusal::IdempotencyInProgress`.
const IN_PROGRESS: &str = "idempotency_in_progress";
/// The largest refusal that is read.
const PROBLEM_BYTES_MAX: usize = 64 << 10;

/// A server, and the credential to be presented there.
pub(crate) struct Remote {
    client: Client,
    base: Url,
    credential: String,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Remote {
    /// A client of the server at `url`.
    ///
    /// # Errors
    /// `url_invalid`, `ca_invalid`.
    pub(crate) fn new(
        url: &str,
        pin: &Pin,
        credential: String,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Failure> {
        let base = checked_url(url)?;
        let invalid = || Failure::new("ca_invalid", "The file given with --ca holds no certificate that can be used.");
        let mut builder = Client::builder()
            .tls_backend_preconfigured(pin::client_config(Some(pin), Refused::default()).ok_or_else(invalid)?)
            .https_only(true)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_SPAN)
            .read_timeout(READ_SPAN)
            .user_agent(concat!("holdfast-server/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base) {
            // No proxy has a way to this computer's own loopback.
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| Failure::new("url_invalid", error.to_string()))?;
        Ok(Self { client, base, credential, clock, entropy })
    }

    /// Carries a request out. The answer comes piece by piece: one that breaks off is not asked for again.
    ///
    /// # Errors
    /// The server's refusal; `server_unreachable`, `certificate_mismatch`.
    pub(crate) async fn send(&self, call: Call) -> Result<Pieces, Failure> {
        self.asked(&call, async |pieces| Ok(pieces)).await
    }

    /// Carries a request out. An answer that breaks off is asked for again, too.
    ///
    /// # Errors
    /// As `send`.
    pub(crate) async fn whole(&self, call: Call) -> Result<Vec<u8>, Failure> {
        self.asked(&call, whole).await
    }

    /// Asks, and again when no answer came, with the one key of this request: it is carried out once.
    async fn asked<T>(&self, call: &Call, read: impl AsyncFn(Pieces) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut key = [0; 16];
        self.entropy.fill(&mut key);
        let key = HEXLOWER.encode(&key);
        let (mut lost, mut waited) = (0, 0);
        loop {
            let failure = match self.attempt(call, &key).await {
                Ok(response) => match self.answered(response).await {
                    Ok(pieces) => match read(pieces).await {
                        Ok(answer) => return Ok(answer),
                        Err(failure) => failure,
                    },
                    Err(failure) => failure,
                },
                // It never got there, and will not with the next attempt either.
                Err(error) if error.is_connect() || error.is_builder() => return Err(self.unreachable(&error)),
                Err(error) => self.unreachable(&error),
            };
            match failure.code.as_str() {
                UNREACHABLE if lost + 1 < ATTEMPTS => lost += 1,
                // The first attempt is still being carried out: its answer is the one to wait for.
                IN_PROGRESS if lost > 0 && waited < IN_PROGRESS_WAITS => waited += 1,
                _ => return Err(failure),
            }
            tracing::debug!("no answer, asking again: {}", failure.sentence);
            self.clock.sleep(ATTEMPT_GAP).await;
        }
    }

    async fn attempt(&self, call: &Call, key: &str) -> Result<reqwest::Response, reqwest::Error> {
        let Call { method, path, media, body } = call;
        let method: Method = method.parse().expect("the commands' methods are some");
        let url = self.base.join(path).expect("paths are encoded");
        let mut request = self.client.request(method.clone(), url).header(AUTHORIZATION, self.bearer());
        if method != Method::GET {
            request = request.header(CONTENT_TYPE, *media).header(KEY.as_str(), key).body(body.clone());
        }
        request.send().await
    }

    async fn answered(&self, response: reqwest::Response) -> Result<Pieces, Failure> {
        let status = response.status();
        let server = self.server();
        let broke = move |error: reqwest::Error| broken_off(&server, &error);
        let mut pieces = response.bytes_stream().map_err(broke).boxed();
        if status.is_success() {
            return Ok(pieces);
        }
        let mut body = Vec::new();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece?);
            if body.len() > PROBLEM_BYTES_MAX {
                break;
            }
        }
        Err(refused(status.as_u16(), &body))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.credential)
    }

    fn server(&self) -> String {
        self.base.authority().to_owned()
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let chain = causes(error);
        if chain.contains("certificate") {
            let sentence = format!(
                "The certificate of {} is not the pinned one: somebody is in the way, or the server was set up anew. \
                 Compare with `holdfast-server fingerprint` there.",
                self.server()
            );
            return Failure::new("certificate_mismatch", sentence);
        }
        let sentence = format!(
            "No answer from {}: is it running, is the address right, is a proxy needed? ({chain})",
            self.server()
        );
        Failure::new(UNREACHABLE, sentence)
    }
}

fn broken_off(server: &str, error: &reqwest::Error) -> Failure {
    Failure::new(UNREACHABLE, format!("The answer of {server} broke off ({}).", causes(error)))
}

fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

/// The address of a server, brought to its one form.
///
/// # Errors
/// `url_invalid`.
fn checked_url(text: &str) -> Result<Url, Failure> {
    let text = text.trim();
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let invalid = || {
        let shown = text.escape_debug();
        Failure::new("url_invalid", format!("\"{shown}\" is no address like https://backup.example.com:8471."))
    };
    let url = Url::parse(&whole).map_err(|_| invalid())?;
    let plain = url.scheme() == "https"
        && !url.authority().is_empty()
        && !url.authority().contains('@')
        && url.path() == "/"
        && url.query().is_none();
    if plain { Ok(url) } else { Err(invalid()) }
}

fn is_loopback(url: &Url) -> bool {
    let address = url.authority();
    let name = address.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(address, |(name, _)| name);
    name == "localhost" || name == "[::1]" || name.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_brought_to_one_form_or_refused() {
        let good = [
            ("https://backup.example.com:8471", "https://backup.example.com:8471/"),
            ("backup.example.com:8471", "https://backup.example.com:8471/"),
            (" https://[::1]:8471 ", "https://[::1]:8471/"),
        ];
        for (text, url) in good {
            assert_eq!(checked_url(text).expect(text).as_str(), url);
        }
        for text in ["", "http://a", "https://", "https://a:b@c", "https://a?b=c", "https://a/b", "https://a:99999"] {
            assert_eq!(checked_url(text).expect_err(text).code, "url_invalid", "{text}");
        }
    }
}
