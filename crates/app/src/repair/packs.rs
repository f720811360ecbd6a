//! Packs: those that no row names are taken in by the table that each has of itself; rows that say something else are
//! written anew; what the store lacks is marked. Refuses to trust a table that the repository's key did not seal.

use super::{Options, Progress, Report};
use crate::damage::{self, is_damage};
use crate::keys::RepositoryKeys;
use crate::listing::{PAGE, Pages};
use crate::scrub::{is_going, rows_differ, table_of};
use crate::snapshots::store_name;
use crate::{App, AppError};
use base::{Bytes, Count, RunId};
use db::{ChunkRow, FrameRow, PackNew, PackRow};
use format::object::PACKS_PREFIX;
use format::{ObjectHeader, ObjectName, PackId, PackIndex};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::sync::Arc;
use store::ObjectInfo;

/// Tables of packs read side by side.
const TABLES_MAX: usize = 8;

/// Looks at every pack of the store, and at every row of one.
pub(super) async fn repair(
    app: &App,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
    report: &mut Report,
) -> Result<(), AppError> {
    // ORDER: what the store lacks first: chunks of a pack that is marked move to the pack that has them.
    missing(app, options, report).await?;
    let mut pages = Pages::new(app.store.as_ref(), PACKS_PREFIX, "listing packs");
    while let Some(page) = pages.next().await? {
        let looked = stream::iter(page).map(|object| look(app, object)).buffered(TABLES_MAX);
        let mut looked = std::pin::pin!(looked);
        while let Some(pack) = looked.try_next().await? {
            take(app, options, pack, report).await?;
            report.packs += Count(1);
            progress(Progress::Packs { done: report.packs });
        }
    }
    Ok(())
}

/// What was found out about one object.
enum Looked {
    /// Its rows are what it says, or it is about to go.
    Right,
    /// No row names it.
    Unknown(Box<Pack>),
    /// Its rows are not what it says.
    Differs(Box<PackRow>, PackIndex),
    /// It cannot be read, and why.
    Unreadable(String, String),
}

/// A pack that only the store knows.
struct Pack {
    id: PackId,
    bytes: Bytes,
    run: RunId,
    header: [u8; ObjectHeader::LEN],
    keys: Arc<RepositoryKeys>,
    index: PackIndex,
}

impl Pack {
    /// A pack whose table has opened, and so its header.
    fn new(id: PackId, bytes: Bytes, header: &[u8], keys: Arc<RepositoryKeys>, index: PackIndex) -> Self {
        let run = ObjectHeader::of_pack(header).expect("a table opens only below a header that can be read").run;
        let header = header.try_into().expect("such a header has its length");
        Self { id, bytes, run, header, keys, index }
    }
}

async fn look(app: &App, object: ObjectInfo) -> Result<Looked, AppError> {
    let name = object.name.to_string();
    let Ok(ObjectName::Pack(id)) = name.parse() else {
        return Ok(Looked::Unreadable(name, "It has no pack's name".to_owned()));
    };
    let during = || AppError::db("looking a pack up");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = db::pack_get(&mut tx, id).await.map_err(during())?;
    let leaves = db::leaving_get(&mut tx, &name).await.map_err(during())?.is_some();
    drop(tx);
    if row.is_none() && leaves {
        return Ok(Looked::Right);
    }
    if row.as_ref().is_some_and(|row| row.doomed || row.damaged_at.is_some() || row.new.bytes != object.size) {
        // What is damaged is scrub's; another length is what `missing` finds.
        return Ok(Looked::Right);
    }
    let len = object.size.0;
    let header = app.store.get_range(&object.name, 0, (ObjectHeader::LEN as u64).min(len)).await;
    let header = match header {
        Ok(header) => header,
        Err(error) if is_damage(&error) => return Ok(Looked::Unreadable(name, error.to_string())),
        Err(error) => return Err(AppError::store("reading a pack")(error)),
    };
    // The first repository whose keys open the table has it.
    let mut why = format::Error::Open { part: "pack index" };
    for keys in app.keys.repositories() {
        match table_of(app, &object.name, len, &header, &keys).await {
            Ok(Ok(index)) => {
                return Ok(match row {
                    None => Looked::Unknown(Box::new(Pack::new(id, object.size, &header, keys, index))),
                    Some(row) if rows_differ(app, &row, &index).await? => Looked::Differs(Box::new(row), index),
                    Some(_) => Looked::Right,
                });
            }
            Ok(Err(error)) => why = error,
            Err(error) if is_damage(&error) => return Ok(Looked::Unreadable(name, error.to_string())),
            Err(error) => return Err(AppError::store("reading a pack")(error)),
        }
    }
    Ok(Looked::Unreadable(name, why.to_string()))
}

