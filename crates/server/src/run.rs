//! The listener: accepts, speaks TLS and HTTP/1.1, and stops without cutting what is under way.
//! Refuses more connections than configured, slow handshakes, slow headers and readers that stall.

mod files;
mod line;

pub(crate) use line::Line;
pub use line::STALL_SPAN;

use crate::metrics::Metrics;
use crate::routes::{self, Peer, Tables};
use crate::tls::{self, TlsError};
use app::App;
use app::init::TlsFiles;
use axum::Router;
use base::Span;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use line::{Broken, Watched};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A connection that has not spoken TLS after this is closed.
pub const HANDSHAKE_SPAN: Span = Span::seconds(10);
/// A connection that is idle, or has not sent a request's whole header, for this long is closed.
pub const HEADER_SPAN: Span = Span::seconds(75);
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
#[derive(Clone)]
struct Rim {
    app: Arc<App>,
    metrics: Arc<Metrics>,
    router: Router,
    acceptor: TlsAcceptor,
    connections: Arc<Semaphore>,
}

async fn accept(rim: Rim, listener: TcpListener, shutdown: impl Future<Output = ()>) {
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
                tasks.spawn(connection(rim.clone(), stream, peer, permit, stopped.clone()));
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
    rim: Rim,
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
    let stream = Watched::new(stream, Arc::clone(&line));
    let handshake = tokio::time::timeout(HANDSHAKE_SPAN.as_duration(), rim.acceptor.accept(stream));
    let stream = match handshake.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!("a TLS handshake failed: {error}"),
        Err(_) => return tracing::debug!("a TLS handshake took too long"),
    };
    let inner = TowerToHyperService::new(rim.router);
    let seen = Arc::clone(&line);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(Arc::clone(&seen));
        hyper::service::Service::call(&inner, request)
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_SPAN.as_duration()).max_buf_size(HEADER_BYTES_MAX);
    let http = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(http);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = &mut http => {
                if let Err(error) = ended {
                    tracing::debug!("a connection ended: {error}");
                }
                return;
            }
            _ = stopped.changed(), if !stopping => {
                stopping = true;
                http.as_mut().graceful_shutdown();
            }
            broken = line.broken() => return match broken {
                Broken::Stalled => tracing::debug!("a connection took no bytes for too long"),
                Broken::Cut(error) => tracing::info!(code = error.code(), "an answer was cut: {}", error.code()),
            },
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
