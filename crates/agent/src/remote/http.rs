//! One request and its answer over HTTP/1.1 and TLS. Turns what goes wrong into the code and the sentence that a
//! person reads, and says whether another attempt may help. Refuses redirects and answers without end.

use super::retry::Failed;
use crate::error::AgentError;
use crate::state::{Pin, fingerprint_text};
use base::{Kind, Retry, Span};
use bytes::{Bytes, BytesMut};
use engine::{Progress, RemoteError};
use futures::stream;
use pin::{Refused, Stranger};
use protocol::Problem;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, Method, Response, StatusCode, Url};
use std::convert::Infallible;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long an idle connection is kept: less than the server does, so as not to write into one that it closes.
const IDLE_SPAN: Duration = Duration::from_secs(30);
/// How long the server may take to accept a connection.
const CONNECT_SPAN: Duration = Duration::from_secs(10);
/// Bodies are handed to the connection in slices of this size, so that progress moves and nothing is copied.
const SLICE_BYTES: usize = 256 << 10;
/// The largest answer that is read whole.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// The largest refusal that is read.
const PROBLEM_BYTES_MAX: usize = 64 << 10;

/// A client of one server.
pub(super) struct Http {
    client: Client,
    base: String,
    /// What people call the server: its name, and the port where it is not the usual one.
    server: String,
    refused: Refused,
    /// Of the last "no".
    asked_to_wait: Mutex<Option<Span>>,
}

/// One request; cheap to clone and to repeat.
#[derive(Clone)]
pub(super) struct Call {
    pub method: Method,
    /// Beginning with a slash.
    pub path: String,
    pub body: Bytes,
    pub content: &'static str,
    /// How long the whole exchange may take.
    pub span: Span,
}

