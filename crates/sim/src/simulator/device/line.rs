//! A device's line to the servers: a session, opened anew when it has ended, and the port `Remote` over it. Every
//! request passes what a server's listener has it pass: who asks is authenticated, and looked at again while it lasts.

use super::super::network::{self, Deed};
use super::super::world::World;
use super::{Bound, Device, Disk, Folder, opened, sign};
use app::runs::{self, Begun, Purpose};
use app::session::{self, Opening};
use app::{App, AppError, DeviceActor, backup, guard, restore};
use async_trait::async_trait;
use base::{RunId, SnapshotId};
use bytes::Bytes;
use control::access::Verb;
use engine::{Committed, Parcel, Remote, RemoteError, Uploaded};
use format::{ChunkRef, PackId};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use std::sync::{Arc, Mutex, PoisonError};

/// What a request of a device makes a server do, once it is known who asks.
type Work<T> = Arc<dyn Fn(Arc<App>, DeviceActor) -> BoxFuture<'static, Result<T, AppError>> + Send + Sync>;

/// How often a session is opened anew for one request.
const SESSIONS_MAX: usize = 3;

/// Cheap to clone: all clones share the session.
#[derive(Clone)]
pub(super) struct Line {
    world: Arc<World>,
    pub(super) bound: Bound,
    disk: Arc<Mutex<Disk>>,
    bearer: Arc<Mutex<Option<String>>>,
}

impl Line {
    /// Opens a session.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub(super) async fn open(world: &Arc<World>, device: &Device) -> Result<Self, RemoteError> {
        let bound = device.disk().bound.expect("it was activated");
        let (world, disk) = (Arc::clone(world), Arc::clone(&device.disk));
        let line = Self { world, bound, disk, bearer: Arc::default() };
        line.sign_in().await?;
        Ok(line)
    }

    async fn sign_in(&self) -> Result<String, RemoteError> {
        let Bound { device, key, .. } = self.bound;
        loop {
            let challenge: Deed<_> =
                Arc::new(move |app| async move { Ok(session::challenge(&app, device).bytes) }.boxed());
            let challenge = network::ask(&self.world, challenge).await?;
            let (signature, counter) = (sign(&key, &challenge), opened(&self.disk).counter);
            let open: Deed<_> = Arc::new(move |app| {
                let opening = async move {
                    let (challenge, signed) = (&challenge, &challenge[..]);
                    let (signature, counter, source) = (&signature, counter.as_ref(), "192.0.2.7");
                    session::open(&app, &Opening { device, challenge, signed, signature, counter, source }).await
                };
                opening.boxed()
            });
            match network::ask(&self.world, open).await {
                Ok(session) => {
                    self.world.say(format_args!("{device} has opened a session"));
                    // ORDER: the counter is on the disk before the token is used.
                    opened(&self.disk).counter = Some(session.counter);
                    *self.bearer.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.token.clone());
                    return Ok(session.token);
                }
                Err(error) if matches!(error.code.as_str(), "challenge_used" | "challenge_expired") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks as the device, in a session that is good.
    async fn ask<T: Send + 'static>(&self, verb: Verb, work: Work<T>) -> Result<T, RemoteError> {
        let mut last = None;
        for _ in 0..SESSIONS_MAX {
            let bearer = self.bearer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let bearer = match bearer {
                Some(bearer) => bearer,
                None => self.sign_in().await?,
            };
            let asked_at = self.world.passed();
            let (asked, work) = (bearer.clone(), Arc::clone(&work));
            let deed: Deed<T> = Arc::new(move |app| {
                let (bearer, work) = (asked.clone(), Arc::clone(&work));
                let deed = async move {
                    let actor = session::authenticate(&app, &bearer, verb).await?;
                    guard::hold(&app, &actor, verb, work(Arc::clone(&app), actor.clone())).await?
                };
                deed.boxed()
            });
            match network::ask(&self.world, deed).await {
                Ok(answer) => {
                    self.judge(verb, asked_at);
                    return Ok(answer);
                }
                Err(error) if matches!(error.code.as_str(), "session_expired" | "session_invalid") => {
                    *self.bearer.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.expect("it has asked more than once"))
    }

    /// Whether the device may have been given what it was given.
    fn judge(&self, verb: Verb, asked_at: base::Span) {
        let reads = matches!(verb, Verb::ListSnapshots | Verb::ReadAppended);
        if let Some(why) = self.world.oracle.forbids(self.bound.device, self.bound.epoch, asked_at, reads) {
            self.world.broken(format_args!("{} {why}: {verb}, asked at {asked_at}", self.bound.device));
        }
    }

    /// Begins a run.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub(super) async fn begin(&self, request: [u8; 16], purpose: Purpose, verb: Verb) -> Result<Begun, RemoteError> {
        let work: Work<_> =
            Arc::new(move |app, actor| async move { runs::begin(&app, &actor, request, purpose).await }.boxed());
        self.ask(verb, work).await
    }

    /// The snapshots that the device may see.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub(super) async fn snapshots(&self) -> Result<Vec<app::snapshots::SnapshotView>, RemoteError> {
        let work: Work<_> = Arc::new(|app, actor| {
            let list = async move {
                let first = app::page::PageAsk::first();
                app::snapshots::list(&app, &actor, &first).await.map(|page| page.items)
            };
            list.boxed()
        });
        self.ask(Verb::ReadAppended, work).await
    }

    /// The port over this line, for one run.
    pub(super) fn remote(&self, run: RunId, snapshot: SnapshotId, folder: Folder) -> RunLine {
        RunLine { line: self.clone(), run, snapshot, folder }
    }
}

