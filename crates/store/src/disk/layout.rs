//! Where objects lie below the folder of a disk store: a rule that is written on disk and so never changes silently.
//! Refuses to touch the disk.
//!
//! The object `packs/0a1b2c` is the file `packs/+0a/+1b/0a1b2c`: the components of the name become folders, and
//! before the last come two more, `+` and its first two letters, `+` and the next two (fewer where it is shorter). So
//! a million packs are some 65,000 folders of 15 files each, names keep their order, and as no name has a `+`, an
//! object `a` and an object `a/b` are never in each other's way.

use crate::ObjectName;
use std::path::{Path, PathBuf};

/// The file that makes a folder a store; processes that have the store open hold a lock on it.
pub(super) const LAYOUT_FILE: &str = "+layout";

/// What that file says.
pub(super) const LAYOUT_TEXT: &str = "holdfast store layout 1\n";

/// Holds objects that are being written. One folder, and not the one of the object, so that cleaning it at open
/// does not read every folder of the store.
pub(super) const TEMP_FOLDER: &str = "+temp";

/// Where one object lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The folders above the file, from the outermost below the store's on.
    pub folders: Vec<PathBuf>,
    /// The file.
    pub file: PathBuf,
}

/// The place of the object below the store's folder. Never fails.
pub(super) fn place(store: &Path, name: &ObjectName) -> Place {
    let (above, last) = name.split_last();
    let (outer, inner) = heads(last);
    let fans = [format!("+{outer}"), format!("+{inner}")];
    let mut folders = Vec::new();
    let mut folder = store.to_owned();
    for component in above.split_terminator('/').chain(fans.iter().map(String::as_str)) {
        folder.push(component);
        folders.push(folder.clone());
    }
    Place { file: folder.join(last), folders }
}

/// The first two letters of a component and the next two, or as many as there are.
pub(super) fn heads(component: &str) -> (&str, &str) {
    let (outer, rest) = component.split_at(component.len().min(2));
    (outer, &rest[..rest.len().min(2)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_has_the_place_that_layout_1_gives_it() {
        let rows = [
            ("packs/0a1b2c", "s/packs/+0a/+1b/0a1b2c"),
            ("manifests/dev_1/snp_2", "s/manifests/dev_1/+sn/+p_/snp_2"),
            ("a", "s/+a/+/a"),
            ("a/b", "s/a/+b/+/b"),
            ("abc", "s/+ab/+c/abc"),
            ("abcd", "s/+ab/+cd/abcd"),
        ];
        for (name, path) in rows {
            let place = place(Path::new("s"), &ObjectName::new(name).expect("a plain name"));
            assert_eq!(place.file, Path::new(path));
            assert!(place.folders.iter().rev().eq(place.file.ancestors().skip(1).take(place.folders.len())));
            assert_eq!(place.folders[0].parent(), Some(Path::new("s")));
        }
        assert_eq!(LAYOUT_TEXT, "holdfast store layout 1\n");
    }
}
