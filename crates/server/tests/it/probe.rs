//! Health and metrics, and what is answered where there is nothing.

use crate::repository::Backup;
use crate::world::{Device, EMAIL, World, password, streamed};
use base::{Clock as _, Span, SystemClock};
use bytes::Bytes;
use format::ChunkKind;
use futures::StreamExt as _;
use protocol::agent::run::UploadReply;

#[tokio::test]
async fn a_healthy_server_says_ok() {
    let world = World::start().await;
    let answer = world.ask("GET", "/healthz", "").await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok\n"[..]));
}

#[tokio::test]
async fn metrics_count_by_route_and_code_and_name_nobody() {
    let world = World::start().await;
    let device = Device::activated(&world, "annas-laptop").await;
    world.post("/v1/activations", &Device::new("x").activation(EMAIL, password("not the password"))).await;
    let text = String::from_utf8(world.ask("GET", "/metrics", "").await.body.to_vec()).expect("text");
    for line in [
        "holdfast_requests_total{method=\"POST\",route=\"/v1/activations\",status=\"200\"} 1",
        "holdfast_requests_total{method=\"POST\",route=\"/v1/activations\",status=\"403\"} 1",
        "holdfast_refusals_total{code=\"wrong_credentials\"} 1",
        "holdfast_connections 1",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains(&device.id.to_string()) && !text.contains("laptop") && !text.contains("anna"), "{text}");
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_problems_too() {
    let world = World::start().await;
    assert_eq!(world.ask("GET", "/v1/nothing", "").await.refused(), (404, "route_unknown".to_owned()));
    assert_eq!(world.ask("DELETE", "/v1/runs", "").await.refused(), (405, "method_unknown".to_owned()));
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_finishes_what_is_under_way_and_takes_nothing_new() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let backup = Backup::begin(&world, &device).await;
    let pack = backup.pack(&[backup.chunk(ChunkKind::Content, vec![7; 10_000])]);
    let pieces: Vec<Bytes> = pack.bytes.chunks(20).map(Bytes::copy_from_slice).collect();
    let slowly = futures::stream::iter(pieces).then(|piece| async move {
        SystemClock.sleep(Span::ms(40)).await;
        piece
    });
    let path = backup.pack_path(&pack);
    let uploaded = device.send(&world, "PUT", &path, streamed(slowly.boxed()));
    let stopped = async {
        SystemClock.sleep(Span::ms(150)).await;
        world.stop().await;
        world.clock.now()
    };
    let sent = async {
        let answer = uploaded.await;
        (answer, world.clock.now())
    };
    let ((answer, answered_at), stopped_at) = tokio::join!(sent, stopped);
    assert_eq!(answer.json::<UploadReply>().chunks_new, 1);
    assert!(stopped_at.since(answered_at) < Span::seconds(5), "it stops as soon as nothing is under way");
    assert!(tokio::net::TcpStream::connect(world.address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn only_tls_1_3_is_spoken() {
    let world = World::start().await;
    let roots = rustls::RootCertStore::empty();
    let old =
        rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("ring speaks TLS 1.2")
            .with_root_certificates(roots)
            .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(world.address).await.expect("the server listens");
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let refused = tokio_rustls::TlsConnector::from(std::sync::Arc::new(old)).connect(name, stream).await;
    let said = refused.expect_err("too old").to_string();
    assert!(said.contains("ProtocolVersion"), "{said}");
}
