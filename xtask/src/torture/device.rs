//! A device that changes its folder and backs it up, again and again, by the endpoint's own program; it remembers what
//! was in the folder at each backup that was acknowledged. Refuses to take another answer for one.

use crate::demo::programs::{Programs, ask};
use anyhow::{Context, Result, ensure};
use base::{Entropy as _, SeededEntropy};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whose the devices are.
pub(super) const EMAIL: &str = "torture@example.test";

/// Files of a folder, changes before each backup, and the longest file.
const FILES: u64 = 40;
const CHANGES: u64 = 3;
const FILE_BYTES_MAX: u64 = 24 << 10;
/// How long a request is asked again.
const PATIENCE: &str = "30";

/// The digest of each file of a folder, by name.
type Contents = BTreeMap<String, [u8; 32]>;

pub(super) struct Device {
    state: PathBuf,
    folder: PathBuf,
    drawn: SeededEntropy,
    /// Each snapshot that was acknowledged, with what was in the folder.
    acknowledged: Mutex<Vec<(String, Contents)>>,
    /// An answer that no kill of a server excuses.
    broken: Mutex<Option<String>>,
}

impl Device {
    pub(super) fn new(place: &Path, number: u64, seed: u64) -> Result<Self> {
        let (state, folder) = (place.join(format!("state {number}")), place.join(format!("folder {number}")));
        fs::create_dir(&folder)?;
        let drawn = SeededEntropy::new(seed << 32 | number);
        let device = Self { state, folder, drawn, acknowledged: Mutex::default(), broken: Mutex::default() };
        (0..FILES).try_for_each(|file| device.write(file))?;
        Ok(device)
    }

    pub(super) fn activate(&self, programs: &Programs, data: &Path, password: &Path, port: u16) -> Result<()> {
        let mut command = programs.activation(&self.state, port, data, EMAIL, password, &self.folder);
        ask(command.args(["--choice", "add"])).map(drop)
    }

    /// Backs up until it is told to stop.
    ///
    /// # Errors
    /// A file that cannot be written, a program that cannot be run.
    pub(super) fn live(&self, programs: &Programs, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::SeqCst) {
            for _ in 0..CHANGES {
                self.write(self.number() % FILES)?;
            }
            let contents = contents(&self.folder)?;
            let mut command = programs.device(&self.state, &["--patience", PATIENCE, "backup"]);
            let output = command.stdin(Stdio::null()).output().context("running the endpoint")?;
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            match answer["snapshot"].as_str().filter(|_| output.status.success()) {
                Some(snapshot) => self.lock(&self.acknowledged).push((snapshot.to_owned(), contents)),
                // A server that goes away is a reason to ask again, and no other.
                None if answer["error"]["retry"] == "later" => {}
                None => {
                    let said = format!("{answer} {}", String::from_utf8_lossy(&output.stderr));
                    self.lock(&self.broken).get_or_insert(said);
                }
            }
        }
        Ok(())
    }

    /// The snapshots that were acknowledged, the oldest first.
    pub(super) fn acknowledged(&self) -> Vec<String> {
        self.lock(&self.acknowledged).iter().map(|(snapshot, _)| snapshot.clone()).collect()
    }

    /// An answer that no kill of a server excuses.
    pub(super) fn broken(&self) -> Option<String> {
        self.lock(&self.broken).clone()
    }

    /// Restores the newest snapshot and some drawn ones, and compares every file. Gives how many.
    ///
    /// # Errors
    /// The first that is not what it was.
    pub(super) fn restore_some(&self, programs: &Programs, count: usize) -> Result<u64> {
        let all = self.lock(&self.acknowledged).clone();
        let newest = all.len().checked_sub(1).into_iter();
        let drawn = (1..count).filter(|_| !all.is_empty()).map(|_| self.number() as usize % all.len());
        let mut restored = 0;
        for position in newest.chain(drawn) {
            let (snapshot, expected) = &all[position];
            let to = self.folder.with_extension(format!("restored {restored}"));
            let mut command = programs.device(&self.state, &["restore", snapshot]);
            ask(command.arg(&self.folder).arg("--to").arg(&to))?;
            let copy = to.join(self.folder.file_name().context("the folder has a name")?);
            ensure!(contents(&copy)? == *expected, "{snapshot} is not what it was: see {}", copy.display());
            fs::remove_dir_all(&to)?;
            restored += 1;
        }
        Ok(restored)
    }

    /// Writes a file anew, with drawn contents.
    fn write(&self, file: u64) -> Result<()> {
        let mut bytes = vec![0; (self.number() % FILE_BYTES_MAX) as usize];
        self.drawn.fill(&mut bytes);
        fs::write(self.folder.join(format!("file {file}")), bytes).context("writing a file")
    }

    fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.drawn.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> std::sync::MutexGuard<'a, T> {
        mutex.lock().expect("no panic with it")
    }
}

fn contents(folder: &Path) -> Result<Contents> {
    let mut contents = Contents::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("names are ASCII")?;
        contents.insert(name, *blake3::hash(&fs::read(entry.path())?).as_bytes());
    }
    Ok(contents)
}
