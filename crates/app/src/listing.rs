//! What the store lists, page by page, in the order of the names. Refuses to end before a page that is not full: what
//! comes after one page is asked for with its last name.

use crate::AppError;
use store::{ObjectInfo, ObjectName, Store};

/// Names that are read at once.
pub(crate) const PAGE: usize = 1_000;

/// A listing that is under way.
pub(crate) struct Pages<'a> {
    store: &'a dyn Store,
    prefix: &'static str,
    /// What the listing is for, for errors.
    during: &'static str,
    after: Option<ObjectName>,
    is_over: bool,
}

impl<'a> Pages<'a> {
    /// A listing of the objects whose names begin with `prefix`.
    pub(crate) const fn new(store: &'a dyn Store, prefix: &'static str, during: &'static str) -> Self {
        Self { store, prefix, during, after: None, is_over: false }
    }

    /// The next page, which may be empty when it is the last; `None` after that one.
    ///
    /// # Errors
    /// A store that does not answer.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<ObjectInfo>>, AppError> {
        if self.is_over {
            return Ok(None);
        }
        let page =
            self.store.list(self.prefix, self.after.as_ref(), PAGE).await.map_err(AppError::store(self.during))?;
        self.is_over = page.len() < PAGE;
        self.after = page.last().map(|object| object.name.clone());
        Ok(Some(page))
    }
}
