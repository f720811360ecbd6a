//! Packs: each is there, is the bytes that it was, and holds what the index says.
//! Refuses to stop at the first flaw: every frame of a damaged pack is tried, to tell what is lost from what is not.

use super::{BadFrames, Options, Problem, ProblemCode, Progress, Report};
use crate::backup::verify_frame;
use crate::damage::{self, is_damage};
use crate::frames;
use crate::keys::RepositoryKeys;
use crate::snapshots::store_name;
use crate::{App, AppError};
use base::{Bytes as Size, Count};
use bytes::Bytes;
use db::{ChunkRow, FrameRow, PackRow};
use format::{Error, ObjectHeader, ObjectName, PackId, PackIndex, RunKey, open_pack};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::HashMap;
use store::StoreError;

/// Packs looked at side by side, each whole in memory.
const PACKS_MAX: usize = 2;
/// Rows that are read at once.
const PAGE: u32 = 1_000;
/// Chunks looked up by one statement.
const CHUNKS_MAX: usize = 8_192;
/// The end of a pack that is read first: nearly every table fits in it.
const TAIL_LEN: u64 = 64 << 10;

/// Looks at every pack that is known now.
pub(super) async fn scrub(
    app: &App,
    options: Options,
    progress: &mut (dyn FnMut(Progress) + Send),
    report: &mut Report,
    bad: &mut BadFrames,
) -> Result<(), AppError> {
    let counts = Some(counts(app).await?);
    let total = pack_count(app).await?;
    let mut after = 0;
    loop {
        let during = || AppError::db("listing packs");
        let mut tx = app.db.read().await.map_err(during())?;
        let rows = db::pack_list(&mut tx, after, PAGE).await.map_err(during())?;
        drop(tx);
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.seq;
        let found = stream::iter(rows).map(|row| look(app, options, row, counts.as_ref())).buffered(PACKS_MAX);
        let mut found = std::pin::pin!(found);
        while let Some(pack) = found.try_next().await? {
            take(app, options, pack, report, bad).await?;
            progress(Progress::Packs { done: report.packs, total, bytes: report.bytes });
        }
    }
}

/// Looks at one pack after the other, whole, from the one after `after` in the order of their names on, and at the
/// first again after the last: names are digests, so that is any order.
///
/// # Errors
/// A database or a store that does not answer.
pub(super) async fn scrub_on(
    app: &App,
    after: &mut Option<PackId>,
    count: Count,
    report: &mut Report,
) -> Result<(), AppError> {
    let options = Options { read_data: true };
    let mut bad = BadFrames::new();
    for _ in 0..count.0 {
        let during = || AppError::db("listing packs");
        let mut tx = app.db.read().await.map_err(during())?;
        let mut rows = db::pack_list_by_id(&mut tx, *after, 1).await.map_err(during())?;
        if rows.is_empty() {
            rows = db::pack_list_by_id(&mut tx, None, 1).await.map_err(during())?;
        }
        drop(tx);
        let Some(row) = rows.pop() else { return Ok(()) };
        *after = Some(row.new.id);
        let looked = look(app, options, row, None).await?;
        take(app, options, looked, report, &mut bad).await?;
    }
    Ok(())
}

/// What was found out about one pack.
struct Looked {
    row: PackRow,
    chunks: Count,
    read: Size,
    /// Frames that do not open.
    bad: Vec<u32>,
    /// Anything wrong with the object; the first flaw.
    flaw: Option<(ProblemCode, String)>,
    /// Where index and pack disagree.
    differs: Option<String>,
}

