//! Compares two trees byte for byte and metadata for metadata, with the standard library only: nothing of the
//! product takes part in judging it.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compared {
    /// Entries of every kind.
    pub entries: u64,
    /// Bytes of content.
    pub bytes: u64,
}

/// Compares `restored` with `original`.
///
/// # Errors
/// The first difference, or an entry that cannot be read.
pub fn trees(original: &Path, restored: &Path) -> Result<Compared> {
    let (left, right) = (entries(original)?, entries(restored)?);
    if let Some(path) = left.keys().find(|path| !right.contains_key(*path)) {
        anyhow::bail!("{} was not restored", path.display());
    }
    if let Some(path) = right.keys().find(|path| !left.contains_key(*path)) {
        anyhow::bail!("{} was restored and never was there", path.display());
    }
    let mut compared = Compared::default();
    for (path, left) in &left {
        let (from, to) = (original.join(path), restored.join(path));
        compared.bytes += entry(&from, left, &to, &right[path]).with_context(|| path.display().to_string())?;
        compared.entries += 1;
    }
    same_links(&left, &right)?;
    Ok(compared)
}

fn entries(folder: &Path) -> Result<BTreeMap<PathBuf, Metadata>> {
    let mut entries = BTreeMap::new();
    for entry in WalkDir::new(folder) {
        let entry = entry?;
        let path = entry.path().strip_prefix(folder)?.to_owned();
        entries.insert(path, fs::symlink_metadata(entry.path())?);
    }
    Ok(entries)
}

fn entry(from: &Path, left: &Metadata, to: &Path, right: &Metadata) -> Result<u64> {
    differ("its kind", left.file_type() == right.file_type())?;
    metadata(left, right)?;
    differ("its extended attributes", xattrs(from)? == xattrs(to)?)?;
    if left.is_symlink() {
        differ("where it points", fs::read_link(from)? == fs::read_link(to)?)?;
    }
    if left.is_file() {
        differ("its size", left.len() == right.len())?;
        differ("its content", same_content(from, to)?)?;
        return Ok(left.len());
    }
    Ok(0)
}

#[cfg(unix)]
fn metadata(left: &Metadata, right: &Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    if !left.is_symlink() {
        differ("its mode", left.mode() == right.mode())?;
    }
    differ("its time", (left.mtime(), left.mtime_nsec()) == (right.mtime(), right.mtime_nsec()))?;
    differ("its device number", left.rdev() == right.rdev())?;
    if rustix::process::geteuid().is_root() {
        differ("its owner", (left.uid(), left.gid()) == (right.uid(), right.gid()))?;
    }
    Ok(())
}

/// Files that were one in the original must be one in the copy, and no others.
#[cfg(unix)]
fn same_links(left: &BTreeMap<PathBuf, Metadata>, right: &BTreeMap<PathBuf, Metadata>) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let groups = |entries: &BTreeMap<PathBuf, Metadata>| {
        let mut groups: BTreeMap<(u64, u64), Vec<PathBuf>> = BTreeMap::new();
        for (path, metadata) in entries.iter().filter(|(_, metadata)| metadata.is_file() && metadata.nlink() > 1) {
            groups.entry((metadata.dev(), metadata.ino())).or_default().push(path.clone());
        }
        let mut groups: Vec<Vec<PathBuf>> = groups.into_values().filter(|names| names.len() > 1).collect();
        groups.sort();
        groups
    };
    differ("which names are one file", groups(left) == groups(right))
}

#[cfg(not(unix))]
fn metadata(left: &Metadata, right: &Metadata) -> Result<()> {
    differ("its time", left.modified()? == right.modified()?)
}

#[cfg(not(unix))]
fn same_links(_left: &BTreeMap<PathBuf, Metadata>, _right: &BTreeMap<PathBuf, Metadata>) -> Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn xattrs(path: &Path) -> Result<BTreeMap<OsString, Vec<u8>>> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut names = vec![0_u8; 64 << 10];
    let len = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(len) => len,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut attributes = BTreeMap::new();
    for name in names[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0_u8; 64 << 10];
        let name = std::ffi::OsStr::from_bytes(name);
        let len = rustix::fs::lgetxattr(path, name, &mut value[..])?;
        value.truncate(len);
        attributes.insert(name.to_owned(), value);
    }
    Ok(attributes)
}

#[cfg(not(target_os = "linux"))]
fn xattrs(_path: &Path) -> Result<BTreeMap<OsString, Vec<u8>>> {
    Ok(BTreeMap::new())
}

fn same_content(one: &Path, other: &Path) -> Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut left, mut right) = (vec![0; 256 << 10], vec![0; 256 << 10]);
    loop {
        let len = one.read(&mut left)?;
        if len == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        if other.read_exact(&mut right[..len]).is_err() || left[..len] != right[..len] {
            return Ok(false);
        }
    }
}

fn differ(what: &str, same: bool) -> Result<()> {
    if same { Ok(()) } else { Err(anyhow::anyhow!("{what} differs after the restore")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_found() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str, change: &dyn Fn(&Path)| {
            let folder = place.path().join(name);
            fs::create_dir_all(folder.join("a")).unwrap();
            fs::write(folder.join("a/file"), "content").unwrap();
            change(&folder);
            for path in ["a/file", "a", ""] {
                let file = File::open(folder.join(path)).unwrap();
                file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000)).unwrap();
            }
            folder
        };
        let original = make("original", &|_| ());
        assert_eq!(trees(&original, &make("same", &|_| ())).unwrap().entries, 3);
        type Change<'a> = (&'a str, &'a dyn Fn(&Path));
        let changes: [Change<'_>; 4] = [
            ("content", &|folder| fs::write(folder.join("a/file"), "CONTENT").unwrap()),
            ("size", &|folder| fs::write(folder.join("a/file"), "content and more").unwrap()),
            ("one more", &|folder| fs::write(folder.join("a/other"), "").unwrap()),
            ("mode", &|folder| {
                let mut permissions = fs::metadata(folder.join("a")).unwrap().permissions();
                permissions.set_readonly(true);
                fs::set_permissions(folder.join("a"), permissions).unwrap();
            }),
        ];
        for (what, change) in changes {
            assert!(trees(&original, &make(what, change)).is_err(), "{what}");
        }
    }
}
