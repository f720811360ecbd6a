//! A raw ext4 image of a small Debian, and what an upgrade makes of it: files are written within the image, whose
//! blocks stay where they are otherwise. Refuses to mount anything: the tools of ext4 do all of it.

use super::debian::{fetch, names, run, unpack};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use walkdir::WalkDir;

const IMAGE_BYTES: u64 = 1_600 << 20;
/// Packages that are in the image from the beginning, and that come by the upgrade.
const PACKAGES: [usize; 2] = [220, 60];

/// Makes the image in `folder`.
pub fn make(store: &Path, folder: &Path) -> Result<()> {
    let image = file(folder);
    fs::File::create(&image)?.set_len(IMAGE_BYTES)?;
    let mut format = Command::new("mke2fs");
    // The same image for the same packages, whenever it is made.
    format.args(["-q", "-F", "-t", "ext4", "-U", "clear", "-E", "hash_seed=00000000-0000-4000-8000-000000000000"]);
    run(format.env("E2FSPROGS_FAKE_TIME", "1700000000").arg("-d").arg(root(store, 0)?).arg(&image))
}

/// Writes the files of further packages into the image.
pub fn upgrade(store: &Path, folder: &Path) -> Result<()> {
    let root = root(store, 1)?;
    let mut script = String::new();
    for entry in WalkDir::new(&root).min_depth(1).sort_by_file_name() {
        let entry = entry?;
        let inside = format!("/{}", entry.path().strip_prefix(&root)?.display());
        if entry.file_type().is_dir() {
            writeln!(script, "mkdir \"{inside}\"")?;
        } else if entry.file_type().is_file() {
            writeln!(script, "write \"{}\" \"{inside}\"", entry.path().display())?;
        }
    }
    let commands = store.join("upgrade.debugfs");
    fs::write(&commands, script)?;
    // What is there already is said to be, and stays: an upgrade writes the same folders.
    run(Command::new("debugfs").arg("-w").arg("-f").arg(&commands).arg(file(folder)))
}

fn file(folder: &Path) -> PathBuf {
    folder.join("disk.img")
}

/// The files of the packages of one part, unpacked once.
fn root(store: &Path, part: usize) -> Result<PathBuf> {
    let root = store.join(format!("image root {part}"));
    if root.exists() {
        return Ok(root);
    }
    let (fetched, fresh) = (tempfile::tempdir_in(store)?, tempfile::tempdir_in(store)?);
    for package in fetch(fetched.path(), &names(PACKAGES[part], 7 + part)?)? {
        unpack(&package, fresh.path())?;
    }
    fs::rename(fresh.keep(), &root).context("keeping what was unpacked")?;
    Ok(root)
}
