//! Reads frames of packs: neighbours in one range of the store, opened frames through a bounded cache.
//! Refuses to hold more than one group of frames at a time, and bytes that the pack's key does not authenticate.

use crate::damage::{self, is_damage};
use crate::snapshots::store_name;
use crate::{App, AppError};
use base::Bytes as Size;
use bytes::Bytes;
use db::{FrameRow, PackRow, Place, Tx};
use format::{Codec, FrameEntry, FrameOpener, ObjectHeader, ObjectName};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// The most bytes that one read of the store asks for, unless a single frame is larger.
const GROUP_BYTES_MAX: Size = Size::mib(4);
/// Bytes between two frames that are read along rather than asked for apart.
const GAP_MAX: Size = Size::kib(64);

/// A pack, and those of its frames that are wanted, in the order of the pack, none of them beyond its end.
#[derive(Clone, Debug)]
pub(crate) struct PackFrames {
    pub(crate) pack: PackRow,
    pub(crate) frames: Vec<FrameRow>,
    pub(crate) opener: Arc<FrameOpener>,
}

/// The plain bytes of chunks, by their position in `places`; None for one that lies in a frame that cannot be opened.
/// The packs of such frames are marked as damaged.
///
/// # Errors
/// A database or a store that does not answer.
pub(crate) async fn chunks(app: &App, places: &[Place]) -> Result<Vec<Option<Bytes>>, AppError> {
    let mut found: Vec<Option<Bytes>> = vec![None; places.len()];
    let mut wanted: BTreeMap<(i64, u32), Vec<usize>> = BTreeMap::new();
    for (position, place) in places.iter().enumerate() {
        wanted.entry((place.pack, place.frame)).or_default().push(position);
    }
    let mut cut = |key: (i64, u32), plain: &Bytes| {
        for position in wanted.get(&key).into_iter().flatten() {
            let place = &places[*position];
            let range = place.at as usize..place.at as usize + place.len as usize;
            // Copied, so that a small chunk does not keep a whole frame in memory.
            found[*position] = plain.get(range).map(Bytes::copy_from_slice);
        }
    };
    let mut absent: BTreeMap<i64, BTreeSet<u32>> = BTreeMap::new();
    for key in wanted.keys() {
        match app.plane.frames.get(*key) {
            Some(plain) => cut(*key, &plain),
            None => {
                absent.entry(key.0).or_default().insert(key.1);
            }
        }
    }
    for pack in look_up(app, &absent).await? {
        for group in groups(&pack.frames) {
            let sealed = read(app, &pack, group.clone()).await?;
            for (frame, plain) in open(app, &pack, group, sealed).await? {
                app.plane.frames.insert((pack.pack.seq, frame), plain.clone());
                cut((pack.pack.seq, frame), &plain);
            }
        }
    }
    Ok(found)
}

/// The rows of these frames, by pack. A pack or frame without a row is left out.
///
/// # Errors
/// As the database says; `row_damaged`; a pack whose key or header is not one of this server's.
pub(crate) async fn look_up(app: &App, wanted: &BTreeMap<i64, BTreeSet<u32>>) -> Result<Vec<PackFrames>, AppError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = app.db.read().await.map_err(AppError::db("reading where frames lie"))?;
    let mut found = Vec::with_capacity(wanted.len());
    for (seq, numbers) in wanted {
        found.extend(look_up_pack(app, &mut tx, *seq, numbers).await?);
    }
    Ok(found)
}

async fn look_up_pack(
    app: &App,
    tx: &mut Tx,
    seq: i64,
    numbers: &BTreeSet<u32>,
) -> Result<Option<PackFrames>, AppError> {
    let during = || AppError::db("reading where frames lie");
    let Some(pack) = db::pack_get_by_seq(tx, seq).await.map_err(during())? else { return Ok(None) };
    let numbers: Vec<u32> = numbers.iter().copied().collect();
    let frames = db::frame_list(tx, seq, &numbers).await.map_err(during())?;
    if !fit(&frames, pack.new.bytes) {
        let sentence = format!("The index says of the pack {} what no pack has: `scrub` says more.", pack.new.id);
        return Err(AppError::damaged("row_damaged", sentence));
    }
    let opener = Arc::new(opener(app, &pack)?);
    Ok(Some(PackFrames { pack, frames, opener }))
}