async fn look(
    app: &App,
    options: Options,
    row: PackRow,
    counts: Option<&HashMap<i64, Count>>,
) -> Result<Looked, AppError> {
    let during = || AppError::db("reading the frames of a pack");
    let mut tx = app.db.read().await.map_err(during())?;
    let frames = db::frame_list_by_pack(&mut tx, row.seq).await.map_err(during())?;
    drop(tx);
    let mut looked = Looked { row, chunks: Count(0), read: Size(0), bad: Vec::new(), flaw: None, differs: None };
    let name = store_name(&ObjectName::Pack(looked.row.new.id));
    let index = if options.read_data {
        match app.store.get(&name).await {
            Ok(bytes) => open_whole(app, &mut looked, &frames, bytes).await?,
            Err(error) => absent(&mut looked, &frames, error)?,
        }
    } else {
        match table(app, &looked.row, &name).await {
            Ok(Ok(index)) => Some(index),
            Ok(Err(flaw)) => {
                looked.flaw = Some((ProblemCode::PackDamaged, flaw.to_string()));
                None
            }
            Err(error) => absent(&mut looked, &frames, error)?,
        }
    };
    if let Some(index) = index {
        looked.chunks = Count(index.chunks().count() as u64);
        looked.differs = differs(app, &looked.row, &frames, &index, counts).await?;
    }
    Ok(looked)
}

/// Takes what was found out about a pack into the report.
async fn take(
    app: &App,
    options: Options,
    looked: Looked,
    report: &mut Report,
    bad: &mut BadFrames,
) -> Result<(), AppError> {
    let Looked { row, chunks, read, bad: frames, flaw, differs } = looked;
    if (flaw.is_some() || differs.is_some()) && is_going(app, row.seq).await? {
        // RACE: a collection has removed it, or is about to, since its row was read.
        return Ok(());
    }
    report.packs += Count(1);
    report.chunks += chunks;
    report.bytes += read;
    bad.extend(frames.into_iter().map(|frame| (row.seq, frame)));
    let subject = ObjectName::Pack(row.new.id).to_string();
    match flaw {
        Some((code, sentence)) => {
            damage::mark(app, &row, &sentence).await?;
            report.add(Problem { code, subject: subject.clone(), sentence });
        }
        None if options.read_data && row.damaged_at.is_some() => damage::unmark(app, &row).await?,
        None => {}
    }
    if let Some(sentence) = differs {
        report.add(Problem { code: ProblemCode::IndexDiffers, subject, sentence });
    }
    Ok(())
}

/// Whether the pack is removed, or about to be.
pub(crate) async fn is_going(app: &App, seq: i64) -> Result<bool, AppError> {
    let during = || AppError::db("reading a pack's row");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = db::pack_get_by_seq(&mut tx, seq).await.map_err(during())?;
    Ok(row.is_none_or(|row| row.doomed))
}

/// An object that is not there, or is not one; an error of the store that may pass stays an error.
fn absent(looked: &mut Looked, frames: &[FrameRow], error: StoreError) -> Result<Option<PackIndex>, AppError> {
    if !is_damage(&error) {
        return Err(AppError::store("reading a pack")(error));
    }
    let code = match error {
        StoreError::NotFound { .. } => ProblemCode::ObjectMissing,
        _ => ProblemCode::PackDamaged,
    };
    looked.bad = frames.iter().map(|frame| frame.number).collect();
    looked.flaw = Some((code, error.to_string()));
    Ok(None)
}

