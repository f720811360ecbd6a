//! The objects, from one store to the other: what is missing is copied, packs first, and on request everything at the
//! target is read back. Refuses to take an object's size for its contents where it may be wrong, to leave an object at
//! the target in the last pass that the source does not have, and to change the source.

use super::ends::Ends;
use super::flight::{Flight, OBJECTS_MAX};
use super::pages::Names;
use super::{Listener, Options, Progress, claim};
use crate::AppError;
use base::{Bytes as Size, Clock, Count};
use bytes::Bytes;
use format::object::{AGES_PREFIX, KEYRINGS_PREFIX, PACKS_PREFIX};
use format::{ObjectName as Kind, PackId};
use futures::{StreamExt as _, stream};
use std::cmp::Ordering;
use store::{ObjectInfo, ObjectName, Put, Store, StoreError};

/// The most names that a report lists; all are counted.
pub const LISTED_MAX: usize = 1_000;

/// What became of the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Objects of the source that were looked at.
    pub looked: Count,
    /// Their bytes.
    pub bytes_looked: Size,
    /// Those of them that were at the target before.
    pub there: Count,
    /// Those that were copied.
    pub copied: Count,
    /// Their bytes.
    pub bytes_copied: Size,
    /// Those that were read back from the target and compared.
    pub verified: Count,
    /// Their bytes.
    pub bytes_verified: Size,
    /// Objects of the target that were not what the source has, and were replaced.
    pub replaced: Count,
    /// Objects of the target that the source does not have any more, and were removed.
    pub removed: Count,
    /// Objects that left the source while it was looked through.
    pub gone: Count,
    /// Packs of the source that are not what their names say; in the last pass they are copied as they are, and `scrub`
    /// says what is hurt by it.
    pub damaged: Count,
    /// The names of what was replaced, and of what is damaged, at most `LISTED_MAX` of each.
    pub named: Vec<(&'static str, String)>,
}

/// One object, and what is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// It is not at the target.
    Copy(ObjectInfo),
    /// What the target has under its name has another size.
    Replace(ObjectInfo),
    /// It is there, in its size.
    Look(ObjectInfo),
    /// Only the target has it.
    Remove(ObjectInfo),
}

/// Copies what the target lacks.
///
/// # Errors
/// `source_changed`, `target_differs`; `store_full`; a store that does not answer.
pub(super) async fn copy(
    ends: &Ends,
    options: Options,
    clock: &dyn Clock,
    progress: &mut Listener<'_>,
) -> Result<Objects, AppError> {
    let flight = Flight::new(clock, options.rate);
    let mut found = Objects::default();
    // ORDER: as in a backup, packs first. The keyring comes last, and only in the last pass: without one nobody takes
    // the target for a store to rebuild from. Ages are the switch itself (`turn`).
    let groups: &[(&str, &[&str])] = match options.switch {
        true => &[(PACKS_PREFIX, &[]), ("", &SKIPPED), (KEYRINGS_PREFIX, &[])],
        false => &[(PACKS_PREFIX, &[]), ("", &SKIPPED)],
    };
    for (prefix, skipped) in groups {
        group(ends, options, &flight, (prefix, skipped), &mut found, progress).await?;
    }
    Ok(found)
}

/// What has its own turn.
const SKIPPED: [&str; 4] = [PACKS_PREFIX, KEYRINGS_PREFIX, AGES_PREFIX, claim::PREFIX];

