//! The database, table by table, out of one state of the source: every table that the catalogue has, but for those of
//! `NOT_MOVED`. Refuses to leave a table out, to take a row at the target for one of the source without comparing it,
//! and to be done before both databases give one digest for each table.

use super::claim::Claim;
use super::ends::Ends;
use super::pages::Rows;
use super::{Listener, Progress};
use crate::AppError;
use base::Count;
use db::{Db, Table, Tx};
use std::collections::{BTreeMap, BTreeSet};

/// Tables that are not moved row by row, and why not.
pub const NOT_MOVED: [(&str, &str); 2] = [
    ("installation", "its one row says where the installation is: it is made at the target, a further age"),
    ("_sqlx_migrations", "it says of PostgreSQL's own tables which steps brought them to this form"),
];

/// A table that is the same at both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMoved {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: Count,
    /// The digest of them.
    pub digest: [u8; 32],
}

/// What was read of a table of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    rows: Count,
    digest: [u8; 32],
}

/// Copies what differs, and compares everything.
///
/// # Errors
/// `target_differs`, `migrate_overtaken`; `database_disk_full`; a database that does not answer.
pub(super) async fn copy(ends: &Ends, claim: &Claim, progress: &mut Listener<'_>) -> Result<Vec<TableMoved>, AppError> {
    let (source, target) = (&ends.source.db, &ends.target.db);
    let mut from = read(source).await?;
    let tables = ordered(moved(&mut from).await?);
    like_or_refuse(&tables, target).await?;
    let mut contents = BTreeMap::new();
    let mut stale: BTreeSet<&str> = BTreeSet::new();
    for table in &tables {
        let refers = table.parents.iter().any(|parent| stale.contains(parent.as_str()));
        // Where a parent's rows are put anew, its children's have to go before.
        match if refers { None } else { same(&mut from, target, table, progress).await? } {
            Some(content) => drop(contents.insert(table.name.as_str(), content)),
            None => drop(stale.insert(&table.name)),
        }
    }
    let anew: Vec<&Table> = tables.iter().filter(|table| stale.contains(table.name.as_str())).collect();
    empty(target, claim, &anew).await?;
    for table in &anew {
        contents.insert(&table.name, fill(&mut from, target, claim, table, progress).await?);
    }
    number_on(&mut from, target, claim, &tables).await?;
    // PostgreSQL ends a reader that says nothing for long, and what follows is the target's.
    drop(from);
    compare(target, &tables, &contents, progress).await
}

/// The tables that are moved.
async fn moved(tx: &mut Tx) -> Result<Vec<Table>, AppError> {
    let all = db::table_list(tx).await.map_err(AppError::db("listing the tables"))?;
    let is_left = |table: &Table| NOT_MOVED.iter().any(|(name, _)| *name == table.name);
    Ok(all.into_iter().filter(|table| !is_left(table)).collect())
}

/// Parents before their children.
fn ordered(mut tables: Vec<Table>) -> Vec<Table> {
    let mut order: Vec<Table> = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let waits: BTreeSet<String> = tables.iter().map(|table| table.name.clone()).collect();
        let is_free =
            |table: &Table| table.parents.iter().all(|parent| *parent == table.name || !waits.contains(parent));
        let (free, rest): (Vec<Table>, Vec<Table>) = tables.into_iter().partition(is_free);
        assert!(!free.is_empty(), "no two tables refer to each other: a test copies all of them");
        order.extend(free);
        tables = rest;
    }
    order
}

async fn like_or_refuse(tables: &[Table], target: &Db) -> Result<(), AppError> {
    let there = moved(&mut read(target).await?).await?;
    let is_like = |table: &Table| there.iter().any(|other| table.is_like(other));
    match tables.iter().find(|table| !is_like(table)) {
        None if there.len() == tables.len() => Ok(()),
        None => Err(differs("tables that the source does not have")),
        Some(table) => Err(differs(&format!("another table `{}`", table.name))),
    }
}

