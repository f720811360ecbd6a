//! The line and the certificate: who is trusted, what silence and disguise become.

use crate::play::{Play, Reply, around, problem, silent_port};
use agent::error::{AgentError, Exit};
use agent::remote::Connection;
use agent::state::{Pin, Server};
use base::Span;
use engine::RemoteError;
use serde_json::json;

fn hello() -> Reply {
    Reply::Json(200, json!({ "release": "9", "protocol": { "min": 1, "max": 1 }, "now_ms": 5 }))
}

async fn ask(server: &Server, patience: Span) -> Result<String, RemoteError> {
    let connection = Connection::to(server, &around(patience)).expect("a connection");
    connection.hello().await.map(|hello| hello.release)
}

#[tokio::test]
async fn the_pinned_certificate_and_its_authority_are_trusted() {
    let play = Play::start(|_, _| hello());
    let pins =
        [Pin::Fingerprint(play.fingerprint), Pin::Fingerprint(play.ca_fingerprint), Pin::Ca(play.ca_pem.clone())];
    for pin in pins {
        assert_eq!(ask(&Server { pin, ..play.server() }, Span::ZERO).await.expect("an answer"), "9");
    }
}

#[tokio::test]
async fn another_certificate_is_refused_before_a_byte_is_sent_and_never_tried_again() {
    let (play, other) = (Play::start(|_, _| hello()), Play::start(|_, _| hello()));
    for pin in [Pin::Fingerprint([0; 32]), Pin::Ca(other.ca_pem.clone())] {
        let error = ask(&Server { pin, ..play.server() }, Span::minutes(2)).await.expect_err("a stranger");
        assert_eq!(error.code, "certificate_mismatch");
        assert!(error.sentence.contains("somebody is in the way"), "{error}");
        assert!(error.sentence.contains("issued by Anna's proxy"), "{error}");
        assert_eq!(AgentError::Remote(error).exit(), Exit::Unreachable);
    }
    assert_eq!(play.seen().len(), 0);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_with_the_reason() {
    let play = Play::start(|_, _| hello());
    let listener = std::net::TcpListener::bind(("127.0.0.2", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    // The same server, reached under an address that its certificate does not name.
    let target = play.port;
    std::thread::spawn(move || {
        for inward in listener.incoming().flatten() {
            let outward = std::net::TcpStream::connect(("127.0.0.1", target)).expect("the server");
            let (mut from, mut to) = (inward.try_clone().expect("a clone"), outward.try_clone().expect("a clone"));
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let (mut from, mut to) = (outward, inward);
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
    });
    let url = format!("https://127.0.0.2:{port}");
    for pin in [Pin::Ca(play.ca_pem.clone()), Pin::Fingerprint(play.ca_fingerprint)] {
        let error = ask(&Server { url: url.clone(), pin }, Span::ZERO).await.expect_err("another name");
        assert_eq!(error.code, "certificate_mismatch");
        assert!(error.sentence.contains("issued for another address"), "{error}");
    }
    // Whoever pins the very certificate has said more than a name says.
    let very = Server { url, pin: Pin::Fingerprint(play.fingerprint) };
    assert_eq!(ask(&very, Span::ZERO).await.expect("an answer"), "9");
}

#[tokio::test]
async fn looking_at_a_server_shows_its_certificate_and_sends_nothing() {
    let play = Play::start(|_, _| hello());
    let shown = Connection::look(&play.url(), &around(Span::ZERO)).await.expect("a certificate");
    assert_eq!((shown.fingerprint, shown.issuer.as_str()), (play.ca_fingerprint, "Anna's proxy"));
    assert_eq!(play.seen().len(), 0);
    let nobody = Connection::look(&format!("https://127.0.0.1:{}", silent_port()), &around(Span::ZERO)).await;
    assert_eq!(nobody.expect_err("nobody").code(), "server_unreachable");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_asked_for_a_while_and_then_reported() {
    let server = Server { url: format!("https://127.0.0.1:{}", silent_port()), pin: Pin::Fingerprint([0; 32]) };
    let began = std::time::UNIX_EPOCH.elapsed().expect("a time");
    let error = ask(&server, Span::seconds(1)).await.expect_err("nobody");
    let spent = std::time::UNIX_EPOCH.elapsed().expect("a time") - began;
    assert_eq!(error.code, "server_unreachable");
    let asks = "is it running, is the address right, is a proxy needed?";
    assert!(error.sentence.contains(asks) && error.sentence.contains("127.0.0.1"), "{error}");
    assert!((900..5_000).contains(&spent.as_millis()), "{spent:?}");
    assert_eq!(AgentError::Remote(error).exit(), Exit::Unreachable);
}

#[tokio::test]
async fn silence_and_not_now_are_asked_again_until_there_is_an_answer() {
    let play = Play::start(|number, _| match number {
        0 | 1 => Reply::Silence,
        2 => problem(503, "server_busy", Some(50)),
        3 => Reply::Text(502, "<html>a proxy that lost its server</html>"),
        4 => problem(429, "too_many_requests", None),
        _ => hello(),
    });
    assert_eq!(ask(&play.server(), Span::seconds(30)).await.expect("an answer"), "9");
    assert_eq!(play.seen().len(), 6);
}

#[tokio::test]
async fn a_refusal_is_passed_on_and_not_asked_again() {
    let cases = [
        (400, "request_malformed", Exit::Failed),
        (403, "device_deactivated", Exit::Refused),
        (403, "account_locked", Exit::Refused),
        (404, "run_not_yours", Exit::Failed),
        (409, "run_superseded", Exit::Failed),
        (422, "pack_damaged", Exit::Damaged),
    ];
    for (status, code, exit) in cases {
        let play = Play::start(move |_, _| problem(status, code, Some(10)));
        let error = ask(&play.server(), Span::seconds(30)).await.expect_err("refused");
        assert_eq!((error.code.as_str(), error.sentence.as_str()), (code, &*format!("the sentence of {code}")));
        assert_eq!(AgentError::Remote(error).exit(), exit, "{code}");
        assert_eq!(play.seen().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_wait_that_is_longer_than_the_patience_is_not_begun() {
    let play = Play::start(|_, _| problem(503, "store_full", Some(600_000)));
    let error = ask(&play.server(), Span::minutes(2)).await.expect_err("not now");
    assert_eq!((error.code.as_str(), play.seen().len()), ("store_full", 1));
    assert_eq!(AgentError::Remote(error).exit(), Exit::Unreachable);
}

#[tokio::test]
async fn an_answer_that_is_no_answer_is_damaged() {
    let cases = [
        Reply::Text(200, "<html>Please sign in to the hotel's network</html>"),
        Reply::Json(200, json!({ "release": 9 })),
        Reply::Text(302, ""),
        Reply::Text(404, "<html>not found</html>"),
        Reply::Bytes(vec![0xff; 10]),
    ];
    for reply in cases {
        let answer = reply.clone();
        let play = Play::start(move |_, _| answer.clone());
        let error = ask(&play.server(), Span::seconds(30)).await.expect_err("no answer");
        assert_eq!((error.code.as_str(), play.seen().len()), ("answer_damaged", 1), "{reply:?}");
        assert!(error.sentence.contains("is it a Holdfast server?"), "{error}");
        assert_eq!(AgentError::Remote(error).exit(), Exit::Damaged);
    }
}

#[tokio::test]
async fn an_answer_without_end_is_refused() {
    let play = Play::start(|_, _| Reply::Bytes(vec![b' '; 17 << 20]));
    let error = ask(&play.server(), Span::seconds(30)).await.expect_err("too long");
    assert_eq!(error.code, "answer_damaged");
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_not_a_server() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut &stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let server = Server { url: format!("https://127.0.0.1:{port}"), pin: Pin::Fingerprint([0; 32]) };
    assert_eq!(ask(&server, Span::ZERO).await.expect_err("no TLS").code, "server_unreachable");
}