/// The port `Remote` for one run.
pub(super) struct RunLine {
    line: Line,
    run: RunId,
    snapshot: SnapshotId,
    /// What the snapshot is to hold.
    folder: Folder,
}

impl RunLine {
    /// Gives the run up; what cannot be said is not.
    pub(super) async fn abort(&self) {
        let run = self.run;
        let work: Work<_> = Arc::new(move |app, actor| async move { runs::abort(&app, &actor, run).await }.boxed());
        let _ = self.line.ask(Verb::Append, work).await;
    }
}

#[async_trait]
impl Remote for RunLine {
    async fn dedupe(&self, refs: &[ChunkRef]) -> Result<Vec<bool>, RemoteError> {
        let (run, refs, count) = (self.run, refs.to_vec(), refs.len());
        let work: Work<_> = Arc::new(move |app, actor| {
            let refs = refs.clone();
            async move { backup::dedupe(&app, &actor, run, &refs).await }.boxed()
        });
        self.line.ask(Verb::Append, work).await.map(|bits| positions(&bits, count))
    }

    async fn upload(&self, pack: PackId, bytes: Bytes) -> Result<Uploaded, RemoteError> {
        let run = self.run;
        let work: Work<_> = Arc::new(move |app, actor| {
            let bytes = bytes.clone();
            let upload = async move {
                let len = Some(bytes.len() as u64);
                let body = stream::iter([std::io::Result::Ok(bytes)]);
                backup::upload(&app, &actor, run, pack, len, body).await
            };
            upload.boxed()
        });
        let uploaded = self.line.ask(Verb::Append, work).await?;
        Ok(Uploaded { chunks_new: uploaded.chunks_new.0 })
    }

    async fn verify(&self, packs: &[PackId]) -> Result<Vec<PackId>, RemoteError> {
        let (run, asked) = (self.run, packs.to_vec());
        let work: Work<_> = Arc::new(move |app, actor| {
            let packs = asked.clone();
            async move { backup::verify(&app, &actor, run, &packs).await }.boxed()
        });
        let missing = positions(&self.line.ask(Verb::Append, work).await?, packs.len());
        Ok(packs.iter().zip(missing).filter(|(_, missing)| *missing).map(|(pack, _)| *pack).collect())
    }

    async fn commit(&self, manifest: Bytes) -> Result<Committed, RemoteError> {
        let (run, world) = (self.run, &self.line.world);
        let Bound { device, epoch, .. } = self.line.bound;
        world.oracle.tried(self.snapshot, (device, epoch), self.folder.clone(), world.passed());
        let work: Work<_> = Arc::new(move |app, actor| {
            let manifest = manifest.clone();
            let commit = async move { backup::commit(&app, &actor, run, manifest, backup::Reported::default()).await };
            commit.boxed()
        });
        let committed = self.line.ask(Verb::Append, work).await?;
        world.oracle.acknowledged(self.snapshot);
        Ok(Committed {
            committed_at_ms: committed.snapshot.committed_at.as_ms(),
            bytes_received: committed.bytes_received.0,
            chunks_new: committed.chunks_new.0,
            packs: committed.packs.0,
        })
    }

    async fn locate(&self, refs: &[ChunkRef]) -> Result<Vec<Option<u64>>, RemoteError> {
        let (run, refs) = (self.run, refs.to_vec());
        let work: Work<_> = Arc::new(move |app, actor| {
            let refs = refs.clone();
            async move { restore::locate(&app, &actor, run, &refs).await }.boxed()
        });
        let places = self.line.ask(Verb::ReadAppended, work).await?;
        Ok(places.into_iter().map(|place| (place != restore::NOWHERE).then_some(place)).collect())
    }

    async fn fetch(&self, refs: Vec<ChunkRef>) -> Result<BoxStream<'static, Result<Parcel, RemoteError>>, RemoteError> {
        let run = self.run;
        let work: Work<Vec<restore::Parcel>> = Arc::new(move |app, actor| {
            let refs = refs.clone();
            async move { restore::fetch(app, actor, run, &refs).await?.try_collect().await }.boxed()
        });
        let parcels = self.line.ask(Verb::ReadAppended, work).await?;
        let parcels = parcels.into_iter().map(|restore::Parcel { codec, plain_len, chunks, bytes }| {
            Ok(Parcel { codec, plain_len, chunks, bytes: bytes.into() })
        });
        Ok(stream::iter(parcels).boxed())
    }
}

/// The bits of an answer, the low bit of each byte first.
fn positions(bits: &[u8], count: usize) -> Vec<bool> {
    (0..count).map(|n| bits[n / 8] >> (n % 8) & 1 == 1).collect()
}
