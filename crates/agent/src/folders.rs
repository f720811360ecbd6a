//! Folders and paths as a person types them, and as they are stored: absolute, without the leading slash, bytes.
//! Refuses names that no snapshot could hold.

use crate::error::AgentError;
use format::StoredPath;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// The stored path of a folder of this computer: links on the way are resolved, so that the backup never has to
/// follow one. A folder that is not there keeps the path as typed; the backup will say so.
///
/// # Errors
/// `path_invalid`: there is no current directory to start from, or the path is too long.
pub fn folder(typed: &Path) -> Result<StoredPath, AgentError> {
    let path = std::fs::canonicalize(typed).or_else(|_| std::path::absolute(typed));
    stored(&path.map_err(|_| invalid(typed))?)
}

/// The stored path of an entry of a snapshot, from its path on the computer that was backed up.
///
/// # Errors
/// `path_invalid`: a `..` in it, or a name that is too long.
pub fn entry(typed: &Path) -> Result<StoredPath, AgentError> {
    stored(typed)
}

fn stored(path: &Path) -> Result<StoredPath, AgentError> {
    let mut stored = StoredPath::root();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => stored.push(name.as_bytes()).map_err(|_| invalid(path))?,
            Component::ParentDir | Component::Prefix(_) => return Err(invalid(path)),
        }
    }
    Ok(stored)
}

fn invalid(path: &Path) -> AgentError {
    let sentence = format!("{} is no path that a snapshot can hold: write it in full, without ..", path.display());
    AgentError::usage("path_invalid", sentence)
}

/// The path as scripts read it: with the leading slash, odd bytes as `%XX` (docs/cli.md, "Paths"). Never fails.
pub fn path_text(path: &StoredPath) -> String {
    format!("/{}", protocol::path_to_text(path.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn a_typed_path_becomes_a_stored_one_or_is_refused() {
        let cases: [(&[u8], Option<&[u8]>); 8] = [
            (b"/usr/share", Some(b"usr/share")),
            (b"usr//share/", Some(b"usr/share")),
            (b"./usr/./share", Some(b"usr/share")),
            (b"/", Some(b"")),
            (b"", Some(b"")),
            (b"/home/latin-\xe9", Some(b"home/latin-\xe9")),
            (b"/usr/../etc", None),
            (b"..", None),
        ];
        for (typed, path) in cases {
            let found = entry(Path::new(OsStr::from_bytes(typed))).ok();
            assert_eq!(found.as_ref().map(StoredPath::as_bytes), path, "{typed:?}");
        }
    }

    #[test]
    fn a_folder_is_found_behind_its_links_and_a_missing_one_keeps_its_name() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let real = dir.path().canonicalize().expect("a path").join("real");
        std::fs::create_dir(&real).expect("a folder");
        std::os::unix::fs::symlink(&real, dir.path().join("link")).expect("a link");
        let found = folder(&dir.path().join("link")).expect("a folder");
        assert_eq!(path_text(&found), real.to_str().expect("UTF-8"));
        let missing = folder(Path::new("/not/there")).expect("a path");
        assert_eq!(path_text(&missing), "/not/there");
    }
}
