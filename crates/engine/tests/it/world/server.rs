//! A server in memory, as strict as the real one: it opens every pack with the key of its run, names every chunk again,
//! parses every tree, and takes no snapshot that is not whole. Refuses a run that was superseded.

use super::closure;
use base::{Bytes as Size, DeviceId, Kind, RepositoryId, RunId, Secret};
use bytes::Bytes;
use engine::{Committed, Parcel, RemoteError, Uploaded};
use format::{
    ChunkKind, ChunkRef, List, Manifest, NamingKey, PackId, RepositoryKey, RunKey, Tree, compress, open_pack,
};
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub const DEVICE: DeviceId = DeviceId::from_bytes([0xd1; 16]);
pub const REPOSITORY: RepositoryId = RepositoryId::from_bytes([0xe1; 16]);
pub const KEY_ID: u32 = 7;

/// A chunk as the server keeps it. `place` is a pack, 24 bits up, and a frame.
#[derive(Clone, Debug)]
pub struct Kept {
    pub kind: ChunkKind,
    pub plain: Bytes,
    pub place: u64,
}

/// The calls of the port; `Parcel` is one item of the stream that `Fetch` answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Dedupe,
    Upload,
    Verify,
    Commit,
    Locate,
    Fetch,
    Parcel,
}

/// Whether a call that fails was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    Before,
    After,
}

/// What the server saw since the record was last taken.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    pub calls: Vec<Verb>,
    /// What was asked, call by call.
    pub asked: Vec<(Verb, Vec<ChunkRef>)>,
    pub pack_ids: Vec<PackId>,
    pub packs: Vec<usize>,
    /// Chunks of those packs.
    pub uploaded: Vec<(ChunkKind, ChunkRef, u32)>,
    /// Chunks among them that it had already.
    pub again: u64,
    pub fetched: Vec<(ChunkKind, ChunkRef)>,
}

impl Traffic {
    pub fn count(&self, verb: Verb) -> usize {
        self.calls.iter().filter(|call| **call == verb).count()
    }

    /// How many chunks of a kind were uploaded, and their bytes.
    pub fn of(&self, wanted: ChunkKind) -> (usize, u64) {
        let of_kind = self.uploaded.iter().filter(|(kind, ..)| *kind == wanted);
        of_kind.fold((0, 0), |(count, bytes), (.., len)| (count + 1, bytes + u64::from(*len)))
    }
}

/// What happens at a call: the verb, which one of its calls from 1, whether it was carried out, and what then.
type Hook = (Verb, u64, Broken, fn());

/// How it misbehaves.
#[derive(Debug, Default)]
pub struct Faults {
    /// The call of this number, from 1 and counted from now, does not get its answer.
    pub break_at: Option<(u64, Broken)>,
    /// A bit of such a chunk is flipped on the way.
    pub flip: HashSet<ChunkRef>,
    /// A bit of the compressed parcel with such a chunk is flipped, in the byte of this number, counted round.
    pub garble: HashMap<ChunkRef, usize>,
    /// Located, and left out when it is fetched: what the server cannot read.
    pub unreadable: HashSet<ChunkRef>,
    /// Every parcel comes twice.
    pub sends_twice: bool,
    /// Answers to `verify` as if no pack had come.
    pub loses_packs: bool,
    /// Answers for one ref less than was asked.
    pub answers_short: bool,
    /// Says of every chunk in a parcel that it is the next one of the request.
    pub mixes_up: bool,
    hook: Option<Hook>,
    calls: u64,
}

/// What the server takes at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub pack: Size,
    pub refs: usize,
}

pub struct MemoryServer {
    pub naming: NamingKey,
    pub limits: Mutex<Limits>,
    key: RepositoryKey,
    device_key: Ed25519KeyPair,
    state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    pub chunks: BTreeMap<ChunkRef, Kept>,
    pub snapshots: Vec<Manifest>,
    pub faults: Faults,
    packs: HashMap<PackId, RunId>,
    open: Option<(RunId, bool)>,
    traffic: Traffic,
}

