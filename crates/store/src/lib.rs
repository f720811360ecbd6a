//! Opaque objects under names: one small trait, its promises, and what keeps them on disk, in a bucket or in memory.
//! Refuses to look into an object, to overwrite one, and to know who asks. Suite for every store: `conformance`.

mod blocking;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod disk;
mod error;
mod fault;
mod memory;
mod name;
mod place;
mod record;
mod s3;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use disk::{Disk, files};
pub use error::StoreError;
pub use fault::{Fault, Mishap};
pub use memory::Memory;
pub use name::{NAME_BYTES_MAX, ObjectName};
pub use place::Place;
pub use record::Record;
pub use s3::{Addressing, S3, S3Key, S3Keys, S3Settings};

use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// The largest object a store takes. Packs end at a quarter of it; whatever is larger is not one of ours, and reading
/// it whole could exhaust the memory.
pub const OBJECT_BYTES_MAX: base::Bytes = base::Bytes::mib(256);

/// The longest page of a listing: enough to make the calls few, and a few MB in memory.
pub const LIST_MAX: usize = 10_000;

/// Keeps objects. An object is written once, whole, and never changed: a reader sees all of it or nothing.
///
/// A call whose future is dropped may still take effect: all calls can be repeated, so the caller asks again.
/// Beside the errors named at each method, every call on a bucket may end with `NoBucket`, `Denied` and `Key`.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores `bytes` under `name` unless an object is there, in one step for all who ask at the same time: exactly
    /// one of them makes the object, and nobody else is told `Created`. Durable when it returns, with either answer.
    /// Bytes there are not compared.
    ///
    /// `Existed` does not say that somebody else made the object. A store behind a network repeats a request whose
    /// answer was lost, and the repeated one finds the object of the first; so does a caller who asks again after an
    /// error. Whoever needs these very bytes there compares them after `Existed`.
    ///
    /// # Errors
    /// `Full`, `Quota` and `TooLarge`: nothing of the object can be seen. `Io`: the object is whole or not there; ask
    /// again.
    async fn put_new(&self, name: &ObjectName, bytes: Bytes) -> Result<Put, StoreError>;

    /// The whole object.
    ///
    /// # Errors
    /// `NotFound`; `TooLarge` for an object above `OBJECT_BYTES_MAX`; `Altered` when the store itself sees that these
    /// are not the bytes that were put; `Io`.
    async fn get(&self, name: &ObjectName) -> Result<Bytes, StoreError>;

    /// Exactly `len` bytes of the object from `offset` on.
    ///
    /// # Errors
    /// `NotFound`; `Short` when the object ends before `offset + len`; `TooLarge` for a `len` above
    /// `OBJECT_BYTES_MAX`; `Io`.
    async fn get_range(&self, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError>;

    /// The size of the object; None when there is none.
    ///
    /// # Errors
    /// `Io`.
    async fn head(&self, name: &ObjectName) -> Result<Option<base::Bytes>, StoreError>;

    /// The objects whose names begin with the text `prefix` and are greater than `after`, in byte order of their
    /// names, at most `limit` and at most `LIST_MAX` of them. A page shorter than both is the last. Objects put or
    /// removed meanwhile may be in it or not; all others are.
    ///
    /// # Errors
    /// `List`.
    async fn list(&self, prefix: &str, after: Option<&ObjectName>, limit: usize)
    -> Result<Vec<ObjectInfo>, StoreError>;

    /// Removes the object, durably when it returns. An object that is not there is no error.
    ///
    /// # Errors
    /// `Io`.
    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError>;
}

/// What `put_new` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// There was none: the bytes given are the object now.
    Created,
    /// There was one already: it is unchanged.
    Existed,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The object's whole name.
    pub name: ObjectName,
    /// Its size.
    pub size: base::Bytes,
}

/// The methods of `Store` as values, for the wrappers and for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `put_new`
    PutNew,
    /// `get`
    Get,
    /// `get_range`
    GetRange,
    /// `head`
    Head,
    /// `list`
    List,
    /// `remove`
    Remove,
}

impl Verb {
    /// Every verb, in the order of the trait.
    pub const ALL: [Verb; 6] = [Verb::PutNew, Verb::Get, Verb::GetRange, Verb::Head, Verb::List, Verb::Remove];
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verb::PutNew => "storing",
            Verb::Get | Verb::GetRange => "reading",
            Verb::Head => "looking for",
            Verb::List => "listing",
            Verb::Remove => "removing",
        })
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    async fn put_new(&self, name: &ObjectName, bytes: Bytes) -> Result<Put, StoreError> {
        (**self).put_new(name, bytes).await
    }

    async fn get(&self, name: &ObjectName) -> Result<Bytes, StoreError> {
        (**self).get(name).await
    }

    async fn get_range(&self, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        (**self).get_range(name, offset, len).await
    }

    async fn head(&self, name: &ObjectName) -> Result<Option<base::Bytes>, StoreError> {
        (**self).head(name).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        (**self).list(prefix, after, limit).await
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        (**self).remove(name).await
    }
}
