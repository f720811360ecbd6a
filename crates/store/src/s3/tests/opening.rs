//! Making and opening a store: what must be there, what must not, and which servers are refused.

use super::*;

#[tokio::test]
async fn only_a_bucket_with_a_store_of_this_layout_opens() {
    let server = server().await;
    let settings = S3Settings { prefix: "p".to_owned(), ..server.settings() };
    let error = open(&server, &settings).await.expect_err("there is none");
    let place = format!("the part p/ of the bucket holdfast-test at {}", server.endpoint());
    assert_eq!(
        error.to_string(),
        format!("there is no store in {place}: are the bucket and the prefix the right ones?")
    );
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(server.keys(), [] as [String; 0], "nothing was written into a bucket that is not ours");

    let store = create(&server, &settings).await.expect("a new store");
    store.put_new(&name("x"), Bytes::from_static(b"1")).await.expect("storing");
    let error = create(&server, &settings).await.expect_err("there is one");
    assert_eq!(error.to_string(), format!("there is a store in {place} already"));
    assert_eq!(error.kind(), Kind::Conflict);
    let again = open(&server, &settings).await.expect("it opens");
    assert_eq!(again.get(&name("x")).await.expect("reading"), &b"1"[..]);
    assert_eq!(server.keys(), ["p/HOLDFAST/LAYOUT", "p/x"], "no trial object stays");

    let layout = again.0.path("HOLDFAST/LAYOUT");
    again.0.client.put(&layout, Bytes::from_static(b"holdfast bucket layout 2\nmore").into()).await.expect("writing");
    let error = open(&server, &settings).await.expect_err("another version made it");
    assert!(error.to_string().contains("\"holdfast bucket layout 2\""), "{error}");
    assert_eq!(error.kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_bucket_of_others_is_left_alone() {
    let (server, store) = new_store().await;
    store.0.client.delete(&store.0.path("HOLDFAST/LAYOUT")).await.expect("removing");
    server.key_add("Photos/1.jpg");
    let error = create(&server, &server.settings()).await.expect_err("it is not empty");
    assert!(error.to_string().contains("is not empty (Photos/1.jpg is there)"), "{error}");
    assert_eq!((error.kind(), server.keys()), (Kind::Conflict, vec!["Photos/1.jpg".to_owned()]));
}

#[tokio::test]
async fn an_absent_bucket_is_not_taken_for_an_absent_object() {
    let (server, store) = new_store().await;
    server.bucket_remove();
    refused_without_a_bucket(&store).await;
    let errors = [
        open(&server, &server.settings()).await.expect_err("no bucket"),
        create(&server, &server.settings()).await.expect_err("no bucket"),
    ];
    for error in &errors {
        assert!(matches!(error, StoreError::NoBucket { .. }), "{error:?}");
        assert_eq!(error.kind(), Kind::Unavailable);
    }
    let sentence = errors[0].to_string();
    assert!(sentence.ends_with("does not exist: make the bucket there, or correct its name"), "{sentence}");
}

#[tokio::test]
async fn a_server_that_ignores_conditions_is_refused_at_both_ends() {
    let server = server().await;
    let settings = |prefix: &str| S3Settings { prefix: prefix.to_owned(), ..server.settings() };
    create(&server, &settings("a")).await.expect("a good server");
    server.conditions_ignore(true, true);
    let errors = [
        open(&server, &settings("a")).await.expect_err("the server was replaced"),
        create(&server, &settings("b")).await.expect_err("it is no server for a store"),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Unfit { .. }), "{error:?}");
        assert!(error.to_string().contains("(it ignores If-None-Match)"), "{error}");
        assert_eq!(error.kind(), Kind::Invalid);
    }
    assert_eq!(server.keys(), ["a/HOLDFAST/LAYOUT"], "the trial objects were removed");
}

#[tokio::test]
async fn a_refused_key_is_asked_for_once_more_and_then_told() {
    let (server, store) = new_store().await;
    let object = name("x");
    store.put_new(&object, Bytes::from_static(b"1")).await.expect("storing");
    server.key_replace("AKIAROTATED", "another/secret");
    assert_eq!(store.get(&object).await.expect("the new key was asked for"), &b"1"[..]);

    let old = S3Key { id: "AKIAHOLDFAST".to_owned(), ..server.key() };
    let error = S3::open(&server.settings(), Arc::new(old), hurried(), seeded()).await.expect_err("an old key");
    let sentence = said(&error);
    assert!(
        sentence.contains("the server refuses the access key for the bucket holdfast-test at http://"),
        "{sentence}"
    );
    assert!(sentence.contains("InvalidAccessKeyId") && !sentence.contains("another/secret"), "{sentence}");
    assert_eq!(error.kind(), Kind::Unavailable);

    let wrong = S3Key { secret: zeroize::Zeroizing::new("wrong".to_owned()), ..server.key() };
    let error = S3::open(&server.settings(), Arc::new(wrong), hurried(), seeded()).await.expect_err("a wrong secret");
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert!(said(&error).contains("SignatureDoesNotMatch"), "{}", said(&error));

    let before = server.requests();
    server.plan(&Method::GET, 9, S3Mishap::Refuse(400, "ExpiredToken"));
    let error = store.get(&object).await.expect_err("the session has expired for good");
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert_eq!(server.requests() - before, 2, "once, and once with a fresh key");
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_told_as_such() {
    struct Away;
    #[async_trait]
    impl S3Keys for Away {
        async fn key(&self) -> io::Result<S3Key> {
            Err(io::Error::new(io::ErrorKind::NotFound, "keys/s3.toml: no such file"))
        }
    }
    let server = server().await;
    let error = S3::open(&server.settings(), Arc::new(Away), hurried(), seeded()).await.expect_err("no key");
    assert!(said(&error).ends_with("cannot be read: keys/s3.toml: no such file"), "{}", said(&error));
    assert_eq!((error.kind(), server.requests()), (Kind::Unavailable, 0));
}

#[tokio::test]
async fn nobody_there_is_told_after_the_budget() {
    let server = server().await;
    let settings = S3Settings { endpoint: "http://127.0.0.1:9".to_owned(), retries_max: 2, ..server.settings() };
    let error = open(&server, &settings).await.expect_err("nobody listens");
    let sentence = said(&error);
    assert!(
        sentence.contains("the bucket holdfast-test at http://127.0.0.1:9 cannot be used as a store"),
        "{sentence}"
    );
    assert!(sentence.contains("refused") && sentence.contains("(3 attempts in "), "{sentence}");
    assert_eq!(error.kind(), Kind::Unavailable);
}