impl State {
    /// What is to be done at this call.
    fn met(&mut self, verb: Verb) -> Option<(Broken, fn())> {
        let (_, left, broken, then) = self.faults.hook.as_mut().filter(|hook| hook.0 == verb)?;
        *left = left.saturating_sub(1);
        let met = (*left == 0).then_some((*broken, *then));
        if met.is_some() {
            self.faults.hook = None;
        }
        met
    }
}

impl MemoryServer {
    pub fn new() -> Self {
        Self {
            naming: NamingKey::new(&Secret::new([0x4e; 32])),
            limits: Mutex::new(Limits { pack: Size::mib(64), refs: 8_192 }),
            key: RepositoryKey::new(KEY_ID, Secret::new([0x52; 32])),
            device_key: Ed25519KeyPair::from_seed_unchecked(&[0x44; 32]).expect("a seed has 32 bytes"),
            state: Mutex::default(),
        }
    }

    pub fn limits(&self) -> Limits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take_traffic(&self) -> Traffic {
        std::mem::take(&mut self.state().traffic)
    }

    pub fn clear_faults(&self) {
        self.state().faults = Faults::default();
    }

    pub fn break_at(&self, call: u64, broken: Broken) {
        self.state().faults = Faults { break_at: Some((call, broken)), ..Faults::default() };
    }

    /// Does something before or after such a call, counted from now.
    pub fn on_call(&self, verb: Verb, nth: u64, broken: Broken, then: fn()) {
        self.state().faults.hook = Some((verb, nth, broken, then));
    }

    /// Pack and frame of a chunk.
    pub fn place(&self, chunk: &ChunkRef) -> u64 {
        self.state().chunks[chunk].place
    }

    /// Loses a chunk for good.
    pub fn lose(&self, chunk: &ChunkRef) {
        self.state().chunks.remove(chunk).expect("what is lost was there");
    }

    /// Opens a run; the one before it is superseded.
    pub fn begin(&self, run: RunId, is_backup: bool) -> RunKey {
        self.state().open = Some((run, is_backup));
        self.key.run_key(run)
    }

