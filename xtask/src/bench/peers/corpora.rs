//! What is backed up, and how it changes once: corpora that anybody can make again from Debian's packages, one that is
//! computed, and folders of one's own. Refuses to change a folder that it has not made.

mod debian;
mod image;

use crate::demo::corpus::{Corpus, noise};
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use std::fs;
use std::path::{Path, PathBuf};

/// The corpora that the bench makes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Kernel source of Debian, and then its newest version
    Linux,
    /// A disk image with a small Debian in it, and the same after packages were installed in it
    Image,
    /// Packages of Debian as they are: nothing in them can be compressed
    Packages,
    /// A million files of 0 to 200 bytes, and then ten of them changed
    Tiny,
}

/// A folder on the disk that changes once.
pub struct Subject {
    /// What it is called in the figures.
    pub name: String,
    /// Where it lies.
    pub folder: PathBuf,
    /// What the change is called; `None` where there is none.
    pub change: Option<&'static str>,
    /// Files, as it is now.
    pub files: u64,
    /// Their sizes together.
    pub bytes: u64,
    how: How,
}

enum How {
    Linux { next: PathBuf },
    Image,
    Nothing,
    Tiny,
    Own(Box<Corpus>),
}

impl Subject {
    /// Makes the corpus below `place`, from what was downloaded into `store` before, or is now.
    pub fn make(name: Name, store: &Path, place: &Path) -> Result<Self> {
        let folder = place.join("folder");
        fs::create_dir_all(&folder)?;
        let (how, change) = match name {
            Name::Linux => {
                let [first, next] = debian::kernel_sources(store)?;
                debian::unpack_source(&first, &folder)?;
                (How::Linux { next }, Some("next version"))
            }
            Name::Image => {
                image::make(store, &folder)?;
                (How::Image, Some("after the upgrade"))
            }
            Name::Packages => {
                debian::packages(store, &folder)?;
                (How::Nothing, None)
            }
            Name::Tiny => {
                tiny(&folder, TINY_FILES)?;
                (How::Tiny, Some("10 files changed"))
            }
        };
        let word = name.to_possible_value().context("every corpus has a word")?.get_name().to_owned();
        Self { name: word, folder, change, files: 0, bytes: 0, how }.counted()
    }

    /// A copy of a folder of one's own.
    pub fn own(folder: &Path, place: &Path) -> Result<Self> {
        let corpus = Corpus::copy(Some(folder), place)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (folder, how) = (corpus.copy.clone(), How::Own(Box::new(corpus)));
        Self { name, folder, change: Some("1 % of files changed"), files: 0, bytes: 0, how }.counted()
    }

    /// Changes the folder as its name says.
    pub fn change(&self, store: &Path) -> Result<()> {
        match &self.how {
            How::Linux { next } => {
                // It stays until the round is over: see `settle`.
                let unpacked = self.folder.with_file_name("next version");
                fs::create_dir(&unpacked)?;
                debian::unpack_source(next, &unpacked)?;
                debian::bring_over(&unpacked, &self.folder)
            }
            How::Image => image::upgrade(store, &self.folder),
            How::Nothing => Ok(()),
            How::Tiny => change_ten(&self.folder),
            How::Own(corpus) => corpus.change_one_percent().map(|_| ()),
        }
    }

    /// Makes ten files a byte longer, or all where there are fewer, spread over the folder.
    pub fn change_few(&self) -> Result<()> {
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in walkdir::WalkDir::new(&self.folder).sort_by_file_name() {
            let entry = entry.with_context(|| format!("walking {}", self.folder.display()))?;
            if entry.file_type().is_file() {
                files.push(entry.into_path());
            }
        }
        for file in files.iter().step_by(files.len().div_ceil(10).max(1)) {
            let mut open = fs::OpenOptions::new().append(true).open(file)?;
            std::io::Write::write_all(&mut open, b"x")?;
        }
        Ok(())
    }

    fn counted(mut self) -> Result<Self> {
        (self.files, self.bytes) = count(&self.folder)?;
        Ok(self)
    }
}

/// Files beneath a folder, and their sizes together.
pub fn count(folder: &Path) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.with_context(|| format!("walking {}", folder.display()))?;
        if entry.file_type().is_file() {
            files += 1;
            bytes += entry.metadata()?.len();
        }
    }
    Ok((files, bytes))
}

const TINY_FILES: u64 = 1_000_000;
const TINY_IN_FOLDER: u64 = 1_000;

/// Makes so many files of 0 to 200 bytes, a thousand in each folder: whole thousands.
pub fn tiny(folder: &Path, files: u64) -> Result<()> {
    ensure!(files > 0 && files.is_multiple_of(TINY_IN_FOLDER), "{files} files are not whole thousands");
    for parent in 0..files / TINY_IN_FOLDER {
        let parent_folder = folder.join(format!("{parent:03}"));
        fs::create_dir_all(&parent_folder)?;
        for file in 0..TINY_IN_FOLDER {
            let seed = parent * TINY_IN_FOLDER + file;
            fs::write(parent_folder.join(format!("{file:03}")), noise(seed, (seed % 201) as usize))?;
        }
    }
    Ok(())
}

/// Ten files, each in another folder.
fn change_ten(folder: &Path) -> Result<()> {
    for number in 0..10_u64 {
        let file = folder.join(format!("{:03}", number * 97)).join(format!("{:03}", number * 31));
        fs::write(file, noise(TINY_FILES + number, 150))?;
    }
    Ok(())
}
