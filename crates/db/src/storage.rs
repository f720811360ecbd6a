//! Storage reports: what they look at in snapshots, chunks and packs, page by page, and what they have found.
//! Refuses to decide whose bytes are whose: that is app's `storage`.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{Bytes, Count, DeviceId, ProfileId, Timestamp, UserId};
use format::ChunkId;

/// A device record, as a storage report sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageDeviceRow {
    /// Which.
    pub id: DeviceId,
    /// The record that it was merged into.
    pub merged_into: Option<DeviceId>,
    /// Whose it is.
    pub user: UserId,
    /// That user's profile, or the default one; `None` when there is no profile at all.
    pub profile: Option<ProfileId>,
    /// What its user's quota counts of it.
    pub newest: Bytes,
}

/// A chunk beside its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkStoredRow {
    /// Its public name.
    pub id: ChunkId,
    /// Where it begins in the frame's plain bytes.
    pub at: Bytes,
    /// How long it is.
    pub len: Bytes,
    /// How many sealed bytes its frame has.
    pub frame_sealed: Bytes,
    /// How many plain bytes.
    pub frame_plain: Bytes,
}

/// A pack beside its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackStoredRow {
    /// Its number.
    pub seq: i64,
    /// Its whole length.
    pub bytes: Bytes,
    /// The sealed bytes of all its frames.
    pub sealed: Bytes,
    /// Is it condemned, or about to be removed?
    pub is_condemned: bool,
}

/// What a storage report is about, beside its subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageReportRow {
    /// Its number: grows with each report.
    pub number: i64,
    /// It is of the snapshots that were there then.
    pub as_of: Timestamp,
    /// When it was done.
    pub ended_at: Option<Timestamp>,
    /// What there is.
    pub figures: StorageTotals,
}

/// What there is in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageTotals {
    /// Chunks that are known.
    pub chunks: Count,
    /// Chunks that a snapshot names and nobody has.
    pub missing: Count,
    /// Trees that could not be read.
    pub flaws: Count,
    /// Packs.
    pub packs: Count,
    /// Their bytes.
    pub bytes: Bytes,
    /// What no snapshot needs of them.
    pub unneeded: Bytes,
    /// Headers and tables of packs.
    pub framing: Bytes,
    /// Bytes of packs that are condemned already.
    pub condemned: Bytes,
}

/// What kind of subject a share is of. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StorageLevel {
    /// The installation.
    Whole,
    /// A profile, with the users that have it.
    Profile,
    /// A user, with the user's devices.
    User,
    /// A device, with the records that were merged into it.
    Device,
}

impl StorageLevel {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            StorageLevel::Whole => "whole",
            StorageLevel::Profile => "profile",
            StorageLevel::User => "user",
            StorageLevel::Device => "device",
        }
    }
}

/// What a subject takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageFigures {
    /// Its snapshots.
    pub snapshots: Count,
    /// Logical bytes of its devices' newest snapshots, as quota counts them.
    pub newest: Bytes,
    /// Logical bytes of all its snapshots.
    pub logical: Bytes,
    /// Bytes in the open that nobody else needs.
    pub unique: Bytes,
    /// Bytes in the open that somebody else needs as well.
    pub shared: Bytes,
    /// Its share of the bytes in the open.
    pub plain: Bytes,
    /// Stored bytes that nobody else needs.
    pub unique_stored: Bytes,
    /// Its share of the stored bytes.
    pub stored: Bytes,
}

/// What one subject takes, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageShareRow {
    /// Its 16 bytes; none of the whole.
    pub subject: Vec<u8>,
    /// The device's or profile's name, or the user's address; empty when it is gone.
    pub name: String,
    /// The address of a device's user; empty for others.
    pub email: String,
    /// What it takes.
    pub figures: StorageFigures,
}

/// All device records with ids after `after`, in the order of their ids, at most `limit`.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn storage_device_list(
    tx: &mut Tx,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<StorageDeviceRow>, DbError> {
    let rows = query(
        "select d.id, d.merged_into, d.user_id, \
         coalesce(u.profile_id, (select p.id from profile p where p.is_default = 1)) as profile, \
         case when d.merged_into is null \
         and d.state in ('pending', 'active', 'held', 'deactivated', 'suspended', 'quarantined') \
         then coalesce((select s.bytes from snapshot s where s.seq = (select max(n.seq) from device g \
         join snapshot n on n.id = g.last_snapshot \
         where (g.id = d.id or g.merged_into = d.id) and g.state not in ('deleted', 'purged'))), 0) \
         else 0 end as newest \
         from device d join \"user\" u on u.id = d.user_id where d.id > $1 order by d.id limit $2",
    )
    .bind(after.map_or_else(Vec::new, |after| after.as_bytes().to_vec()))
    .bind(limit)
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list devices for a storage report"))?;
    let read = |row: &Row| {
        Ok(StorageDeviceRow {
            id: DeviceId::from_bytes(row.bytes("id")?),
            merged_into: row.bytes_maybe("merged_into")?.map(DeviceId::from_bytes),
            user: UserId::from_bytes(row.bytes("user_id")?),
            profile: row.bytes_maybe("profile")?.map(ProfileId::from_bytes),
            newest: Bytes(row.number("newest")?),
        })
    };
    rows.iter().map(read).collect()
}

