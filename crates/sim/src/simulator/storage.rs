//! The object store of the simulated servers: every call takes its time, may fail before or after it has done its work,
//! and may be the last of its process. Times come in which the store is full, or away. In half of the plays it is as a
//! bucket is, which nothing can harm; in the other half a folder on the disk of the machine, which may lose its power.

use super::clock;
use super::dice::Dice;
use super::files::{Drive, Lost, Process};
use super::life::Life;
use super::world::World;
use async_trait::async_trait;
use base::{Bytes as Size, Span};
use bytes::Bytes;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Disk, Memory, ObjectInfo, ObjectName, Put, Store, StoreError, Verb};

/// How long the store is full or away at most.
const TROUBLE_SPAN: Span = Span::hours(9);
/// What is left of a disk that is full, at most.
const ROOM_LEFT: Size = Size::kib(96);
/// Where the store is on the disk.
const FOLDER: &str = "/srv/holdfast/store";

/// What keeps the objects, whoever is killed.
pub(super) struct Shelf {
    objects: Objects,
    is_full: AtomicBool,
    is_away: AtomicBool,
}

enum Objects {
    Bucket(Arc<Memory>),
    Folder(Arc<Drive>),
}

/// Who makes the store: nothing goes wrong yet.
struct Installer;

impl Shelf {
    pub(super) fn new(dice: &Dice) -> Self {
        let objects = match dice.once_in(2) {
            true => Objects::Bucket(Arc::new(Memory::new())),
            false => Objects::Folder(Drive::new(dice.seed())),
        };
        Self { objects, is_full: AtomicBool::new(false), is_away: AtomicBool::new(false) }
    }

    /// Makes the store. Never fails: nothing goes wrong yet.
    pub(super) async fn furnish(&self) {
        if let Objects::Folder(drive) = &self.objects {
            Disk::create_on(drive.of(Arc::new(Installer)), FOLDER, Size(0)).await.expect("an empty disk");
        }
    }

    /// The store as a process opens it that begins.
    ///
    /// # Errors
    /// What the store says.
    pub(super) async fn open(&self, life: &Life) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match &self.objects {
            Objects::Bucket(objects) => Arc::clone(objects) as _,
            Objects::Folder(drive) => Arc::new(Disk::open_on(drive.of(Arc::new(life.clone())), FOLDER, Size(0)).await?),
        })
    }

    /// Whether the store is on a disk. Never fails.
    pub(super) fn loses_power(&self) -> bool {
        matches!(self.objects, Objects::Folder(_))
    }

    /// The power goes; what of the disk is lost, where the store is on one. Never fails.
    pub(super) fn lose_power(&self) -> Option<Lost> {
        match &self.objects {
            Objects::Bucket(_) => None,
            Objects::Folder(drive) => Some(drive.lose_power()),
        }
    }

    /// It is full from now on, or no longer.
    fn set_full(&self, full: bool, dice: &Dice) {
        match (&self.objects, full) {
            (Objects::Bucket(_), _) => self.is_full.store(full, Ordering::SeqCst),
            (Objects::Folder(drive), true) => drive.fill(dice.below(ROOM_LEFT.0)),
            (Objects::Folder(drive), false) => drive.empty(),
        }
    }
}

impl Process for Installer {
    fn has_ended(&self) -> bool {
        false
    }

    fn before(&self, _: &'static str) {}
}

/// Times of trouble with the store, as long as things go wrong. Never fails.
pub(super) async fn trouble(world: Arc<World>) {
    loop {
        clock::pause(world.dice.span(Span::days(8))).await;
        if !world.faults.are_on() {
            return;
        }
        let is_full = world.dice.once_in(2);
        let set = |on| match is_full {
            true => world.shelf.set_full(on, &world.dice),
            false => world.shelf.is_away.store(on, Ordering::SeqCst),
        };
        let what = if is_full { "full" } else { "away" };
        world.say(format_args!("the store is {what}"));
        set(true);
        clock::pause(world.dice.span_of_any_size(TROUBLE_SPAN)).await;
        set(false);
        world.say(format_args!("the store is {what} no longer"));
    }
}

/// The store as one process has it open.
pub(super) struct Stepping {
    world: Arc<World>,
    life: Life,
    objects: Arc<dyn Store>,
}

impl Stepping {
    pub(super) fn new(world: &Arc<World>, life: Life, objects: Arc<dyn Store>) -> Self {
        Self { world: Arc::clone(world), life, objects }
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
            let put = self.objects.put_new(name, bytes).await;
            self.world.say(format_args!("{}: {name} {put:?}", self.life.name));
            put
        };
        self.step(Verb::PutNew, name.as_str(), call).await
    }

    async fn get(&self, name: &ObjectName) -> Result<Bytes, StoreError> {
        self.step(Verb::Get, name.as_str(), self.objects.get(name)).await
    }

    async fn get_range(&self, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        self.step(Verb::GetRange, name.as_str(), self.objects.get_range(name, offset, len)).await
    }

    async fn head(&self, name: &ObjectName) -> Result<Option<Size>, StoreError> {
        self.step(Verb::Head, name.as_str(), self.objects.head(name)).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        // Not a name of an object: a listing says so in its error.
        let asked = format!("{prefix}*");
        self.step(Verb::List, &asked, self.objects.list(prefix, after, limit)).await
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        let call = async {
            self.world.say(format_args!("{}: {name} removed", self.life.name));
            if name.as_str().starts_with("packs/") {
                self.world.oracle.count(|figures| figures.packs_removed += 1);
            }
            self.objects.remove(name).await
        };
        self.step(Verb::Remove, name.as_str(), call).await
    }
}