    /// Signs with the device's key, which a real server does not have.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.device_key.sign(bytes).as_ref().try_into().expect("a signature has 64 bytes")
    }

    // The calls of the port.

    pub fn dedupe(&self, run: RunId, refs: &[ChunkRef]) -> Result<Vec<bool>, RemoteError> {
        self.call(run, Verb::Dedupe, |state| {
            self.check_refs(state, refs)?;
            let refs = &refs[usize::from(state.faults.answers_short)..];
            Ok(refs.iter().map(|chunk| !state.chunks.contains_key(chunk)).collect())
        })
    }

    pub fn upload(&self, run: RunId, pack: PackId, bytes: &Bytes) -> Result<Uploaded, RemoteError> {
        // What takes long is done before the others have to wait.
        let opened = self.open(run, pack, bytes);
        self.call(run, Verb::Upload, |state| {
            if bytes.len() as u64 > self.limits().pack.0 {
                return Err(refused("pack_too_large", Kind::Invalid));
            }
            let opened = opened?;
            state.traffic.packs.push(bytes.len());
            state.traffic.pack_ids.push(pack);
            let place = (state.packs.len() as u64) << 24;
            if state.packs.insert(pack, run).is_some() {
                return Err(refused("a pack was sent twice without need", Kind::Invalid));
            }
            let mut chunks_new = 0;
            for (frame, kind, chunk, plain) in opened {
                state.traffic.uploaded.push((kind, chunk, plain.len() as u32));
                let kept = Kept { kind, plain, place: place | u64::from(frame) };
                match state.chunks.insert(chunk, kept) {
                    None => chunks_new += 1,
                    Some(_) => state.traffic.again += 1,
                }
            }
            Ok(Uploaded { chunks_new })
        })
    }

    pub fn verify(&self, run: RunId, packs: &[PackId]) -> Result<Vec<PackId>, RemoteError> {
        self.call(run, Verb::Verify, |state| {
            if packs.len() > self.limits().refs {
                return Err(refused("too_many_refs", Kind::Invalid));
            }
            let has = |pack| state.packs.get(pack) == Some(&run) && !state.faults.loses_packs;
            Ok(packs.iter().filter(|pack| !has(*pack)).copied().collect())
        })
    }

    pub fn commit(&self, run: RunId, bytes: &[u8]) -> Result<Committed, RemoteError> {
        self.call(run, Verb::Commit, |state| {
            let signed = Manifest::open(bytes, |header| self.key_for(run, header)).map_err(|cause| damaged(&cause))?;
            let public = self.device_key.public_key().as_ref().try_into().expect("a public key has 32 bytes");
            let manifest = signed.verify(&public).map_err(|cause| damaged(&cause))?;
            let is_ours = manifest.device == DEVICE && manifest.repository == REPOSITORY;
            let knows_parent =
                manifest.parent.is_none_or(|parent| state.snapshots.iter().any(|snapshot| snapshot.snapshot == parent));
            if !is_ours || !knows_parent || manifest.ended_at < manifest.began_at {
                return Err(refused("manifest_mismatch", Kind::Invalid));
            }
            closure::check(&state.chunks, &manifest)?;
            state.snapshots.push(manifest);
            Ok(Committed { committed_at_ms: 0, bytes_received: 0, chunks_new: 0, packs: state.packs.len() as u64 })
        })
    }

    pub fn locate(&self, run: RunId, refs: &[ChunkRef]) -> Result<Vec<Option<u64>>, RemoteError> {
        self.call(run, Verb::Locate, |state| {
            self.check_refs(state, refs)?;
            let refs = &refs[usize::from(state.faults.answers_short)..];
            Ok(refs.iter().map(|chunk| state.chunks.get(chunk).map(|kept| kept.place)).collect())
        })
    }

    pub fn fetch(&self, run: RunId, refs: &[ChunkRef]) -> Result<Vec<Parcel>, RemoteError> {
        self.call(run, Verb::Fetch, |state| {
            self.check_refs(state, refs)?;
            let is_backup = state.open == Some((run, true));
            let mut frames: BTreeMap<u64, Vec<(u32, ChunkRef, Kept)>> = BTreeMap::new();
            for (position, chunk) in (0..).zip(refs) {
                let Some(kept) = state.chunks.get(chunk) else { continue };
                if is_backup && kept.kind == ChunkKind::Content {
                    return Err(refused("content_during_backup", Kind::Refused));
                }
                if !state.faults.unreadable.contains(chunk) {
                    frames.entry(kept.place).or_default().push((position, *chunk, kept.clone()));
                }
            }
            let mut parcels = Vec::new();
            for chunks in frames.into_values() {
                state.traffic.fetched.extend(chunks.iter().map(|(_, chunk, kept)| (kept.kind, *chunk)));
                let parcel = parcel(&chunks, &state.faults);
                let times = if state.faults.sends_twice { 2 } else { 1 };
                parcels.extend(std::iter::repeat_n(parcel, times));
            }
            Ok(parcels)
        })
    }

    /// One item of the stream.
    pub fn parcel(&self, run: RunId, parcel: Parcel) -> Result<Parcel, RemoteError> {
        self.call(run, Verb::Parcel, |_| Ok(parcel))
    }

    fn call<T>(
        &self,
        run: RunId,
        verb: Verb,
        work: impl FnOnce(&mut State) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        let mut state = self.state();
        state.traffic.calls.push(verb);
        state.faults.calls += 1;
        let hook = state.met(verb);
        if let Some((Broken::Before, then)) = hook {
            then();
        }
        let broken = state.faults.break_at.filter(|(call, _)| *call == state.faults.calls).map(|(_, broken)| broken);
        if broken == Some(Broken::Before) {
            return Err(refused("connection_lost", Kind::Unavailable));
        }
        if state.open.is_none_or(|(open, _)| open != run) {
            return Err(refused("run_superseded", Kind::Conflict));
        }
        let done = work(&mut state)?;
        if let Some((Broken::After, then)) = hook {
            then();
        }
        if broken == Some(Broken::After) { Err(refused("connection_lost", Kind::Unavailable)) } else { Ok(done) }
    }

    fn check_refs(&self, state: &mut State, refs: &[ChunkRef]) -> Result<(), RemoteError> {
        let verb = *state.traffic.calls.last().expect("the call was counted before it is answered");
        state.traffic.asked.push((verb, refs.to_vec()));
        if refs.is_empty() || refs.len() > self.limits().refs {
            return Err(refused("too_many_refs", Kind::Invalid));
        }
        let distinct: HashSet<&ChunkRef> = refs.iter().collect();
        if distinct.len() < refs.len() { Err(refused("refs_twice", Kind::Invalid)) } else { Ok(()) }
    }

    fn key_for(&self, run: RunId, header: &format::ObjectHeader) -> Option<RunKey> {
        (header.key_id == KEY_ID && header.run == run).then(|| self.key.run_key(run))
    }

    fn open(&self, run: RunId, pack: PackId, bytes: &Bytes) -> Result<Vec<Opened>, RemoteError> {
        if PackId::of(bytes) != pack {
            return Err(refused("pack_name_mismatch", Kind::Damaged));
        }
        let open = open_pack(bytes, |header| self.key_for(run, header)).map_err(|cause| damaged(&cause))?;
        let mut chunks = Vec::new();
        for (number, entry) in (0..).zip(open.index().frames()) {
            let plain = open.frame(number).map_err(|cause| damaged(&cause))?;
            entry.verify(number, &self.naming, &plain).map_err(|cause| damaged(&cause))?;
            let plain = Bytes::from(plain);
            for (range, chunk) in entry.ranges() {
                let plain = plain.slice(range);
                match chunk.kind {
                    ChunkKind::Content => {}
                    ChunkKind::Tree => drop(Tree::decode(&plain).map_err(|cause| damaged(&cause))?),
                    ChunkKind::List => drop(List::decode(&plain).map_err(|cause| damaged(&cause))?),
                }
                chunks.push((number, chunk.kind, chunk.chunk, plain));
            }
        }
        let content = chunks.iter().filter(|(_, kind, ..)| *kind == ChunkKind::Content).count();
        assert!(content == 0 || content == chunks.len(), "trees and content share a pack");
        Ok(chunks)
    }
}

