//! Fuzzing every decoder of `format` with libFuzzer, on the stable compiler.
//! Refuses to go on after a crash: the input is kept, and the command that repeats it is printed.

use anyhow::{Context, bail, ensure};
use cargo_metadata::MetadataCommand;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How long the decoders are fuzzed as part of `cargo xtask test`.
pub const SECONDS_IN_TEST: u64 = 60;

/// The crate with one program for each decoder. It is a workspace of its own: its flags are not ours.
const CRATE: &str = "crates/format/fuzz";

/// What libFuzzer needs of the compiler: counters and comparisons, as cargo-fuzz asks for them. Overflows crash.
const FLAGS: &[&str] = &[
    "--cfg fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Ccodegen-units=1",
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
];

const MEMORY_MB_MAX: u32 = 1024;
const INPUT_SECONDS_MAX: u32 = 10;

/// Builds the programs and runs each for its part of `seconds`.
pub fn run(root: &Path, seconds: u64) -> anyhow::Result<()> {
    let programs = programs(root)?;
    let target = target()?;
    build(root, &target)?;
    let part = (seconds / programs.len() as u64).max(1);
    println!("fuzz: {} decoders, {part} s each", programs.len());
    for program in &programs {
        fuzz(root, &target, program, part)?;
    }
    Ok(())
}

/// The names of the programs, from the crate's manifest.
fn programs(root: &Path) -> anyhow::Result<Vec<String>> {
    let manifest = root.join(CRATE).join("Cargo.toml");
    ensure!(manifest.is_file(), "there is no {CRATE}/Cargo.toml, and so no decoder to fuzz");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().context("asking cargo for them")?;
    let targets = metadata.packages.into_iter().flat_map(|package| package.targets);
    let programs: Vec<_> = targets.filter(|target| target.is_bin()).map(|target| target.name).collect();
    ensure!(!programs.is_empty(), "{CRATE} has no program");
    Ok(programs)
}

/// This machine's own target. The flags of the compiler need `--target`, so that build scripts are built without them.
fn target() -> anyhow::Result<String> {
    let told = Command::new("rustc").arg("-vV").output().context("asking rustc what it builds for")?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let target = told.lines().find_map(|line| line.strip_prefix("host: "));
    target.map(str::to_owned).context("rustc does not say what it builds for")
}

fn build(root: &Path, target: &str) -> anyhow::Result<()> {
    let built = Command::new("cargo")
        .current_dir(root)
        .args([
            "build",
            "--quiet",
            "--locked",
            "--release",
            "--bins",
            "--target",
            target,
            "--target-dir",
            "target/fuzz",
        ])
        .args(["--manifest-path", &format!("{CRATE}/Cargo.toml")])
        .env("RUSTFLAGS", FLAGS.join(" "))
        .status()
        .context("starting cargo")?;
    ensure!(built.success(), "the fuzz programs do not build");
    Ok(())
}

fn fuzz(root: &Path, target: &str, program: &str, seconds: u64) -> anyhow::Result<()> {
    let binary = root.join("target/fuzz").join(target).join("release").join(program);
    // What was found interesting is kept from run to run; seeds are part of the repository and are not written to.
    let corpus = folder(root, &format!("target/fuzz/corpus/{program}"))?;
    let crashes = folder(root, &format!("target/fuzz/crashes/{program}"))?;
    let log_path = root.join("target/fuzz").join(format!("{program}.log"));
    let log = File::create(&log_path).with_context(|| format!("creating {}", log_path.display()))?;
    let ran = Command::new(&binary)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .arg(format!("-rss_limit_mb={MEMORY_MB_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg("-print_final_stats=1")
        .arg(&corpus)
        .args(Some(root.join(CRATE).join("corpus").join(program)).filter(|seeds| seeds.is_dir()))
        .stderr(log)
        .status()
        .with_context(|| format!("starting {}", binary.display()))?;
    let said = fs::read(&log_path).with_context(|| format!("reading {}", log_path.display()))?;
    let said = String::from_utf8_lossy(&said);
    if ran.success() {
        println!("fuzz: {program}: {}", summary(&said));
        return Ok(());
    }
    let kept = said.lines().find_map(|line| line.split("Test unit written to ").nth(1));
    let last: Vec<_> = said.lines().rev().take(40).collect();
    println!("{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
    match kept {
        Some(input) => bail!("{program} crashed; the input is {input}\nrepeat it with: {} {input}", binary.display()),
        None => bail!("{program} ended with {ran} and kept no input; all it said is in {}", log_path.display()),
    }
}

fn folder(root: &Path, path: &str) -> anyhow::Result<PathBuf> {
    let path = root.join(path);
    fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
    Ok(path)
}

/// libFuzzer's own count of inputs and of the size of its corpus.
fn summary(said: &str) -> String {
    let after = |mark: &str| said.lines().rev().find_map(|line| line.split(mark).nth(1)).map(str::trim);
    let inputs = after("number_of_executed_units:").unwrap_or("unknown");
    let covered = after(" cov: ").and_then(|rest| rest.split(' ').next()).unwrap_or("unknown");
    format!("{inputs} inputs, {covered} edges covered, no crash")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_read_from_what_libfuzzer_says() {
        let said = "#2\tINITED cov: 5 ft: 6 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                    #4096\tDONE   cov: 131 ft: 200 corp: 30/1Kb lim: 43 exec/s: 4096 rss: 31Mb\n\
                    Done 4096 runs in 1 second(s)\nstat::number_of_executed_units: 4096\n";
        assert_eq!(summary(said), "4096 inputs, 131 edges covered, no crash");
        assert_eq!(summary(""), "unknown inputs, unknown edges covered, no crash");
    }

    #[test]
    fn without_the_crate_of_the_decoders_the_sentence_says_so() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let error = run(root.path(), 1).expect_err("there is nothing");
        assert_eq!(error.to_string(), "there is no crates/format/fuzz/Cargo.toml, and so no decoder to fuzz");
    }
}
