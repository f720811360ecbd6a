//! Locate and fetch: asks where the window's chunks lie, ahead of its turn, then for the chunks in that order, a few
//! requests side by side, so that every frame is read and sent once. What does not come back is lost to the files that
//! need it.

use super::Plan;
use super::work::{Problems, Window};
use super::write;
use crate::ctx::Ctx;
use crate::error::EngineError;
use crate::ports::{Remote, Target};
use format::ChunkRef;
use futures::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) const CONTENT_MISSING: &str =
    "part of its content is damaged at the server: restore it from another snapshot, the next backup heals this one";

/// Requests side by side.
const FETCHES_MAX: usize = 2;
/// A request ends with the frame in which it has so many refs: enough to fill a few frames of small chunks, few enough
/// that large ones fit in memory.
const FETCH_REFS: usize = 256;
/// Parcels of one request that are opened and written side by side.
const PARCELS_MAX: usize = 2;

pub(super) async fn window(
    ctx: &Ctx,
    plan: &Plan,
    remote: &Arc<dyn Remote>,
    target: &Arc<dyn Target>,
    problems: &Problems,
    (window, in_order): (Window, Vec<(u64, ChunkRef)>),
) -> Result<(), EngineError> {
    let window = Arc::new(window);
    let requests = requests(&in_order, plan.refs_max.max(1));
    let fetches = requests.map(|refs| fetch(ctx, plan, remote, target, problems, &window, refs));
    stream::iter(fetches).buffer_unordered(FETCHES_MAX).try_collect::<()>().await?;
    confirm_all_came(ctx, target, problems, &window).await;
    Ok(())
}

/// Cuts what lies in order into requests. A frame is not torn where that can be helped: the server would read it twice,
/// and compress the halves anew.
fn requests(in_order: &[(u64, ChunkRef)], refs_max: usize) -> impl Iterator<Item = Vec<ChunkRef>> {
    let mut rest = in_order;
    std::iter::from_fn(move || {
        let most = rest.len().min(refs_max);
        let wanted = most.min(FETCH_REFS);
        let is_frames_end = |len: &usize| rest.get(*len).is_none_or(|(place, _)| *place != rest[*len - 1].0);
        let len = (wanted.max(1)..=most).find(is_frames_end).unwrap_or(wanted);
        let (first, others) = rest.split_at_checked(len).filter(|(first, _)| !first.is_empty())?;
        rest = others;
        Some(first.iter().map(|(_, chunk)| *chunk).collect())
    })
}

/// Step `locate`: the chunks of the window that the server has, each with its place, in the order in which they lie.
pub(super) async fn locate(
    plan: &Plan,
    remote: &Arc<dyn Remote>,
    window: &Window,
) -> Result<Vec<(u64, ChunkRef)>, EngineError> {
    let mut refs: Vec<ChunkRef> = window.places.keys().copied().collect();
    // The order of a hash table differs from run to run; requests must not.
    refs.sort_unstable();
    let mut located = Vec::with_capacity(refs.len());
    for refs in refs.chunks(plan.refs_max.max(1)) {
        let places = remote.locate(refs).await.map_err(EngineError::Remote)?;
        if places.len() != refs.len() {
            return Err(EngineError::Answer { step: "locate" });
        }
        located.extend(places.into_iter().zip(refs).filter_map(|(place, chunk)| Some((place?, *chunk))));
    }
    located.sort_unstable();
    Ok(located)
}

async fn fetch(
    ctx: &Ctx,
    plan: &Plan,
    remote: &Arc<dyn Remote>,
    target: &Arc<dyn Target>,
    problems: &Problems,
    window: &Arc<Window>,
    refs: Vec<ChunkRef>,
) -> Result<(), EngineError> {
    let refs = Arc::new(refs);
    let parcels = remote.fetch(refs.to_vec()).await.map_err(EngineError::Remote)?;
    let written = parcels.map(|parcel| {
        let (refs, window, target) = (Arc::clone(&refs), Arc::clone(window), Arc::clone(target));
        let (naming, progress) = (plan.naming.clone(), Arc::clone(&ctx.progress));
        async move {
            let parcel = parcel.map_err(EngineError::Remote)?;
            let write = move || write::parcel(&*target, &progress, &naming, &window, &refs, &parcel);
            Ok::<_, EngineError>(ctx.cpu.run(write).await)
        }
    });
    let mut written = std::pin::pin!(written.buffer_unordered(PARCELS_MAX));
    while let Some(errors) = written.try_next().await? {
        for (path, error) in errors {
            problems.add_error(&path, &error);
        }
        if problems.is_full() {
            return Err(EngineError::TargetFull);
        }
    }
    Ok(())
}

/// A file that still waits for pieces when everything has come is lost, and its part is taken away.
async fn confirm_all_came(ctx: &Ctx, target: &Arc<dyn Target>, problems: &Problems, window: &Arc<Window>) {
    for file in &window.files {
        let is_short = file.pieces_left.load(Ordering::Acquire) > 0;
        if is_short && !file.is_lost.swap(true, Ordering::AcqRel) {
            problems.add(file.path.clone(), "content_missing", CONTENT_MISSING.to_owned());
        }
        if file.is_lost.load(Ordering::Acquire) {
            let (target, path) = (Arc::clone(target), file.path.clone());
            ctx.cpu.run(move || target.discard_part(&path)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(frames: &[usize], refs_max: usize) -> Vec<usize> {
        let place = |(frame, len): (usize, &usize)| std::iter::repeat_n(frame as u64, *len);
        let places: Vec<u64> = frames.iter().enumerate().flat_map(place).collect();
        let in_order: Vec<_> = places.iter().map(|place| (*place, ChunkRef::from_bytes([0; 32]))).collect();
        requests(&in_order, refs_max).map(|refs| refs.len()).collect()
    }

    #[test]
    fn a_request_ends_where_a_frame_ends_unless_the_frame_is_too_long_for_one() {
        assert_eq!(cut(&[], 8_192), [0; 0]);
        assert_eq!(cut(&[1], 8_192), [1]);
        assert_eq!(cut(&[100, 100, 100, 100, 50], 8_192), [300, 150]);
        assert_eq!(cut(&[256, 1], 8_192), [256, 1]);
        assert_eq!(cut(&[400, 3], 8_192), [400, 3]);
        assert_eq!(cut(&[400], 300), [256, 144]);
        assert_eq!(cut(&[2, 2, 2], 4), [4, 2]);
        assert_eq!(cut(&[3], 1), [1, 1, 1]);
    }
}
