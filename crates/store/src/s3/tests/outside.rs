//! The same promises on an S3 server outside this process, a Ceph gateway. Refuses to start one: that is done by
//! `cargo xtask soak store`, which writes where it is into the file `soak_store` of cargo's directory for tests
//! (`target/tmp`) and runs the ignored test `soak`, which reads it.

use super::*;
use crate::s3::connect::Wire;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpService as _};
use std::error::Error as _;
use zeroize::Zeroizing;

/// Where `cargo xtask soak` says which server.
const SOAK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tmp/soak_store");
/// How often many writers put one name at once.
const RACES: u8 = 100;
/// What is refused: a bucket that is not there, and one that is taken away.
const ABSENT: &str = "holdfast-absent";
const BRIEF: &str = "holdfast-brief";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a Ceph gateway: cargo xtask soak store"]
async fn soak() {
    let server = Outside::told();
    server.make(&server.bucket).await;
    for (prefix, addressing) in [("path", Addressing::Path), ("name", Addressing::Name)] {
        let began_at = SystemClock.now();
        let settings = S3Settings { prefix: prefix.to_owned(), addressing, ..server.settings(&server.bucket) };
        let store = server.create(&settings, server.key.clone()).await.expect("the trial finds nothing wrong");
        let takes_parts = store.0.takes_parts.load(std::sync::atomic::Ordering::Relaxed);
        conformance::run(Arc::new(store)).await;
        let span = SystemClock.now().since(began_at);
        println!("the suite, bucket in the {prefix}: {span}; completes parts only where no object is: {takes_parts}");
    }
    server.lets_one_create(RACES).await;
    server.keeps_the_largest().await;
    server.leaves_no_upload().await;
    server.refuses_other_bytes().await;
    server.refuses_wrong_keys().await;
    server.refuses_an_absent_bucket().await;
}

/// A server that somebody else has started.
struct Outside {
    endpoint: String,
    bucket: String,
    key: S3Key,
}

impl Outside {
    fn told() -> Self {
        let told = std::fs::read_to_string(SOAK).expect("`cargo xtask soak store` has written where the server is");
        let [endpoint, bucket, key_file] = lines(&told).expect("an endpoint, a bucket, a file with a key");
        let key = std::fs::read_to_string(&key_file).expect("the file is there");
        let [id, secret] = lines(&key).expect("an id, a secret");
        Self { endpoint, bucket, key: S3Key { id, secret: Zeroizing::new(secret), token: None } }
    }

    fn settings(&self, bucket: &str) -> S3Settings {
        S3Settings {
            endpoint: self.endpoint.clone(),
            addressing: Addressing::Path,
            whole_bytes_max: base::Bytes::mib(8),
            ..S3Settings::new(bucket)
        }
    }

    async fn create(&self, settings: &S3Settings, key: S3Key) -> Result<S3, StoreError> {
        S3::create(settings, Arc::new(key), Arc::new(SystemClock), Arc::new(base::OsEntropy)).await
    }

