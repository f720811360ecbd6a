//! The object store of the simulated servers: every call takes its time, may fail before or after it has done its work,
//! and may be the last of its process. Times come in which the store is full, or away.

use super::clock;
use super::life::Life;
use super::world::World;
use async_trait::async_trait;
use base::{Bytes as Size, Span};
use bytes::Bytes;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Memory, ObjectInfo, ObjectName, Put, Store, StoreError, Verb};

/// How long the store is full or away at most.
const TROUBLE_SPAN: Span = Span::hours(9);

/// What keeps the objects, whoever is killed.
pub(super) struct Shelf {
    objects: Arc<dyn Store>,
    is_full: AtomicBool,
    is_away: AtomicBool,
}

impl Shelf {
    pub(super) fn new() -> Self {
        Self { objects: Arc::new(Memory::new()), is_full: AtomicBool::new(false), is_away: AtomicBool::new(false) }
    }
}

/// Times of trouble with the store, as long as things go wrong. Never fails.
pub(super) async fn trouble(world: Arc<World>) {
    loop {
        clock::pause(world.dice.span(Span::days(8))).await;
        if !world.faults.are_on() {
            return;
        }
        let (what, switch) = match world.dice.below(2) {
            0 => ("full", &world.shelf.is_full),
            _ => ("away", &world.shelf.is_away),
        };
        world.say(format_args!("the store is {what}"));
        switch.store(true, Ordering::SeqCst);
        clock::pause(world.dice.span_of_any_size(TROUBLE_SPAN)).await;
        switch.store(false, Ordering::SeqCst);
        world.say(format_args!("the store is {what} no longer"));
    }
}

/// The store as one process has it open.
pub(super) struct Stepping {
    world: Arc<World>,
    life: Life,
}

impl Stepping {
    pub(super) fn new(world: &Arc<World>, life: Life) -> Self {
        Self { world: Arc::clone(world), life }
    }

    /// Does one call, if at all, with a step before and one after it.
    async fn step<T>(
        &self,
        verb: Verb,
        name: &str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let world = &self.world;
        self.life.gate("before", name).await;
        let failed = || {
            let cause = io::Error::other("simulated");
            match ObjectName::new(name) {
                Ok(name) => StoreError::Io { verb, name, cause },
                Err(_) => StoreError::List { prefix: name.to_owned(), cause },
            }
        };
        if world.shelf.is_away.load(Ordering::SeqCst) && world.faults.are_on() || world.faults.once_in(1_500) {
            return Err(failed());
        }
        let done = call.await;
        self.life.gate("after", name).await;
        if world.faults.once_in(1_500) { done.and(Err(failed())) } else { done }
    }
}

#[async_trait]
impl Store for Stepping {
    async fn put_new(&self, name: &ObjectName, bytes: Bytes) -> Result<Put, StoreError> {
        let shelf = &self.world.shelf;
        let call = async {
            if shelf.is_full.load(Ordering::SeqCst) && self.world.faults.are_on() {
                let folder = PathBuf::from("simulated");
                return Err(StoreError::Full { folder, free: Size(0), reserve: Size(0), cause: None });
            }
            let put = shelf.objects.put_new(name, bytes).await;
            self.world.say(format_args!("{}: {name} {put:?}", self.life.name));
            put
        };
        self.step(Verb::PutNew, name.as_str(), call).await
    }

    async fn get(&self, name: &ObjectName) -> Result<Bytes, StoreError> {
        self.step(Verb::Get, name.as_str(), self.world.shelf.objects.get(name)).await
    }

    async fn get_range(&self, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        self.step(Verb::GetRange, name.as_str(), self.world.shelf.objects.get_range(name, offset, len)).await
    }

    async fn head(&self, name: &ObjectName) -> Result<Option<Size>, StoreError> {
        self.step(Verb::Head, name.as_str(), self.world.shelf.objects.head(name)).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        // Not a name of an object: a listing says so in its error.
        let asked = format!("{prefix}*");
        self.step(Verb::List, &asked, self.world.shelf.objects.list(prefix, after, limit)).await
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        let call = async {
            self.world.say(format_args!("{}: {name} removed", self.life.name));
            if name.as_str().starts_with("packs/") {
                self.world.oracle.count(|figures| figures.packs_removed += 1);
            }
            self.world.shelf.objects.remove(name).await
        };
        self.step(Verb::Remove, name.as_str(), call).await
    }
}
