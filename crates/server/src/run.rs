//! The listener: accepts, speaks TLS and HTTP/1.1, and stops without cutting what is under way.
//! Refuses more connections than configured, slow handshakes, slow headers and readers that stall.

mod burst;
mod files;
mod line;
mod proxied;

pub(crate) use line::Line;
pub use line::STALL_SPAN;

use crate::metrics::Metrics;
use crate::routes::{self, Peer, Tables};
use crate::tls::{self, TlsError};
use app::App;
use app::init::TlsFiles;
use axum::Router;
use base::Span;
use burst::{AnswerBody, Burst, RequestBody, Seen};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use line::{Broken, Watched};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A connection that has not spoken TLS after this is closed.
pub const HANDSHAKE_SPAN: Span = Span::seconds(10);
/// A connection that is idle, or has not sent a request's whole header, for this long is closed.
pub const HEADER_SPAN: Span = Span::seconds(75);
/// A peer that has not taken the end of its idle connection after this is not told.
const GOODBYE_SPAN: Span = Span::seconds(5);
/// The longest header of a request.
pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// The wait after the system refused to accept a connection.
const ACCEPT_RETRY: Span = Span::ms(100);

/// A listener at work.
pub struct Serving {
    /// Where it listens: the port that was chosen, when none was given.
    pub address: SocketAddr,
    /// Where the admin API has a listener of its own; `None` when it is answered at `address`.
    pub admin_address: Option<SocketAddr>,
    task: JoinHandle<()>,
}

/// Why a listener could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate cannot be used.
    #[error("the certificate cannot be used")]
    Tls {
        /// Why.
        #[source]
        cause: TlsError,
    },
    /// The address cannot be listened on.
    #[error("listening on {address} failed")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
}

/// Listens on `address`, and on `admin.listen` where that is configured, and answers until `shutdown` resolves; then
/// finishes what is under way, for as long as `shutdown_seconds` allows.
///
/// # Errors
/// A certificate that cannot be used, an address that cannot be listened on.
pub async fn serve(
    app: Arc<App>,
    files: &TlsFiles,
    address: SocketAddr,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Serving, ServeError> {
    let tls = tls::server_config(files).map_err(|cause| ServeError::Tls { cause })?;
    let (listener, address) = bind(address).await?;
    let admin = match app.config.admin_listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let admin_address = admin.as_ref().map(|(_, address)| *address);
    let metrics = Arc::new(Metrics::new());
    let connections = usize::try_from(files::allow(app.config.connections_max));
    let connections = connections.expect("the configuration allows at most 100,000");
    let rim = |tables| Rim {
        router: routes::router(Arc::clone(&app), Arc::clone(&metrics), tables),
        // Each listener has its own, so that a storm of devices does not keep admins out.
        connections: Arc::new(Semaphore::new(connections)),
        acceptor: TlsAcceptor::from(Arc::clone(&tls)),
        metrics: Arc::clone(&metrics),
        http: http(),
        app: Arc::clone(&app),
    };
    let devices = rim(if admin.is_some() { Tables::Devices } else { Tables::Both });
    let admins = admin.map(|(listener, _)| (rim(Tables::Admins), listener));
    let (said, heard) = watch::channel(false);
    let stop = |mut heard: watch::Receiver<bool>| async move { drop(heard.wait_for(|stop| *stop).await) };
    let (stop_devices, stop_admins) = (stop(heard.clone()), stop(heard));
    let task = tokio::spawn(async move {
        let tell = async {
            shutdown.await;
            let _ = said.send(true);
        };
        let admins = async {
            if let Some((rim, listener)) = admins {
                accept(rim, listener, stop_admins).await;
            }
        };
        tokio::join!(tell, accept(devices, listener, stop_devices), admins);
    });
    Ok(Serving { address, admin_address, task })
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |cause| ServeError::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

impl Serving {
    /// Resolves when the listener has stopped and its connections are closed. Never fails.
    pub async fn done(self) {
        if self.task.await.is_err() {
            tracing::error!("the listener ended by a panic");
        }
    }
}

/// What every connection needs.
struct Rim {
    app: Arc<App>,
    metrics: Arc<Metrics>,
    router: Router,
    acceptor: TlsAcceptor,
    http: http1::Builder,
    connections: Arc<Semaphore>,
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_SPAN.as_duration()).max_buf_size(HEADER_BYTES_MAX);
    http
}

async fn accept(rim: Rim, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let rim = Arc::new(rim);
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let next = async {
            // INVARIANT: the permit comes first, so that connections above the maximum wait in the system's queue.
            let permit = Arc::clone(&rim.connections).acquire_owned().await.expect("the semaphore is never closed");
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            () = &mut shutdown => break,
        };
        while tasks.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                tasks.spawn(connection(Arc::clone(&rim), stream, peer, permit, stopped.clone()));
            }
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                rim.app.clock.sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    let _ = stop.send(true);
    let grace = rim.app.config.shutdown_grace;
    tracing::info!("stopping: {} connections have {grace} to finish", tasks.len());
    let all = async { while tasks.join_next().await.is_some() {} };
    tokio::select! {
        () = all => {}
        () = rim.app.clock.sleep(grace) => tracing::warn!("requests were cut at the end of the grace period"),
    }
}

