//! The HTTP below the S3 library: TLS by rustls with ring, a server's "no" kept as it was said, and the condition on
//! completing an upload, which the library has no way to ask for. Refuses redirects and HTTP/2.

use super::settings::{Checked, S3Settings, is_local_name, is_loopback};
use super::trouble::Refusal;
use crate::StoreError;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::header::{HeaderValue, IF_NONE_MATCH};
use reqwest::{Client, Method, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT_SPAN: Duration = Duration::from_secs(10);
/// How much of the body of a refusal, or of the answer to a completion, is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Gives the library our client.
#[derive(Clone, Debug)]
pub(super) struct Wire(Client);

impl Wire {
    /// A client for the bucket's server. Reads certificates from the disk.
    ///
    /// # Errors
    /// `Setting` when no authority could vouch for the server.
    pub(super) fn new(settings: &S3Settings, checked: &Checked) -> Result<Self, StoreError> {
        let refused = |rule: String| StoreError::Setting { setting: "authority", rule };
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls(settings, checked)?)
            .https_only(!checked.is_plain)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_SPAN)
            .tcp_nodelay(true)
            .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")));
        let url = Url::parse(&checked.bucket_url).map_err(|error| refused(error.to_string()))?;
        if is_loopback(&url) {
            // No proxy has a way to this computer's own loopback.
            builder = builder.no_proxy();
        }
        if let Some(name) = url.domain().filter(|name| is_local_name(name)) {
            // Not every resolver knows the names below `localhost`, and none may send them elsewhere.
            let here = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
            builder = builder.resolve_to_addrs(name, &here);
        }
        builder.build().map(Self).map_err(|error| refused(error.to_string()))
    }
}

fn tls(settings: &S3Settings, checked: &Checked) -> Result<ClientConfig, StoreError> {
    let refused = |rule: &str| StoreError::Setting { setting: "authority", rule: rule.to_owned() };
    let mut roots = RootCertStore::empty();
    match &settings.authority_pem {
        Some(pem) => {
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            let found = found.map_err(|_| refused("the file with its certificate is not in PEM form"))?;
            roots.add_parsable_certificates(found);
        }
        None if checked.is_plain => {}
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() && !checked.is_plain {
        return Err(refused("there is no certificate of an authority, neither in the setting nor in the system"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for every version that the library knows");
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl HttpConnector for Wire {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let completes = is_completion(&request);
        let is_head = request.method() == Method::HEAD;
        if completes {
            // The library's completion overwrites. Nothing here ever wants that, and the header needs no signature.
            request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        let response = self.0.call(request).await?;
        let status = response.status();
        if status.is_success() && !completes {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let mut stream = body.bytes_stream();
        let mut bytes = BytesMut::new();
        while let Some(piece) = stream.next().await
            && bytes.len() < ANSWER_BYTES_MAX
        {
            bytes.extend_from_slice(&piece?);
        }
        let bytes = bytes.freeze();
        match answer(status, is_head, &bytes) {
            Some(refusal) => Err(HttpError::new(HttpErrorKind::Unknown, refusal)),
            None => Ok(HttpResponse::from_parts(parts, bytes.into())),
        }
    }
}

/// Whether the request completes an upload in parts.
fn is_completion(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::POST && query.split('&').any(|pair| pair.starts_with("uploadId="))
}

/// The refusal in an answer. The answer to a completion may begin with success, because the status is sent before the
/// work is done, and be a refusal nevertheless.
fn answer(status: StatusCode, is_head: bool, body: &Bytes) -> Option<Refusal> {
    let says_error = || String::from_utf8_lossy(body).contains("<Error>");
    (!status.is_success() || says_error()).then(|| Refusal::read(status, is_head, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::client::HttpRequestBody;

    #[test]
    fn only_a_completion_gets_the_condition() {
        let rows = [
            (Method::POST, "http://s/b/k?uploadId=7", true),
            (Method::POST, "http://s/b/k?uploads=", false),
            (Method::PUT, "http://s/b/k?partNumber=1&uploadId=7", false),
            (Method::DELETE, "http://s/b/k?uploadId=7", false),
        ];
        for (method, uri, wanted) in rows {
            let mut request = HttpRequest::new(HttpRequestBody::empty());
            *request.method_mut() = method;
            *request.uri_mut() = uri.parse().expect("a plain address");
            assert_eq!(is_completion(&request), wanted, "{uri}");
        }
    }

    #[test]
    fn a_completion_that_fails_after_its_status_is_a_refusal() {
        let late = Bytes::from_static(b"<?xml?><Error><Code>InternalError</Code></Error>");
        assert_eq!(answer(StatusCode::OK, false, &late).map(|refusal| refusal.code).as_deref(), Some("InternalError"));
        assert_eq!(answer(StatusCode::OK, false, &Bytes::from_static(b"<CompleteMultipartUploadResult/>")), None);
        assert!(answer(StatusCode::NOT_FOUND, true, &Bytes::new()).is_some());
    }
}
