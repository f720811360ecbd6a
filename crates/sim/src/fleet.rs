//! A fleet of simulated devices: real keys, real signatures, real packs, over TLS, each step as an endpoint does it.
//! Refuses shortcuts past the wire: nothing here knows the server's database. Kept light, so that one process is ten
//! thousand devices: a device is a few hundred bytes, and its connection's buffers come and go with its requests.

mod activate;
mod backup;
mod device;
mod figures;
mod life;
mod link;
mod session;

pub use device::Device;
pub use figures::{Figures, Latency};

use base::{Clock, Span, Timestamp};
use life::Life;
use link::{Link, Server};
use pin::Pin;
use std::io;
use std::net::ToSocketAddrs as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a fleet is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `https://host:port`.
    pub server: String,
    /// The text of the server's `ca.pem`.
    pub authorities: String,
    /// The steps of each device, in their order.
    pub steps: Vec<Step>,
    /// The address of a user; `{}` stands for the user's number.
    pub email: String,
    /// How many users share the devices.
    pub users: u32,
    /// The number of the first device's user.
    pub user_from: u32,
    /// A deployment token, where one is to be used.
    pub token: Option<String>,
    /// The password of every user, where one is to be used.
    pub password: Option<String>,
    /// Devices that begin in a second; no limit when absent.
    pub rate: Option<f64>,
    /// Devices at work at the same time.
    pub connections: usize,
    /// Whether devices share the connections, one after the other, instead of each having its own.
    pub reuse: bool,
    /// For how long every device stays connected after its steps.
    pub stay: Span,
    /// How often a device that stays asks for its state.
    pub look_every: Span,
    /// For how long a device repeats what was refused for now, or did not get through.
    pub patience: Span,
    /// Fixes every key.
    pub seed: u64,
}

/// A step of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key is made and bound, by the token where there is one, else by the password.
    Activate,
    /// A session is opened.
    Open,
    /// The device asks for its state.
    Look,
    /// A tiny snapshot is committed.
    Commit,
    /// After a reset: the old key, then the token with the old key, then the password, until one of them is enough.
    Return,
}

/// Why a device could not go on.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The address is none.
    #[error("the server's address is not https://host:port")]
    Address,
    /// The authority is none.
    #[error("the file of the server's authority holds no certificate that can be used")]
    Authority,
    /// The connection did not come about, or broke.
    #[error("the connection to the server failed")]
    Link {
        /// What the system or the TLS library says.
        #[source]
        cause: io::Error,
    },
    /// The answer is not in its form.
    #[error("the answer to {path} is not in its form")]
    Answer {
        /// Of which request.
        path: String,
    },
    /// The server said no, and time alone changes nothing.
    #[error("the server refused: {code}")]
    Refused {
        /// The stable code.
        code: String,
    },
    /// There is nothing by which the device could prove who asks.
    #[error("the device has neither a token nor a password")]
    NoProof,
}

impl SimError {
    /// A stable word, for counting. Never fails.
    pub fn code(&self) -> &str {
        match self {
            SimError::Address => "address_invalid",
            SimError::Authority => "authority_invalid",
            SimError::Link { .. } => "connection_lost",
            SimError::Answer { .. } => "answer_invalid",
            SimError::Refused { code } => code,
            SimError::NoProof => "no_proof",
        }
    }
}