/// What a table has, if it has the same at both ends; `None` otherwise. Read side by side, so that nobody waits long.
async fn same(
    from: &mut Tx,
    target: &Db,
    table: &Table,
    progress: &mut Listener<'_>,
) -> Result<Option<Content>, AppError> {
    let mut to = read(target).await?;
    let (mut here, mut there) = (Rows::begin(from, table).await?, Rows::begin(&mut to, table).await?);
    here.in_step_with(&mut there);
    loop {
        let (rows, bytes) = here.next(from).await?;
        if there.next(&mut to).await?.1 != bytes {
            return Ok(None);
        }
        if rows.is_empty() {
            return Ok(Some(Content { rows: here.count(), digest: here.digest() }));
        }
        progress(Progress::Compared { name: table.name.clone(), rows: here.count() });
    }
}

/// Takes away what an earlier attempt has left.
async fn empty(target: &Db, claim: &Claim, tables: &[&Table]) -> Result<(), AppError> {
    let during = || AppError::db("emptying tables of the target");
    let mut tx = target.write().await.map_err(during())?;
    claim.need(&mut tx).await?;
    db::table_row_remove_all(&mut tx, tables).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

/// Puts all rows of a table.
async fn fill(
    from: &mut Tx,
    target: &Db,
    claim: &Claim,
    table: &Table,
    progress: &mut Listener<'_>,
) -> Result<Content, AppError> {
    let during = || AppError::db("writing the rows of a table at the target");
    let mut here = Rows::begin(from, table).await?;
    loop {
        let (rows, _) = here.next(from).await?;
        if rows.is_empty() {
            return Ok(Content { rows: here.count(), digest: here.digest() });
        }
        let mut tx = target.write().await.map_err(during())?;
        claim.need(&mut tx).await?;
        db::table_row_insert(&mut tx, table, rows).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
        progress(Progress::Table { name: table.name.clone(), rows: here.count() });
    }
}

/// Has the target number its rows from where the source was, for a number that a row had is never another's; and know
/// how many there are.
async fn number_on(from: &mut Tx, target: &Db, claim: &Claim, tables: &[Table]) -> Result<(), AppError> {
    let during = || AppError::db("numbering the rows of a table on");
    let mut to = target.write().await.map_err(during())?;
    claim.need(&mut to).await?;
    let there = moved(&mut to).await?;
    for table in tables {
        let Some(other) = there.iter().find(|other| other.name == table.name) else { continue };
        let last = db::table_number_get(from, table).await.map_err(during())?;
        let known = db::table_number_get(&mut to, other).await.map_err(during())?;
        // SQLite gives numbers to rows of some tables without keeping count: the largest that is there counts.
        let Some(last) = last.or(known) else { continue };
        db::table_number_update(&mut to, other, last).await.map_err(during())?;
        if db::table_number_get(&mut to, other).await.map_err(during())?.is_some_and(|known| known != last) {
            return Err(differs(&format!("another count of the rows of `{}`", table.name)));
        }
    }
    db::table_counts_update(&mut to, tables).await.map_err(during())?;
    to.commit().await.map_err(during())
}

/// Reads the target as it is now, and compares it with what was read of the source.
async fn compare(
    target: &Db,
    tables: &[Table],
    contents: &BTreeMap<&str, Content>,
    progress: &mut Listener<'_>,
) -> Result<Vec<TableMoved>, AppError> {
    let mut tx = read(target).await?;
    let mut done = Vec::with_capacity(tables.len());
    for table in tables {
        let mut rows = Rows::begin(&mut tx, table).await?;
        while !rows.next(&mut tx).await?.0.is_empty() {
            progress(Progress::Compared { name: table.name.clone(), rows: rows.count() });
        }
        let content = Content { rows: rows.count(), digest: rows.digest() };
        if contents.get(table.name.as_str()) != Some(&content) {
            return Err(differs(&format!("other rows of `{}`", table.name)));
        }
        done.push(TableMoved { name: table.name.clone(), rows: content.rows, digest: content.digest });
    }
    let broken = db::table_broken_get(&mut tx).await.map_err(AppError::db("looking at what refers to nothing"))?;
    match broken {
        None => {
            done.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(done)
        }
        Some(name) => Err(differs(&format!("a row of `{name}` that refers to nothing"))),
    }
}

async fn read(db: &Db) -> Result<Tx, AppError> {
    db.read().await.map_err(AppError::db("reading the tables"))
}

fn differs(what: &str) -> AppError {
    AppError::damaged(
        "target_differs",
        format!("The database of the target has {what}. The source is as it was; begin again, and it is put right."),
    )
}