/// Opens all of a pack. Gives its own table when that opens.
async fn open_whole(
    app: &App,
    looked: &mut Looked,
    frames: &[FrameRow],
    bytes: Bytes,
) -> Result<Option<PackIndex>, AppError> {
    looked.read = Size::of(bytes.len());
    let keys = app.keys.repository(looked.row.new.repository)?;
    let opener = frames::opener(app, &looked.row)?;
    let (row, frames) = (looked.row.clone(), frames.to_vec());
    let opened = base::blocking(move || {
        let intact = PackId::of(&bytes) == row.new.id;
        match open_pack(&bytes, run_key(&keys)) {
            Ok(pack) => {
                let mut bad = Vec::new();
                for (number, entry) in (0..).zip(pack.index().frames()) {
                    if verify_frame(&keys.naming, &pack, number, entry).is_err() {
                        bad.push(number);
                    }
                }
                (intact, bad, Ok(pack.into_index()))
            }
            // Without the pack's own table, the index tells where the frames are.
            Err(error) => {
                let opens = |frame: &&FrameRow| {
                    let begin = usize::try_from(frame.at).unwrap_or(usize::MAX);
                    let sealed = bytes.get(begin..begin.saturating_add(frame.sealed_len as usize));
                    let entry = frames::entry(frame);
                    sealed.zip(entry).is_some_and(|(sealed, entry)| opener.open(frame.number, sealed, &entry).is_ok())
                };
                (intact, frames.iter().filter(|frame| !opens(frame)).map(|frame| frame.number).collect(), Err(error))
            }
        }
    });
    let (intact, bad, index) = opened.await.expect("opening a pack does not panic, and the runtime is running");
    if !intact {
        let lost = Count::of(bad.len());
        let why = index.as_ref().err().map(|error| format!(" ({error})")).unwrap_or_default();
        let sentence = format!("Its bytes are not those that were stored; {lost} of its frames are lost{why}.");
        looked.flaw = Some((ProblemCode::PackDamaged, sentence));
    } else if !bad.is_empty() || index.is_err() {
        // The digest holds: what does not open was stored so, or a key is another one.
        looked.flaw = Some((ProblemCode::PackDamaged, "It is what was stored, and does not open.".to_owned()));
    }
    looked.bad = bad;
    Ok(index.ok())
}

/// Reads only the header and the table of a pack, and compares its size.
///
/// # Errors
/// The object is not there or too short; a store that does not answer. A table that does not open is an answer.
pub(crate) async fn table(
    app: &App,
    row: &PackRow,
    name: &store::ObjectName,
) -> Result<Result<PackIndex, Error>, StoreError> {
    let len = row.new.bytes.0;
    let size = app.store.head(name).await?.ok_or_else(|| StoreError::NotFound { name: name.clone() })?;
    if size != row.new.bytes {
        return Err(StoreError::Short { name: name.clone(), offset: 0, len, size });
    }
    let header = app.store.get_range(name, 0, (ObjectHeader::LEN as u64).min(len)).await?;
    let Ok(keys) = app.keys.repository(row.new.repository) else {
        return Ok(Err(Error::Open { part: "pack index" }));
    };
    table_of(app, name, len, &header, &keys).await
}

/// Reads the table of a pack of this length and header, with the keys of a repository.
///
/// # Errors
/// As `table`.
pub(crate) async fn table_of(
    app: &App,
    name: &store::ObjectName,
    len: u64,
    header: &[u8],
    keys: &RepositoryKeys,
) -> Result<Result<PackIndex, Error>, StoreError> {
    let mut tail_len = TAIL_LEN.min(len);
    loop {
        let tail = app.store.get_range(name, len - tail_len, tail_len).await?;
        match PackIndex::open(run_key(keys), len, header, &tail) {
            Err(Error::TailShort { need, .. }) if need > tail_len && need <= len => tail_len = need,
            opened => return Ok(opened),
        }
    }
}

/// The key of the run that an object says wrote it.
pub(crate) fn run_key(keys: &RepositoryKeys) -> impl FnOnce(&ObjectHeader) -> Option<RunKey> {
    |header| keys.seal_key(header.key_id).map(|key| key.run_key(header.run))
}

