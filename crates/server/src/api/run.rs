//! Runs: begin, dedupe, upload, verify, commit, abort.

use crate::api::snapshot::{detail, newest};
use crate::extract::{AtDevice, FromJson, Named, NamedPair, Names, Query, Streamed, Whole};
use crate::reply::{No, Reply, Yes};
use app::backup::{self, Committed, Reported, Uploaded};
use app::runs::{self, Begun, Limits, Purpose};
use base::{Bytes as Size, Count, RunId};
use bytes::Bytes;
use format::{ChunkRef, PackId};
use protocol::agent::run as wire;
use protocol::{Hex, Text};

/// `POST /v1/runs`.
pub(crate) async fn begin(at: AtDevice, FromJson(request): FromJson<wire::BeginRequest>) -> Reply<wire::BeginReply> {
    let purpose = match request.purpose {
        wire::Purpose::Backup => Purpose::Backup,
        wire::Purpose::Restore { snapshot } => Purpose::Restore { snapshot: snapshot.0 },
    };
    let begun = runs::begin(&at.app, &at.actor, request.request.0, purpose).await?;
    Ok(Yes(begun_to_wire(&begun)))
}

/// `POST /v1/runs/{run}/dedupe`: refs in, a bitmap of the missing ones out.
pub(crate) async fn dedupe(at: AtDevice, Named(run): Named<RunId>, Names(names): Names) -> Result<Bytes, No> {
    let refs: Vec<ChunkRef> = names.into_iter().map(ChunkRef::from_bytes).collect();
    let missing = backup::dedupe(&at.app, &at.actor, run, &refs).await?;
    Ok(Bytes::from(missing))
}

/// `PUT /v1/runs/{run}/packs/{pack}`.
pub(crate) async fn upload(
    at: AtDevice,
    NamedPair(run, pack): NamedPair<RunId, PackId>,
    body: Streamed,
) -> Reply<wire::UploadReply> {
    let len = body.len;
    let Uploaded { chunks_new } = backup::upload(&at.app, &at.actor, run, pack, len, body.pieces()).await?;
    Ok(Yes(wire::UploadReply { chunks_new: chunks_new.0 }))
}

/// `POST /v1/runs/{run}/verify`: pack ids in, a bitmap of those that must be sent again out.
pub(crate) async fn verify(at: AtDevice, Named(run): Named<RunId>, Names(names): Names) -> Result<Bytes, No> {
    let packs: Vec<PackId> = names.into_iter().map(PackId::from_bytes).collect();
    let missing = backup::verify(&at.app, &at.actor, run, &packs).await?;
    Ok(Bytes::from(missing))
}

/// `POST /v1/runs/{run}/commit`: the sealed manifest in.
pub(crate) async fn commit(
    at: AtDevice,
    Named(run): Named<RunId>,
    Query(reported): Query<wire::CommitQuery>,
    Whole(manifest): Whole,
) -> Reply<wire::CommitReply> {
    let wire::CommitQuery { files_opened, bytes_read } = reported;
    let reported = Reported { files_opened: files_opened.map(Count), bytes_read: bytes_read.map(Size) };
    let Committed { snapshot, bytes_received, chunks_new, packs } =
        backup::commit(&at.app, &at.actor, run, manifest, reported).await?;
    Ok(Yes(wire::CommitReply {
        snapshot: detail(&snapshot),
        bytes_received: bytes_received.0,
        chunks_new: chunks_new.0,
        packs: packs.0,
    }))
}

/// `POST /v1/runs/{run}/abort`.
pub(crate) async fn abort(at: AtDevice, Named(run): Named<RunId>) -> Reply<()> {
    runs::abort(&at.app, &at.actor, run).await?;
    Ok(Yes(()))
}

fn begun_to_wire(begun: &Begun) -> wire::BeginReply {
    let Begun { run, repository, naming_key, run_key, key_id, snapshot, limits, lease } = begun;
    let Limits { pack_bytes, uploads, refs } = limits;
    let (snapshot, unreadable) = newest(snapshot.as_ref());
    wire::BeginReply {
        run: Text(*run),
        repository: Text(*repository),
        naming_key: Hex(*naming_key.expose()),
        run_key: run_key.as_ref().map(|key| Hex(*key.secret().expose())),
        key_id: *key_id,
        snapshot,
        unreadable,
        limits: wire::Limits {
            pack_bytes: pack_bytes.0,
            uploads: u32::try_from(uploads.0).unwrap_or(u32::MAX),
            refs: u32::try_from(refs.0).unwrap_or(u32::MAX),
        },
        lease_ms: lease.as_ms(),
    }
}