async fn connection(
    rim: Arc<Rim>,
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
    mut stopped: watch::Receiver<bool>,
) {
    let _permit = permit;
    let _open = rim.metrics.connection();
    // A small answer must not wait for the acknowledgement of the one before it.
    let _ = stream.set_nodelay(true);
    let line = Line::new(Arc::clone(&rim.app));
    // Boxed, as the burst below: what is needed for a while is no part of what an idle connection holds.
    let handshake = Box::pin(async {
        let mut stream = stream;
        let peer = proxied::source(&rim.app.config, peer, &mut stream).await?;
        let stream = rim.acceptor.accept(Watched::new(stream, Arc::clone(&line))).await?;
        io::Result::Ok((stream, peer))
    });
    let (mut stream, peer) = match tokio::time::timeout(HANDSHAKE_SPAN.as_duration(), handshake).await {
        Ok(Ok(begun)) => begun,
        Ok(Err(error)) => return tracing::debug!("a TLS handshake failed: {error}"),
        Err(_) => return tracing::debug!("a TLS handshake took too long"),
    };
    let mut before = Bytes::new();
    loop {
        // What is left of a burst is the beginning of the next one.
        if before.is_empty() && !speaks(&mut stream, &mut stopped).await {
            break;
        }
        match Box::pin(answers(&rim, &mut stream, before, peer, &line, &mut stopped)).await {
            Some(left) => before = left,
            None => return,
        }
    }
    // The peer may be gone, or take nothing any more.
    let _ = tokio::time::timeout(GOODBYE_SPAN.as_duration(), stream.shutdown()).await;
}

/// Waits until the peer speaks. Gives `false` when it hangs up or says nothing for too long, or the server stops.
async fn speaks(stream: &mut TlsStream<Watched<TcpStream>>, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        heard = tokio::time::timeout(HEADER_SPAN.as_duration(), stream.fill_buf()) => {
            matches!(heard, Ok(Ok(bytes)) if !bytes.is_empty())
        }
        _ = stopped.changed() => false,
    }
}

/// Answers requests until nothing is under way; gives what was read of the next one, and none when the connection has
/// ended. `before` was read before.
async fn answers(
    rim: &Rim,
    stream: &mut TlsStream<Watched<TcpStream>>,
    before: Bytes,
    peer: SocketAddr,
    line: &Arc<Line>,
    stopped: &mut watch::Receiver<bool>,
) -> Option<Bytes> {
    let burst = Arc::new(Burst::default());
    let inner = TowerToHyperService::new(rim.router.clone());
    let (seen, counting) = (Arc::clone(line), Arc::clone(&burst));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let unanswered = counting.begins();
        let mut request = request.map(|body| RequestBody::new(body, &counting));
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(Arc::clone(&seen));
        let answer = hyper::service::Service::call(&inner, request);
        async move { answer.await.map(|answer| answer.map(|body| AnswerBody::new(body, unanswered))) }
    });
    let io = TokioIo::new(Seen::new(stream, before, Arc::clone(&burst)));
    let mut http = rim.http.serve_connection(io, service);
    let mut stopping = false;
    loop {
        let turn = poll_fn(|cx| match Pin::new(&mut http).poll(cx) {
            Poll::Pending if !stopping && burst.is_over() => Poll::Ready(None),
            turn => turn.map(Some),
        });
        tokio::select! {
            ended = turn => return match ended {
                // An empty one would hold the buffer that it was cut from.
                None => Some(http.into_parts().read_buf).map(|left| if left.is_empty() { Bytes::new() } else { left }),
                Some(Ok(())) => None,
                Some(Err(error)) => {
                    tracing::debug!("a connection ended: {error}");
                    None
                }
            },
            _ = stopped.changed(), if !stopping => {
                stopping = true;
                Pin::new(&mut http).graceful_shutdown();
            }
            broken = line.broken() => {
                match broken {
                    Broken::Stalled => tracing::debug!("a connection took no bytes for too long"),
                    Broken::Cut(error) => tracing::info!(code = error.code(), "an answer was cut: {}", error.code()),
                }
                return None;
            }
        }
    }
}

/// Resolves at SIGTERM or SIGINT.
///
/// # Errors
/// The system does not let this process handle signals.
pub fn signals() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
