//! What a journal has noted, and since when: directories by whatever names them, files whose other names are unknown,
//! paths beneath which nothing is certain. Pure. Refuses to grow: what does not fit is a gap.

use super::{Doubt, Means, Position};
use format::StoredPath;
use std::collections::HashMap;
use std::hash::Hash;

/// Directories that are kept: some 10 MB. Beyond, a walk is not much dearer than what the notes would save.
const DIRECTORIES_MAX: usize = 65_536;
/// Files that are kept until it is clear which of them have several names.
const FILES_MAX: usize = 65_536;
/// Paths of file systems that came and went.
const PATHS_MAX: usize = 4_096;

/// The notes of one journal, by keys that stay with a directory or file when it is renamed.
pub(super) struct Notes<K> {
    journal: [u8; 16],
    /// How far the journal is. Grows with everything that is noted together.
    at: u64,
    /// From where on nothing is missing.
    floor: u64,
    directories: HashMap<K, u64>,
    files: HashMap<K, FileNote>,
    paths: HashMap<StoredPath, u64>,
}

/// What is known of a file that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileNote {
    at: u64,
    /// Whether something happened to it, and it was not said through which directory: so it is when a file wins or
    /// loses a name.
    pub is_unplaced: bool,
}

/// What was noted since a position.
pub(super) struct Since<'a, K> {
    pub directories: Vec<&'a K>,
    pub files: Vec<(&'a K, bool)>,
    pub paths: Vec<&'a StoredPath>,
}

impl<K: Hash + Eq> Notes<K> {
    /// Notes of a journal that this process keeps.
    pub fn new(means: &Means) -> Self {
        let mut journal = [0; 16];
        means.entropy.fill(&mut journal);
        Self { journal, at: 1, floor: 1, directories: HashMap::new(), files: HashMap::new(), paths: HashMap::new() }
    }

    /// Notes of a journal that the system keeps, under its own name, from what it has first.
    #[cfg(any(windows, target_os = "macos", test))]
    pub fn kept(journal: [u8; 16], first: u64) -> Self {
        let (directories, files, paths) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { journal, at: first, floor: first, directories, files, paths }
    }

    /// What is noted from here on stands there in the system's journal.
    #[cfg(any(windows, target_os = "macos", test))]
    pub fn reach(&mut self, at: u64) {
        self.at = self.at.max(at);
    }

    /// What is noted from here on has happened after every position that was given out.
    pub fn begin(&mut self) {
        self.at += 1;
    }

    /// Something changed among the entries of a directory, or the directory itself.
    pub fn directory(&mut self, key: K) {
        self.directories.insert(key, self.at);
        if self.directories.len() > DIRECTORIES_MAX {
            self.gap();
        }
    }

    /// A file changed. False when there are so many of them that those should be let go of that do no harm.
    pub fn file(&mut self, key: K, is_unplaced: bool) -> bool {
        let note = self.files.entry(key).or_insert(FileNote { at: 0, is_unplaced: false });
        (note.at, note.is_unplaced) = (self.at, note.is_unplaced || is_unplaced);
        self.files.len() <= FILES_MAX
    }

    /// Lets go of the files that do no harm; where that does not help, of everything.
    pub fn drop_harmless(&mut self, is_harmless: impl Fn(&K, bool) -> bool) {
        self.files.retain(|key, note| !is_harmless(key, note.is_unplaced));
        if self.files.len() > FILES_MAX / 2 {
            self.gap();
        }
    }

    /// Nothing is certain at and beneath this path.
    pub fn path(&mut self, path: StoredPath) {
        self.paths.insert(path, self.at);
        if self.paths.len() > PATHS_MAX {
            self.gap();
        }
    }

    /// Something may have happened that nobody has noted.
    pub fn gap(&mut self) {
        self.directories.clear();
        self.files.clear();
        self.paths.clear();
        self.floor = self.at;
    }

    /// Where the journal stands.
    pub fn position(&self, means: &Means) -> Position {
        Position { journal: self.journal, at: self.at, taken_at: means.clock.now() }
    }

