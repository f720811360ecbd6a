//! A connection that begins in the clear. Refuses a mail server, or whoever stands between, that says more than the
//! answer to STARTTLS before the encryption: it would be taken for answers of the encrypted connection.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What begins the encryption.
const STARTTLS: &[u8] = b"STARTTLS\r\n";

/// A connection that looks at what follows STARTTLS.
#[derive(Debug)]
pub(super) struct Tap {
    stream: TcpStream,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Commands and answers in the clear.
    Clear,
    /// STARTTLS was written and not answered.
    Asked,
    /// Answered: the rest is not for this file to read.
    Encrypted,
}

impl Tap {
    /// A connection to this port.
    pub(super) async fn connect(server: &str, port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((server, port)).await?;
        // The text and the final dot are written apart: the dot must not wait for the text to be acknowledged.
        stream.set_nodelay(true)?;
        Ok(Self { stream, stage: Stage::Clear })
    }
}

impl AsyncTokioStream for Tap {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = &buffer.filled()[before..];
        if self.stage == Stage::Asked && matches!(polled, Poll::Ready(Ok(()))) {
            // The answer is one line. It may come in pieces; nothing may come behind its end.
            match read.iter().position(|byte| *byte == b'\n') {
                Some(end) if end + 1 == read.len() => self.stage = Stage::Encrypted,
                Some(_) => {
                    let said = "the mail server says more in the clear than the answer to STARTTLS";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, said)));
                }
                None => {}
            }
        }
        polled
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.stage == Stage::Clear && bytes == STARTTLS {
            self.stage = Stage::Asked;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