/// Lets every device do its steps. `when_connected` is called once all have, while those that stay are connected. The
/// answer has the devices as they are afterwards.
///
/// # Errors
/// An address or an authority that cannot be used; what happens to single devices stands in the figures.
pub async fn run(
    plan: Plan,
    devices: Vec<Device>,
    clock: Arc<dyn Clock>,
    when_connected: impl FnOnce(),
) -> Result<(Figures, Vec<Device>), SimError> {
    let server = resolve(&plan)?;
    let began_at = clock.now();
    let devices = devices.into_iter().map(Mutex::new).collect();
    let (stop, stopped) = watch::channel(false);
    let (next, figures) = (AtomicUsize::new(0), Mutex::default());
    let crowd = Arc::new(Crowd { plan, server, clock, began_at, devices, next, figures, stopped });
    let mut workers = JoinSet::new();
    for _ in 0..crowd.plan.connections.min(crowd.devices.len()).max(1) {
        workers.spawn(work(Arc::clone(&crowd)));
    }
    let mut staying = JoinSet::new();
    while let Some(stays) = workers.join_next().await {
        for (number, link) in stays.unwrap_or_default() {
            staying.spawn(stay(Arc::clone(&crowd), number, link));
        }
    }
    let worked = crowd.clock.now().since(began_at);
    crowd.clock.sleep(crowd.plan.stay).await;
    when_connected();
    let _ = stop.send(true);
    while staying.join_next().await.is_some() {}
    let mut figures = std::mem::take(&mut *crowd.figures());
    figures.span = worked;
    let devices = crowd.devices.iter().map(|device| lock(device).clone()).collect();
    Ok((figures, devices))
}

/// What every device shares.
struct Crowd {
    plan: Plan,
    server: Server,
    clock: Arc<dyn Clock>,
    began_at: Timestamp,
    devices: Vec<Mutex<Device>>,
    next: AtomicUsize,
    figures: Mutex<Figures>,
    stopped: watch::Receiver<bool>,
}

impl Crowd {
    fn figures(&self) -> MutexGuard<'_, Figures> {
        lock(&self.figures)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One device after the other. Gives the connections of those that stay.
async fn work(crowd: Arc<Crowd>) -> Vec<(usize, Link)> {
    let mut stays = Vec::new();
    let mut shared = None;
    loop {
        let number = crowd.next.fetch_add(1, Ordering::Relaxed);
        let Some(device) = crowd.devices.get(number) else { return stays };
        if let Some(rate) = crowd.plan.rate {
            let due = crowd.began_at + Span::ms((number as f64 * 1e3 / rate) as u64);
            crowd.clock.sleep(due.since(crowd.clock.now())).await;
        }
        let mut life = Life::new(&crowd, lock(device).clone(), shared.take());
        for step in &crowd.plan.steps {
            if let Err(error) = life.step(*step).await {
                crowd.figures().stopped(error.code());
                break;
            }
        }
        let (after, link) = life.end();
        *lock(device) = after;
        if crowd.plan.reuse {
            shared = link;
        } else if crowd.plan.stay > Span::ZERO {
            stays.extend(link.map(|link| (number, link)));
        }
    }
}

/// Stays connected and asks for the device's state now and then, until all may go.
async fn stay(crowd: Arc<Crowd>, number: usize, link: Link) {
    let Some(cell) = crowd.devices.get(number) else { return };
    let mut life = Life::new(&crowd, lock(cell).clone(), Some(link));
    let mut stopped = crowd.stopped.clone();
    let every = crowd.plan.look_every;
    // Spread evenly from the beginning: the steps came in a burst.
    let mut wait = Span::ms(every.as_ms() * number as u64 / crowd.devices.len() as u64);
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            () = crowd.clock.sleep(wait) => {}
        }
        wait = every;
        if let Err(error) = life.step(Step::Look).await {
            crowd.figures().stopped(error.code());
            break;
        }
    }
    *lock(cell) = life.end().0;
}

fn resolve(plan: &Plan) -> Result<Server, SimError> {
    let place = plan.server.strip_prefix("https://").ok_or(SimError::Address)?.trim_end_matches('/');
    let (name, _) = place.rsplit_once(':').ok_or(SimError::Address)?;
    let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    // Once, before anything else runs: it may block.
    let mut found = place.to_socket_addrs().map_err(|cause| SimError::Link { cause })?;
    let address = found.next().ok_or(SimError::Address)?;
    let name = name.try_into().map_err(|_| SimError::Address)?;
    let tls = pin::client_config_of_many(&Pin::Ca(plan.authorities.clone())).ok_or(SimError::Authority)?;
    Ok(Server { address, name, tls: Arc::new(tls) })
}