/// Do frames follow each other within a pack of so many bytes? What is computed with those that do neither overflows
/// nor leaves the pack.
fn fit(frames: &[FrameRow], pack: Size) -> bool {
    let mut from = 0;
    frames.iter().all(|frame| {
        let end = frame.at.checked_add(u64::from(frame.sealed_len)).filter(|end| *end <= pack.0);
        let follows = frame.at >= from && end.is_some();
        from = end.unwrap_or(u64::MAX);
        follows
    })
}

/// What opens the frames of a pack.
///
/// # Errors
/// `Damaged`: a header in the database that is none, or a key that the repository does not have.
pub(crate) fn opener(app: &App, pack: &PackRow) -> Result<FrameOpener, AppError> {
    let header = ObjectHeader::of_pack(&pack.new.header).map_err(AppError::format("reading the header of a pack"))?;
    let keys = app.keys.repository(pack.new.repository)?;
    let key = keys.seal_key(header.key_id).ok_or_else(|| {
        AppError::damaged("repository_keys_damaged", format!("The key {} of the repository is gone.", header.key_id))
    })?;
    Ok(FrameOpener::new(&key.run_key(header.run), &header))
}

/// Cuts frames, which are in the order of their pack, into stretches that are read at once.
pub(crate) fn groups(frames: &[FrameRow]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (position, frame) in frames.iter().enumerate() {
        let fits = groups.last().is_some_and(|group| {
            let first = &frames[group.start];
            let before = &frames[position - 1];
            frame.at.saturating_sub(end(before)) <= GAP_MAX.0 && end(frame) - first.at <= GROUP_BYTES_MAX.0
        });
        match groups.last_mut().filter(|_| fits) {
            Some(group) => group.end = position + 1,
            None => groups.push(position..position + 1),
        }
    }
    groups
}

/// The sealed bytes of one group of frames, in their order; None where the object does not have them, which marks the
/// pack as damaged.
///
/// # Errors
/// A store that does not answer.
pub(crate) async fn read(app: &App, pack: &PackFrames, group: Range<usize>) -> Result<Vec<Option<Bytes>>, AppError> {
    let frames = &pack.frames[group];
    let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(Vec::new()) };
    match range(app, pack, first.at, end(last) - first.at).await? {
        Some(bytes) => {
            let cut = |frame: &FrameRow| {
                let begin = (frame.at - first.at) as usize;
                Some(bytes.slice(begin..begin + frame.sealed_len as usize))
            };
            Ok(frames.iter().map(cut).collect())
        }
        // The object ends too early, or is gone: what is there of it can still be read frame by frame.
        None => {
            let mut sealed = Vec::with_capacity(frames.len());
            for frame in frames {
                sealed.push(range(app, pack, frame.at, frame.sealed_len.into()).await?);
            }
            Ok(sealed)
        }
    }
}

/// The frame as `format` wants it: where it lies and what it becomes, without its chunks.
pub(crate) fn entry(frame: &FrameRow) -> Option<FrameEntry> {
    Some(FrameEntry {
        codec: Codec::from_u8(frame.codec)?,
        offset: frame.at,
        sealed_len: frame.sealed_len,
        plain_len: frame.plain_len,
        chunks: Vec::new(),
    })
}

async fn open(
    app: &App,
    pack: &PackFrames,
    group: Range<usize>,
    sealed: Vec<Option<Bytes>>,
) -> Result<Vec<(u32, Bytes)>, AppError> {
    let frames = pack.frames[group].to_vec();
    let opener = Arc::clone(&pack.opener);
    let wanted = frames.len();
    let opened = base::blocking(move || {
        let open = |(frame, sealed): (&FrameRow, Option<Bytes>)| {
            let plain = opener.open(frame.number, &sealed?, &entry(frame)?).ok()?;
            Some((frame.number, Bytes::from(plain)))
        };
        frames.iter().zip(sealed).filter_map(open).collect::<Vec<(u32, Bytes)>>()
    });
    let opened = opened.await.expect("opening frames does not panic, and the runtime is running");
    if opened.len() < wanted {
        damage::mark(app, &pack.pack, &"frames do not open").await?;
    }
    Ok(opened)
}

async fn range(app: &App, pack: &PackFrames, at: u64, len: u64) -> Result<Option<Bytes>, AppError> {
    match app.store.get_range(&store_name(&ObjectName::Pack(pack.pack.new.id)), at, len).await {
        Ok(bytes) if bytes.len() as u64 == len => Ok(Some(bytes)),
        Ok(_) => Ok(None),
        Err(error) if is_damage(&error) => {
            damage::mark(app, &pack.pack, &error).await?;
            Ok(None)
        }
        Err(error) => Err(AppError::store("reading a pack")(error)),
    }
}

