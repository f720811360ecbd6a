//! Which entries of the folders a backup takes: the patterns of the policy, laid over a source.
//! Refuses a pattern that it cannot read: that one is a problem of the backup, and the others hold.
//! How patterns are read: docs/cli.md, "Patterns".

use engine::{Details, EntryKind, Listing, More, Source, SourceError, SourceFile, Stat};
use format::StoredPath;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The folders of a backup and what is left out of them.
#[derive(Debug, Default)]
pub struct Selection {
    folders: Vec<Folder>,
    /// Against the path within the folder, in every folder.
    everywhere: Patterns,
    /// Over all that it was made of.
    made_of: blake3::Hasher,
}

#[derive(Debug)]
struct Folder {
    root: StoredPath,
    include: Option<Patterns>,
    exclude: Patterns,
}

/// Patterns of one list.
#[derive(Debug, Default)]
struct Patterns {
    /// Of any entry.
    any: GlobSet,
    /// Of directories only: those that end in a slash.
    directories: GlobSet,
}

/// A pattern that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern {
    /// As it was written.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl Selection {
    /// Everything of these folders. Never fails.
    pub fn of(folders: &[StoredPath]) -> Self {
        let mut selection = Self::default();
        for folder in folders {
            selection.add(folder.clone(), &[], &[]);
        }
        selection
    }

    /// One more folder: only what matches `include`, where there is one, and nothing that matches `exclude`. Patterns
    /// that cannot be read are given back. Never fails otherwise.
    pub fn add(&mut self, root: StoredPath, include: &[String], exclude: &[String]) -> Vec<BadPattern> {
        self.note(1, root.as_bytes(), &[include, exclude]);
        let (excluded, mut bad) = Patterns::read(exclude, false);
        let included = (!include.is_empty()).then(|| {
            let (patterns, more) = Patterns::read(include, true);
            bad.extend(more);
            patterns
        });
        self.folders.push(Folder { root, include: included, exclude: excluded });
        bad
    }

    /// What no folder takes. Patterns that cannot be read are given back. Never fails otherwise.
    pub fn exclude_everywhere(&mut self, patterns: &[String]) -> Vec<BadPattern> {
        self.note(2, &[], &[patterns]);
        let (everywhere, bad) = Patterns::read(patterns, false);
        self.everywhere = everywhere;
        bad
    }

    /// Names what it takes: equal for equal folders and patterns in equal order. Never fails.
    pub fn digest(&self) -> [u8; 32] {
        *self.made_of.finalize().as_bytes()
    }

    /// Every part with its length, so that no two selections feed the same bytes.
    fn note(&mut self, what: u8, root: &[u8], lists: &[&[String]]) {
        let mut feed = |bytes: &[u8]| {
            self.made_of.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        feed(&[what]);
        feed(root);
        for list in lists {
            feed(&(list.len() as u64).to_le_bytes());
            list.iter().for_each(|pattern| feed(pattern.as_bytes()));
        }
    }

    /// The folders, in the order in which they were added. Never fails.
    pub fn folders(&self) -> Vec<StoredPath> {
        self.folders.iter().map(|folder| folder.root.clone()).collect()
    }

    /// Takes out of a listing of `dir` what is not to be backed up; how many entries that were. Never fails.
    pub fn keep(&self, dir: &StoredPath, listing: &mut Listing) -> u64 {
        let mut open: Vec<(&Folder, StoredPath)> = self
            .folders
            .iter()
            .filter_map(|folder| below(dir, &folder.root).map(|within| (folder, within)))
            .filter(|(folder, within)| self.enters(folder, within))
            .collect();
        let beneath: Vec<&StoredPath> =
            self.folders.iter().map(|folder| &folder.root).filter(|root| root.starts_with(dir)).collect();
        let before = listing.entries.len();
        listing.entries.retain(|found| {
            let leads_to = |root: &&StoredPath| dir.join(&found.name).is_ok_and(|path| root.starts_with(&path));
            if beneath.iter().any(leads_to) {
                return true;
            }
            let is_directory = found.stat.kind == EntryKind::Directory;
            open.iter_mut().any(|(folder, within)| {
                // A name that no snapshot can hold is for the backup to report.
                if within.push(&found.name).is_err() {
                    return true;
                }
                let is_taken = self.takes(folder, within, is_directory);
                within.pop();
                is_taken
            })
        });
        (before - listing.entries.len()) as u64
    }

    /// Whether a directory within a folder is walked for that folder's sake: none of those above it is left out.
    fn enters(&self, folder: &Folder, within: &StoredPath) -> bool {
        let mut above = StoredPath::root();
        within.components().all(|name| above.push(name).is_ok() && self.takes(folder, &above, true))
    }

    fn takes(&self, folder: &Folder, within: &StoredPath, is_directory: bool) -> bool {
        if self.everywhere.match_it(within, is_directory) || folder.exclude.match_it(within, is_directory) {
            return false;
        }
        // A directory is walked all the same: what is in it may match.
        is_directory || folder.include.as_ref().is_none_or(|include| include.match_it(within, false))
    }
}

/// The path of `dir` within `root`; `None` when it does not lie there.
fn below(dir: &StoredPath, root: &StoredPath) -> Option<StoredPath> {
    if !dir.starts_with(root) {
        return None;
    }
    let mut within = StoredPath::root();
    for name in dir.components().skip(root.components().count()) {
        within.push(name).ok()?;
    }
    Some(within)
}