/// The objects whose names begin with a prefix, but for those that begin with one of others.
async fn group(
    ends: &Ends,
    options: Options,
    flight: &Flight<'_>,
    (prefix, skipped): (&str, &'static [&'static str]),
    found: &mut Objects,
    progress: &mut Listener<'_>,
) -> Result<(), AppError> {
    let (from, to) = (ends.source.store.as_ref(), ends.target.store.as_ref());
    let names = (Names::new(from, prefix, skipped), Names::new(to, prefix, skipped));
    let steps = stream::unfold(Some(names), |names| async {
        let (mut from, mut to) = names?;
        match next(&mut from, &mut to).await {
            Ok(Some(step)) => Some((Ok(step), Some((from, to)))),
            Ok(None) => None,
            // What was listed wrong is not gone on with.
            Err(error) => Some((Err(error), None)),
        }
    });
    let work = steps.map(|step| async { done(from, to, options, flight, step?).await }).buffer_unordered(OBJECTS_MAX);
    let mut work = std::pin::pin!(work);
    while let Some(done) = work.next().await {
        found.add(done?);
        let Objects { looked, bytes_copied: copied, bytes_verified: verified, .. } = *found;
        progress(Progress::Objects { looked, copied, verified });
    }
    Ok(())
}

/// The next object that one of the stores has, and what is to be done about it.
async fn next(from: &mut Names<'_>, to: &mut Names<'_>) -> Result<Option<Step>, AppError> {
    let order = match (from.peek().await?, to.peek().await?) {
        (None, None) => return Ok(None),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(here), Some(there)) => here.name.cmp(&there.name),
    };
    Ok(match order {
        Ordering::Less => from.take().map(Step::Copy),
        Ordering::Greater => to.take().map(Step::Remove),
        Ordering::Equal => match (from.take(), to.take()) {
            (Some(here), Some(there)) if here.size == there.size => Some(Step::Look(here)),
            (here, _) => here.map(Step::Replace),
        },
    })
}

async fn done(
    from: &dyn Store,
    to: &dyn Store,
    options: Options,
    flight: &Flight<'_>,
    step: Step,
) -> Result<Objects, AppError> {
    let looked = |object: &ObjectInfo| Objects { looked: Count(1), bytes_looked: object.size, ..Objects::default() };
    match step {
        Step::Copy(object) => copied(from, to, options, flight, &object, looked(&object)).await,
        Step::Replace(object) => {
            remove(to, &object.name).await?;
            let mut done = looked(&object);
            done.note_replaced(&object.name);
            copied(from, to, options, flight, &object, done).await
        }
        // A keyring may have been taken back, and another have got its number.
        Step::Look(object) if options.verify || object.name.as_str().starts_with(KEYRINGS_PREFIX) => {
            let mut done = Objects { there: Count(1), ..looked(&object) };
            if !is_right(from, to, flight, &object).await? {
                remove(to, &object.name).await?;
                done.there = Count(0);
                done.note_replaced(&object.name);
                return copied(from, to, options, flight, &object, done).await;
            }
            if options.verify {
                done.note_verified(object.size);
            }
            Ok(done)
        }
        Step::Look(object) => Ok(Objects { there: Count(1), ..looked(&object) }),
        // Before the last pass it may be one that the source has got since.
        Step::Remove(_) if !options.switch => Ok(Objects::default()),
        Step::Remove(object) => {
            remove(to, &object.name).await?;
            Ok(Objects { removed: Count(1), ..Objects::default() })
        }
    }
}