/// The frame, kind, name and bytes of a chunk.
type Opened = (u32, ChunkKind, ChunkRef, Bytes);

fn parcel(chunks: &[(u32, ChunkRef, Kept)], faults: &Faults) -> Parcel {
    let mut plain = Vec::new();
    for (_, chunk, kept) in chunks {
        plain.extend_from_slice(&kept.plain);
        if faults.flip.contains(chunk) {
            let last = plain.len() - 1;
            plain[last] ^= 0x10;
        }
    }
    let mut bytes = Vec::new();
    let codec = compress::compress(&plain, 1, 0, &mut bytes);
    for (_, chunk, _) in chunks {
        if let Some(at) = faults.garble.get(chunk) {
            let at = at % bytes.len();
            bytes[at] ^= 0x10;
        }
    }
    let step = u32::from(faults.mixes_up);
    let chunks = chunks.iter().map(|(position, _, kept)| (*position + step, kept.plain.len() as u32)).collect();
    Parcel { codec, plain_len: plain.len() as u32, chunks, bytes: Bytes::from(bytes) }
}

pub fn refused(code: &str, kind: Kind) -> RemoteError {
    RemoteError::new(code, format!("the server says {code}"), kind)
}

fn damaged(cause: &format::Error) -> RemoteError {
    RemoteError::new("damaged", cause.to_string(), Kind::Damaged)
}