    /// What was noted since a position.
    ///
    /// # Errors
    /// A doubt: it is none of this journal's, or too old.
    pub fn since(&self, position: Option<&Position>) -> Result<Since<'_, K>, Doubt> {
        let position = position.ok_or(Doubt::NoPosition)?;
        if position.journal != self.journal || position.at > self.at {
            return Err(Doubt::OtherJournal);
        }
        if position.at < self.floor {
            return Err(Doubt::Gap);
        }
        let is_later = |at: u64| at > position.at;
        Ok(Since {
            directories: self.directories.iter().filter(|(_, at)| is_later(**at)).map(|(key, _)| key).collect(),
            files: self
                .files
                .iter()
                .filter(|(_, note)| is_later(note.at))
                .map(|(key, note)| (key, note.is_unplaced))
                .collect(),
            paths: self.paths.iter().filter(|(_, at)| is_later(**at)).map(|(path, _)| path).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{ManualClock, SeededEntropy, Timestamp};
    use std::sync::Arc;

    fn means() -> Means {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ms(5_000)));
        Means { clock, entropy: Arc::new(SeededEntropy::new(3)) }
    }

    fn directories(notes: &Notes<u32>, position: &Position) -> Result<Vec<u32>, Doubt> {
        let mut found: Vec<u32> = notes.since(Some(position))?.directories.into_iter().copied().collect();
        found.sort_unstable();
        Ok(found)
    }

    #[test]
    fn what_was_noted_after_a_position_is_told_to_who_has_it() {
        let means = means();
        let mut notes: Notes<u32> = Notes::new(&means);
        let first = notes.position(&means);
        notes.begin();
        notes.directory(7);
        notes.directory(8);
        let second = notes.position(&means);
        notes.begin();
        notes.directory(8);
        notes.directory(9);
        assert_eq!(directories(&notes, &first), Ok(vec![7, 8, 9]));
        assert_eq!(directories(&notes, &second), Ok(vec![8, 9]));
        assert_eq!(directories(&notes, &notes.position(&means)), Ok(vec![]));
    }

    #[test]
    fn a_position_of_another_journal_or_before_a_gap_is_in_doubt() {
        let means = means();
        let mut notes: Notes<u32> = Notes::new(&means);
        let before = notes.position(&means);
        assert_eq!(notes.since(None).err(), Some(Doubt::NoPosition));
        let other = Position { journal: [9; 16], ..before };
        assert_eq!(directories(&notes, &other), Err(Doubt::OtherJournal));
        let ahead = Position { at: before.at + 1, ..before };
        assert_eq!(directories(&notes, &ahead), Err(Doubt::OtherJournal));
        notes.begin();
        notes.gap();
        notes.directory(1);
        assert_eq!(directories(&notes, &before), Err(Doubt::Gap));
        // What came together with the gap is told to nobody who asks from here on, and need not be.
        assert_eq!(directories(&notes, &notes.position(&means)), Ok(vec![]));
    }

    #[test]
    fn too_many_directories_are_a_gap_and_not_a_heap() {
        let means = means();
        let mut notes: Notes<u32> = Notes::new(&means);
        let before = notes.position(&means);
        notes.begin();
        (0..DIRECTORIES_MAX as u32).for_each(|key| notes.directory(key));
        assert_eq!(directories(&notes, &before).map(|found| found.len()), Ok(DIRECTORIES_MAX));
        notes.directory(DIRECTORIES_MAX as u32);
        assert_eq!(directories(&notes, &before), Err(Doubt::Gap));
        assert!(notes.directories.is_empty());
    }

    #[test]
    fn harmless_files_are_let_go_of_and_only_the_others_can_make_a_gap() {
        let means = means();
        let mut notes: Notes<u32> = Notes::new(&means);
        let before = notes.position(&means);
        notes.begin();
        assert!((0..FILES_MAX as u32).all(|key| notes.file(key, key == 7)));
        assert!(!notes.file(u32::MAX, false));
        notes.drop_harmless(|_, is_unplaced| !is_unplaced);
        assert_eq!(notes.since(Some(&before)).map(|since| since.files).ok(), Some(vec![(&7, true)]));
        assert!((0..FILES_MAX as u32).all(|key| notes.file(key, true)));
        notes.drop_harmless(|_, is_unplaced| !is_unplaced);
        assert_eq!(directories(&notes, &before), Err(Doubt::Gap));
    }
}
