//! Behind a load balancer that passes TLS through: where a request comes from, and that no other way leads in.

use crate::world::World;
use app::AdminActor;
use base::CredentialId;
use control::Permits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The head of the answer to a request with this credential, on a connection that begins with `first`.
async fn ask(world: &World, first: &[u8], credential: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(world.address).await?;
    stream.write_all(first).await?;
    let mut stream = world.secured(stream).await?;
    let head = "GET /api/v1/users HTTP/1.1\r\nhost: localhost\r\nconnection: close";
    let request = format!("{head}\r\nauthorization: Bearer {credential}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

async fn last_source(world: &World, id: CredentialId) -> Option<String> {
    let view = app::credentials::get(&world.app, &AdminActor::Command, id).await;
    view.expect("it is there").last_source
}

#[tokio::test]
async fn a_request_comes_from_whom_the_balancer_names_and_nobody_else_gets_in() {
    let world = World::start_with("[proxy]\ntrusted = [\"127.0.0.0/8\"]\nprotocol = true").await;
    let (id, credential) = world.credential_until(Permits::all(), None).await;
    let refused = ask(&world, b"", &credential).await.expect_err("a connection without a header");
    assert_eq!(last_source(&world, id).await, None, "{refused}");
    let header = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 8471\r\n";
    assert_eq!(ask(&world, header, &credential).await.expect("it is let in"), "HTTP/1.1 200 OK");
    assert_eq!(last_source(&world, id).await.as_deref(), Some("203.0.113.9"));
}

#[tokio::test]
async fn a_header_of_somebody_who_is_no_balancer_is_no_handshake() {
    let world = World::start_with("[proxy]\ntrusted = [\"192.0.2.0/24\"]\nprotocol = true").await;
    let (id, credential) = world.credential_until(Permits::all(), None).await;
    let header = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 8471\r\n";
    let refused = ask(&world, header, &credential).await.expect_err("it is no TLS");
    assert_eq!(last_source(&world, id).await, None, "{refused}");
    assert_eq!(ask(&world, b"", &credential).await.expect("as always"), "HTTP/1.1 200 OK");
    assert_eq!(last_source(&world, id).await.as_deref(), Some("127.0.0.1"));
}
