//! A store in memory, for tests and for the simulator.
//! Refuses nothing that the trait allows, and forgets everything when it is dropped.

use crate::{LIST_MAX, OBJECT_BYTES_MAX, ObjectInfo, ObjectName, Put, Store, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Objects in memory, in the order of their names.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<ObjectName, Bytes>>);

impl Memory {
    /// A store without objects. Never fails.
    pub fn new() -> Self {
        Self::default()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectName, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Memory {
    async fn put_new(&self, name: &ObjectName, bytes: Bytes) -> Result<Put, StoreError> {
        let size = base::Bytes::of(bytes.len());
        if size > OBJECT_BYTES_MAX {
            return Err(StoreError::TooLarge { name: name.clone(), size });
        }
        match self.objects().entry(name.clone()) {
            btree_map::Entry::Occupied(_) => Ok(Put::Existed),
            btree_map::Entry::Vacant(place) => {
                place.insert(bytes);
                Ok(Put::Created)
            }
        }
    }

    async fn get(&self, name: &ObjectName) -> Result<Bytes, StoreError> {
        self.objects().get(name).cloned().ok_or_else(|| StoreError::NotFound { name: name.clone() })
    }

    async fn get_range(&self, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        let object = self.get(name).await?;
        let size = base::Bytes::of(object.len());
        if base::Bytes(len) > OBJECT_BYTES_MAX {
            return Err(StoreError::TooLarge { name: name.clone(), size: base::Bytes(len) });
        }
        match offset.checked_add(len) {
            Some(end) if end <= size.0 => Ok(object.slice(offset as usize..end as usize)),
            _ => Err(StoreError::Short { name: name.clone(), offset, len, size }),
        }
    }

    async fn head(&self, name: &ObjectName) -> Result<Option<base::Bytes>, StoreError> {
        Ok(self.objects().get(name).map(|object| base::Bytes::of(object.len())))
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        let begin = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(prefix),
        };
        let page = self
            .objects()
            .range::<str, _>((begin, Bound::Unbounded))
            .take_while(|(name, _)| name.as_str().starts_with(prefix))
            .take(limit.min(LIST_MAX))
            .map(|(name, object)| ObjectInfo { name: name.clone(), size: base::Bytes::of(object.len()) })
            .collect();
        Ok(page)
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.objects().remove(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn memory_keeps_the_promises_of_a_store() {
        crate::conformance::run(Arc::new(Memory::new())).await;
    }
}
