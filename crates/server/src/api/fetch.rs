//! Locate and fetch: chunks travel back as parcels. Refuses to end a stream well that did not go well: without the
//! end mark nobody takes it for whole.

use crate::extract::{AtDevice, Named, Names};
use crate::reply::{No, log};
use app::AppError;
use app::restore::{self, Parcel};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base::RunId;
use bytes::Bytes;
use format::ChunkRef;
use futures::{Stream, StreamExt as _, stream};
use protocol::agent::fetch as wire;
use std::io;

/// `POST /v1/runs/{run}/locate`: refs in, a place for each out (u64, little-endian).
pub(crate) async fn locate(at: AtDevice, Named(run): Named<RunId>, Names(names): Names) -> Result<Bytes, No> {
    let refs: Vec<ChunkRef> = names.into_iter().map(ChunkRef::from_bytes).collect();
    let places = restore::locate(&at.app, &at.actor, run, &refs).await?;
    Ok(places.into_iter().flat_map(u64::to_le_bytes).collect())
}

/// `POST /v1/runs/{run}/fetch`: refs in, parcels and an end mark out.
pub(crate) async fn fetch(at: AtDevice, Named(run): Named<RunId>, Names(names): Names) -> Result<Response, No> {
    let refs: Vec<ChunkRef> = names.into_iter().map(ChunkRef::from_bytes).collect();
    let parcels = restore::fetch(at.app, at.actor, run, &refs).await?;
    Ok(Body::from_stream(to_wire(parcels)).into_response())
}

/// Parcel after parcel, and at the end how many they were.
fn to_wire(
    parcels: impl Stream<Item = Result<Parcel, AppError>> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let state = Some((Box::pin(parcels), 0_u32));
    stream::unfold(state, |state| async move {
        let (mut parcels, sent) = state?;
        match parcels.next().await {
            Some(Ok(parcel)) => Some((Ok(Bytes::from(encode(parcel))), Some((parcels, sent + 1)))),
            Some(Err(error)) => {
                log(&error);
                Some((Err(io::Error::other("the stream of parcels broke off")), None))
            }
            None => Some((Ok(Bytes::copy_from_slice(&wire::encode_end(sent))), None)),
        }
    })
}

fn encode(parcel: Parcel) -> Vec<u8> {
    let Parcel { codec, plain_len, chunks, bytes } = parcel;
    let chunks = chunks.into_iter().map(|(position, len)| wire::ParcelChunk { position, len }).collect();
    wire::Parcel { codec: codec as u8, plain_len, chunks, bytes }.encode()
}