/// Whether the index says something else of a pack than the pack does of itself.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn rows_differ(app: &App, row: &PackRow, index: &PackIndex) -> Result<bool, AppError> {
    let during = || AppError::db("reading the frames of a pack");
    let mut tx = app.db.read().await.map_err(during())?;
    let frames = db::frame_list_by_pack(&mut tx, row.seq).await.map_err(during())?;
    drop(tx);
    let chunks = ChunkRow::all(index);
    let Compared { absent, wrong, .. } = compare(app, row, &chunks).await?;
    if FrameRow::all(index) != frames || absent + wrong > Count(0) {
        return Ok(true);
    }
    // What is here must be found whole: not in a pack that is damaged.
    for chunks in chunks.chunks(CHUNKS_MAX) {
        let ids: Vec<_> = chunks.iter().map(|chunk| chunk.id).collect();
        let mut tx = app.db.read().await.map_err(during())?;
        let whole = db::chunk_whole_list(&mut tx, row.new.repository, &ids).await.map_err(during())?;
        if whole.len() < chunks.len() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where the index says something else of a pack than the pack does; None when nowhere. That it says nothing of a chunk
/// is no flaw of it: two packs may have brought the chunk, and the one that the index found it in has been collected.
/// What a snapshot needs and the index lacks is found where its trees are followed.
async fn differs(
    app: &App,
    row: &PackRow,
    frames: &[FrameRow],
    index: &PackIndex,
    counts: Option<&HashMap<i64, Count>>,
) -> Result<Option<String>, AppError> {
    if FrameRow::all(index) != frames {
        return Ok(Some("The index has other frames for it than it has.".to_owned()));
    }
    let chunks = ChunkRow::all(index);
    let Compared { here, wrong, .. } = compare(app, row, &chunks).await?;
    if wrong > Count(0) {
        return Ok(Some(format!("The index says something else of {wrong} of its chunks.")));
    }
    // Without the counts of all packs, rows that name more than is there are not looked for.
    if counts.is_none_or(|counts| counts.get(&row.seq).copied().unwrap_or_default() == here) {
        return Ok(None);
    }
    // RACE: rows of a damaged pack move to the pack that brought their chunks again. Counted anew, both must agree.
    let (counts, Compared { here, .. }) = (self::counts(app).await?, compare(app, row, &chunks).await?);
    let there = counts.get(&row.seq).copied().unwrap_or_default();
    Ok((there != here).then(|| format!("The index finds {there} chunks in it, and {here} are there.")))
}

/// What the index says of a pack's chunks: how many of them it finds in the pack, how many it does not know, and how
/// many it knows otherwise.
#[derive(Clone, Copy, Debug, Default)]
struct Compared {
    here: Count,
    absent: Count,
    wrong: Count,
}

async fn compare(app: &App, row: &PackRow, chunks: &[ChunkRow]) -> Result<Compared, AppError> {
    let Compared { mut here, mut absent, mut wrong } = Compared::default();
    for chunks in chunks.chunks(CHUNKS_MAX) {
        let ids: Vec<_> = chunks.iter().map(|chunk| chunk.id).collect();
        let during = || AppError::db("looking the chunks of a pack up");
        let mut tx = app.db.read().await.map_err(during())?;
        let places = db::chunk_list(&mut tx, row.new.repository, &ids).await.map_err(during())?;
        drop(tx);
        absent += Count::of(chunks.len() - places.len());
        for place in places {
            let chunk = &chunks[place.position as usize];
            if place.pack == row.seq {
                let same =
                    (place.kind, place.frame, place.at, place.len) == (chunk.kind, chunk.frame, chunk.at, chunk.len);
                *(if same { &mut here } else { &mut wrong }) += Count(1);
            } else if (place.kind, place.len) != (chunk.kind, chunk.len) {
                wrong += Count(1);
            }
        }
    }
    Ok(Compared { here, absent, wrong })
}

async fn counts(app: &App) -> Result<HashMap<i64, Count>, AppError> {
    let during = || AppError::db("counting the chunks of packs");
    let mut tx = app.db.read().await.map_err(during())?;
    Ok(db::chunk_count_list(&mut tx).await.map_err(during())?.into_iter().collect())
}

/// How many packs there are.
///
/// # Errors
/// The database does not answer.
pub(super) async fn pack_count(app: &App) -> Result<Count, AppError> {
    let during = || AppError::db("counting packs");
    let mut tx = app.db.read().await.map_err(during())?;
    db::pack_count_get(&mut tx).await.map_err(during())
}
