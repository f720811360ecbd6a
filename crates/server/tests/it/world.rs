//! A server in this process, with its data directory and its clock, and devices that speak the protocol with it.
//! The client is a bare HTTP/1.1 connection, so that a test can send what no good client would.

use app::credentials::{self, CredentialNew};
use app::init::{Init, TlsFiles, init, tls_files};
use app::password::Password;
use app::{AdminActor, App, devices, users};
use base::{Clock, CredentialId, DeviceId, Entropy, OsEntropy, Span, SystemClock, Timestamp};
use bytes::Bytes;
use control::{Event, Permits};
use futures::Stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use protocol::agent::activation::{
    ActivationReply, ActivationRequest, Choice, Evidence, OldKey, Platform, Preview, Proof,
};
use protocol::agent::session::{ChallengeReply, ChallengeRequest, SessionReply, SessionRequest, signed_bytes};
use protocol::{Hex, Problem, Text};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use server::Serving;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The user that every world has.
pub const EMAIL: &str = "anna@example.org";
/// The password of that user.
pub const PASSWORD: &str = "correct horse battery";

/// A server and what is behind it.
pub struct World {
    pub app: Arc<App>,
    pub clock: Arc<ShiftedClock>,
    pub address: SocketAddr,
    pub admin_address: Option<SocketAddr>,
    pub data: PathBuf,
    tls: Arc<rustls::ClientConfig>,
    serving: Mutex<Option<Serving>>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    _dir: TempDir,
}

/// The system's clock, set ahead by as much as a test says.
#[derive(Default)]
pub struct ShiftedClock {
    ahead_ms: AtomicU64,
}

impl ShiftedClock {
    pub fn advance(&self, span: Span) {
        self.ahead_ms.fetch_add(span.as_ms(), Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + Span::ms(self.ahead_ms.load(Ordering::SeqCst))
    }

    fn sleep(&self, span: Span) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        SystemClock.sleep(span)
    }
}

impl World {
    /// A fresh server with one user.
    pub async fn start() -> World {
        World::start_with("").await
    }

    /// The same with these lines in the configuration.
    pub async fn start_with(config: &str) -> World {
        World::start_on("", config).await
    }

    /// The same on the database that these lines of the configuration name.
    pub async fn start_on(database: &str, config: &str) -> World {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = dir.path().join("data");
        let clock = Arc::new(ShiftedClock::default());
        let password = Password::new("the admin's password".to_owned());
        let asked = Init {
            data_dir: &data,
            admin_email: "admin@example.org",
            admin_password: &password,
            names: &[],
            master_key: None,
        };
        if !database.is_empty() {
            std::fs::create_dir(&data).expect("the directory is ours");
            std::fs::write(data.join("holdfast.toml"), database).expect("own file");
        }
        let (time, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (clock.clone(), Arc::new(OsEntropy));
        init(&asked, &time, &entropy).await.expect("an empty directory");
        let cheap = format!("{database}\n[password]\nmemory_mib = 1\npasses = 1\n{config}\n");
        std::fs::write(data.join("holdfast.toml"), cheap).expect("own file");
        let app = Arc::new(App::open(&data, clock.clone(), Arc::new(OsEntropy)).await.expect("what init has made"));
        let password = Password::new(PASSWORD.to_owned());
        users::add(&app, &AdminActor::Command, EMAIL, Some(&password)).await.expect("a new user");
        let files = tls_files(&data).expect("what init has made");
        let (stop, stopped) = oneshot::channel();
        let wait = async move { drop(stopped.await) };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let serving = server::serve(app.clone(), &files, any, wait).await.expect("a free port");
        let (address, admin_address, tls) = (serving.address, serving.admin_address, trusting(&files));
        World {
            app,
            clock,
            address,
            admin_address,
            data,
            tls,
            serving: Mutex::new(Some(serving)),
            stop: Mutex::new(Some(stop)),
            _dir: dir,
        }
    }

    /// Tells the server to stop, and waits until it has.
    pub async fn stop(&self) {
        drop(self.stop.lock().expect("no test panicked").take());
        let serving = self.serving.lock().expect("no test panicked").take();
        serving.expect("stopped once").done().await;
    }

    /// A second user, with the same password.
    pub async fn user(&self, email: &str) {
        let password = Password::new(PASSWORD.to_owned());
        users::add(&self.app, &AdminActor::Command, email, Some(&password)).await.expect("a new user");
    }

    /// What an admin does to a device.
    pub async fn admin(&self, device: DeviceId, event: Event) {
        devices::change(&self.app, &AdminActor::Command, device, event).await.expect("granted");
    }

    /// The text of a new credential of the admin API with these permits.
    pub async fn credential(&self, permits: Permits) -> String {
        self.credential_until(permits, None).await.1
    }

    /// The same with an expiry; the credential's identifier too.
    pub async fn credential_until(&self, permits: Permits, expires_at: Option<Timestamp>) -> (CredentialId, String) {
        let new = CredentialNew { name: "a test".to_owned(), permits, all: false, expires_at };
        let (view, text) = credentials::make(&self.app, &AdminActor::Command, new).await.expect("a good credential");
        (view.id, text.expose().to_owned())
    }

    /// A request to the admin API with this credential.
    pub async fn api(&self, credential: &str, method: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        let bearer = format!("Bearer {credential}");
        self.send(method, path, &[("authorization", &bearer)], full(body)).await
    }

    /// A request without a token.
    pub async fn ask(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(method, path, &[], full(body)).await
    }

    /// A JSON request without a token.
    pub async fn post<T: Serialize>(&self, path: &str, body: &T) -> Answer {
        self.ask("POST", path, serde_json::to_vec(body).expect("plain values")).await
    }

    /// A request with these headers.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        self.send_to(self.address, method, path, headers, body).await
    }

