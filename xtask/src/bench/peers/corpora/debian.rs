//! Corpora from Debian's packages, fetched by apt as anybody has it. Refuses to install what it fetches.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use walkdir::WalkDir;

/// The package that holds the kernel's source.
const KERNEL: &str = "linux-source-6.1";
/// How many packages make the corpus that cannot be compressed.
const PACKAGES: usize = 300;
/// None larger than this: a few giants would be a corpus of large files.
const PACKAGE_BYTES_MAX: u64 = 20 << 20;

/// The tar files of two versions of the kernel's source: the oldest and the newest that the registry has.
pub fn kernel_sources(store: &Path) -> Result<[PathBuf; 2]> {
    let versions = versions(KERNEL)?;
    let (Some(newest), Some(oldest)) = (versions.first(), versions.last()) else {
        bail!("apt knows no {KERNEL}: run `apt-get update` first");
    };
    ensure!(newest != oldest, "apt knows one version of {KERNEL} alone: there is no next one");
    let fetched = |version: &String| -> Result<PathBuf> {
        let folder = store.join(format!("{KERNEL} {version}"));
        if !folder.exists() {
            let fetched = tempfile::tempdir_in(store)?;
            for package in fetch(fetched.path(), &[format!("{KERNEL}={version}")])? {
                unpack(&package, &folder)?;
            }
        }
        Ok(folder.join("usr/src").join(format!("{KERNEL}.tar.xz")))
    };
    Ok([fetched(oldest)?, fetched(newest)?])
}

/// Unpacks a kernel's source into `folder`, without the folder that it begins with.
pub fn unpack_source(file: &Path, folder: &Path) -> Result<()> {
    let mut command = Command::new("tar");
    run(command.args(["--strip-components=1", "--no-same-owner", "-xJf"]).arg(file).arg("-C").arg(folder))
}

/// Makes `folder` what `next` is: writes what has another content, takes away what is gone, touches nothing else.
pub fn bring_over(next: &Path, folder: &Path) -> Result<()> {
    let wanted = paths(next)?;
    // The deepest first: a folder is empty when its turn comes.
    for gone in paths(folder)?.into_iter().rev().filter(|path| !wanted.contains(path)) {
        let path = folder.join(gone);
        if path.symlink_metadata()?.is_dir() { fs::remove_dir(path)? } else { fs::remove_file(path)? }
    }
    for path in &wanted {
        let (from, to) = (next.join(path), folder.join(path));
        let kind = from.symlink_metadata()?.file_type();
        if kind.is_dir() {
            fs::create_dir_all(&to)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&from)?;
            if fs::read_link(&to).ok().as_ref() != Some(&target) {
                let _ = fs::remove_file(&to);
                std::os::unix::fs::symlink(target, &to)?;
            }
        } else if fs::read(&to).ok() != Some(fs::read(&from)?) {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Fetches packages of all sizes into `folder`: files that nothing makes smaller.
pub fn packages(store: &Path, folder: &Path) -> Result<()> {
    let kept = store.join("packages");
    if !kept.exists() {
        let fetched = tempfile::tempdir_in(store)?;
        fetch(fetched.path(), &names(PACKAGES, 0)?)?;
        fs::rename(fetched.keep(), &kept).context("keeping what was fetched")?;
    }
    run(Command::new("cp").args(["-a", "--"]).arg(kept.join(".")).arg(folder))
}

/// `count` names of packages that are not too large, in the order of the alphabet and evenly spread; another `start`
/// gives others.
pub fn names(count: usize, start: usize) -> Result<Vec<String>> {
    let said = output(Command::new("apt-cache").args(["dumpavail"]))?;
    let mut fitting = BTreeSet::new();
    let mut name = None;
    for line in said.lines() {
        if let Some(package) = line.strip_prefix("Package: ") {
            name = Some(package.to_owned());
        } else if let Some(size) = line.strip_prefix("Size: ")
            && (100_000..=PACKAGE_BYTES_MAX).contains(&size.parse::<u64>().unwrap_or_default())
        {
            fitting.extend(name.take());
        }
    }
    ensure!(fitting.len() > count + start, "apt knows too few packages: run `apt-get update` first");
    let step = fitting.len() / count;
    Ok(fitting.into_iter().skip(start).step_by(step).take(count).collect())
}

/// Fetches packages, by name or `name=version`, into an empty folder, and says where they are.
pub fn fetch(folder: &Path, names: &[String]) -> Result<Vec<PathBuf>> {
    eprintln!("fetching {} of Debian …", base::Count(names.len() as u64).counted("package"));
    // As root apt would want to become another user, who may not write here.
    let options = ["-o", "APT::Sandbox::User=root", "--quiet", "download"];
    run(Command::new("apt-get").args(options).args(names).current_dir(folder))?;
    let mut fetched: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    fetched.sort();
    Ok(fetched)
}

/// Unpacks a package's files, without installing it.
pub fn unpack(package: &Path, folder: &Path) -> Result<()> {
    run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(folder))
}

/// The versions of a package that apt knows, the newest first.
fn versions(package: &str) -> Result<Vec<String>> {
    let said = output(Command::new("apt-cache").args(["madison", package]))?;
    let mut versions: Vec<String> = Vec::new();
    for line in said.lines().filter(|line| !line.contains(" Sources")) {
        if let Some(version) = line.split('|').nth(1).map(|version| version.trim().to_owned())
            && !versions.contains(&version)
        {
            versions.push(version);
        }
    }
    Ok(versions)
}

/// Every path beneath a folder.
fn paths(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let below = |entry: walkdir::DirEntry| Ok(entry.path().strip_prefix(folder)?.to_owned());
    WalkDir::new(folder).min_depth(1).into_iter().map(|entry| below(entry?)).collect()
}

fn output(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("running {command:?}"))?;
    ensure!(done.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&done.stderr).trim());
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

pub(super) fn run(command: &mut Command) -> Result<()> {
    output(command).map(|_| ())
}
