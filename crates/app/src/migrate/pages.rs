//! What is listed page by page: the names of a store, the rows of a table. Refuses to hold more than a page.

use crate::AppError;
use base::Count;
use db::{Table, TableKey, TableRows, Tx};
use std::collections::VecDeque;
use store::{ObjectInfo, ObjectName, Store};

/// Names that are listed at once.
const NAMES: usize = 1_000;
/// Rows that are read at once, at most.
const ROWS_MAX: u64 = 2_000;
/// Bytes of texts and octets in them, at most, unless a single row has more.
const ROWS_BYTES_MAX: u64 = 4 << 20;

/// The names of the objects of a store that begin with a prefix and with none of others, in order.
pub(super) struct Names<'a> {
    store: &'a dyn Store,
    prefix: String,
    skipped: &'static [&'static str],
    page: VecDeque<ObjectInfo>,
    after: Option<ObjectName>,
    is_last: bool,
}

impl<'a> Names<'a> {
    pub(super) fn new(store: &'a dyn Store, prefix: &str, skipped: &'static [&'static str]) -> Self {
        Self { store, prefix: prefix.to_owned(), skipped, page: VecDeque::new(), after: None, is_last: false }
    }

    /// The next one.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn peek(&mut self) -> Result<Option<&ObjectInfo>, AppError> {
        loop {
            while let Some(skipped) = self.page.front().and_then(|first| self.skipped_of(&first.name)) {
                // From the first of many on: they are not listed. No name of ours has a digit where a slash ends this.
                let behind = format!("{}0", skipped.trim_end_matches('/'));
                self.after = Some(ObjectName::new(behind).expect("a prefix is a name but for its slash"));
                self.page.clear();
                self.is_last = false;
            }
            if !self.page.is_empty() || self.is_last {
                return Ok(self.page.front());
            }
            let listed = self.store.list(&self.prefix, self.after.as_ref(), NAMES).await;
            self.page = listed.map_err(AppError::store("listing objects"))?.into();
            self.is_last = self.page.len() < NAMES;
            self.after = self.page.back().map(|last| last.name.clone()).or(self.after.take());
        }
    }

    /// The one that `peek` has shown.
    pub(super) fn take(&mut self) -> Option<ObjectInfo> {
        self.page.pop_front()
    }

    fn skipped_of(&self, name: &ObjectName) -> Option<&'static str> {
        self.skipped.iter().find(|prefix| name.as_str().starts_with(**prefix)).copied()
    }
}

/// The rows of a table, page by page, and a digest of all that were read.
pub(super) struct Rows<'a> {
    table: &'a Table,
    limit: u32,
    after: Option<TableKey>,
    is_last: bool,
    count: u64,
    hasher: blake3::Hasher,
}

impl<'a> Rows<'a> {
    /// With so many rows to a page as fit, all of them being as long as the longest.
    ///
    /// # Errors
    /// The database does not answer.
    pub(super) async fn begin(tx: &mut Tx, table: &'a Table) -> Result<Self, AppError> {
        let longest =
            db::table_row_bytes_get(tx, table).await.map_err(AppError::db("measuring the rows of a table"))?;
        let limit = (ROWS_BYTES_MAX / longest.max(1)).clamp(1, ROWS_MAX);
        let mut hasher = blake3::Hasher::new_derive_key("holdfast 2026 v1 table digest");
        hasher.update(table.heading().as_bytes());
        let limit = u32::try_from(limit).expect("it is clamped");
        Ok(Self { table, limit, after: None, is_last: false, count: 0, hasher })
    }

    /// The next page, with its bytes; an empty one at the end.
    ///
    /// # Errors
    /// The database does not answer.
    pub(super) async fn next(&mut self, tx: &mut Tx) -> Result<(TableRows, Vec<u8>), AppError> {
        let (mut rows, mut bytes) = (TableRows::default(), Vec::new());
        if !self.is_last {
            let read = db::table_row_list(tx, self.table, self.after.as_ref(), self.limit).await;
            rows = read.map_err(AppError::db("reading the rows of a table"))?;
            self.is_last = rows.len() < self.limit as usize;
            self.after = rows.end(self.table).or(self.after.take());
            self.count += rows.len() as u64;
            rows.encode(&mut bytes);
            self.hasher.update(&bytes);
        }
        Ok((rows, bytes))
    }

    /// How many rows were read so far.
    pub(super) fn count(&self) -> Count {
        Count(self.count)
    }

    /// The digest of them.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.count.to_le_bytes());
        *hasher.finalize().as_bytes()
    }

    /// As many rows to a page as another has.
    pub(super) fn in_step_with(&mut self, other: &mut Rows<'_>) {
        let limit = self.limit.min(other.limit);
        (self.limit, other.limit) = (limit, limit);
    }
}
