//! What a server and a network may do wrong with one request: which error comes out, and that nothing is lost or half
//! there.

use super::*;

const BYTES: &[u8] = b"the bytes of an object";

/// A store with one object, `x`.
async fn with_object() -> (Arc<S3Server>, S3) {
    let (server, store) = new_store().await;
    store.put_new(&name("x"), Bytes::from_static(BYTES)).await.expect("storing");
    (server, store)
}

/// Every call succeeds in spite of these mishaps, which all happen.
async fn passes(methods: &[Method], count: usize, mishap: S3Mishap) {
    let (server, store) = with_object().await;
    for method in methods {
        server.plan(method, count, mishap);
    }
    let object = name("y");
    store.put_new(&object, Bytes::from_static(BYTES)).await.expect("storing");
    assert_eq!(store.get(&object).await.expect("reading"), BYTES);
    assert_eq!(store.get_range(&object, 4, 5).await.expect("reading"), &BYTES[4..9]);
    assert_eq!(store.head(&object).await.expect("looking"), Some(base::Bytes::of(BYTES.len())));
    let listed = store.list("", None, 9).await.expect("listing");
    assert_eq!(listed.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    store.remove(&object).await.expect("removing");
    assert_eq!(store.head(&object).await.expect("looking"), None);
    assert_eq!(server.planned(), 0, "every mishap happened: {mishap:?}");
}

#[tokio::test]
async fn a_busy_or_broken_server_is_asked_again() {
    let all = [Method::PUT, Method::GET, Method::HEAD, Method::DELETE];
    let refusals = [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests"), (409, "OperationAborted")];
    for (status, code) in refusals {
        passes(&all, 2, S3Mishap::Refuse(status, code)).await;
    }
    passes(&all, 2, S3Mishap::Drop).await;
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_what_was_done_is_found() {
    passes(&[Method::PUT, Method::GET, Method::HEAD, Method::DELETE], 2, S3Mishap::LoseAnswer).await;
    let (server, store) = new_store().await;
    server.plan(&Method::PUT, 1, S3Mishap::LoseAnswer);
    let put = store.put_new(&name("x"), Bytes::from_static(BYTES)).await.expect("storing");
    assert_eq!(put, Put::Existed, "it finds its own object");
    assert_eq!(store.get(&name("x")).await.expect("reading"), BYTES);
}

#[tokio::test]
async fn a_body_that_is_cut_or_too_long_is_read_again() {
    for mishap in [S3Mishap::Truncate(3), S3Mishap::Truncate(0), S3Mishap::Lengthen] {
        passes(&[Method::GET], 2, mishap).await;
        let (server, store) = with_object().await;
        server.plan(&Method::GET, 99, mishap);
        for error in [
            store.get(&name("x")).await.expect_err("it is never whole"),
            store.get_range(&name("x"), 2, 9).await.expect_err("it is never whole"),
        ] {
            assert!(matches!(error, StoreError::Io { .. }), "{mishap:?}: {error:?}");
            assert_eq!(error.kind(), Kind::Unavailable);
            let place = format!("in the bucket holdfast-test at {}: ", server.endpoint());
            let sentence = format!("reading the object x failed: {place}the connection or the answer was broken: ");
            assert!(said(&error).starts_with(&sentence), "{}", said(&error));
        }
    }
}

#[tokio::test]
async fn a_turned_byte_is_read_again_and_told_as_damage_when_it_stays() {
    passes(&[Method::GET], 1, S3Mishap::Flip(3)).await;
    let (server, store) = with_object().await;
    let before = server.requests();
    server.plan(&Method::GET, 9, S3Mishap::Flip(0));
    let error = store.get(&name("x")).await.expect_err("it is another object");
    assert_eq!(
        error.to_string(),
        "the object x is not what was stored: its bytes do not have the SHA-256 that was stored with them"
    );
    assert_eq!((error.kind(), server.requests() - before), (Kind::Damaged, 3));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_and_read_again() {
    let server = server().await;
    let settings = S3Settings { request_span: Span::ms(1_500), retries_max: 1, ..server.settings() };
    let store = create(&server, &settings).await.expect("a new store");
    store.put_new(&name("x"), Bytes::from_static(BYTES)).await.expect("storing");
    server.plan(&Method::GET, 1, S3Mishap::SlowBody(Span::seconds(20)));
    assert_eq!(store.get(&name("x")).await.expect("the second time it comes"), BYTES);
    server.plan(&Method::GET, 2, S3Mishap::SlowBody(Span::seconds(20)));
    let error = store.get(&name("x")).await.expect_err("it does not come");
    assert!(matches!(error, StoreError::Io { .. }) && error.kind() == Kind::Unavailable, "{error:?}");
    // Slow, but not too slow.
    server.plan(&Method::GET, 1, S3Mishap::SlowBody(Span::ms(50)));
    assert_eq!(store.get(&name("x")).await.expect("it comes in time"), BYTES);
}

#[tokio::test]
async fn a_server_that_never_recovers_is_told_with_its_own_words() {
    let (server, store) = with_object().await;
    server.plan(&Method::PUT, 99, S3Mishap::Refuse(503, "SlowDown"));
    let error = store.put_new(&name("y"), Bytes::from_static(BYTES)).await.expect_err("it never takes it");
    let sentence = said(&error);
    let place = format!("in the bucket holdfast-test at {}: ", server.endpoint());
    let said = format!("storing the object y failed: {place}the server answered 503 SlowDown: as the test wished (13 ");
    assert!(sentence.starts_with(&said), "{sentence}");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(store.head(&name("y")).await.expect("looking"), None, "nothing of it is there");
}

#[tokio::test]
async fn a_full_server_is_told_as_such_and_nothing_of_the_object_is_there() {
    let (server, store) = with_object().await;
    for (status, code) in [(403, "QuotaExceeded"), (507, "XMinioStorageFull")] {
        server.plan(&Method::PUT, 1, S3Mishap::Refuse(status, code));
        let error = store.put_new(&name("y"), Bytes::from_static(BYTES)).await.expect_err("there is no room");
        assert!(matches!(error, StoreError::Quota { .. }), "{error:?}");
        assert!(said(&error).contains("nothing that was stored is lost: the server answered"), "{}", said(&error));
        assert_eq!(error.kind(), Kind::Unavailable);
        assert_eq!(store.head(&name("y")).await.expect("looking"), None);
    }
}

#[tokio::test]
async fn an_answer_that_no_request_will_change_is_told_at_once() {
    let (server, store) = with_object().await;
    let before = server.requests();
    server.plan(&Method::GET, 1, S3Mishap::Refuse(301, "PermanentRedirect"));
    let error = store.get(&name("x")).await.expect_err("the bucket is in another region");
    assert!(said(&error).contains("301 PermanentRedirect"), "{}", said(&error));
    assert_eq!(server.requests() - before, 1);
}

#[tokio::test]
async fn pages_that_are_shorter_than_asked_for_are_no_end() {
    let (server, store) = new_store().await;
    for number in 0..10 {
        store.put_new(&name(&format!("n/{number}")), Bytes::new()).await.expect("storing");
    }
    server.page_limit(3);
    assert_eq!(store.list("", None, 100).await.expect("listing").len(), 10);
    assert_eq!(store.list("n/", Some(&name("n/1")), 7).await.expect("listing").len(), 7);
}

#[tokio::test]
async fn a_proxys_word_that_nothing_is_there_is_not_believed() {
    let (server, store) = with_object().await;
    server.plan(&Method::GET, 1, S3Mishap::Refuse(404, ""));
    server.plan(&Method::HEAD, 1, S3Mishap::Refuse(404, ""));
    server.plan(&Method::DELETE, 1, S3Mishap::Refuse(404, ""));
    assert_eq!(store.get(&name("x")).await.expect("reading"), BYTES);
    assert!(store.head(&name("x")).await.expect("looking").is_some());
    store.remove(&name("x")).await.expect("removing");
    assert_eq!((store.head(&name("x")).await.expect("looking"), server.planned()), (None, 0));
}

#[tokio::test]
async fn keys_of_others_are_left_out_of_a_listing_or_named() {
    let (server, store) = with_object().await;
    server.key_add("Photos/1.jpg");
    server.key_add("x/y z");
    let listed = store.list("", None, 9).await.expect("listing");
    assert_eq!(listed.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["x"]);
    server.key_add("x//y");
    let before = server.requests();
    let error = store.list("x", None, 9).await.expect_err("the library cannot read it");
    assert!(said(&error).contains("there is a key that is none of the store's"), "{}", said(&error));
    assert!(said(&error).contains("x//y"), "{}", said(&error));
    assert_eq!(server.requests() - before, 1);
}

#[tokio::test]
async fn bytes_that_change_on_their_way_to_the_server_are_not_stored() {
    let (server, store) = new_store().await;
    server.plan(&Method::PUT, 2, S3Mishap::FlipSent(3));
    assert_eq!(store.put_new(&name("x"), Bytes::from_static(BYTES)).await.expect("storing"), Put::Created);
    assert_eq!(store.get(&name("x")).await.expect("reading"), BYTES);
    server.plan(&Method::PUT, 99, S3Mishap::FlipSent(3));
    let error = store.put_new(&name("y"), Bytes::from_static(BYTES)).await.expect_err("they change each time");
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    // Amazon says 400 BadDigest or XAmzContentSHA256Mismatch, this server 500: all of them may pass.
    assert!(said(&error).contains("the server answered "), "{}", said(&error));
    assert_eq!(store.head(&name("y")).await.expect("looking"), None);
    assert_eq!(store.list("", None, 9).await.expect("listing").len(), 1);
}
