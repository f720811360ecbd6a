//! Brings peers here by the ordinary clients of Debian's packages and of crates.io. Refuses to change a peer.

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program of the Debian package of the same name; the answer is what it says of its release.
pub fn of_debian(package: &str, version: &[&str]) -> Result<String> {
    of_debian_as(package, package, version)
}

/// A program of a Debian package.
pub fn of_debian_as(package: &str, program: &str, version: &[&str]) -> Result<String> {
    if let Ok(said) = release(Path::new(program), version) {
        return Ok(said);
    }
    packages(&[package])?;
    release(Path::new(program), version)
}

/// Installs Debian packages that are not here.
pub fn packages(names: &[&str]) -> Result<()> {
    let there = |name: &&&str| {
        let asked = Command::new("dpkg-query").args(["-W", "-f", "${Status}", name]).output();
        !asked.is_ok_and(|said| said.stdout.starts_with(b"install ok"))
    };
    let missing: Vec<&&str> = names.iter().filter(there).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("installing {missing:?} with apt-get");
    let options = ["install", "--yes", "--quiet", "--no-install-recommends"];
    let installed = Command::new("apt-get").args(options).args(missing.iter()).stdout(Stdio::null()).status();
    if installed.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    bail!("apt-get cannot install {missing:?}: install them, then run the bench again")
}

/// A program of a crate, built once in release mode and kept.
pub fn of_crates(package: &str, program: &str, tools: &Path) -> Result<String> {
    let path = of_tools(tools, program);
    if !path.exists() {
        eprintln!("building {package} from crates.io, which takes minutes …");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["install", "--quiet", "--locked", package, "--root"]).arg(tools);
        let built = command.stdin(Stdio::null()).stdout(Stdio::null()).status().context("running cargo")?;
        ensure!(built.success(), "{package} does not build");
    }
    release(&path, &["--version"])
}

/// Where a program that was built is.
pub fn of_tools(tools: &Path, program: &str) -> PathBuf {
    tools.join("bin").join(program)
}

fn release(program: &Path, version: &[&str]) -> Result<String> {
    let said =
        Command::new(program).args(version).output().with_context(|| format!("running {}", program.display()))?;
    let text = String::from_utf8_lossy(&said.stdout);
    Ok(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned())
}