/// The chunks of a repository with ids after `after`, in the order of their ids, at most `limit`, each beside its
/// frame; where the frame has no row, nothing is stored.
///
/// # Errors
/// As the database says.
pub async fn chunk_stored_list(
    tx: &mut Tx,
    repository: i64,
    after: Option<ChunkId>,
    limit: u32,
) -> Result<Vec<ChunkStoredRow>, DbError> {
    let rows = query(
        "select chunk.id, chunk.at, chunk.len, coalesce(frame.sealed_len, 0) as sealed, \
         coalesce(frame.plain_len, 0) as plain \
         from chunk left join frame on frame.pack = chunk.pack and frame.number = chunk.frame \
         where chunk.repository = $1 and chunk.id > $2 order by chunk.id limit $3",
    )
    .bind(repository)
    .bind(after.map_or_else(Vec::new, |after| after.as_bytes().to_vec()))
    .bind(limit)
    .long()
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list chunks beside their frames"))?;
    let read = |row: &Row| {
        Ok(ChunkStoredRow {
            id: ChunkId::from_bytes(row.bytes("id")?),
            at: Bytes(row.number("at")?),
            len: Bytes(row.number("len")?),
            frame_sealed: Bytes(row.number("sealed")?),
            frame_plain: Bytes(row.number("plain")?),
        })
    };
    rows.iter().map(read).collect()
}

/// The packs of a repository with numbers above `after`, in their order, at most `limit`, each beside its frames.
///
/// # Errors
/// As the database says.
pub async fn pack_stored_list(
    tx: &mut Tx,
    repository: i64,
    after: i64,
    limit: u32,
) -> Result<Vec<PackStoredRow>, DbError> {
    let rows = query(
        "select seq, bytes, condemned, doomed, \
         (select cast(coalesce(sum(sealed_len), 0) as bigint) from frame where frame.pack = pack.seq) as sealed \
         from pack where seq > $2 and repository = $1 order by seq limit $3",
    )
    .bind(repository)
    .bind(after)
    .bind(limit)
    .long()
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list packs beside their frames"))?;
    let read = |row: &Row| {
        let condemned: Option<i64> = row.number_maybe("condemned")?;
        Ok(PackStoredRow {
            seq: row.int("seq")?,
            bytes: Bytes(row.number("bytes")?),
            sealed: Bytes(row.number("sealed")?),
            is_condemned: condemned.is_some() || row.int("doomed")? != 0,
        })
    };
    rows.iter().map(read).collect()
}

/// Adds a report whose shares are about to be written, and gives its number.
///
/// # Errors
/// As the database says.
pub async fn storage_report_insert(tx: &mut Tx, as_of: Timestamp, figures: &StorageTotals) -> Result<i64, DbError> {
    let row = query(
        "insert into storage_report (number, as_of, chunks, missing, flaws, packs, bytes, unneeded, framing, \
         condemned) values ( \
         (select coalesce(max(number), 0) + 1 from storage_report), $1, $2, $3, $4, $5, $6, $7, $8, $9) \
         returning number",
    )
    .bind(as_of.as_ms())
    .bind(int(figures.chunks.0))
    .bind(int(figures.missing.0))
    .bind(int(figures.flaws.0))
    .bind(int(figures.packs.0))
    .bind(int(figures.bytes.0))
    .bind(int(figures.unneeded.0))
    .bind(int(figures.framing.0))
    .bind(int(figures.condemned.0))
    .fetch_one(tx.conn())
    .await
    .map_err(failed("insert a storage report"))?;
    row.int("number")
}

/// All shares of a report are written.
///
/// # Errors
/// As the database says.
pub async fn storage_report_ended_update(tx: &mut Tx, number: i64, now: Timestamp) -> Result<(), DbError> {
    let done = query("update storage_report set ended_at = $2 where number = $1").bind(number).bind(now.as_ms());
    done.execute(tx.conn()).await.map_err(failed("end a storage report"))?;
    Ok(())
}

