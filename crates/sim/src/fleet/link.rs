//! One connection of a device: TLS, and as much of HTTP/1.1 as the server's answers to a device need.
//! Refuses answers without a length or beyond a maximum. It keeps no buffer while it waits: there are many of it.

use super::SimError;
use base::Span;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// The longest body of an answer.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long an answer may take, the connection included.
const ANSWER_SPAN: Span = Span::minutes(3);

/// Where the server is, and how it is known to be the one.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) name: ServerName<'static>,
    pub(super) tls: Arc<ClientConfig>,
}

/// An open connection.
pub(super) struct Link {
    stream: TlsStream<TcpStream>,
}

/// What a request says.
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    pub(super) bearer: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// What the server says.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Whether the server closes the connection after it.
    pub(super) last: bool,
}

impl Link {
    /// Connects and shakes hands.
    ///
    /// # Errors
    /// No connection, or not the pinned server.
    pub(super) async fn open(server: &Server) -> Result<Link, SimError> {
        let lost = |cause| SimError::Link { cause };
        let stream = TcpStream::connect(server.address).await.map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        let connector = TlsConnector::from(Arc::clone(&server.tls));
        let stream = connector.connect(server.name.clone(), stream).await.map_err(lost)?;
        Ok(Link { stream })
    }

    /// Sends a request and takes its answer.
    ///
    /// # Errors
    /// The connection broke, or took too long; an answer that is none.
    pub(super) async fn ask(&mut self, call: &Call<'_>) -> Result<Answer, SimError> {
        let answer = tokio::time::timeout(ANSWER_SPAN.as_duration(), self.exchange(call)).await;
        answer.map_err(|_| io::Error::from(io::ErrorKind::TimedOut)).flatten().map_err(|cause| SimError::Link { cause })
    }

    async fn exchange(&mut self, call: &Call<'_>) -> io::Result<Answer> {
        self.stream.write_all(&request(call)).await?;
        self.stream.flush().await?;
        let mut bytes = Vec::with_capacity(1 << 10);
        let body_at = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if bytes.len() > HEAD_BYTES_MAX {
                return Err(wrong("its head is too long"));
            }
            if self.stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let head = std::str::from_utf8(&bytes[..body_at]).map_err(|_| wrong("its head is not text"))?;
        let status = head.get(9..12).and_then(|digits| digits.parse().ok()).ok_or_else(|| wrong("it has no status"))?;
        let length = field(head, "content-length").and_then(|text| text.parse().ok());
        let length: usize = length.filter(|len| *len <= BODY_BYTES_MAX).ok_or_else(|| wrong("it has no fit length"))?;
        let last = field(head, "connection").is_some_and(|text| text.eq_ignore_ascii_case("close"));
        let mut body = bytes.split_off(body_at);
        while body.len() < length {
            if self.stream.read_buf(&mut body).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Answer { status, body, last })
    }
}

fn request(call: &Call<'_>) -> Vec<u8> {
    let Call { method, path, bearer, body } = call;
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n").into_bytes();
    if let Some(bearer) = bearer {
        bytes.extend_from_slice(format!("authorization: Bearer {bearer}\r\n").as_bytes());
    }
    if *method != "GET" {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// The value of a header field, by its name in lower case.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut fitting = fields.filter(|(word, _)| word.eq_ignore_ascii_case(name));
    fitting.next().map(|(_, value)| value.trim())
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer cannot be read: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_its_length_and_a_reading_one_has_none() {
        let call = |method, body| Call { method, path: "/v1/x", bearer: Some("t"), body };
        let text = |call| String::from_utf8(request(&call)).expect("text");
        assert_eq!(
            text(call("POST", b"{}".as_slice())),
            "POST /v1/x HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer t\r\ncontent-length: 2\r\n\r\n{}"
        );
        assert!(!text(call("GET", b"")).contains("content-length"));
    }

    #[test]
    fn a_field_is_found_whatever_its_case() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nx: y\r\n\r\n";
        assert_eq!(field(head, "content-length"), Some("12"));
        assert_eq!(field(head, "connection"), None);
    }
}
