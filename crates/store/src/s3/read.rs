//! Reading objects: whole, in part, or only their size. Refuses to return bytes that are too few, too many, or not
//! those whose SHA-256 was stored with the object.

use super::patience::Failure;
use super::put::compare;
use super::trouble::{Meaning, Trouble};
use super::{Inner, walk};
use crate::{OBJECT_BYTES_MAX, ObjectName, StoreError, Verb};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{Attributes, GetOptions, GetRange, GetResult, ObjectStore as _};

/// See `Store::get`.
pub(super) async fn get(inner: &Inner, name: &ObjectName) -> Result<Bytes, StoreError> {
    let key = inner.key(name);
    match whole(inner, &key).await.map_err(|failure| inner.failed(Verb::Get, name, failure))? {
        Ok(bytes) => Ok(bytes),
        Err(size) => Err(StoreError::TooLarge { name: name.clone(), size }),
    }
}

/// The whole object, or its size when that is above the largest allowed.
pub(super) async fn whole(inner: &Inner, key: &Path) -> Result<Result<Bytes, base::Bytes>, Failure> {
    let work = async || {
        let found = asked(inner, key, GetOptions::default()).await?;
        let size = base::Bytes(found.meta.size);
        if size > OBJECT_BYTES_MAX {
            return Ok(Err(size));
        }
        let (bytes, stored) = body(inner, found, size.0).await?;
        compare(&bytes, &stored)?;
        Ok(Ok(bytes))
    };
    inner.patience.until_done(work).await
}

/// See `Store::get_range`. Nothing is compared: the digest is that of the whole object.
pub(super) async fn get_range(inner: &Inner, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError> {
    if base::Bytes(len) > OBJECT_BYTES_MAX {
        // An object that is not there is told before what is wrong with the range, as by every store.
        head(inner, name).await?.ok_or_else(|| StoreError::NotFound { name: name.clone() })?;
        return Err(StoreError::TooLarge { name: name.clone(), size: base::Bytes(len) });
    }
    let key = inner.key(name);
    let Some(end) = offset.checked_add(len).filter(|_| len > 0) else {
        // No request can ask for no bytes, nor for these.
        return outside(inner, name, offset, len).await;
    };
    let work = async || {
        let options = GetOptions { range: Some(GetRange::Bounded(offset..end)), ..GetOptions::default() };
        let found = asked(inner, &key, options).await?;
        if found.range != (offset..end) {
            return Ok(None);
        }
        Ok(Some(body(inner, found, len).await?.0))
    };
    match inner.patience.until_done(work).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => outside(inner, name, offset, len).await,
        Err(failure) if failure.trouble.meaning() == Meaning::Beyond => outside(inner, name, offset, len).await,
        Err(failure) => Err(inner.failed(Verb::GetRange, name, failure)),
    }
}

/// The answer for a range of which the server gave not all: nothing, if that is all of it; the error otherwise.
async fn outside(inner: &Inner, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError> {
    let size = head(inner, name).await?.ok_or_else(|| StoreError::NotFound { name: name.clone() })?;
    if len == 0 && offset <= size.0 {
        return Ok(Bytes::new());
    }
    Err(StoreError::Short { name: name.clone(), offset, len, size })
}

/// See `Store::head`.
pub(super) async fn head(inner: &Inner, name: &ObjectName) -> Result<Option<base::Bytes>, StoreError> {
    let size = size_of(inner, &inner.key(name)).await;
    size.map_err(|failure| inner.failed(Verb::Head, name, failure))
}

/// The size of what has this key.
pub(super) async fn size_of(inner: &Inner, key: &Path) -> Result<Option<base::Bytes>, Failure> {
    let work = async || {
        let options = GetOptions { head: true, ..GetOptions::default() };
        match asked(inner, key, options).await {
            Ok(found) => return Ok(Some(base::Bytes(found.meta.size))),
            Err(trouble) if trouble.meaning() == Meaning::NoObject => {}
            Err(trouble) => return Err(trouble),
        }
        // The answer to HEAD has no body that would tell an absent bucket, or a proxy's word, from an absent object.
        // A listing has.
        match walk::keys_at(inner, key.as_ref(), 1).await?.first() {
            Some(listed) if listed == key.as_ref() => Err(Trouble::Broken("it is listed and not found".to_owned())),
            _ => Ok(None),
        }
    };
    inner.patience.until_done(work).await
}

/// The head of the answer; its body is still to come.
async fn asked(inner: &Inner, key: &Path, options: GetOptions) -> Result<GetResult, Trouble> {
    inner.patience.timed(base::Bytes(0), inner.client.get_opts(key, options)).await
}

/// Exactly so many bytes of the body, and what was stored with them.
async fn body(inner: &Inner, found: GetResult, wanted: u64) -> Result<(Bytes, Attributes), Trouble> {
    let stored = found.attributes.clone();
    let mut stream = found.into_stream();
    let collect = async {
        let mut bytes = BytesMut::with_capacity(usize::try_from(wanted).unwrap_or(0));
        // Every piece must come in time, and all of them together.
        while let Some(piece) = inner.patience.timed(base::Bytes(0), async { stream.next().await.transpose() }).await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > wanted {
                break;
            }
        }
        Ok(bytes.freeze())
    };
    let bytes = inner.patience.within(base::Bytes(wanted), collect).await?;
    match bytes.len() as u64 {
        got if got == wanted => Ok((bytes, stored)),
        got => Err(Trouble::Length { wanted, got }),
    }
}