    /// The same to another listener.
    pub async fn send_to(
        &self,
        address: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Answer {
        let (response, driver) = self.open_at(address, method, path, headers, body).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole answer").to_bytes();
        driver.abort();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The same up to the head of the answer, and the task that drives the connection.
    pub async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> (Response<Incoming>, AbortHandle) {
        self.open_at(self.address, method, path, headers, body).await
    }

    async fn open_at(
        &self,
        address: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> (Response<Incoming>, AbortHandle) {
        let stream = self.connect_to(address).await;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        let driver = tokio::spawn(connection).abort_handle();
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(body).expect("a request")).await.expect("an answer");
        (response, driver)
    }

    /// A connection on which nothing has been said.
    pub async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_to(self.address).await
    }

    async fn connect_to(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        self.secured(stream).await.expect("the pinned authority")
    }

    /// TLS on a connection on which something may have been said before.
    pub async fn secured(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(self.tls.clone()).connect(name, stream).await
    }

    /// How many connections the server has open, but for the one that asks.
    pub async fn connections(&self) -> u64 {
        let text = self.ask("GET", "/metrics", "").await.body;
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix("holdfast_connections "));
        line.and_then(|number| number.parse::<u64>().ok()).expect("a gauge") - 1
    }
}

/// A body of a request.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A body that is there at once.
pub fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).boxed_unsync()
}

/// A body that comes piece by piece.
pub fn streamed(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    use futures::StreamExt as _;
    BodyExt::boxed_unsync(StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))))
}

/// What the server said.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: hyper::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The message of a request that was carried out.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).expect("the answer's form")
    }

    /// The problem of one that was not. Checks that HTTP and the body say the same.
    pub fn problem(&self) -> Problem {
        assert_ne!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: Problem = serde_json::from_slice(&self.body).expect("a problem");
        assert_eq!(problem.status, self.status.as_u16());
        problem
    }

    /// Status and code of a request that was not carried out.
    pub fn refused(&self) -> (u16, String) {
        let problem = self.problem();
        (problem.status, problem.code)
    }
}

/// A device: a key, and later a record and a token.
pub struct Device {
    pub key: Ed25519KeyPair,
    pub host_name: String,
    pub id: DeviceId,
    pub epoch: u64,
    pub token: String,
}

impl Device {
    /// A key without a record.
    pub fn new(host_name: &str) -> Device {
        let nobody = DeviceId::from_bytes([0; 16]);
        Device { key: key(), host_name: host_name.to_owned(), id: nobody, epoch: 0, token: String::new() }
    }

    /// A device of `EMAIL` that is activated and has a session.
    pub async fn activated(world: &World, host_name: &str) -> Device {
        Device::activated_for(world, host_name, EMAIL).await
    }

