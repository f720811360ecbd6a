//! The entries of one folder: what is there, what was there when it was made durable, and all between. A power cut
//! takes every name back to any moment since then, whatever became of the other names.

use super::Lost;
use super::content::Content;
use crate::simulator::dice::Dice;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::files::Found;

/// What a name leads to.
#[derive(Clone)]
pub(super) enum Entry {
    File(Arc<Content>),
    Folder(Arc<Entries>),
}

/// A folder: what each name led to, the durable first, the newest last.
#[derive(Default)]
pub(super) struct Entries(Mutex<BTreeMap<String, Vec<Option<Entry>>>>);

impl Entries {
    pub(super) fn get(&self, name: &str) -> Option<Entry> {
        self.names().get(name).and_then(|led| newest(led))
    }

    pub(super) fn add(&self, name: String, entry: Entry) -> io::Result<()> {
        let mut names = self.names();
        let led = names.entry(name).or_insert_with(|| vec![None]);
        if newest(led).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        entry.is_named(true);
        led.push(Some(entry));
        Ok(())
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        let mut names = self.names();
        let led = names.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        newest(led).ok_or(io::ErrorKind::NotFound)?.is_named(false);
        led.push(None);
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<Found> {
        let names = self.names();
        let entries = names.iter().filter_map(|(name, led)| Some((name, newest(led)?)));
        let found =
            |(name, entry): (&String, Entry)| Found { name: name.into(), is_folder: matches!(entry, Entry::Folder(_)) };
        entries.map(found).collect()
    }

    pub(super) fn sync(&self) {
        let mut names = self.names();
        names.retain(|_, led| {
            led.drain(..led.len() - 1);
            led[0].is_some()
        });
    }

    /// All that is here and below is durable.
    pub(super) fn write_back(&self) {
        self.sync();
        for entry in self.names().values().filter_map(|led| newest(led)) {
            match entry {
                Entry::File(content) => content.sync(),
                Entry::Folder(entries) => entries.write_back(),
            }
        }
    }

    /// The power goes: here, and in all that is still here afterwards.
    pub(super) fn lose_power(&self, dice: &Dice) -> Lost {
        let mut lost = Lost::default();
        for led in self.names().values_mut() {
            let kept = dice.below(led.len() as u64) as usize;
            lost.entries += u64::from(kept + 1 < led.len());
            newest(led).iter().for_each(|entry| entry.is_named(false));
            led.truncate(kept + 1);
            newest(led).iter().for_each(|entry| entry.is_named(true));
        }
        self.sync();
        for entry in self.names().values().filter_map(|led| newest(led)) {
            match entry {
                Entry::File(content) => lost.files += u64::from(content.lose_power(dice)),
                Entry::Folder(entries) => {
                    let below = entries.lose_power(dice);
                    lost.entries += below.entries;
                    lost.files += below.files;
                }
            }
        }
        lost
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Option<Entry>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_named(&self, named: bool) {
        if let Self::File(content) = self {
            content.is_named(named);
        }
    }
}

fn newest(led: &[Option<Entry>]) -> Option<Entry> {
    led.last().cloned().flatten()
}
