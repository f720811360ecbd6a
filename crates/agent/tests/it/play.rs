//! A server that does what the test says: answers, refuses, stays silent, cuts the line.
//! Speaks just enough HTTP/1.1 over TLS 1.3.

use agent::remote::Around;
use agent::state::{Pin, Server};
use base::{OsEntropy, Span, SystemClock};
use engine::Progress;
use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub bearer: Option<String>,
    pub content_length: usize,
    /// How much of the body was read: all of it, unless the line was cut.
    pub body: Vec<u8>,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Json(u16, Value),
    Bytes(Vec<u8>),
    /// An answer that is no problem document.
    Text(u16, &'static str),
    /// The answer's first bytes, of so many promised; then the line is cut.
    Cut(Vec<u8>, usize),
    /// The line is cut without an answer.
    Silence,
}

/// A refusal as the real server writes it.
pub fn problem(status: u16, code: &str, retry_after_ms: Option<u64>) -> Reply {
    let mut body = json!({
        "type": format!("docs/control.md#{code}"), "title": code, "status": status, "code": code,
        "detail": format!("the sentence of {code}"),
    });
    if let Some(ms) = retry_after_ms {
        body["retry_after_ms"] = json!(ms);
    }
    Reply::Json(status, body)
}

/// A running server.
pub struct Play {
    pub port: u16,
    /// Of the server's own certificate.
    pub fingerprint: [u8; 32],
    /// Of the authority's, which comes along in the handshake.
    pub ca_fingerprint: [u8; 32],
    pub ca_pem: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

type Answer = dyn Fn(usize, &Request) -> Reply + Send + Sync;
type CutAt = dyn Fn(usize, &Request) -> Option<usize> + Send + Sync;

impl Play {
    /// Answers each request with what `answer` says; it gets the number of the request, from 0.
    pub fn start(answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_cutting(|_, _| None, answer)
    }

    /// As `start`; but where `cut_at` says a number, the line is cut after so many bytes of the request's body.
    pub fn start_cutting(
        cut_at: impl Fn(usize, &Request) -> Option<usize> + Send + Sync + 'static,
        answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (config, fingerprint, ca_fingerprint, ca_pem) = certificate();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let (answer, cut_at): (Arc<Answer>, Arc<CutAt>) = (Arc::new(answer), Arc::new(cut_at));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, log) = (Arc::clone(&config), Arc::clone(&log));
                let (answer, cut_at) = (Arc::clone(&answer), Arc::clone(&cut_at));
                std::thread::spawn(move || serve(stream, config, &log, &*answer, &*cut_at));
            }
        });
        Self { port, fingerprint, ca_fingerprint, ca_pem, seen }
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The server, pinned by its certificate.
    pub fn server(&self) -> Server {
        Server { url: self.url(), pin: Pin::Fingerprint(self.fingerprint) }
    }

    /// Everything that came so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("no test panics with the lock").clone()
    }

    /// The requests to paths that begin so.
    pub fn seen_at(&self, path: &str) -> Vec<Request> {
        self.seen().into_iter().filter(|request| request.path.starts_with(path)).collect()
    }
}

/// The world around a connection, with so much patience.
pub fn around(patience: Span) -> Around {
    Around {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        progress: Arc::new(Progress::default()),
        patience,
    }
}

/// A port on which nobody listens.
pub fn silent_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn certificate() -> (Arc<ServerConfig>, [u8; 32], [u8; 32], String) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::new(vec![]).expect("parameters");
    ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "Anna's proxy");
    let ca_certificate = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("parameters");
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone(), ca_certificate.der().clone()], key)
        .expect("a certificate and its key");
    (Arc::new(config), sha256(leaf.der()), sha256(ca_certificate.der()), ca_certificate.pem())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().try_into().expect("32 bytes")
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, log: &Mutex<Vec<Request>>, answer: &Answer, cut_at: &CutAt) {
    let connection = ServerConnection::new(config).expect("a connection");
    let mut tls = StreamOwned::new(connection, stream);
    while let Some(mut request) = read_head(&mut tls) {
        let number = log.lock().expect("no test panics with the lock").len();
        let cut = cut_at(number, &request);
        let len = cut.unwrap_or(request.content_length);
        request.body = vec![0; len];
        let whole = tls.read_exact(&mut request.body).is_ok();
        log.lock().expect("no test panics with the lock").push(request.clone());
        if !whole || cut.is_some() {
            return;
        }
        let (status, kind, body, promised) = match answer(number, &request) {
            Reply::Json(status, value) => (status, "application/json", value.to_string().into_bytes(), None),
            Reply::Bytes(bytes) => (200, "application/octet-stream", bytes, None),
            Reply::Text(status, text) => (status, "text/html", text.as_bytes().to_vec(), None),
            Reply::Cut(bytes, promised) => (200, "application/octet-stream", bytes, Some(promised)),
            Reply::Silence => return,
        };
        let len = promised.unwrap_or(body.len());
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len}\r\n\r\n");
        let written = tls.write_all(head.as_bytes()).and_then(|()| tls.write_all(&body)).and_then(|()| tls.flush());
        if written.is_err() || promised.is_some() {
            return;
        }
    }
}

fn read_head(tls: &mut impl Read) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).expect("an ASCII head");
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let header = |name: &str| {
        let found =
            text.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)));
        found.map(|(_, value)| value.to_owned())
    };
    let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned));
    assert!(header("transfer-encoding").is_none(), "bodies say their length");
    let content_length = header("content-length").map_or(0, |value| value.parse().expect("a length"));
    Some(Request { method, path, bearer, content_length, body: Vec::new() })
}
