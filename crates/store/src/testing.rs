//! An S3 server in the process of a test: real HTTP, real signatures, real files, and mishaps on demand.
//! Refuses to be random, and to be reached from another computer. The server is s3s-fs; what that lacks stands in
//! testing/shelf.rs.

mod mishap;
mod shelf;

pub use mishap::S3Mishap;

use crate::{Addressing, S3Key, S3Settings};
use base::Span;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use mishap::{Answer, Plan};
use s3s::auth::{S3Auth, SecretKey};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use shelf::Shelf;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// The one bucket.
const BUCKET: &str = "holdfast-test";

/// A server with one empty bucket, on a free port of this computer, for as long as it lives.
#[derive(Debug)]
pub struct S3Server {
    port: u16,
    folder: TempDir,
    key: Arc<Mutex<S3Key>>,
    shelf: Shelf,
    plan: Arc<Plan>,
    task: JoinHandle<()>,
}

impl S3Server {
    /// A server that does everything right.
    ///
    /// # Panics
    /// When there is no room for a folder or no port.
    pub async fn start() -> S3Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a folder for the bucket");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let key = Arc::new(Mutex::new(key("AKIAHOLDFAST", "not/a+secret")));
        let shelf = Shelf::new(folder.path());
        let mut builder = S3ServiceBuilder::new(shelf.clone());
        builder.set_auth(Lock(Arc::clone(&key)));
        builder.set_host(Names);
        let plan = Arc::new(Plan::default());
        let task = tokio::spawn(accept(listener, builder.build(), Arc::clone(&plan)));
        S3Server { port, folder, key, shelf, plan, task }
    }

    /// The address, `http://localhost:49152`. Never fails.
    pub fn endpoint(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// The name of the bucket. Never fails.
    pub fn bucket(&self) -> &'static str {
        BUCKET
    }

    /// The access key that is good now. Never fails.
    pub fn key(&self) -> S3Key {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another key is good from now on, and the one before is not. Never fails.
    pub fn key_replace(&self, id: &str, secret: &str) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = key(id, secret);
    }

    /// Settings that lead to the bucket, with objects above 8 MiB in parts. Never fails.
    pub fn settings(&self) -> S3Settings {
        S3Settings {
            endpoint: self.endpoint(),
            addressing: Addressing::Path,
            request_span: Span::seconds(10),
            whole_bytes_max: base::Bytes::mib(8),
            ..S3Settings::new(BUCKET)
        }
    }

    /// The next `count` requests of the method go wrong in this way, after those that were planned before. Never fails.
    pub fn plan(&self, method: &Method, count: usize, mishap: S3Mishap) {
        self.plan.add(method, count, mishap);
    }

    /// How many planned mishaps have not happened yet. Never fails.
    pub fn planned(&self) -> usize {
        self.plan.planned()
    }

    /// How many requests have come so far. Never fails.
    pub fn requests(&self) -> u64 {
        self.plan.requests()
    }

    /// Whether conditions on objects put whole, and on the completion of parts, are ignored from now on, without a
    /// word. Never fails.
    pub fn conditions_ignore(&self, whole: bool, parts: bool) {
        self.shelf.conditions_ignore(whole, parts);
    }

    /// The longest page that the server gives from now on, whatever it is asked for; at first 1,000. Never fails.
    pub fn page_limit(&self, keys: usize) {
        self.shelf.page_limit(keys);
    }

    /// How many uploads in parts were begun, and neither completed nor given up. Never fails.
    pub fn uploads_unfinished(&self) -> usize {
        self.shelf.uploads_unfinished()
    }

    /// Takes the bucket away with all that is in it.
    ///
    /// # Panics
    /// When the folder cannot be removed.
    pub fn bucket_remove(&self) {
        std::fs::remove_dir_all(self.folder.path().join(BUCKET)).expect("the bucket's folder can be removed");
    }

    /// Puts an empty object behind the store's back.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn key_add(&self, key: &str) {
        self.shelf.key_add(BUCKET, key);
    }

    /// The keys in the bucket, in order; also those that are no objects of the store.
    ///
    /// # Panics
    /// When the folder cannot be read.
    pub fn keys(&self) -> Vec<String> {
        self.shelf.keys(BUCKET)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn key(id: &str, secret: &str) -> S3Key {
    S3Key { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()), token: None }
}

/// Knows the one key that is good.
struct Lock(Arc<Mutex<S3Key>>);

#[async_trait::async_trait]
impl S3Auth for Lock {
    async fn get_secret_key(&self, id: &str) -> S3Result<SecretKey> {
        let key = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match key.id == id {
            true => Ok(SecretKey::from(key.secret.as_str())),
            false => Err(s3_error!(InvalidAccessKeyId, "The access key does not exist in our records")),
        }
    }
}

/// Both addressings: `localhost` alone, and with a bucket before it; by any port, as what stands before the server has
/// another.
struct Names;

impl S3Host for Names {
    fn parse_host_header<'a>(&'a self, name: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        match name.strip_suffix(".localhost") {
            Some(bucket) => Ok(VirtualHost::new("localhost").with_bucket(bucket)),
            None => Ok(VirtualHost::new("localhost")),
        }
    }
}

async fn accept(listener: TcpListener, service: S3Service, plan: Arc<Plan>) {
    // The connections end with this task: dropping the set ends them.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                connections.spawn(serve(stream, service.clone(), Arc::clone(&plan)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, service: S3Service, plan: Arc<Plan>) {
    let one = service_fn(move |request| answer(request, service.clone(), Arc::clone(&plan)));
    // A connection that ends in an error is what a mishap looks like from here.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), one).await;
}

/// One request with its mishap. An error closes the connection without an answer.
async fn answer(request: Request<Incoming>, service: S3Service, plan: Arc<Plan>) -> io::Result<Response<Answer>> {
    let mishap = plan.next(request.method());
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if let Some(answer) = mishap.as_ref().and_then(S3Mishap::instead) {
        return answer;
    }
    let body = mishap.map_or(body.clone(), |mishap| mishap.before(body));
    let response = service.call(Request::from_parts(parts, s3s::Body::from(body))).await;
    let (parts, body) = response.map_err(|error| io::Error::other(format!("{error:?}")))?.into_parts();
    let body: Bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    match mishap {
        Some(mishap) => mishap.afterwards(parts, body),
        None => Ok(Response::from_parts(parts, mishap::whole(body))),
    }
}
