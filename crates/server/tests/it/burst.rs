//! One connection, one request after the other: between them the server keeps no more than the TLS session, and what
//! was read of the next request is not lost, and what belonged to the last one is never taken for the next.

use crate::world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

type Stream = TlsStream<TcpStream>;

const HELLO: &[u8] = b"GET /v1/hello HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The head of the next answer, in small letters; its body is read, and left out.
async fn answer(stream: &mut Stream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("the connection goes on"));
    }
    let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("an answer has a length");
    let mut body = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut body).await.expect("a whole answer");
    head
}

async fn ok(stream: &mut Stream) {
    let head = answer(stream).await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
}

#[tokio::test]
async fn requests_that_come_together_or_in_pieces_are_all_answered() {
    let world = World::start().await;
    for cut in [0, 1, 20, HELLO.len() - 1] {
        let mut stream = world.connect().await;
        // Two and a part of the third in one piece, so that the part is read before the second is answered.
        stream.write_all(&[HELLO, HELLO, &HELLO[..cut]].concat()).await.expect("sent");
        ok(&mut stream).await;
        ok(&mut stream).await;
        stream.write_all(&HELLO[cut..]).await.expect("the connection goes on");
        ok(&mut stream).await;
        stream.write_all(HELLO).await.expect("the connection goes on");
        ok(&mut stream).await;
    }
}

#[tokio::test]
async fn the_body_of_a_refused_request_is_never_taken_for_the_next_request() {
    let world = World::start().await;
    let length = HELLO.len();
    let head = format!("POST /v1/runs HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    for at_once in [true, false] {
        let mut stream = world.connect().await;
        let first = if at_once { [head.as_bytes(), HELLO].concat() } else { head.clone().into_bytes() };
        stream.write_all(&first).await.expect("sent");
        let refused = answer(&mut stream).await;
        assert!(refused.starts_with("http/1.1 401 "), "{refused}");
        // The server may have closed: then these are lost, and that is as good.
        let _ = stream.write_all(if at_once { b"" } else { HELLO }).await;
        let _ = stream.write_all(b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        let rest = String::from_utf8_lossy(&rest);
        assert!(!rest.contains(" 200 "), "the body was answered: {rest}");
    }
}

#[tokio::test]
async fn a_connection_goes_on_after_a_body_in_chunks() {
    let world = World::start().await;
    let mut stream = world.connect().await;
    for _ in 0..2 {
        let head = "POST /v1/sessions/challenge HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
        let device = base::DeviceId::from_bytes([7; 16]);
        let body = format!("{{\"device\":\"{device}\"}}");
        let request = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        stream.write_all(request.as_bytes()).await.expect("sent");
        ok(&mut stream).await;
        stream.write_all(HELLO).await.expect("sent");
        ok(&mut stream).await;
    }
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_the_server_from_stopping() {
    let world = World::start().await;
    let (mut fresh, mut used) = (world.connect().await, world.connect().await);
    used.write_all(HELLO).await.expect("sent");
    ok(&mut used).await;
    world.stop().await;
    for stream in [&mut fresh, &mut used] {
        // Cut at the end of the grace period, it would have ended without the word that TLS has for it.
        assert_eq!(stream.read(&mut [0; 1]).await.expect("closed in order"), 0);
    }
}
