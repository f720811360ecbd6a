//! The suite for stores, and a backup, a collection and a restore by the real programs, in a bucket of a Ceph gateway
//! that is started for it. Refuses to leave the gateway running, and to show the secret of its user.

use super::ceph::Ceph;
use crate::demo::programs::{Programs, ask};
use crate::demo::{compare, corpus};
use anyhow::{Context, Result, bail, ensure};
use base::{Clock as _, Span, SystemClock};
use clap::Args;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What `cargo xtask soak store` takes.
#[derive(Args)]
pub struct Options {
    /// Use the programs in this folder instead of building them as the tests do
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// Where the test reads which server it may use: cargo's directory for tests.
const TOLD: &str = "target/tmp/soak_store";
/// The bucket. The test makes it, and uses parts of it; the programs use another part.
const BUCKET: &str = "holdfast-soak";
const EMAIL: &str = "ceph@example.test";
/// How long a collection of the small folder may take.
const COLLECTION_SPAN: Span = Span::minutes(5);

/// Runs it.
///
/// # Errors
/// A program of Ceph's that is missing or does not start, the suite's first broken promise, a step of the programs that
/// does not succeed. The logs of the gateway are kept then.
pub(super) fn run(root: &Path, options: &Options) -> Result<()> {
    let version = Ceph::version()?;
    let programs = match &options.programs {
        Some(folder) => Programs::in_folder(folder),
        None => Programs::build_for_tests(root)?,
    };
    let place = tempfile::tempdir().context("making a temporary folder")?;
    let began_at = SystemClock.now();
    let ceph = Ceph::start(place.path()).context("starting a Ceph cluster")?;
    println!("soak store: Ceph {version} at {} after {}", ceph.endpoint(), SystemClock.now().since(began_at));
    let ended = play(root, &programs, &ceph, place.path());
    drop(ceph);
    if ended.is_err() {
        // The disk of the OSD is large, and nobody looks into it.
        fs::remove_file(place.path().join("block")).context("removing the disk of the OSD")?;
        println!("the logs of Ceph and of the server are kept in {}", place.keep().display());
        return ended;
    }
    println!("soak store: nothing wrong in {}", SystemClock.now().since(began_at));
    Ok(())
}

fn play(root: &Path, programs: &Programs, ceph: &Ceph, place: &Path) -> Result<()> {
    let key_file = place.join("s3.key");
    ceph.make_user("holdfast", &key_file)?;
    suite(root, ceph, &key_file)?;
    let began_at = SystemClock.now();
    back_up_and_restore(programs, ceph, &key_file, place)?;
    println!("soak store: backups, scrubs, a collection and a restore in {}", SystemClock.now().since(began_at));
    Ok(())
}

/// The test of the crate `store` that plays on a server outside its process.
fn suite(root: &Path, ceph: &Ceph, key_file: &Path) -> Result<()> {
    let told = root.join(TOLD);
    fs::create_dir_all(told.parent().context("it has a directory")?).context("making the directory for tests")?;
    fs::write(&told, format!("{}\n{BUCKET}\n{}\n", ceph.endpoint(), key_file.display()))
        .context("saying where the gateway is")?;
    // All of the workspace, as `cargo xtask test` has built it: a part would be built with other features.
    let test = ["test", "--locked", "--workspace", "--lib", "--", "--ignored", "s3::tests::outside", "--nocapture"];
    let ended = Command::new("cargo").args(test).current_dir(root).status().context("starting cargo")?;
    fs::remove_file(&told).context("removing where the gateway was")?;
    ensure!(ended.success(), "the store in a bucket of Ceph breaks a promise: see what the test said");
    Ok(())
}

/// One round of the real programs: what a device backs up into the bucket comes back as it was.
fn back_up_and_restore(programs: &Programs, ceph: &Ceph, key_file: &Path, place: &Path) -> Result<()> {
    let (data, password) = (place.join("server"), place.join("password"));
    fs::write(&password, "a password for nobody else\n").context("writing a password")?;
    fs::create_dir(&data).context("making the data directory")?;
    let settings = format!(
        "s3.bucket = \"{BUCKET}\"\ns3.prefix = \"programs\"\ns3.endpoint = \"{}\"\ns3.key_file = \"s3.key\"\n",
        ceph.endpoint()
    );
    fs::write(data.join("holdfast.toml"), settings).context("writing the configuration")?;
    fs::copy(key_file, data.join("s3.key")).context("copying the access key")?;
    programs.init(&data, &password)?;
    programs.user_add(&data, EMAIL, &password)?;
    let server = programs.serve(&data, 0)?;

    let original = place.join("small tree");
    corpus::make_small(&original)?;
    let folder = corpus::Corpus::copy(Some(&original), place)?;
    let state = place.join("endpoint");
    ask(&mut programs.activation(&state, server.port, &data, EMAIL, &password, &folder.copy))?;
    ask(&mut programs.device(&state, &["backup"]))?;
    folder.change_one_percent()?;
    ask(&mut programs.device(&state, &["backup"]))?;
    scrub(programs, &data)?;
    collect(programs, &data)?;
    scrub(programs, &data)?;

    let restored = place.join("restored");
    ask(programs.device(&state, &["restore", "latest"]).arg(&folder.copy).arg("--to").arg(&restored))?;
    let copy = restored.join(folder.copy.file_name().context("the copy has a name")?);
    compare::trees(&folder.copy, &copy).context("the restored folder differs")?;
    ensure!(!data.join("store").exists(), "there is a store on the disk beside the bucket");
    Ok(())
}

fn scrub(programs: &Programs, data: &Path) -> Result<()> {
    let report = ask(&mut programs.admin(data, &["scrub"])).context("a scrub that is not clean")?;
    ensure!(report["clean"] == Value::Bool(true), "the scrub is not clean: {report}");
    Ok(())
}

/// Has a collection begin, and waits until it has ended.
fn collect(programs: &Programs, data: &Path) -> Result<()> {
    ask(&mut programs.admin(data, &["collect", "start"]))?;
    let began_at = SystemClock.now();
    loop {
        let answer = ask(&mut programs.admin(data, &["collect", "status"]))?;
        let last = &answer["collections"][0];
        if last["phase"] == "ended" {
            ensure!(last["flaws"] == 0 && last["snapshots"] == 2, "the collection did not see everything: {last}");
            return Ok(());
        }
        if SystemClock.now().since(began_at) > COLLECTION_SPAN {
            bail!("the collection has not ended after {COLLECTION_SPAN}: {answer}");
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
