//! A command whose answer is lost on the way asks again with the same key, and what it asks for is done once.
//! The line is cut once the server has carried the request out. Refuses to look into TLS: it counts records.

use crate::world::{PASSWORD, World};
use app::AdminActor;
use app::page::PageAsk;
use base::{Clock as _, Span, SystemClock};
use control::Permits;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// The type of a TLS record that is encrypted. A client's first one ends its handshake; its request begins the second.
const ENCRYPTED: u8 = 23;

/// Stands between a client and the server at `to`, takes the answer to the first request, and gives the line up when
/// `cut` is told. Every later connection is left alone.
async fn between(to: SocketAddr, cut: Arc<Notify>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut is_first = true;
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(to).await.expect("the server listens");
            let (cut, withheld) = (Arc::clone(&cut), std::mem::replace(&mut is_first, false));
            tokio::spawn(async move {
                if withheld {
                    tokio::select! {
                        _ = without_answer(&mut client, &mut server) => {}
                        () = cut.notified() => {}
                    }
                } else {
                    let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    address
}

/// Carries both ways until the client begins a request, and from then on to the server only.
async fn without_answer(client: &mut TcpStream, server: &mut TcpStream) -> std::io::Result<()> {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
    let asked = std::sync::atomic::AtomicU32::new(0);
    let there = async {
        loop {
            let mut head = [0; 5];
            from_client.read_exact(&mut head).await?;
            let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            from_client.read_exact(&mut record).await?;
            asked.fetch_add(u32::from(head[0] == ENCRYPTED), std::sync::atomic::Ordering::SeqCst);
            to_server.write_all(&head).await?;
            to_server.write_all(&record).await?;
        }
    };
    let back = async {
        let mut bytes = [0; 4096];
        loop {
            let len = from_server.read(&mut bytes).await?;
            if len == 0 {
                return Ok(());
            }
            if asked.load(std::sync::atomic::Ordering::SeqCst) < 2 {
                to_client.write_all(&bytes[..len]).await?;
            }
        }
    };
    tokio::select! {
        ended = there => ended,
        ended = back => ended,
    }
}

/// How many rows of the audit log say that this was done.
async fn done(world: &World, action: &str) -> usize {
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    rows.iter().filter(|row| row.action == action && row.actor.starts_with("credential ")).count()
}

/// Runs a command on a line that loses the answer to its first request; the answer is what it prints.
async fn lost(world: &World, action: &str, arguments: &[&str]) -> String {
    let files = tempfile::tempdir().expect("a temporary directory");
    let credential = files.path().join("credential");
    std::fs::write(&credential, world.credential(Permits::all()).await).expect("own file");
    let cut = Arc::new(Notify::new());
    let address = between(world.address, Arc::clone(&cut)).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast-server"));
    command.env_clear().arg("--server").arg(format!("https://localhost:{}", address.port()));
    command.arg("--credential-file").arg(&credential).arg("--ca").arg(world.data.join("ca.pem")).args(arguments);
    let ran = tokio::spawn(base::blocking(move || command.output().expect("the program is built")));
    while done(world, action).await == 0 {
        SystemClock.sleep(Span::ms(20)).await;
    }
    assert!(!ran.is_finished(), "it waits for the answer");
    cut.notify_one();
    let ran = ran.await.expect("nobody stops it").expect("it ends");
    let text = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(ran.status.success(), "{text}");
    assert_eq!(done(world, action).await, 1, "{action}: {text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_answer_is_lost_is_asked_again_and_done_once() {
    let world = World::start().await;
    let files = tempfile::tempdir().expect("a temporary directory");
    let password = files.path().join("password");
    std::fs::write(&password, PASSWORD).expect("own file");
    let password = password.to_str().expect("text");
    let said = lost(&world, "user_add", &["user", "add", "ben@example.org", "--password-file", password]).await;
    assert!(said.contains("added ben@example.org"), "{said}");
    let said = lost(&world, "token_make", &["token", "make", "installer", "--domain", "example.org"]).await;
    assert!(said.contains("hft2_"), "its text comes with the repeated answer: {said}");
    let tokens = app::tokens::page(&world.app, &AdminActor::Command, &PageAsk::first()).await.expect("readable");
    assert_eq!(tokens.items.len(), 1);
}