/// Copies one object. Both stores say when they themselves see that bytes are not what was put.
async fn copied(
    from: &dyn Store,
    to: &dyn Store,
    options: Options,
    flight: &Flight<'_>,
    object: &ObjectInfo,
    mut done: Objects,
) -> Result<Objects, AppError> {
    let during = || AppError::store("copying an object to the target");
    // What is read back is there twice for a moment.
    let _room = flight.room(Size(object.size.0 * if options.verify { 2 } else { 1 })).await;
    flight.pace(object.size).await;
    let bytes = match from.get(&object.name).await {
        Ok(bytes) => bytes,
        Err(StoreError::NotFound { .. }) if options.switch => return Err(changed()),
        Err(StoreError::NotFound { .. }) => return Ok(Objects { gone: Count(1), ..Objects::default() }),
        Err(error) => return Err(AppError::store("reading an object of the source")(error)),
    };
    if is_named(&object.name, &bytes).await == Some(false) {
        done.damaged = Count(1);
        done.named.push(("damaged", object.name.to_string()));
        // RACE: a device may send its bytes again while the servers run, and then the object is replaced here, in the
        // same size. So a damaged pack is copied in the last pass.
        if !options.switch {
            return Ok(done);
        }
    }
    if to.put_new(&object.name, bytes.clone()).await.map_err(during())? == Put::Existed
        && to.get(&object.name).await.ok().as_ref() != Some(&bytes)
    {
        // Not what was put a moment ago, nor what a former migrate has left.
        remove(to, &object.name).await?;
        done.note_replaced(&object.name);
        to.put_new(&object.name, bytes.clone()).await.map_err(during())?;
    }
    if options.verify {
        flight.pace(object.size).await;
        match to.get(&object.name).await {
            Ok(found) if found == bytes => done.note_verified(object.size),
            Ok(_) | Err(StoreError::Altered { .. } | StoreError::NotFound { .. }) => return Err(differs(&object.name)),
            Err(error) => return Err(during()(error)),
        }
    }
    done.copied = Count(1);
    done.bytes_copied = Size::of(bytes.len());
    Ok(done)
}

/// Whether the target has what the source has. A pack's name says that by itself.
async fn is_right(
    from: &dyn Store,
    to: &dyn Store,
    flight: &Flight<'_>,
    object: &ObjectInfo,
) -> Result<bool, AppError> {
    let _room = flight.room(Size(object.size.0 * 2)).await;
    flight.pace(object.size).await;
    let there = match to.get(&object.name).await {
        Ok(there) => there,
        Err(StoreError::Altered { .. } | StoreError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(AppError::store("reading an object back from the target")(error)),
    };
    if is_named(&object.name, &there).await == Some(true) {
        return Ok(true);
    }
    match from.get(&object.name).await {
        Ok(here) => Ok(here == there),
        // It is on its way out of the source, and so is this.
        Err(StoreError::NotFound { .. }) => Ok(true),
        Err(error) => Err(AppError::store("reading an object of the source")(error)),
    }
}

/// Whether the bytes are those that the name says; `None` where it says nothing of them.
async fn is_named(name: &ObjectName, bytes: &Bytes) -> Option<bool> {
    let Ok(Kind::Pack(pack)) = name.as_str().parse() else { return None };
    let bytes = bytes.clone();
    base::blocking(move || PackId::of(&bytes) == pack).await.ok()
}

async fn remove(store: &dyn Store, name: &ObjectName) -> Result<(), AppError> {
    store.remove(name).await.map_err(AppError::store("removing an object of the target"))
}

impl Objects {
    fn add(&mut self, other: Objects) {
        self.looked += other.looked;
        self.bytes_looked += other.bytes_looked;
        self.there += other.there;
        self.copied += other.copied;
        self.bytes_copied += other.bytes_copied;
        self.verified += other.verified;
        self.bytes_verified += other.bytes_verified;
        self.replaced += other.replaced;
        self.removed += other.removed;
        self.gone += other.gone;
        self.damaged += other.damaged;
        let room = (2 * LISTED_MAX).saturating_sub(self.named.len());
        self.named.extend(other.named.into_iter().take(room));
    }

    fn note_replaced(&mut self, name: &ObjectName) {
        self.replaced += Count(1);
        self.named.push(("replaced", name.to_string()));
    }

    fn note_verified(&mut self, size: Size) {
        self.verified += Count(1);
        self.bytes_verified += size;
    }
}

/// Never fails.
pub(super) fn changed() -> AppError {
    let sentence = "The source was used while the last pass went on: a server was started there, or a command has \
                    changed something. It goes on there as before; stop what runs, and begin the last pass again.";
    AppError::conflict("source_changed", sentence)
}

fn differs(name: &ObjectName) -> AppError {
    AppError::damaged(
        "target_differs",
        format!(
            "The target does not give back what was put there, the object {name}: its disk, its server or the way to \
             it changes bytes. The source is as it was; mend that, and begin again."
        ),
    )
}
