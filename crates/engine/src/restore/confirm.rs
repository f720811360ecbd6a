//! Confirm: further names of files, then the metadata of directories from the bottom up, because writing into a
//! directory changes its times.

use super::work::{Later, Problems};
use crate::ctx::Ctx;
use crate::ports::Target;
use std::sync::Arc;

pub(super) async fn finish(ctx: &Ctx, target: &Arc<dyn Target>, problems: &Problems, later: Later) {
    let target = Arc::clone(target);
    let progress = Arc::clone(&ctx.progress);
    let work = move || {
        let mut errors = Vec::new();
        for (existing, path) in later.links {
            progress.add_files_seen(1);
            if let Err(error) = target.hard_link(&existing, &path) {
                errors.push((path, error));
            }
        }
        for (path, meta) in later.directories.into_iter().rev() {
            match target.finish_directory(&path, &meta) {
                Ok(noted) => errors.extend(noted.into_iter().map(|error| (path.clone(), error))),
                Err(error) => errors.push((path, error)),
            }
        }
        errors
    };
    for (path, error) in ctx.cpu.run(work).await {
        problems.add_error(&path, &error);
    }
}
