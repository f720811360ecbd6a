//! The experiments behind the constants of the engine (docs/performance.md, "Constants"), by one core, on any folder:
//! `cargo run --release --example constants -p engine -- frames DIR | chunks DIR NEXT | inline DIR`.
//! Refuses the network, the cipher and the server: `cargo xtask bench peers` has those.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it finds out is for a person")]

mod chunks;
mod frames;
mod inline;

use base::Secret;
use format::{NamingKey, compress};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

/// Content up to this length stands in its entry of a tree.
const INLINE_MAX: usize = 512;
/// Chunks are put together until they are this long.
const FRAME: usize = 256 << 10;
/// The level of zstd.
const LEVEL: i32 = 3;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let which = words.next().unwrap_or_default();
    let folders: Vec<PathBuf> = words.map(PathBuf::from).collect();
    let done = match (which.to_str(), &folders[..]) {
        (Some("frames"), [folder]) => frames::run(folder),
        (Some("chunks"), [folder, next]) => chunks::run(folder, next),
        (Some("inline"), [folder]) => inline::run(folder),
        _ => {
            eprintln!("usage: constants frames DIR | chunks DIR NEXT | inline DIR");
            return ExitCode::FAILURE;
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn naming() -> NamingKey {
    NamingKey::new(&Secret::new([7; 32]))
}

/// The content of every file below `folder`, in the order of a backup.
fn read(folder: &Path, seen: &mut impl FnMut(&[u8])) -> io::Result<()> {
    for entry in sorted(folder)? {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            read(&entry.path(), seen)?;
        } else if kind.is_file() {
            seen(&fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn sorted(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

/// Puts chunks into frames as the packer does, and counts what becomes of them.
#[derive(Default)]
struct Packer {
    open: Vec<u8>,
    packed: u64,
}

impl Packer {
    fn add(&mut self, chunk: &[u8]) {
        if self.open.len() + chunk.len() > FRAME && !self.open.is_empty() {
            self.close();
        }
        self.open.extend_from_slice(chunk);
    }

    fn close(&mut self) {
        let mut packed = Vec::new();
        compress::compress(&self.open, LEVEL, 0, &mut packed);
        self.packed += packed.len() as u64;
        self.open.clear();
    }

    /// Bytes of all frames.
    fn end(mut self) -> u64 {
        self.close();
        self.packed
    }
}