async fn take(app: &App, options: &Options, looked: Looked, report: &mut Report) -> Result<(), AppError> {
    match looked {
        Looked::Right => {}
        Looked::Unreadable(name, why) => report.add_unreadable(&name, &why),
        Looked::Unknown(pack) => {
            report.packs_taken += Count(1);
            report.bytes_taken += pack.bytes;
            if options.apply {
                take_in(app, &pack).await?;
            }
        }
        Looked::Differs(row, index) => {
            report.packs_reread += Count(1);
            if options.apply {
                reread(app, &row, &index).await?;
            }
        }
    }
    Ok(())
}

/// Makes a pack and its chunks known, as an upload does that has verified it: this one was verified before it was
/// stored.
async fn take_in(app: &App, pack: &Pack) -> Result<(), AppError> {
    let during = || AppError::db("taking a pack in");
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: its upload may be under way, and have written the row meanwhile; or a collection has found a stray in it.
    let name = store_name(&ObjectName::Pack(pack.id));
    let leaves = db::leaving_get(&mut tx, name.as_str()).await.map_err(during())?.is_some();
    if leaves || db::pack_get(&mut tx, pack.id).await.map_err(during())?.is_some() {
        return tx.commit().await.map_err(during());
    }
    let created_at = pack.run.begun_at().min(app.clock.now());
    let new = PackNew {
        id: pack.id,
        repository: pack.keys.seq,
        run: pack.run,
        bytes: pack.bytes,
        header: pack.header,
        created_at,
    };
    let seq = db::pack_insert(&mut tx, &new).await.map_err(during())?;
    db::frame_insert(&mut tx, seq, &FrameRow::all(&pack.index)).await.map_err(during())?;
    let chunks = ChunkRow::all(&pack.index);
    let chunks_new = db::chunk_insert(&mut tx, pack.keys.seq, seq, &chunks).await.map_err(during())?;
    db::pack_chunks_new_update(&mut tx, seq, chunks_new).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

/// Writes the rows of a pack anew, from its own table.
async fn reread(app: &App, row: &PackRow, index: &PackIndex) -> Result<(), AppError> {
    let during = || AppError::db("writing the rows of a pack anew");
    let repository = row.new.repository;
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: a collection may have removed it meanwhile, or be about to.
    if db::pack_get_by_seq(&mut tx, row.seq).await.map_err(during())?.is_none_or(|row| row.doomed) {
        return tx.commit().await.map_err(during());
    }
    db::pack_rows_remove(&mut tx, repository, row.seq).await.map_err(during())?;
    db::frame_insert(&mut tx, row.seq, &FrameRow::all(index)).await.map_err(during())?;
    db::chunk_insert(&mut tx, repository, row.seq, &ChunkRow::all(index)).await.map_err(during())?;
    // INVARIANT: what is closed never outlives what it stands on: rows that were wrong may be gone now.
    db::closed_remove(&mut tx, repository).await.map_err(during())?;
    db::repository_damages_update(&mut tx, repository).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

/// Marks the packs that the store lacks, or has in another length.
async fn missing(app: &App, options: &Options, report: &mut Report) -> Result<(), AppError> {
    let mut after = 0;
    loop {
        let during = || AppError::db("listing packs");
        let mut tx = app.db.read().await.map_err(during())?;
        let rows = db::pack_list(&mut tx, after, PAGE as u32).await.map_err(during())?;
        drop(tx);
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.seq;
        let sound = rows.into_iter().filter(|row| row.damaged_at.is_none());
        let looked = stream::iter(sound).map(|row| async move {
            let size = app.store.head(&store_name(&ObjectName::Pack(row.new.id))).await;
            size.map(|size| (row, size)).map_err(AppError::store("looking for a pack"))
        });
        let mut looked = std::pin::pin!(looked.buffered(TABLES_MAX));
        while let Some((row, size)) = looked.try_next().await? {
            if size == Some(row.new.bytes) || is_going(app, row.seq).await? {
                continue;
            }
            report.packs_missing += Count(1);
            if options.apply {
                let why =
                    if size.is_none() { "the store does not have it" } else { "the store has another length of it" };
                damage::mark(app, &row, &why).await?;
            }
        }
    }
}