impl Patterns {
    /// With `beneath`, a pattern of a directory stands for everything in it.
    fn read(patterns: &[String], beneath: bool) -> (Self, Vec<BadPattern>) {
        let (mut any, mut directories) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut bad = Vec::new();
        for pattern in patterns.iter().filter(|pattern| !pattern.trim().is_empty()) {
            let refuse =
                |error: &globset::Error| BadPattern { pattern: pattern.clone(), why: error.kind().to_string() };
            match globs(pattern, beneath) {
                Ok(globs) if pattern.ends_with('/') && !beneath => globs.into_iter().for_each(|glob| {
                    directories.add(glob);
                }),
                Ok(globs) => globs.into_iter().for_each(|glob| {
                    any.add(glob);
                }),
                Err(error) => bad.push(refuse(&error)),
            }
        }
        // Each glob was read by itself; together they can only be too large.
        let build = |builder: &GlobSetBuilder, bad: &mut Vec<BadPattern>| match builder.build() {
            Ok(set) => set,
            Err(error) => {
                bad.push(BadPattern { pattern: "all together".to_owned(), why: error.kind().to_string() });
                GlobSet::empty()
            }
        };
        let set = Self { any: build(&any, &mut bad), directories: build(&directories, &mut bad) };
        (set, bad)
    }

    fn match_it(&self, path: &StoredPath, is_directory: bool) -> bool {
        let path = Path::new(OsStr::from_bytes(path.as_bytes()));
        let is_match = |set: &GlobSet| !set.is_empty() && set.is_match(path);
        is_match(&self.any) || (is_directory && is_match(&self.directories))
    }
}

/// The globs that a pattern stands for.
fn globs(pattern: &str, beneath: bool) -> Result<Vec<Glob>, globset::Error> {
    let plain = pattern.trim_end_matches('/');
    // A name alone is met at any depth; a path is meant from the folder on.
    let anchored = match plain.strip_prefix('/') {
        Some(path) => path.to_owned(),
        None if plain.contains('/') => plain.to_owned(),
        None => format!("**/{plain}"),
    };
    let glob = |text: &str| GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
    let mut globs = vec![glob(&anchored)?];
    if beneath {
        globs.push(glob(&format!("{anchored}/**"))?);
    }
    Ok(globs)
}

/// A source without what a selection leaves out.
#[derive(Debug)]
pub struct FilteredSource<S> {
    inner: S,
    selection: Arc<Selection>,
    excluded: Arc<AtomicU64>,
    /// Of the folders themselves, which the engine lists twice.
    excluded_at_roots: Mutex<HashMap<StoredPath, u64>>,
}

impl<S> FilteredSource<S> {
    /// Lays the selection over a source. Never fails.
    pub fn new(inner: S, selection: Arc<Selection>) -> Self {
        Self { inner, selection, excluded: Arc::default(), excluded_at_roots: Mutex::default() }
    }

    /// How many entries were left out so far; what lies beneath one that was left out is not counted. Never fails.
    pub fn excluded(&self) -> u64 {
        let at_roots = self.excluded_at_roots.lock().unwrap_or_else(PoisonError::into_inner);
        self.excluded.load(Ordering::Relaxed) + at_roots.values().sum::<u64>()
    }
}

/// What a selection leaves of a large directory.
#[derive(Debug)]
struct FilteredMore {
    inner: Box<dyn More>,
    dir: StoredPath,
    selection: Arc<Selection>,
    excluded: Arc<AtomicU64>,
}

impl More for FilteredMore {
    /// Those that will be left out are among them: nobody has looked yet.
    fn left(&self) -> usize {
        self.inner.left()
    }

    fn look(&mut self) -> Listing {
        let mut listing = self.inner.look();
        let excluded = self.selection.keep(&self.dir, &mut listing);
        self.excluded.fetch_add(excluded, Ordering::Relaxed);
        listing
    }
}

impl<S: Source> Source for FilteredSource<S> {
    fn list(&self, dir: &StoredPath) -> Result<Listing, SourceError> {
        let mut listing = self.inner.list(dir)?;
        let excluded = self.selection.keep(dir, &mut listing);
        listing.more = listing.more.map(|inner| {
            let (selection, excluded) = (Arc::clone(&self.selection), Arc::clone(&self.excluded));
            Box::new(FilteredMore { inner, dir: dir.clone(), selection, excluded }) as Box<dyn More>
        });
        if self.selection.folders.iter().any(|folder| folder.root == *dir) {
            let mut at_roots = self.excluded_at_roots.lock().unwrap_or_else(PoisonError::into_inner);
            at_roots.insert(dir.clone(), excluded);
        } else {
            self.excluded.fetch_add(excluded, Ordering::Relaxed);
        }
        Ok(listing)
    }

    fn stat(&self, path: &StoredPath) -> Result<Stat, SourceError> {
        self.inner.stat(path)
    }

    fn details(&self, path: &StoredPath, kind: EntryKind) -> Result<Details, SourceError> {
        self.inner.details(path, kind)
    }

    fn open(&self, path: &StoredPath) -> Result<Box<dyn SourceFile>, SourceError> {
        self.inner.open(path)
    }

    fn user_name(&self, uid: u32) -> Arc<[u8]> {
        self.inner.user_name(uid)
    }

    fn group_name(&self, gid: u32) -> Arc<[u8]> {
        self.inner.group_name(gid)
    }
}

#[cfg(test)]
mod tests;
