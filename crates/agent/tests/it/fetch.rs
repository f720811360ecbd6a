//! Parcels on their way back: cut streams go on where they were, and nothing comes that was not asked for.

use crate::play::{Play, Reply, Request, problem};
use crate::requests::{remote, session};
use base::Span;
use engine::{Parcel, Remote, RemoteError};
use format::{ChunkRef, Codec};
use futures::TryStreamExt;
use protocol::agent::fetch::{Parcel as WireParcel, ParcelChunk, encode_end};
use std::sync::Mutex;

/// The ref whose first byte is `number`; the chunk that it names is that byte, ten times.
fn chunk(number: u8) -> ChunkRef {
    let mut bytes = [0; 32];
    bytes[0] = number;
    ChunkRef::from_bytes(bytes)
}

/// The numbers of the refs in a request.
fn asked(request: &Request) -> Vec<u8> {
    request.body.as_chunks::<32>().0.iter().map(|name| name[0]).collect()
}

/// A parcel of the chunks at these positions of a request for these numbers.
fn parcel(numbers: &[u8], positions: &[u32]) -> Vec<u8> {
    let bytes: Vec<u8> = positions.iter().flat_map(|position| [numbers[*position as usize]; 10]).collect();
    let chunks = positions.iter().map(|position| ParcelChunk { position: *position, len: 10 }).collect();
    WireParcel { codec: 0, plain_len: bytes.len() as u32, chunks, bytes }.encode()
}

/// The whole answer to a request: two chunks a parcel, those in `lacking` left out.
fn whole(numbers: &[u8], lacking: &[u8]) -> Vec<u8> {
    let there: Vec<u32> =
        (0..numbers.len() as u32).filter(|position| !lacking.contains(&numbers[*position as usize])).collect();
    let mut wire: Vec<u8> = there.chunks(2).flat_map(|positions| parcel(numbers, positions)).collect();
    wire.extend_from_slice(&encode_end(there.len().div_ceil(2) as u32));
    wire
}

async fn fetch(play: &Play, numbers: &[u8], patience: Span) -> Result<Vec<Parcel>, RemoteError> {
    let (remote, _) = remote(play, patience);
    let refs = numbers.iter().map(|number| chunk(*number)).collect();
    remote.fetch(refs).await?.try_collect().await
}

/// The numbers that came, after checking that each stands at its place and has its bytes.
fn came(parcels: &[Parcel], numbers: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for parcel in parcels {
        assert_eq!((parcel.codec, parcel.plain_len as usize), (Codec::Stored, parcel.chunks.len() * 10));
        for ((position, len), bytes) in parcel.chunks.iter().zip(parcel.bytes.chunks(10)) {
            let number = numbers[*position as usize];
            assert_eq!((*len, bytes), (10, [number; 10].as_slice()));
            all.push(number);
        }
    }
    all.sort_unstable();
    all
}

#[tokio::test]
async fn every_chunk_that_the_server_has_comes_once() {
    let play =
        Play::start(|_, request| session(request, "t").unwrap_or_else(|| Reply::Bytes(whole(&asked(request), &[4]))));
    let numbers: Vec<u8> = (0..9).collect();
    let parcels = fetch(&play, &numbers, Span::ZERO).await.expect("parcels");
    assert_eq!(came(&parcels, &numbers), [0, 1, 2, 3, 5, 6, 7, 8]);
    assert_eq!(play.seen_at("/v1/runs").len(), 1, "what the server lacks is not asked for again");
    assert!(fetch(&play, &[], Span::ZERO).await.expect("nothing").is_empty());
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_goes_on_with_what_has_not_come() {
    let numbers: Vec<u8> = (0..7).collect();
    let len = whole(&numbers, &[]).len();
    for cut in [0, 1, 16, 51, 52, 53, 100, len - 8, len - 1] {
        let cuts = Mutex::new(1);
        let play = Play::start(move |_, request| {
            if let Some(reply) = session(request, "t") {
                return reply;
            }
            let wire = whole(&asked(request), &[]);
            let mut cuts = cuts.lock().expect("no panic with the lock");
            match *cuts {
                0 => Reply::Bytes(wire),
                _ => {
                    *cuts -= 1;
                    Reply::Cut(wire[..cut].to_vec(), wire.len())
                }
            }
        });
        let parcels = fetch(&play, &numbers, Span::seconds(30)).await.expect("parcels");
        assert_eq!(came(&parcels, &numbers), numbers, "cut after {cut} bytes");
        let requests = play.seen_at("/v1/runs");
        if cut >= len - 8 {
            assert_eq!(requests.len(), 1, "nothing is lacking after {cut} bytes");
            continue;
        }
        let whole_parcels = cut / (16 + 2 * 8 + 20);
        assert_eq!(asked(&requests[1]).len(), 7 - whole_parcels * 2, "cut after {cut} bytes");
    }
}

#[tokio::test]
async fn an_answer_that_ends_without_its_mark_is_cut_too() {
    let count = Mutex::new(0);
    let play = Play::start(move |_, request| {
        session(request, "t").unwrap_or_else(|| {
            let mut count = count.lock().expect("no panic with the lock");
            *count += 1;
            let wire = whole(&asked(request), &[]);
            // Short, and the length that HTTP promises is kept: only the end mark tells.
            Reply::Bytes(if *count == 1 { wire[..52].to_vec() } else { wire })
        })
    });
    let numbers = [1, 2, 3, 4];
    assert_eq!(came(&fetch(&play, &numbers, Span::seconds(30)).await.expect("parcels"), &numbers), numbers);
}

#[tokio::test]
async fn what_was_not_asked_for_or_comes_twice_is_damage() {
    let cases: [(&str, Vec<u8>); 5] = [
        ("a place that was not asked for", parcel(&[1, 2, 3, 4], &[3])),
        ("the same place in two parcels", [parcel(&[1, 2], &[0]), parcel(&[1, 2], &[0])].concat()),
        ("the same place twice in one parcel", parcel(&[1, 2], &[0, 0])),
        ("a codec that nobody knows", {
            let mut wire = parcel(&[1, 2], &[0]);
            wire[1] = 9;
            wire
        }),
        ("no parcels at all", b"<html>".to_vec()),
    ];
    for (what, wire) in cases {
        let wire = [wire, encode_end(1).to_vec()].concat();
        let play = Play::start(move |_, request| session(request, "t").unwrap_or_else(|| Reply::Bytes(wire.clone())));
        let error = fetch(&play, &[1, 2], Span::seconds(30)).await.expect_err(what);
        assert_eq!((error.code.as_str(), play.seen_at("/v1/runs").len()), ("answer_damaged", 1), "{what}");
    }
}

#[tokio::test]
async fn a_refusal_in_the_middle_ends_the_stream() {
    let numbers = [1, 2, 3, 4];
    let count = Mutex::new(0);
    let play = Play::start(move |_, request| {
        session(request, "t").unwrap_or_else(|| {
            let mut count = count.lock().expect("no panic with the lock");
            *count += 1;
            match *count {
                1 => Reply::Cut(whole(&asked(request), &[])[..60].to_vec(), 500),
                _ => problem(403, "device_deactivated", None),
            }
        })
    });
    let error = fetch(&play, &numbers, Span::seconds(30)).await.expect_err("refused");
    assert_eq!(error.code, "device_deactivated");
}