    /// A request that is none of a store's, signed for the body that was meant; the status and the text of the answer.
    async fn asks(&self, method: Method, path: &str, meant: &str, sent: &str) -> (u16, String) {
        let settings = self.settings(&self.bucket);
        let wire = Wire::new(&settings, &settings.checked().expect("plain settings")).expect("a client");
        let credential =
            AwsCredential { key_id: self.key.id.clone(), secret_key: self.key.secret.to_string(), token: None };
        let mut request = HttpRequest::new(Bytes::from(meant.to_owned()).into());
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}/{path}", self.endpoint).parse().expect("a plain address");
        let authorizer = AwsAuthorizer::new(&credential, "s3", &settings.region);
        authorizer.try_authorize(&mut request, None).expect("the key can sign");
        *request.body_mut() = Bytes::from(sent.to_owned()).into();
        match wire.call(request).await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let body = answer.into_body().bytes().await.expect("the answer is whole");
                (status, String::from_utf8_lossy(&body).into_owned())
            }
            Err(error) => {
                let refusal = error.source().and_then(|cause| cause.downcast_ref::<trouble::Refusal>());
                let refusal = refusal.expect("the server answers");
                (refusal.status.as_u16(), refusal.code.clone())
            }
        }
    }

    async fn make(&self, bucket: &str) {
        let made = self.asks(Method::PUT, bucket, "", "").await;
        assert_eq!(made.0, 200, "making {bucket}: {}", made.1);
    }

    /// A race that a server loses now and then shows itself only in many.
    async fn lets_one_create(&self, rounds: u8) {
        let began_at = SystemClock.now();
        let settings = S3Settings { prefix: "race".to_owned(), ..self.settings(&self.bucket) };
        let store: Arc<dyn Store> = Arc::new(self.create(&settings, self.key.clone()).await.expect("a new store"));
        conformance::of_many_at_once_exactly_one_creates(&store, rounds, 16, 5_000).await;
        println!("{rounds} races of 16 writers: {}", SystemClock.now().since(began_at));
    }

    /// On a server that does not complete parts as it should, the largest object too goes in one request.
    async fn keeps_the_largest(&self) {
        let began_at = SystemClock.now();
        let settings = S3Settings { prefix: "largest".to_owned(), ..self.settings(&self.bucket) };
        let store = self.create(&settings, self.key.clone()).await.expect("a new store");
        let len = usize::try_from(crate::OBJECT_BYTES_MAX.0).expect("it fits into the memory");
        let mut bytes = vec![0; len];
        seeded().fill(&mut bytes);
        let bytes = Bytes::from(bytes);
        assert_eq!(store.put_new(&name("x"), bytes.clone()).await.expect("storing"), Put::Created);
        assert_eq!(store.put_new(&name("x"), bytes.clone()).await.expect("storing again"), Put::Existed);
        assert!(store.get(&name("x")).await.expect("reading") == bytes);
        store.remove(&name("x")).await.expect("removing");
        println!("the largest object, put twice and read: {}", SystemClock.now().since(began_at));
    }

    /// Uploads that lost, or that the trial began, were given up.
    async fn leaves_no_upload(&self) {
        let (status, text) = self.asks(Method::GET, &format!("{}?uploads=", self.bucket), "", "").await;
        assert!(status == 200 && text.contains("ListMultipartUploadsResult"), "{status} {text}");
        assert!(!text.contains("<UploadId>"), "{text}");
    }

    /// The signature covers the SHA-256 of the body, and the server compares.
    async fn refuses_other_bytes(&self) {
        let path = format!("{}/changed-on-the-way", self.bucket);
        let refused = self.asks(Method::PUT, &path, "the bytes that were meant", "the bytes that were sent!").await;
        println!("another body than the signature's: {} {}", refused.0, refused.1);
        assert_eq!(refused, (400, "XAmzContentSHA256Mismatch".to_owned()));
        assert_eq!(self.asks(Method::GET, &path, "", "").await, (404, "NoSuchKey".to_owned()));
    }

    async fn refuses_wrong_keys(&self) {
        let settings = S3Settings { prefix: "keys".to_owned(), ..self.settings(&self.bucket) };
        let wrong = |change: fn(&mut S3Key)| {
            let mut key = self.key.clone();
            change(&mut key);
            key
        };
        let rows = [
            (wrong(|key| key.secret = Zeroizing::new("wrong".to_owned())), "SignatureDoesNotMatch"),
            (wrong(|key| key.id = "NOBODY".to_owned()), "InvalidAccessKeyId"),
        ];
        for (key, code) in rows {
            let error = self.create(&settings, key).await.expect_err("a wrong key");
            assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
            let sentence = said(&error);
            println!("{sentence}");
            assert!(sentence.contains(code) && !sentence.contains(self.key.secret.as_str()), "{code}");
        }
    }

    async fn refuses_an_absent_bucket(&self) {
        let error = self.create(&self.settings(ABSENT), self.key.clone()).await.expect_err("no bucket");
        assert!(matches!(error, StoreError::NoBucket { .. }), "{error:?}");
        println!("{}", said(&error));

        self.make(BRIEF).await;
        let store = self.create(&self.settings(BRIEF), self.key.clone()).await.expect("a store in a new bucket");
        let layout = self.asks(Method::DELETE, &format!("{BRIEF}/HOLDFAST/LAYOUT"), "", "").await;
        assert_eq!(layout.0, 204, "{}", layout.1);
        let removed = self.asks(Method::DELETE, BRIEF, "", "").await;
        assert_eq!(removed.0, 204, "{}", removed.1);
        refused_without_a_bucket(&store).await;
    }
}

fn lines<const COUNT: usize>(text: &str) -> Option<[String; COUNT]> {
    text.lines().map(str::to_owned).collect::<Vec<_>>().try_into().ok()
}
