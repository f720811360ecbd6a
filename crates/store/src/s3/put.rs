//! Putting an object where none is: in one request, or in parts whose completion has the same condition.
//! Refuses to overwrite, also when an answer was lost: then the object that is there is told, and is never replaced.

use super::Inner;
use super::patience::Failure;
use super::read::size_of;
use super::settings::PART_BYTES;
use super::trouble::{Meaning, Trouble};
use crate::{OBJECT_BYTES_MAX, ObjectName, Put, StoreError, Verb};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStore as _, PutMode, PutMultipartOptions, PutOptions};
use ring::digest::{SHA256, digest};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How many parts of one object are under way at once.
const PARTS_AT_ONCE: usize = 4;
/// How often an upload in parts is begun anew, because the server gave up the former one.
const UPLOADS_MAX: u32 = 3;

/// See `Store::put_new`.
pub(super) async fn put_new(inner: &Arc<Inner>, name: &ObjectName, bytes: Bytes) -> Result<Put, StoreError> {
    let size = base::Bytes::of(bytes.len());
    if size > OBJECT_BYTES_MAX {
        return Err(StoreError::TooLarge { name: name.clone(), size });
    }
    let key = inner.key(name);
    let put = match size > inner.whole_bytes_max && inner.takes_parts.load(Ordering::Relaxed) {
        true => put_in_parts(inner, &key, &bytes).await,
        false => put_whole(inner, &key, &bytes).await,
    };
    put.map_err(|failure| inner.failed(Verb::PutNew, name, failure))
}

/// One request for all of it. The signature covers the SHA-256 of the body, which the server compares with what came.
pub(super) async fn put_whole(inner: &Inner, key: &Path, bytes: &Bytes) -> Result<Put, Failure> {
    let attributes = attributes(bytes);
    let work = async || {
        let options = PutOptions { mode: PutMode::Create, attributes: attributes.clone(), ..PutOptions::default() };
        let put = inner.client.put_opts(key, bytes.clone().into(), options);
        inner.patience.timed(base::Bytes::of(bytes.len()), put).await
    };
    told(inner.patience.until_done(work).await.map(|_| ()))
}

/// Parts, and a completion that makes the object if none is there.
async fn put_in_parts(inner: &Arc<Inner>, key: &Path, bytes: &Bytes) -> Result<Put, Failure> {
    let mut uploads = 0;
    loop {
        // What is there is not sent once more only to be refused at the end.
        if size_of(inner, key).await?.is_some() {
            return Ok(Put::Existed);
        }
        uploads += 1;
        match upload(inner, key, bytes).await {
            // RACE: another writer was completing too, or the answer to a completion was lost. The object may be there
            // now, and is looked for.
            Err(failure) if failure.trouble.meaning() == Meaning::NoUpload && uploads < UPLOADS_MAX => {}
            put => return put,
        }
    }
}

/// One upload. What it leaves unfinished is given up, also when nobody waits for it any more.
pub(super) async fn upload(inner: &Arc<Inner>, key: &Path, bytes: &Bytes) -> Result<Put, Failure> {
    let attributes = attributes(bytes);
    let begin = async || {
        let options = PutMultipartOptions { attributes: attributes.clone(), ..PutMultipartOptions::default() };
        inner.patience.timed(base::Bytes(0), inner.client.create_multipart_opts(key, options)).await
    };
    let id = inner.patience.until_done(begin).await?;
    let mut unfinished = Unfinished { inner: Arc::clone(inner), key: key.clone(), id: Some(id.clone()) };
    let parts = parts(inner, key, &id, bytes).await?;
    let complete = async || {
        let complete = inner.client.complete_multipart(key, &id, parts.clone());
        match inner.patience.timed(base::Bytes(0), complete).await {
            // Amazon wants all parts anew after this, where it wants one request again for an object put whole.
            Err(Trouble::Refused(refusal)) if refusal.meaning() == Meaning::Conflict => {
                Err(Trouble::Overtaken(refusal))
            }
            done => done,
        }
    };
    let put = told(inner.patience.until_done(complete).await.map(|_| ()));
    if let Ok(Put::Existed) = put {
        // Not beside this call: the program may end after it, as the one that makes a store does.
        give_up(inner, key, &id).await;
    }
    if put.is_ok() {
        unfinished.id = None;
    }
    put
}

async fn parts(inner: &Inner, key: &Path, id: &String, bytes: &Bytes) -> Result<Vec<PartId>, Failure> {
    let step = usize::try_from(PART_BYTES.0).expect("a part fits into the memory");
    let count = bytes.len().div_ceil(step).max(1);
    let one = async |place: usize| {
        let part = bytes.slice(place * step..bytes.len().min((place + 1) * step));
        let work = async || {
            let put = inner.client.put_part(key, id, place, part.clone().into());
            inner.patience.timed(base::Bytes::of(part.len()), put).await
        };
        inner.patience.until_done(work).await
    };
    futures::stream::iter((0..count).map(one)).buffered(PARTS_AT_ONCE).try_collect().await
}

fn told(put: Result<(), Failure>) -> Result<Put, Failure> {
    match put {
        Ok(()) => Ok(Put::Created),
        Err(failure) if failure.trouble.meaning() == Meaning::Exists => Ok(Put::Existed),
        Err(failure) => Err(failure),
    }
}

/// The name under which an object's own digest is kept with it.
fn sha256_attribute() -> Attribute {
    Attribute::Metadata("holdfast-sha256".into())
}

fn attributes(bytes: &Bytes) -> Attributes {
    let sha256 = data_encoding::HEXLOWER.encode(digest(&SHA256, bytes).as_ref());
    Attributes::from_iter([(sha256_attribute(), sha256)])
}

/// Compares bytes with the digest that came with them; without one, they are taken as they are.
///
/// # Errors
/// `Altered`.
pub(super) fn compare(bytes: &Bytes, stored: &Attributes) -> Result<(), Trouble> {
    match stored.get(&sha256_attribute()) {
        Some(sha256) if attributes(bytes).get(&sha256_attribute()) != Some(sha256) => Err(Trouble::Altered),
        _ => Ok(()),
    }
}

/// An upload that must not be left behind: its parts would be paid for, and no listing shows them.
struct Unfinished {
    inner: Arc<Inner>,
    key: Path,
    id: Option<String>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) else { return };
        let (inner, key) = (Arc::clone(&self.inner), self.key.clone());
        // Nobody joins it: its work is bounded by the budget of one request, and what it leaves is tidied up by the
        // bucket's own rule (docs/adr/0012-s3-by-object-store.md).
        runtime.spawn(async move { give_up(&inner, &key, &id).await });
    }
}

async fn give_up(inner: &Inner, key: &Path, id: &String) {
    let work = async || inner.patience.timed(base::Bytes(0), inner.client.abort_multipart(key, id)).await;
    match inner.patience.until_done(work).await {
        Err(failure) if failure.trouble.meaning() != Meaning::NoUpload => {
            tracing::warn!("the parts of an upload that was given up stay in {}: {failure}", inner.place);
        }
        _ => {}
    }
}
