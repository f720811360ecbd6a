//! The folder that the story plays on: chosen, copied, and changed as a person would change it.
//! Refuses to write anywhere but in its own copy.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use walkdir::WalkDir;

/// The most that is copied when no folder is given.
const DEFAULT_BYTES_MAX: u64 = 1 << 30;
/// Real trees that machines of one kind or another have.
const DEFAULT_FOLDERS: [&str; 4] = ["/usr/share", "/usr/lib/python3", "/usr/include", "/Library/Documentation"];
/// Files that a person changes while the device is cut off: neighbours, as work in one folder does.
const WORKED_ON_MAX: usize = 20;
/// What changed so shortly before a backup is read by the next one too (docs/format.md, "Change detection"), which the
/// ledger would count against it: a backup of the story begins so long after the last change.
const REST_SPAN: Duration = Duration::from_millis(100);

/// A copy of a real folder.
pub struct Corpus {
    /// What was copied.
    pub original: PathBuf,
    /// The copy.
    pub copy: PathBuf,
    /// Its files in path order.
    pub files: Vec<PathBuf>,
    /// The sum of their sizes.
    pub bytes: u64,
}

/// What a change touched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changed {
    /// Files whose content is another now.
    pub files: u64,
    /// Their sizes together.
    pub bytes: u64,
}

impl Corpus {
    /// Copies `folder`, or a real tree of this machine, into `place`.
    pub fn copy(folder: Option<&Path>, place: &Path) -> Result<Self> {
        let copy = place.join("folder");
        let original = match folder {
            Some(folder) => {
                let original = folder.canonicalize().with_context(|| format!("there is no {}", folder.display()))?;
                if !original.is_dir() {
                    bail!("{} is not a folder", original.display());
                }
                copy_tree(&original, &copy)?;
                original
            }
            None => copy_default(&copy)?,
        };
        let (files, bytes) = files_of(&copy)?;
        if files.is_empty() {
            bail!("{} holds no file that can be read", original.display());
        }
        Ok(Self { original, copy, files, bytes })
    }

    /// Changes one file in a hundred, at least one, spread over the whole tree: a few bytes more at the end.
    pub fn change_one_percent(&self) -> Result<Changed> {
        self.change(self.files.iter().step_by(100), "changed by the demo, here and there")
    }

    /// Changes a few files that lie side by side, as a person at work would.
    pub fn change_as_at_work(&self) -> Result<Changed> {
        let from = self.files.len() / 2;
        self.change(self.files.iter().skip(from).take(WORKED_ON_MAX), "worked on while the device was cut off")
    }

    fn change<'a>(&self, files: impl Iterator<Item = &'a PathBuf>, text: &str) -> Result<Changed> {
        let mut changed = Changed::default();
        for path in files {
            // A file with two names would change under the other name too: replace it, as editors do.
            let metadata = fs::metadata(path)?;
            let mut bytes = fs::read(path)?;
            writeln!(bytes, "{text}")?;
            let fresh = path.with_extension("holdfast-demo");
            fs::write(&fresh, &bytes)?;
            fs::set_permissions(&fresh, metadata.permissions())?;
            fs::rename(&fresh, path)?;
            changed.files += 1;
            changed.bytes += bytes.len() as u64;
        }
        std::thread::sleep(REST_SPAN);
        Ok(changed)
    }

    /// A folder beside the copy with so many bytes that nobody has had before.
    pub fn make_fresh(&self, bytes: u64) -> Result<PathBuf> {
        let folder = self.copy.with_file_name("fresh");
        fs::create_dir_all(&folder)?;
        for number in 0..bytes.div_ceil(FRESH_FILE_BYTES) {
            fs::write(folder.join(format!("{number:05}")), noise(number, FRESH_FILE_BYTES as usize))?;
        }
        Ok(folder)
    }
}

const FRESH_FILE_BYTES: u64 = 4 << 20;

/// A tree for the test: odd names, links, holes and sizes, about 12 MB.
pub fn make_small(folder: &Path) -> Result<()> {
    for number in 0..600_u64 {
        let parent = folder.join(format!("folder {}", number % 23)).join(format!("{}", number % 7));
        fs::create_dir_all(&parent)?;
        let len = (number * number * 37) % 60_000;
        fs::write(parent.join(format!("file {number}.txt")), noise(number, len as usize))?;
    }
    fs::write(folder.join("large"), noise(9_999, 5_000_000))?;
    fs::write(folder.join("Grüße, été, 日本"), "names in every language")?;
    fs::create_dir_all(folder.join("an empty folder"))?;
    fs::write(folder.join("an empty file"), "")?;
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        fs::write(folder.join(std::ffi::OsStr::from_bytes(b"not utf-8 \xff\xfe")), "an old name")?;
        std::os::unix::fs::symlink("an empty file", folder.join("a link"))?;
        std::os::unix::fs::symlink("../nowhere", folder.join("a link to nowhere"))?;
        fs::hard_link(folder.join("large"), folder.join("large, by another name"))?;
    }
    fs::File::create(folder.join("holes"))?.set_len(300 << 20).context("making a file of holes")
}

fn copy_default(copy: &Path) -> Result<PathBuf> {
    let folder = DEFAULT_FOLDERS.iter().map(Path::new).find(|folder| folder.is_dir());
    let folder = folder.context("none of the usual folders is here: name one, as in `cargo xtask demo FOLDER`")?;
    fs::create_dir_all(copy)?;
    let mut children: Vec<PathBuf> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    children.sort();
    let mut bytes = 0;
    for child in children {
        let size = size_of(&child);
        if bytes + size <= DEFAULT_BYTES_MAX {
            bytes += size;
            copy_tree(&child, &copy.join(child.file_name().context("a child has a name")?))?;
        }
    }
    Ok(folder.to_owned())
}

/// `cp` knows links, holes, owners, times and attributes on every system that has it.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("cp").arg("-a").arg("--").arg(from).arg(to).output().context("running cp")?;
    if !done.status.success() && !to.exists() {
        bail!("cp could not copy {}: {}", from.display(), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}

fn size_of(path: &Path) -> u64 {
    let files = WalkDir::new(path).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    files.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn files_of(folder: &Path) -> Result<(Vec<PathBuf>, u64)> {
    let (mut files, mut bytes) = (Vec::new(), 0);
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.context("walking the copy")?;
        if entry.file_type().is_file() {
            let len = entry.metadata()?.len();
            bytes += len;
            // Neither a changed giant nor a file of holes says anything about the promise: leave them as they are.
            if len <= CHANGED_BYTES_MAX && fs::File::open(entry.path()).is_ok() {
                files.push(entry.into_path());
            }
        }
    }
    Ok((files, bytes))
}

const CHANGED_BYTES_MAX: u64 = 64 << 20;

/// Bytes without any pattern, the same for the same seed (xorshift64*).
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
