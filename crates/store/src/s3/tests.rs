//! The store in a bucket against a real S3 server in this process: the suite, what a server may do wrong, and what is
//! there afterwards.

use super::*;
use crate::testing::{S3Mishap, S3Server};
use crate::{Record, conformance};
use async_trait::async_trait;
use base::{Kind, SeededEntropy, Span, SystemClock};
use reqwest::Method;
use std::io;

mod large;
mod mishaps;
mod opening;
mod outside;
mod tls;

/// A caller that has read nothing from a file yet: it gives the key that the server takes now.
struct Current(Arc<S3Server>);

#[async_trait]
impl S3Keys for Current {
    async fn key(&self) -> io::Result<S3Key> {
        Ok(self.0.key())
    }
}

/// The system's clock, save that its pauses are short.
struct Hurried;

impl Clock for Hurried {
    fn now(&self) -> base::Timestamp {
        SystemClock.now()
    }

    fn sleep(&self, span: Span) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        SystemClock.sleep(Span::ms(span.as_ms() / 50))
    }
}

fn hurried() -> Arc<dyn Clock> {
    Arc::new(Hurried)
}

fn seeded() -> Arc<dyn Entropy> {
    Arc::new(SeededEntropy::new(7))
}

async fn server() -> Arc<S3Server> {
    Arc::new(S3Server::start().await)
}

async fn create(server: &Arc<S3Server>, settings: &S3Settings) -> Result<S3, StoreError> {
    S3::create(settings, Arc::new(Current(Arc::clone(server))), hurried(), seeded()).await
}

async fn open(server: &Arc<S3Server>, settings: &S3Settings) -> Result<S3, StoreError> {
    S3::open(settings, Arc::new(Current(Arc::clone(server))), hurried(), seeded()).await
}

/// A server and a new store in its bucket.
async fn new_store() -> (Arc<S3Server>, S3) {
    let server = server().await;
    let store = create(&server, &server.settings()).await.expect("a new store");
    (server, store)
}

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).expect("a plain name")
}

/// What every call answers when there is no bucket.
async fn refused_without_a_bucket(store: &S3) {
    let object = name("x");
    let errors = [
        store.get(&object).await.expect_err("no bucket"),
        store.get_range(&object, 0, 1).await.expect_err("no bucket"),
        store.head(&object).await.expect_err("no bucket"),
        store.list("", None, 9).await.expect_err("no bucket"),
        store.put_new(&object, Bytes::new()).await.expect_err("no bucket"),
        store.remove(&object).await.expect_err("no bucket"),
    ];
    for (place, error) in errors.iter().enumerate() {
        assert!(matches!(error, StoreError::NoBucket { .. }), "call {place}: {error:?}");
        assert_eq!(error.kind(), Kind::Unavailable);
    }
}

/// An error and all its causes, as an admin is shown them.
fn said(error: &StoreError) -> String {
    let mut sentence = error.to_string();
    let mut link = std::error::Error::source(error);
    while let Some(cause) = link {
        sentence = format!("{sentence}: {cause}");
        link = cause.source();
    }
    sentence
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bucket_keeps_the_promises_of_a_store() {
    let (server, store) = new_store().await;
    conformance::run(Arc::new(Record::new(store))).await;
    assert_eq!(server.uploads_unfinished(), 0, "uploads that lost were given up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn so_does_a_part_of_a_bucket_whose_name_stands_before_the_servers() {
    let server = server().await;
    let prefix = "Backups/one".to_owned();
    let settings = S3Settings { prefix, addressing: Addressing::Name, ..server.settings() };
    let store = create(&server, &settings).await.expect("a new store");
    conformance::run(Arc::new(store)).await;
    let keys = server.keys();
    assert!(keys.len() > 100 && keys.iter().all(|key| key.starts_with("Backups/one/")), "{keys:?}");
}

#[tokio::test]
async fn two_stores_below_two_prefixes_do_not_see_each_other() {
    let server = server().await;
    let mut stores = Vec::new();
    for prefix in ["a", "a/b", "ab"] {
        let settings = S3Settings { prefix: prefix.to_owned(), ..server.settings() };
        stores.push(create(&server, &settings).await);
    }
    let [Ok(a), Err(within), Ok(beside)] = &stores[..] else { panic!("{stores:?}") };
    let place = format!("there is a store in the part a/ of the bucket holdfast-test at {} already", server.endpoint());
    assert_eq!(within.to_string(), place, "what lies within a store would be listed by it");
    assert_eq!(within.kind(), Kind::Conflict);
    a.put_new(&name("x"), Bytes::from_static(b"1")).await.expect("storing");
    assert_eq!(beside.list("", None, 10).await.expect("listing"), []);
    assert_eq!(a.list("", None, 10).await.expect("listing").len(), 1);
}

#[test]
fn a_store_is_printed_without_a_secret() {
    let settings = format!("{:?}", S3Settings::new("bucket"));
    assert!(!settings.contains("secret"), "{settings}");
}