    /// A device of this user that is activated and has a session.
    pub async fn activated_for(world: &World, host_name: &str, email: &str) -> Device {
        let mut device = Device::new(host_name);
        let reply: ActivationReply =
            world.post("/v1/activations", &device.activation(email, password(PASSWORD))).await.json();
        device.bound(&reply);
        device.token = device.open(world).await.json::<SessionReply>().token;
        device
    }

    /// Takes over what an activation has answered.
    pub fn bound(&mut self, reply: &ActivationReply) {
        (self.id, self.epoch) = (reply.device.0, reply.epoch);
    }

    /// A signed request to activate this key.
    pub fn activation(&self, email: &str, proof: Proof) -> ActivationRequest {
        self.activation_as(email, proof, Choice::Auto)
    }

    /// The same with a choice.
    pub fn activation_as(&self, email: &str, proof: Proof, choice: Choice) -> ActivationRequest {
        let mut request = [0; 16];
        OsEntropy.fill(&mut request);
        let platform = Platform { os: "linux".to_owned(), arch: "x86_64".to_owned(), agent: "0.0.0".to_owned() };
        let asked = ActivationRequest {
            request: Hex(request),
            email: email.to_owned(),
            proof,
            device_key: Hex(public(&self.key)),
            signature: Hex([0; 64]),
            evidence: Evidence { host_name: self.host_name.clone(), ..Evidence::default() },
            platform,
            choice,
            can_ask: false,
            preview: Preview::None,
            restore: None,
            old_key: None,
        };
        self.signed(asked)
    }

    /// The same request, signed anew after a change.
    pub fn signed(&self, mut asked: ActivationRequest) -> ActivationRequest {
        asked.signature = Hex(sign(&self.key, &asked.signed_bytes()));
        asked
    }

    /// A signed request to activate a new key, proved by this device's key. Gives the new key's device too.
    pub fn return_with_old_key(&self) -> (Device, ActivationRequest) {
        let next = Device::new(&self.host_name);
        let mut asked = next.activation("", Proof::OldKey);
        let signature = Hex(sign(&self.key, &asked.signed_bytes()));
        asked.old_key = Some(OldKey { device: Text(self.id), signature, counter: None });
        (next, asked)
    }

    /// Opens a session.
    pub async fn open(&self, world: &World) -> Answer {
        let challenge = self.challenge(world).await;
        world.post("/v1/sessions", &self.answer_to(&challenge)).await
    }

    /// A fresh challenge.
    pub async fn challenge(&self, world: &World) -> [u8; 48] {
        let reply = world.post("/v1/sessions/challenge", &ChallengeRequest { device: Text(self.id) }).await;
        reply.json::<ChallengeReply>().challenge.0
    }

    /// The signed answer to a challenge.
    pub fn answer_to(&self, challenge: &[u8; 48]) -> SessionRequest {
        let signature = Hex(sign(&self.key, &signed_bytes(self.id, challenge)));
        SessionRequest { device: Text(self.id), challenge: Hex(*challenge), signature, counter: None }
    }

    /// A request with this device's token.
    pub async fn ask(&self, world: &World, method: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(world, method, path, full(body)).await
    }

    /// A JSON request with this device's token.
    pub async fn post<T: Serialize>(&self, world: &World, path: &str, body: &T) -> Answer {
        self.ask(world, "POST", path, serde_json::to_vec(body).expect("plain values")).await
    }

    /// A request with this device's token and any body.
    pub async fn send(&self, world: &World, method: &str, path: &str, body: Body) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        world.send(method, path, &[("authorization", &bearer)], body).await
    }
}

/// A proof by password.
pub fn password(text: &str) -> Proof {
    Proof::Password { password: text.to_owned() }
}

/// The public half of a key.
pub fn public(key: &Ed25519KeyPair) -> [u8; 32] {
    key.public_key().as_ref().try_into().expect("32 bytes")
}

/// A signature.
pub fn sign(key: &Ed25519KeyPair, bytes: &[u8]) -> [u8; 64] {
    key.sign(bytes).as_ref().try_into().expect("64 bytes")
}

fn key() -> Ed25519KeyPair {
    let mut seed = [0; 32];
    OsEntropy.fill(&mut seed);
    Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed")
}

pub fn trusting(files: &TlsFiles) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let chain = CertificateDer::pem_slice_iter(files.chain.as_bytes());
    let authority = chain.last().expect("two certificates").expect("PEM");
    roots.add(authority).expect("a certificate");
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
