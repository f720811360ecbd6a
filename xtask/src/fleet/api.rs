//! The admin API over HTTPS, as a program of an admin's speaks it: TLS with the server's authority pinned, a
//! credential, and an idempotency key on every POST. Refuses answers that are not what was asked for, and to follow
//! redirects.

use anyhow::{Context, Result, bail, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, version};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Items of a page: the most that the server gives.
const PAGE: u32 = 1_000;
/// How long the server may take with an answer.
const ANSWER_SPAN: Duration = Duration::from_secs(300);

type Stream = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// A client with a credential.
pub struct Api {
    port: u16,
    tls: Arc<ClientConfig>,
    credential: String,
    keys: Cell<u64>,
    stream: RefCell<Option<Stream>>,
}

impl Api {
    /// A client of the server that listens on this port of 127.0.0.1.
    ///
    /// # Errors
    /// A file without an authority.
    pub fn new(port: u16, ca: &Path, credential: String) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).context("reading the server's authority")? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { port, tls: Arc::new(tls), credential, keys: Cell::new(0), stream: RefCell::new(None) })
    }

    /// Another client with the same credential, for another thread: its idempotency keys are its own. Never fails.
    pub fn another(&self, number: u32) -> Self {
        let Self { port, tls, credential, .. } = self;
        let keys = Cell::new((u64::from(number) + 1) << 32);
        Self { port: *port, tls: Arc::clone(tls), credential: credential.clone(), keys, stream: RefCell::default() }
    }

    /// Asks for something. `path` comes after `/api/v1`.
    ///
    /// # Errors
    /// The server's refusal; an answer that is not JSON.
    pub fn get(&self, path: &str) -> Result<Value> {
        serde_json::from_str(&self.text(path)?).with_context(|| format!("GET {path} is not answered in JSON"))
    }

    /// Asks for a text.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn text(&self, path: &str) -> Result<String> {
        self.ask("GET", path, "", "")
    }

    /// What the server counts about itself, in the words of Prometheus.
    ///
    /// # Errors
    /// No answer.
    pub fn metrics(&self) -> Result<String> {
        let request = format!("GET /metrics HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n", self.port);
        self.answer("GET /metrics", &request)
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// As `get`.
    pub fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("{path}?limit={PAGE}{after}"))?;
            items.extend(page["items"].as_array().with_context(|| format!("{path} is a list"))?.iter().cloned());
            let Some(next) = page["next"].as_str() else { return Ok(items) };
            after = format!("&after={next}");
        }
    }

    /// Has something done, asks for it again with the same idempotency key, and expects the same answer. A body of null
    /// is none.
    ///
    /// # Errors
    /// The server's refusal; another answer the second time.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.keys.set(self.keys.get() + 1);
        let key = format!("fleet-{}", self.keys.get());
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let first = self.ask("POST", path, &key, &body)?;
        let again = self.ask("POST", path, &key, &body)?;
        ensure!(first == again, "POST {path}, repeated with its key, is answered in another way: {again}");
        serde_json::from_str(&first).with_context(|| format!("POST {path} is not answered in JSON"))
    }

    fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> Result<String> {
        let Self { port, credential, .. } = self;
        let mut request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {credential}\r\n"
        );
        if method != "GET" {
            let length = body.len();
            request.push_str(&format!(
                "content-type: application/json\r\nidempotency-key: {key}\r\ncontent-length: {length}\r\n"
            ));
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.answer(&format!("{method} {path}"), &request)
    }

    /// The text of the answer; `what` names the request in an error.
    fn answer(&self, what: &str, request: &str) -> Result<String> {
        let (status, text) = match self.exchange(request) {
            // The server closes what has been idle for long; whatever is asked here may be asked twice.
            Err(_) => self.exchange(request),
            answered => answered,
        }
        .with_context(|| format!("no answer to {what}"))?;
        ensure!((200..300).contains(&status), "{what}: {status} {text}");
        Ok(text)
    }

    fn exchange(&self, request: &str) -> Result<(u16, String)> {
        let kept = self.stream.borrow_mut().take();
        let mut stream = kept.map_or_else(|| self.connect(), Ok)?;
        stream.get_mut().write_all(request.as_bytes())?;
        stream.get_mut().flush()?;
        let status = line(&mut stream)?;
        let status = status.split(' ').nth(1).and_then(|word| word.parse().ok()).context("an answer has a status")?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let field = line(&mut stream)?.to_ascii_lowercase();
            let Some((name, value)) = field.split_once(':') else { break };
            match name {
                "content-length" => length = Some(value.trim().parse::<usize>()?),
                "transfer-encoding" => chunked = value.trim() == "chunked",
                _ => {}
            }
        }
        let body = match length {
            _ if chunked => pieces(&mut stream)?,
            Some(length) => exactly(&mut stream, length)?,
            None => bail!("an answer has a length"),
        };
        *self.stream.borrow_mut() = Some(stream);
        Ok((status, String::from_utf8(body)?))
    }

    fn connect(&self) -> Result<Stream> {
        let socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_read_timeout(Some(ANSWER_SPAN))?;
        socket.set_nodelay(true)?;
        let connection = ClientConnection::new(Arc::clone(&self.tls), "127.0.0.1".try_into()?)?;
        Ok(BufReader::new(StreamOwned::new(connection, socket)))
    }
}

fn line(stream: &mut Stream) -> Result<String> {
    let mut line = String::new();
    ensure!(stream.read_line(&mut line)? > 0, "the connection was closed");
    Ok(line.trim_end().to_owned())
}

fn exactly(stream: &mut Stream, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A body in pieces, each after its length, the last one empty.
fn pieces(stream: &mut Stream) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&line(stream)?, 16)?;
        body.extend(exactly(stream, length)?);
        ensure!(line(stream)?.is_empty(), "a piece ends with its line");
        if length == 0 {
            return Ok(body);
        }
    }
}