/// The newest report that is done.
///
/// # Errors
/// As the database says.
pub async fn storage_report_get(tx: &mut Tx) -> Result<Option<StorageReportRow>, DbError> {
    let row = query("select * from storage_report where ended_at is not null order by number desc limit 1");
    let row = row.fetch_optional(tx.conn()).await.map_err(failed("get the newest storage report"))?;
    let read = |row: Row| {
        let figures = StorageTotals {
            chunks: Count(row.number("chunks")?),
            missing: Count(row.number("missing")?),
            flaws: Count(row.number("flaws")?),
            packs: Count(row.number("packs")?),
            bytes: Bytes(row.number("bytes")?),
            unneeded: Bytes(row.number("unneeded")?),
            framing: Bytes(row.number("framing")?),
            condemned: Bytes(row.number("condemned")?),
        };
        let (as_of, ended_at) = (row.time("as_of")?, row.time_maybe("ended_at")?);
        Ok(StorageReportRow { number: row.int("number")?, as_of, ended_at, figures })
    };
    row.map(read).transpose()
}

/// The numbers of the reports that are older than the last two, done or not.
///
/// # Errors
/// As the database says.
pub async fn storage_report_list_old(tx: &mut Tx) -> Result<Vec<i64>, DbError> {
    let rows = query(
        "select number from storage_report where number < (select max(number) - 1 from storage_report) order by number",
    );
    let rows = rows.fetch_all(tx.conn()).await.map_err(failed("list old storage reports"))?;
    rows.iter().map(|row| row.int("number")).collect()
}

/// Removes a report with its shares, and what was written of an older one after that was removed.
///
/// # Errors
/// As the database says.
pub async fn storage_report_remove(tx: &mut Tx, number: i64) -> Result<(), DbError> {
    let failed = || failed("remove a storage report");
    let shares = query("delete from storage_share where report <= $1").bind(number).long();
    shares.execute(tx.conn()).await.map_err(failed())?;
    query("delete from storage_report where number = $1").bind(number).execute(tx.conn()).await.map_err(failed())?;
    Ok(())
}

/// Adds what a subject takes to a report.
///
/// # Errors
/// Constraint when the report has that subject already.
pub async fn storage_share_insert(
    tx: &mut Tx,
    report: i64,
    level: StorageLevel,
    subject: &[u8],
    figures: &StorageFigures,
) -> Result<(), DbError> {
    query(
        "insert into storage_share (report, level, subject, snapshots, newest, logical, unique_plain, shared_plain, \
         plain, unique_stored, stored) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(report)
    .bind(level.word())
    .bind(subject)
    .bind(int(figures.snapshots.0))
    .bind(int(figures.newest.0))
    .bind(int(figures.logical.0))
    .bind(int(figures.unique.0))
    .bind(int(figures.shared.0))
    .bind(int(figures.plain.0))
    .bind(int(figures.unique_stored.0))
    .bind(int(figures.stored.0))
    .execute(tx.conn())
    .await
    .map_err(failed("insert a share of a storage report"))?;
    Ok(())
}

/// What the subjects of a level take by a report: those after `after`, in the order of their ids, at most `limit`.
///
/// # Errors
/// As the database says.
pub async fn storage_share_list(
    tx: &mut Tx,
    report: i64,
    level: StorageLevel,
    after: Option<&[u8]>,
    limit: u32,
) -> Result<Vec<StorageShareRow>, DbError> {
    let rows = query(
        "select s.*, coalesce(d.name, p.name, u.email, '') as name, coalesce(o.email, '') as email \
         from storage_share s left join device d on s.level = 'device' and d.id = s.subject \
         left join \"user\" o on o.id = d.user_id left join profile p on s.level = 'profile' and p.id = s.subject \
         left join \"user\" u on s.level = 'user' and u.id = s.subject \
         where s.report = $1 and s.level = $2 and ($3 = 0 or s.subject > $4) order by s.subject limit $5",
    )
    .bind(report)
    .bind(level.word())
    .bind(i64::from(after.is_some()))
    .bind(after.unwrap_or_default())
    .bind(limit)
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the shares of a storage report"))?;
    rows.iter().map(read_share).collect()
}

fn read_share(row: &Row) -> Result<StorageShareRow, DbError> {
    let figures = StorageFigures {
        snapshots: Count(row.number("snapshots")?),
        newest: Bytes(row.number("newest")?),
        logical: Bytes(row.number("logical")?),
        unique: Bytes(row.number("unique_plain")?),
        shared: Bytes(row.number("shared_plain")?),
        plain: Bytes(row.number("plain")?),
        unique_stored: Bytes(row.number("unique_stored")?),
        stored: Bytes(row.number("stored")?),
    };
    let subject = row.octets("subject")?;
    Ok(StorageShareRow { subject, name: row.text("name")?, email: row.text("email")?, figures })
}

#[cfg(test)]
mod tests;
