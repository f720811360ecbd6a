//! A store in a bucket of an S3 server, shared by any number of processes.
//! Refuses to overwrite, to work in a bucket that holds no store, and a server that ignores conditions.
//! Requests and signatures are those of the crate `object_store` (docs/adr/0012-s3-by-object-store.md); what an answer
//! means is decided here. Putting: s3/put.rs. Reading: s3/read.rs. Listing: s3/walk.rs. Opening: s3/open.rs.

mod connect;
mod keyring;
mod open;
mod patience;
mod put;
mod read;
mod settings;
mod trouble;
mod walk;

pub use keyring::{S3Key, S3Keys};
pub use settings::{Addressing, S3Settings};

use crate::blocking::blocking;
use crate::{ObjectInfo, ObjectName, Place, Put, Store, StoreError, Verb};
use async_trait::async_trait;
use base::{Clock, Entropy};
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, RetryConfig};
use patience::{Failure, Patience};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use trouble::Meaning;

/// Objects in a bucket, as `<prefix><name>`.
#[derive(Clone)]
pub struct S3(Arc<Inner>);

struct Inner {
    client: AmazonS3,
    patience: Patience,
    entropy: Arc<dyn Entropy>,
    place: Place,
    prefix: String,
    /// What is larger goes in parts, if the server takes them.
    whole_bytes_max: base::Bytes,
    /// Whether the server completes parts only where no object is. Set by the trial, before anybody puts.
    takes_parts: AtomicBool,
}

impl S3 {
    /// Makes a store in an empty bucket, or below a prefix with which no key begins, and opens it. The bucket must
    /// exist. Takes a few requests, which try out on an object of a random name whether the server keeps the promises
    /// of `Store`.
    ///
    /// # Errors
    /// `Setting`; `NoBucket`; `StoreExists`, `Layout` and `NotEmpty` when something is there; `Unfit` when the server
    /// breaks a promise; `Denied` and `Key`; `Bucket` when it does not answer.
    pub async fn create(
        settings: &S3Settings,
        keys: Arc<dyn S3Keys>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<S3, StoreError> {
        open::create(Inner::new(settings, keys, clock, entropy).await?).await
    }

    /// Opens the store that is there. Takes a few requests, as `create` does: a server may have been replaced.
    ///
    /// # Errors
    /// `NoStore`; `Layout` when another version made it; otherwise as `create`.
    pub async fn open(
        settings: &S3Settings,
        keys: Arc<dyn S3Keys>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<S3, StoreError> {
        open::open(Inner::new(settings, keys, clock, entropy).await?).await
    }
}

#[async_trait]
impl Store for S3 {
    async fn put_new(&self, name: &ObjectName, bytes: Bytes) -> Result<Put, StoreError> {
        put::put_new(&self.0, name, bytes).await
    }

    async fn get(&self, name: &ObjectName) -> Result<Bytes, StoreError> {
        read::get(&self.0, name).await
    }

    async fn get_range(&self, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        read::get_range(&self.0, name, offset, len).await
    }

    async fn head(&self, name: &ObjectName) -> Result<Option<base::Bytes>, StoreError> {
        read::head(&self.0, name).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        walk::list(&self.0, prefix, after, limit).await
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        let removed = self.0.remove_key(&self.0.key(name)).await;
        removed.map_err(|failure| self.0.failed(Verb::Remove, name, failure))
    }
}

impl Inner {
    /// The store as the settings describe it, before anything was asked.
    async fn new(
        settings: &S3Settings,
        keys: Arc<dyn S3Keys>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Inner, StoreError> {
        let checked = settings.checked()?;
        let keyring = Arc::new(keyring::Keyring::new(keys, Arc::clone(&clock)));
        let patience = Patience::new(settings, Arc::clone(&keyring), clock, Arc::clone(&entropy));
        let (owned, settings) = (settings.clone(), settings);
        let (wire, checked) = blocking(move || Ok((connect::Wire::new(&owned, &checked)?, checked))).await?;
        // Every repetition is ours: the library would repeat with the same signature and key, and not every failure.
        let retry = RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, ..RetryConfig::default() };
        let client = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            // The library adds no bucket to an address that is said to have it; ours has it in either addressing.
            .with_virtual_hosted_style_request(true)
            .with_endpoint(&checked.bucket_url)
            .with_allow_http(checked.is_plain)
            .with_credentials(keyring)
            .with_disable_bulk_delete(true)
            .with_retry(retry)
            .with_http_connector(wire)
            .build()
            .map_err(|error| StoreError::Setting { setting: "endpoint", rule: error.to_string() })?;
        let (place, prefix) = (checked.place, checked.prefix);
        let whole_bytes_max = settings.whole_bytes_max;
        let takes_parts = AtomicBool::new(false);
        Ok(Inner { client, patience, entropy, place, prefix, whole_bytes_max, takes_parts })
    }

    /// The key of an object.
    fn key(&self, name: &ObjectName) -> Path {
        self.path(name.as_str())
    }

    fn path(&self, below: &str) -> Path {
        Path::parse(format!("{}{below}", self.prefix)).expect("the prefix and the name are plain components")
    }

    async fn remove_key(&self, key: &Path) -> Result<(), Failure> {
        let work = async || self.patience.timed(base::Bytes(0), self.client.delete(key)).await;
        match self.patience.until_done(work).await {
            Err(failure) if failure.trouble.meaning() == Meaning::NoObject => Ok(()),
            removed => removed,
        }
    }

    /// The error of a call about one object.
    fn failed(&self, verb: Verb, name: &ObjectName, failure: Failure) -> StoreError {
        match failure.trouble.meaning() {
            Meaning::NoObject => StoreError::NotFound { name: name.clone() },
            Meaning::Doubtful => StoreError::Altered { name: name.clone() },
            _ => self.common(failure).unwrap_or_else(|failure| StoreError::Io {
                verb,
                name: name.clone(),
                cause: self.in_place(&failure.into_io()),
            }),
        }
    }

    /// Adds where it was, for an error that does not name the place itself.
    fn in_place(&self, cause: &io::Error) -> io::Error {
        io::Error::new(cause.kind(), format!("in {}: {cause}", self.place))
    }

    /// The error of a call about the store as a whole.
    fn unusable(&self, failure: Failure) -> StoreError {
        let other = |failure: Failure| StoreError::Bucket { place: self.place.clone(), cause: failure.into_io() };
        self.common(failure).unwrap_or_else(other)
    }

    /// The errors that do not depend on what was asked for; anything else comes back.
    fn common(&self, failure: Failure) -> Result<StoreError, Failure> {
        let place = self.place.clone();
        Ok(match failure.trouble.meaning() {
            Meaning::NoBucket => StoreError::NoBucket { place: place.at("") },
            Meaning::NoKey => StoreError::Key { place, cause: failure.into_io() },
            Meaning::Key => StoreError::Denied { place, cause: failure.into_io() },
            Meaning::Full => StoreError::Quota { place, cause: failure.into_io() },
            _ => return Err(failure),
        })
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3").field(&self.0.place.to_string()).finish()
    }
}

#[cfg(test)]
mod tests;