const fn end(frame: &FrameRow) -> u64 {
    frame.at + frame.sealed_len as u64
}

/// Opened frames, the least used of them given up first.
pub(crate) struct FrameCache {
    bytes_max: Size,
    inner: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    frames: HashMap<(i64, u32), (Bytes, u64)>,
    /// The frames by their last use.
    uses: BTreeMap<u64, (i64, u32)>,
    use_next: u64,
    bytes: u64,
}

impl FrameCache {
    /// An empty cache that keeps so many bytes.
    pub(crate) fn new(bytes_max: Size) -> Self {
        Self { bytes_max, inner: Mutex::default() }
    }

    /// Forgets everything: what is read next comes from the store.
    pub(crate) fn clear(&self) {
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = Cached::default();
    }

    fn get(&self, key: (i64, u32)) -> Option<Bytes> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = inner.use_next;
        let (plain, used) = inner.frames.get_mut(&key)?;
        let before = std::mem::replace(used, now);
        let plain = plain.clone();
        inner.uses.remove(&before);
        inner.uses.insert(now, key);
        inner.use_next += 1;
        Some(plain)
    }

    fn insert(&self, key: (i64, u32), plain: Bytes) {
        let len = plain.len() as u64;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if len > self.bytes_max.0 || inner.frames.contains_key(&key) {
            return;
        }
        let now = inner.use_next;
        inner.use_next += 1;
        inner.bytes += len;
        inner.frames.insert(key, (plain, now));
        inner.uses.insert(now, key);
        while inner.bytes > self.bytes_max.0 {
            let Some((_, oldest)) = inner.uses.pop_first() else { break };
            if let Some((gone, _)) = inner.frames.remove(&oldest) {
                inner.bytes -= gone.len() as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u32, at: u64, sealed_len: u32) -> FrameRow {
        FrameRow { number, codec: 0, at, sealed_len, plain_len: sealed_len - 16 }
    }

    #[test]
    fn neighbours_are_read_at_once_and_strangers_and_giants_apart() {
        let gap = 64 << 10;
        let check = |what: &str, frames: &[FrameRow], expected: &[(usize, usize)]| {
            let groups: Vec<(usize, usize)> =
                groups(frames).into_iter().map(|group| (group.start, group.end)).collect();
            assert_eq!(groups, expected, "{what}");
        };
        check("none", &[], &[]);
        check("side by side", &[frame(0, 64, 100), frame(1, 164, 100)], &[(0, 2)]);
        check("a small gap", &[frame(0, 64, 100), frame(2, 164 + gap, 100)], &[(0, 2)]);
        check("a large gap", &[frame(0, 64, 100), frame(2, 165 + gap, 100)], &[(0, 1), (1, 2)]);
        let (at, mib) = (|mib: u64| 64 + (mib << 20), 1 << 20);
        let many = [frame(0, at(0), 3 * mib), frame(1, at(3), mib), frame(2, at(4), 9 * mib)];
        check("more than one read takes", &many, &[(0, 2), (2, 3)]);
    }

    #[test]
    fn frames_that_no_pack_has_do_not_fit() {
        for (what, frames, fits) in [
            ("none", vec![], true),
            ("side by side, to the end", vec![frame(0, 64, 100), frame(1, 164, 100)], true),
            ("beyond the end", vec![frame(0, 64, 100), frame(1, 165, 100)], false),
            ("one in another", vec![frame(0, 64, 100), frame(1, 163, 100)], false),
            ("before the one before", vec![frame(0, 164, 100), frame(1, 64, 100)], false),
            ("beyond every number", vec![frame(0, u64::MAX - 8, 100)], false),
        ] {
            assert_eq!(fit(&frames, Size(264)), fits, "{what}");
        }
    }

    #[test]
    fn the_cache_keeps_what_was_used_last_and_never_more_than_its_bytes() {
        let cache = FrameCache::new(Size(10));
        let plain = |n: u8| Bytes::from(vec![n; 4]);
        cache.insert((1, 1), plain(1));
        cache.insert((1, 2), plain(2));
        assert_eq!(cache.get((1, 1)), Some(plain(1)), "used: the other is the oldest now");
        cache.insert((1, 3), plain(3));
        let kept: Vec<u32> = (1..=3).filter(|n| cache.get((1, *n)).is_some()).collect();
        assert_eq!(kept, [1, 3]);
        cache.insert((2, 1), Bytes::from(vec![0; 11]));
        assert_eq!(cache.get((2, 1)), None, "larger than the whole cache");
    }
}
