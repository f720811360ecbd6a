//! Objects that go in parts: the same promises, and nothing left behind.

use super::*;

const LEN: usize = conformance::LARGE_LEN;

fn large(filled: u8) -> Bytes {
    Bytes::from(vec![filled; LEN])
}

/// Uploads are given up beside the call: this waits for it.
async fn all_finished(server: &S3Server) {
    for _ in 0..500 {
        if server.uploads_unfinished() == 0 {
            return;
        }
        SystemClock.sleep(Span::ms(10)).await;
    }
    panic!("{} uploads were left behind", server.uploads_unfinished());
}

#[tokio::test]
async fn a_large_object_is_put_once_and_comes_back() {
    let (server, store) = new_store().await;
    let before = server.requests();
    assert_eq!(store.put_new(&name("x"), large(1)).await.expect("storing"), Put::Created);
    assert_eq!(server.requests() - before, 6, "look, and for the bucket, begin, two parts, complete");
    assert_eq!(store.put_new(&name("x"), large(2)).await.expect("storing"), Put::Existed);
    assert_eq!(server.requests() - before, 7, "what is there is not sent");
    assert!(store.get(&name("x")).await.expect("reading") == large(1));
    assert_eq!(store.get_range(&name("x"), LEN as u64 - 2, 2).await.expect("reading"), &[1, 1][..]);
    server.plan(&Method::GET, 3, S3Mishap::Flip(LEN - 1));
    let error = store.get(&name("x")).await.expect_err("parts have one digest together");
    assert!(matches!(error, StoreError::Altered { .. }), "{error:?}");
    assert_eq!(server.uploads_unfinished(), 0);
}

#[tokio::test]
async fn a_lost_answer_to_the_completion_is_found_as_the_object() {
    let (server, store) = new_store().await;
    // Of the two POST requests, the second completes.
    server.plan(&Method::POST, 1, S3Mishap::SlowBody(Span::ZERO));
    server.plan(&Method::POST, 1, S3Mishap::LoseAnswer);
    assert_eq!(store.put_new(&name("x"), large(1)).await.expect("storing"), Put::Existed);
    assert!(store.get(&name("x")).await.expect("reading") == large(1));

    server.plan(&Method::POST, 1, S3Mishap::SlowBody(Span::ZERO));
    server.plan(&Method::POST, 1, S3Mishap::Drop);
    assert_eq!(store.put_new(&name("y"), large(2)).await.expect("storing"), Put::Created);
    assert_eq!(server.planned(), 0);
    all_finished(&server).await;
}

#[tokio::test]
async fn a_completion_that_met_another_writer_is_begun_anew_with_all_parts() {
    let (server, store) = new_store().await;
    let conflict = S3Mishap::Refuse(409, "ConditionalRequestConflict");
    server.plan(&Method::POST, 1, S3Mishap::SlowBody(Span::ZERO));
    server.plan(&Method::POST, 1, conflict);
    let before = server.requests();
    assert_eq!(store.put_new(&name("x"), large(1)).await.expect("storing"), Put::Created);
    assert!(store.get(&name("x")).await.expect("reading") == large(1));
    all_finished(&server).await;
    assert_eq!(server.requests() - before, 6 + 6 + 1 + 1, "twice all of it, given up once, and read");

    for _ in 0..3 {
        server.plan(&Method::POST, 1, S3Mishap::SlowBody(Span::ZERO));
        server.plan(&Method::POST, 1, conflict);
    }
    let error = store.put_new(&name("y"), large(1)).await.expect_err("it always meets one");
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    assert!(said(&error).contains("409 ConditionalRequestConflict"), "{}", said(&error));
    all_finished(&server).await;
    assert_eq!(store.head(&name("y")).await.expect("looking"), None);
}

#[tokio::test]
async fn what_is_not_finished_is_given_up() {
    let (server, store) = new_store().await;
    server.plan(&Method::PUT, 99, S3Mishap::Refuse(400, "InvalidRequest"));
    let error = store.put_new(&name("x"), large(1)).await.expect_err("no part is taken");
    assert!(said(&error).contains("400 InvalidRequest"), "{}", said(&error));
    all_finished(&server).await;
    assert_eq!(store.head(&name("x")).await.expect("looking"), None);
    assert_eq!(store.list("", None, 9).await.expect("listing"), []);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_leaves_no_parts() {
    let (server, store) = new_store().await;
    server.plan(&Method::PUT, 99, S3Mishap::Refuse(503, "SlowDown"));
    let (beside, object) = (store.clone(), name("x"));
    let put = tokio::spawn(async move { beside.put_new(&object, large(1)).await });
    while server.uploads_unfinished() == 0 {
        SystemClock.sleep(Span::ms(5)).await;
    }
    // The answer to the beginning is on its way: the parts are then being refused.
    while server.planned() == 99 {
        SystemClock.sleep(Span::ms(5)).await;
    }
    put.abort();
    assert!(put.await.expect_err("it was ended").is_cancelled());
    all_finished(&server).await;
    assert_eq!(store.head(&name("x")).await.expect("looking"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_ignores_the_condition_on_parts_gets_large_objects_whole() {
    let server = server().await;
    server.conditions_ignore(false, true);
    let store = create(&server, &server.settings()).await.expect("conditions on whole objects are enough");
    let before = server.requests();
    assert_eq!(store.put_new(&name("x"), large(1)).await.expect("storing"), Put::Created);
    assert_eq!(server.requests() - before, 1);
    assert_eq!(store.put_new(&name("x"), large(2)).await.expect("storing"), Put::Existed);
    assert!(store.get(&name("x")).await.expect("reading") == large(1));
    store.remove(&name("x")).await.expect("removing");
    conformance::run(Arc::new(store)).await;
}
