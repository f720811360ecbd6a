//! Objects of the store that nothing names: left by uploads and commits that ended between object and row.
//! Refuses to remove them: a backup that goes on may be about to name one.

use super::named::strays;
use super::{Progress, Report};
use crate::collect::segment;
use crate::listing::Pages;
use crate::{App, AppError};
use base::Count;

/// Lists every object and looks for the row that names it.
pub(super) async fn scrub(
    app: &App,
    progress: &mut (dyn FnMut(Progress) + Send),
    report: &mut Report,
) -> Result<(), AppError> {
    let mut pages = Pages::new(app.store.as_ref(), "", "listing objects");
    let mut done = Count(0);
    while let Some(page) = pages.next().await? {
        // The rows are read after the names: an object that was named meanwhile is no orphan.
        let mut tx = app.db.read().await.map_err(AppError::db("looking objects up"))?;
        let names: Vec<&str> = page.iter().map(|object| object.name.as_str()).collect();
        let strays = strays(&mut tx, &names).await?.into_iter().filter(|name| !name.starts_with(segment::PREFIX));
        strays.for_each(|name| report.add_orphan(name.to_owned()));
        drop(tx);
        done += Count::of(page.len());
        progress(Progress::Objects { done });
    }
    Ok(())
}