impl Http {
    /// A client of the server at `url`, which must have this certificate.
    ///
    /// # Errors
    /// `url_invalid`, `ca_invalid`.
    pub fn new(url: &str, pin: Option<&Pin>) -> Result<Self, AgentError> {
        let url = checked_url(url)?;
        let server = url.authority().to_owned();
        let refused = Refused::default();
        let Some(config) = pin::client_config(pin, Arc::clone(&refused)) else {
            let sentence = "the file given with --ca holds no certificate of an authority that can be used";
            return Err(AgentError::usage("ca_invalid", sentence));
        };
        let mut builder = Client::builder()
            .tls_backend_preconfigured(config)
            .https_only(true)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_SPAN)
            .tcp_nodelay(true)
            .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")))
            .pool_idle_timeout(IDLE_SPAN);
        if is_loopback(&url) {
            // No proxy has a way to this computer's own loopback.
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| AgentError::usage("url_invalid", error.to_string()))?;
        Ok(Self {
            client,
            base: url.as_str().trim_end_matches('/').to_owned(),
            server,
            refused,
            asked_to_wait: Mutex::default(),
        })
    }

    /// Takes out what the last refused certificate said of itself. Never fails.
    pub fn take_stranger(&self) -> Option<Stranger> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How long the server has asked to wait, in its last "no". Never fails.
    pub fn asked_to_wait(&self) -> Option<Span> {
        *self.asked_to_wait.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request; an answer of success, its body not read yet. Counts the bytes of the body as they leave.
    ///
    /// # Errors
    /// No answer, or the server's refusal.
    pub async fn send(&self, call: &Call, bearer: Option<&str>, meter: &Arc<Progress>) -> Result<Response, Failed> {
        let mut request = self.client.request(call.method.clone(), format!("{}{}", self.base, call.path));
        request = request.timeout(call.span.as_duration());
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {bearer}"));
        }
        if call.method != Method::GET {
            request = request
                .header(CONTENT_TYPE, call.content)
                .header(CONTENT_LENGTH, call.body.len())
                .body(metered(call.body.clone(), Arc::clone(meter)));
        }
        tracing::debug!("asking {} {} with {} bytes", call.method, call.path, call.body.len());
        let response = request.send().await.map_err(|error| self.no_answer(&error))?;
        tracing::debug!("answered {} {}: {}", call.method, call.path, response.status());
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response, meter).await) }
    }

    /// The whole body of an answer. Counts its bytes.
    ///
    /// # Errors
    /// The connection breaks, or the answer has no end.
    pub async fn read(&self, response: Response, meter: &Progress) -> Result<Bytes, Failed> {
        self.read_up_to(response, ANSWER_BYTES_MAX, meter).await
    }

    /// The next bytes of an answer; `None` at its end. Counts them.
    ///
    /// # Errors
    /// The connection breaks.
    pub async fn read_some(&self, response: &mut Response, meter: &Progress) -> Result<Option<Bytes>, Failed> {
        let bytes = response.chunk().await.map_err(|error| self.no_answer(&error))?;
        meter.add_bytes_fetched(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64));
        Ok(bytes)
    }

    /// The error for an answer that does not fit the question. Never fails.
    pub fn damaged(&self, why: &str) -> RemoteError {
        let sentence = format!("the answer of {} cannot be understood ({why}): is it a Holdfast server?", self.server);
        RemoteError::new("answer_damaged", sentence, Kind::Damaged)
    }

    async fn read_up_to(&self, mut response: Response, max: usize, meter: &Progress) -> Result<Bytes, Failed> {
        let mut whole = BytesMut::new();
        while let Some(bytes) = self.read_some(&mut response, meter).await? {
            if whole.len() + bytes.len() > max {
                return Err(Failed::for_good(self.damaged("it is too long")));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }

    /// What a request that got no answer becomes.
    fn no_answer(&self, error: &reqwest::Error) -> Failed {
        if is_certificate(error) {
            let stranger = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
            return Failed::for_good(self.mismatch(stranger));
        }
        let cause = innermost(error);
        let sentence = format!(
            "no answer from {}: is it running, is the address right, is a proxy needed? ({cause})",
            self.server
        );
        Failed::for_now(RemoteError::new("server_unreachable", sentence, Kind::Unavailable))
    }

    fn mismatch(&self, stranger: Option<Stranger>) -> RemoteError {
        let shown = stranger.map_or_else(String::new, |stranger| {
            let issuer = if stranger.issuer.is_empty() { "nobody it names" } else { &stranger.issuer };
            format!(" ({}; issued by {issuer}, SHA-256 {})", stranger.reason, fingerprint_text(&stranger.fingerprint))
        });
        let sentence = format!(
            "the certificate of {} is refused{shown}: somebody is in the way, such as a proxy that opens TLS, or the \
             server was set up anew; ask your admin, and activate again with the right --ca or --fingerprint",
            self.server
        );
        RemoteError::new("certificate_mismatch", sentence, Kind::Refused)
    }

    /// What an answer that is no success becomes.
    async fn refusal(&self, response: Response, meter: &Progress) -> Failed {
        let status = response.status();
        let body = match self.read_up_to(response, PROBLEM_BYTES_MAX, meter).await {
            Ok(body) => body,
            Err(failed) => return failed,
        };
        let kind = kind_of(status);
        let Ok(problem) = serde_json::from_slice::<Problem>(&body) else {
            let error = self.damaged(&format!("status {}", status.as_u16()));
            return match kind {
                // A proxy before a server that restarts says so in its own words.
                Kind::Unavailable => Failed::for_now(RemoteError::new("server_unreachable", error.sentence, kind)),
                _ => Failed::for_good(error),
            };
        };
        *self.asked_to_wait.lock().unwrap_or_else(PoisonError::into_inner) = problem.retry_after_ms.map(Span::ms);
        let again = (kind == Kind::Unavailable).then(|| Span::ms(problem.retry_after_ms.unwrap_or(0)));
        let retry = problem.retry().unwrap_or(Retry::usual(kind));
        Failed { error: RemoteError { code: problem.code, sentence: problem.detail, kind, retry }, again }
    }
}

/// The address of a server, brought to its one form.
///
/// # Errors
/// `url_invalid`.
pub(super) fn checked_url(text: &str) -> Result<Url, AgentError> {
    let text = text.trim();
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let invalid = |why: String| AgentError::usage("url_invalid", format!("{text} is no address of a server: {why}"));
    let url = Url::parse(&whole).map_err(|error| invalid(error.to_string()))?;
    if url.scheme() != "https" {
        return Err(invalid("it must begin with https://".to_owned()));
    }
    if url.authority().is_empty() || url.authority().contains('@') || url.query().is_some() {
        return Err(invalid("it must look like https://backup.example.com:8471".to_owned()));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let address = url.authority();
    let name = address.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(address, |(name, _)| name);
    name == "localhost" || name == "[::1]" || name.starts_with("127.")
}

/// What the caller of a refused request should do.
fn kind_of(status: StatusCode) -> Kind {
    match status.as_u16() {
        401 | 403 => Kind::Refused,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        422 => Kind::Damaged,
        408 | 429 | 500.. => Kind::Unavailable,
        _ => Kind::Invalid,
    }
}

/// A body that counts itself as it leaves.
fn metered(bytes: Bytes, meter: Arc<Progress>) -> Body {
    if bytes.len() <= SLICE_BYTES {
        meter.add_bytes_sent(bytes.len() as u64);
        return Body::from(bytes);
    }
    Body::wrap_stream(stream::unfold((bytes, meter), |(mut rest, meter)| async move {
        if rest.is_empty() {
            return None;
        }
        let slice = rest.split_to(SLICE_BYTES.min(rest.len()));
        meter.add_bytes_sent(slice.len() as u64);
        Some((Ok::<Bytes, Infallible>(slice), (rest, meter)))
    }))
}

/// Whether the server's certificate is what ended the connection.
fn is_certificate(error: &reqwest::Error) -> bool {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |cause| inside(*cause))
        .any(|cause| matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
}

/// The next cause. An error of the system hides what it wraps from `source`, and one may wrap another.
fn inside<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn innermost(error: &reqwest::Error) -> String {
    let last = std::iter::successors(Some(error as &(dyn StdError + 'static)), |cause| inside(*cause)).last();
    last.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_brought_to_one_form_or_refused() {
        let good = [
            ("https://backup.example.com:8471", "https://backup.example.com:8471/"),
            ("https://backup.example.com/", "https://backup.example.com/"),
            ("https://backup.example.com:443", "https://backup.example.com/"),
            ("backup.example.com:8471", "https://backup.example.com:8471/"),
            (" https://[::1]:8471 ", "https://[::1]:8471/"),
        ];
        for (text, url) in good {
            assert_eq!(checked_url(text).expect(text).as_str(), url);
        }
        for text in ["", "http://backup.example.com", "https://", "https://a:b@c", "https://a?b=c", "https://a:99999"] {
            assert!(matches!(checked_url(text), Err(AgentError::Usage { code: "url_invalid", .. })), "{text}");
        }
    }

    #[test]
    fn no_proxy_is_asked_for_this_computers_own_loopback() {
        let cases = [
            ("https://localhost:8471", true),
            ("https://127.0.0.1", true),
            ("https://[::1]:8471", true),
            ("https://[::1]", true),
            ("https://localhost.example.com", false),
            ("https://10.0.0.1:127", false),
            ("https://[fd00::1]:8471", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_loopback(&checked_url(text).expect(text)), expected, "{text}");
        }
    }
}
