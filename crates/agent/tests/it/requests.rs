//! Requests of a run: signing in, bodies that count themselves, answers that must fit their question.

use crate::play::{Play, Reply, Request, around, problem};
use agent::remote::{Around, Connection, RunRemote};
use agent::state::DeviceKey;
use base::{DeviceId, RunId, SeededEntropy, Span};
use bytes::Bytes;
use engine::Remote;
use format::{ChunkRef, PackId};
use protocol::agent::session::signed_bytes;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const CHALLENGE: [u8; 48] = [5; 48];

pub fn device() -> DeviceId {
    DeviceId::mint(&SeededEntropy::new(1))
}

pub fn key() -> DeviceKey {
    DeviceKey::mint(&SeededEntropy::new(2))
}

/// Plays the two routes of a session; `token` names the token that is given out.
pub fn session(request: &Request, token: &str) -> Option<Reply> {
    match request.path.as_str() {
        "/v1/sessions/challenge" => {
            assert_eq!(request.json(), json!({ "device": device().to_string() }));
            let challenge = data_encoding::HEXLOWER.encode(&CHALLENGE);
            Some(Reply::Json(200, json!({ "challenge": challenge, "expires_in_ms": 60_000 })))
        }
        "/v1/sessions" => {
            let signature = request.json()["signature"].as_str().map(str::to_owned).expect("a signature");
            let signature = data_encoding::HEXLOWER.decode(signature.as_bytes()).expect("hexadecimal");
            let signed = signed_bytes(device(), &CHALLENGE);
            UnparsedPublicKey::new(&ED25519, key().public()).verify(&signed, &signature).expect("a good signature");
            Some(Reply::Json(200, json!({ "token": token, "expires_in_ms": 900_000, "counter": "07".repeat(56) })))
        }
        _ => None,
    }
}

pub fn remote(play: &Play, patience: Span) -> (RunRemote, Around) {
    let around = around(patience);
    let connection = Connection::signed_in(&play.server(), device(), key(), &around).expect("a connection");
    (RunRemote::new(Arc::new(connection), run(), 8_192), around)
}

fn run() -> RunId {
    RunId::mint(&SeededEntropy::new(3))
}

fn refs(count: usize) -> Vec<ChunkRef> {
    (0..count)
        .map(|number| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
            ChunkRef::from_bytes(bytes)
        })
        .collect()
}

#[tokio::test]
async fn one_session_serves_all_requests_also_side_by_side() {
    let play = Play::start(|_, request| session(request, "t1").unwrap_or(Reply::Bytes(vec![0b01])));
    let (remote, _) = remote(&play, Span::ZERO);
    let refs = refs(2);
    let (one, two) = futures::join!(remote.dedupe(&refs), remote.dedupe(&refs));
    assert_eq!((one.expect("an answer"), two.expect("an answer")), (vec![true, false], vec![true, false]));
    remote.dedupe(&refs).await.expect("an answer");
    assert_eq!(play.seen_at("/v1/sessions").len(), 2, "one challenge and one session");
    let asked = play.seen_at(&format!("/v1/runs/{}/dedupe", run()));
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|request| request.bearer.as_deref() == Some("t1") && request.body.len() == 64));
}

#[tokio::test]
async fn a_session_that_ended_is_opened_anew_once() {
    for code in ["session_expired", "session_invalid"] {
        let sessions = AtomicUsize::new(0);
        let play = Play::start(move |_, request| {
            if request.path == "/v1/sessions" {
                sessions.fetch_add(1, Ordering::SeqCst);
            }
            let token = format!("t{}", sessions.load(Ordering::SeqCst));
            match (session(request, &token), request.bearer.as_deref()) {
                (Some(reply), _) => reply,
                (None, Some("t1")) => problem(401, code, None),
                (None, _) => Reply::Bytes(vec![0]),
            }
        });
        let (remote, _) = remote(&play, Span::seconds(30));
        remote.dedupe(&refs(1)).await.expect("an answer");
        remote.dedupe(&refs(1)).await.expect("an answer");
        assert_eq!(play.seen_at("/v1/sessions").len(), 4);

        let hopeless = Play::start(move |_, request| session(request, "t").unwrap_or(problem(401, code, None)));
        let error = self::remote(&hopeless, Span::seconds(30)).0.dedupe(&refs(1)).await.expect_err("never good");
        assert_eq!((error.code.as_str(), hopeless.seen_at("/v1/runs").len()), (code, 2));
    }
}

