//! Fetch: chunks travel back to the device that names them, frame by frame, in the order in which they lie.
//! Refuses chunks that were not named or named twice, content to a backup run, and to send what does not open: such
//! chunks are left out, and the device learns by that which files are hurt.

use super::admit;
use crate::frames::{self, PackFrames};
use crate::{App, AppError, DeviceActor, damage, session};
use base::{Bytes as Size, RunId};
use bytes::Bytes;
use control::Refusal;
use control::access::Verb;
use db::{Place, RunPurpose};
use format::{ChunkId, ChunkKind, ChunkRef, Codec, FrameEntry, FrameOpener, compress};
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// Parts of a frame above this size are compressed again; below, it does not pay.
const PACK_AGAIN_MIN: Size = Size::kib(4);
/// zstd's level for that: the fastest.
const PACK_AGAIN_LEVEL: i32 = 1;

/// Chunks of one frame on their way to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// How `bytes` are compressed.
    pub codec: Codec,
    /// The length of `bytes` once decompressed.
    pub plain_len: u32,
    /// Position of the ref in the request and length in bytes, in the order of the plain bytes.
    pub chunks: Vec<(u32, u32)>,
    /// The chunks back to back.
    pub bytes: Vec<u8>,
}

/// The named chunks, as parcels in the order in which they lie. Chunks that are missing or damaged are left out. An
/// item of the stream is an error when the store does not answer, or the device was cut off meanwhile.
///
/// # Errors
/// As `runs::admit`; `request_too_large`; `request_malformed` for a ref that is named twice; `run_wrong_kind` for
/// content in a backup run.
pub async fn fetch(
    app: Arc<App>,
    actor: DeviceActor,
    run: RunId,
    refs: &[ChunkRef],
) -> Result<impl Stream<Item = Result<Parcel, AppError>> + Send + use<>, AppError> {
    if refs.len() as u64 > crate::runs::REFS_MAX.0 {
        return Err(Refusal::RequestTooLarge.into());
    }
    let (row, verb) = admit(&app, &actor, run).await?;
    let ids: Vec<ChunkId> = refs.iter().map(ChunkRef::id).collect();
    // One small request must not ask for one large chunk thousands of times: all of a group is in memory at once.
    if ids.iter().collect::<HashSet<_>>().len() < ids.len() {
        return Err(Refusal::RequestMalformed.into());
    }
    let during = || AppError::db("looking chunks up");
    let mut tx = app.db.read().await.map_err(during())?;
    let places = db::chunk_list(&mut tx, row.new.repository, &ids).await.map_err(during())?;
    drop(tx);
    if row.new.purpose == RunPurpose::Backup && places.iter().any(|place| place.kind == ChunkKind::Content) {
        return Err(Refusal::RunWrongKind.into());
    }
    let work = plan(&app, places).await?;
    let asker = Arc::new((actor, verb));
    let groups = stream::iter(work).then(move |group| {
        let (app, asker) = (Arc::clone(&app), Arc::clone(&asker));
        async move { send(&app, &asker, group).await }
    });
    Ok(groups.map_ok(|parcels| stream::iter(parcels).map(Ok)).try_flatten())
}

/// Frames of one pack that are read at once, and what is wanted of them.
struct Group {
    pack: Arc<PackFrames>,
    range: Range<usize>,
    /// For each frame of the group, in its order: the wanted places by where they begin.
    wanted: Vec<Vec<Place>>,
}

/// Sorts the places into groups, in the order of packs and of the frames in them.
async fn plan(app: &App, places: Vec<Place>) -> Result<Vec<Group>, AppError> {
    let mut by_frame: BTreeMap<(i64, u32), Vec<Place>> = BTreeMap::new();
    for place in places {
        by_frame.entry((place.pack, place.frame)).or_default().push(place);
    }
    let mut numbers: BTreeMap<i64, BTreeSet<u32>> = BTreeMap::new();
    for (pack, frame) in by_frame.keys() {
        numbers.entry(*pack).or_default().insert(*frame);
    }
    let mut work = Vec::new();
    for pack in frames::look_up(app, &numbers).await? {
        let pack = Arc::new(pack);
        for range in frames::groups(&pack.frames) {
            let wanted = pack.frames[range.clone()].iter().map(|frame| {
                let mut places = by_frame.remove(&(pack.pack.seq, frame.number)).unwrap_or_default();
                places.sort_unstable_by_key(|place| (place.at, place.position));
                places
            });
            let wanted = wanted.collect();
            work.push(Group { pack: Arc::clone(&pack), range, wanted });
        }
    }
    Ok(work)
}

/// Reads a group and makes its parcels.
async fn send(app: &App, asker: &(DeviceActor, Verb), group: Group) -> Result<Vec<Parcel>, AppError> {
    let _turn = app.plane.restore_groups.acquire().await.expect("the semaphore is never closed");
    session::recheck(app, &asker.0, asker.1).await?;
    let Group { pack, range, wanted } = group;
    let sealed = frames::read(app, &pack, range.clone()).await?;
    let (opener, rows) = (Arc::clone(&pack.opener), pack.frames[range].to_vec());
    let made = base::blocking(move || {
        let mut made = Vec::with_capacity(rows.len());
        for ((row, sealed), places) in rows.iter().zip(sealed).zip(&wanted) {
            let parcel = sealed
                .zip(frames::entry(row))
                .and_then(|(sealed, entry)| parcel(&opener, row.number, &entry, &sealed, places).ok());
            made.push(parcel);
        }
        made
    });
    let made = made.await.expect("opening frames does not panic, and the runtime is running");
    if made.iter().any(Option::is_none) {
        damage::mark(app, &pack.pack, &"frames do not open").await?;
    }
    Ok(made.into_iter().flatten().collect())
}

/// The parcel of one frame: the frame as it is when all of it is wanted, otherwise nothing but what is wanted.
fn parcel(
    opener: &FrameOpener,
    number: u32,
    entry: &FrameEntry,
    sealed: &Bytes,
    places: &[Place],
) -> Result<Parcel, format::Error> {
    // In numbers that the sum of two of the database's fits into, whatever those say.
    let mut next = 0;
    let end = |place: &Place| u64::from(place.at) + u64::from(place.len);
    let follows = |place: &Place| std::mem::replace(&mut next, end(place)) == u64::from(place.at);
    let is_whole = places.iter().all(follows) && next == u64::from(entry.plain_len);
    if is_whole {
        let chunks = places.iter().map(|place| (place.position, place.len)).collect();
        let bytes = opener.open_compressed(number, sealed, entry)?;
        return Ok(Parcel { codec: entry.codec, plain_len: entry.plain_len, chunks, bytes });
    }
    let plain = opener.open(number, sealed, entry)?;
    let (mut chunks, mut bytes) = (Vec::new(), Vec::new());
    for place in places {
        let chunk = plain.get(place.at as usize..place.at as usize + place.len as usize);
        bytes.extend_from_slice(chunk.ok_or(format::Error::Frame { frame: number })?);
        chunks.push((place.position, place.len));
    }
    Ok(part(chunks, bytes))
}

fn part(chunks: Vec<(u32, u32)>, plain: Vec<u8>) -> Parcel {
    let plain_len = u32::try_from(plain.len()).expect("a parcel is never larger than a frame");
    if Size::of(plain.len()) < PACK_AGAIN_MIN {
        return Parcel { codec: Codec::Stored, plain_len, chunks, bytes: plain };
    }
    let mut bytes = Vec::new();
    let codec = compress::compress(&plain, PACK_AGAIN_LEVEL, 0, &mut bytes);
    Parcel { codec, plain_len, chunks, bytes }
}