#[tokio::test]
async fn a_challenge_whose_answer_was_lost_is_drawn_again() {
    let play = Play::start(|number, request| match number {
        1 => problem(401, "challenge_used", None),
        _ => session(request, "t").unwrap_or(Reply::Bytes(vec![0])),
    });
    remote(&play, Span::seconds(30)).0.dedupe(&refs(1)).await.expect("an answer");
    assert_eq!(play.seen_at("/v1/sessions/challenge").len(), 2);
}

#[tokio::test]
async fn a_pack_arrives_whole_however_often_the_line_is_cut_and_every_byte_sent_is_counted() {
    const PACK: usize = 16 << 20;
    let play = Play::start_cutting(
        |number, request| match number {
            2 => Some(0),
            3 => Some(5_000_000),
            _ if request.content_length == PACK => None,
            _ => None,
        },
        |number, request| match session(request, "t") {
            Some(reply) => reply,
            None if number == 4 => Reply::Silence,
            None => Reply::Json(200, json!({ "chunks_new": 7 })),
        },
    );
    let (remote, around) = remote(&play, Span::seconds(60));
    let pack: Vec<u8> = (0..PACK).map(|number| (number / 251) as u8).collect();
    let name = PackId::of(&pack);
    let bytes = Bytes::from(pack.clone());
    assert_eq!(remote.upload(name, bytes).await.expect("taken").chunks_new, 7);
    let puts = play.seen_at(&format!("/v1/runs/{}/packs/{name}", run()));
    assert_eq!(puts.len(), 4);
    assert!(puts.iter().all(|put| put.method == "PUT" && put.content_length == PACK));
    assert!(puts[2].body == pack && puts[3].body == pack, "the whole pack");
    let sent = around.progress.totals().bytes_sent;
    assert!((2 * PACK as u64 + 5_000_000..4 * PACK as u64 + 2_000).contains(&sent), "{sent}");
}

#[tokio::test]
async fn many_names_are_asked_in_as_many_requests_as_it_takes() {
    let play = Play::start(|_, request| match session(request, "t") {
        Some(reply) => reply,
        None if request.path.ends_with("/locate") => Reply::Bytes(
            request.body.as_chunks::<32>().0.iter().flat_map(|name| name[..8].iter().rev().copied()).collect(),
        ),
        None => Reply::Bytes(vec![0; (request.body.len() / 32).div_ceil(8)]),
    });
    let (remote, _) = remote(&play, Span::ZERO);
    let refs = refs(20_000);
    assert_eq!(remote.dedupe(&refs).await.expect("an answer").len(), 20_000);
    let packs: Vec<PackId> = refs.iter().map(|name| PackId::from_bytes(*name.as_bytes())).collect();
    assert_eq!(remote.verify(&packs).await.expect("an answer"), vec![]);
    let places = remote.locate(&refs).await.expect("an answer");
    assert!(places.iter().enumerate().all(|(number, place)| *place == Some(number as u64)));
    let sizes: Vec<usize> = play.seen_at("/v1/runs").iter().map(|request| request.body.len() / 32).collect();
    assert_eq!(sizes, [8_192, 8_192, 3_616, 8_192, 8_192, 3_616, 8_192, 8_192, 3_616]);
}

#[tokio::test]
async fn answers_that_do_not_fit_their_question_are_damaged() {
    let cases: [(&str, &[u8]); 6] = [
        ("too short", &[]),
        ("too long", &[0, 0]),
        ("a bit beyond the last", &[0b1000]),
        ("7 bytes for 8", &[0; 23]),
        ("9 bytes for 8", &[0; 25]),
        ("html", b"<html>"),
    ];
    for (what, answer) in cases {
        let play = Play::start(move |_, request| session(request, "t").unwrap_or(Reply::Bytes(answer.to_vec())));
        let (remote, _) = remote(&play, Span::seconds(30));
        let refs = refs(3);
        let packs = [PackId::of(b"1"), PackId::of(b"2"), PackId::of(b"3")];
        for error in [
            remote.dedupe(&refs).await.map(|_| ()),
            remote.verify(&packs).await.map(|_| ()),
            remote.locate(&refs).await.map(|_| ()),
            remote.upload(packs[0], Bytes::from_static(b"1")).await.map(|_| ()),
            remote.commit(Bytes::from_static(b"1")).await.map(|_| ()),
        ] {
            assert_eq!(error.expect_err(what).code, "answer_damaged", "{what}");
        }
    }
}
