//! How small a folder becomes, and what that costs one core, for frames of several lengths and several levels of zstd:
//! the experiment behind docs/performance.md, "Frame and level". `cargo run --release --example frames -p engine --
//! DIR`. Refuses the network, the cipher and the server: `cargo xtask bench peers` has those.

#![expect(clippy::print_stdout, reason = "what it finds out is for a person")]

use base::Secret;
use engine::cutter;
use format::{ChunkKind, NamingKey, compress};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fs, io};
use tokio::time::Instant;

const FRAMES: [usize; 5] = [256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20];
const LEVELS: [i32; 5] = [1, 2, 3, 4, 5];
/// Shorter files lie in their entry of a tree, and in no frame.
const INLINE_MAX: usize = 512;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let (mut chunks, mut known) = (Vec::new(), HashSet::new());
    let naming = NamingKey::new(&Secret::new([7; 32]));
    read(&folder, &mut |content| {
        let mut rest = content;
        while let Some(len) = cutter::first_cut(rest, true) {
            let (chunk, after) = rest.split_at(len);
            if known.insert(naming.name(ChunkKind::Content, chunk)) {
                chunks.push(chunk.to_vec());
            }
            rest = after;
        }
    })?;
    let plain: usize = chunks.iter().map(Vec::len).sum();
    println!("{} chunks, {:.1} MB\n", chunks.len(), plain as f64 / 1e6);
    println!("| frame KiB | level | MB | of the plain | compress, s | open, s |\n|---|---|---|---|---|---|");
    for frame in FRAMES {
        let groups = groups(&chunks, frame);
        for level in LEVELS {
            let began = Instant::now();
            let packed: Vec<_> = groups.iter().map(|group| packed(group, level)).collect();
            let compressed_in = began.elapsed().as_secs_f64();
            let bytes: usize = packed.iter().map(|(_, packed, _)| packed.len()).sum();
            let began = Instant::now();
            for (codec, packed, plain_len) in &packed {
                let opened = compress::decompress(*codec, packed, *plain_len).expect("what was just compressed opens");
                std::hint::black_box(opened);
            }
            let opened_in = began.elapsed().as_secs_f64();
            let (mb, part) = (bytes as f64 / 1e6, bytes as f64 / plain as f64);
            println!("| {} | {level} | {mb:.1} | {part:.3} | {compressed_in:.2} | {opened_in:.2} |", frame >> 10);
        }
    }
    Ok(())
}

/// Every file below `folder` that has chunks, in the order of a backup.
fn read(folder: &Path, seen: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            read(&entry.path(), seen)?;
        } else if kind.is_file() {
            let content = fs::read(entry.path())?;
            if content.len() > INLINE_MAX {
                seen(&content);
            }
        }
    }
    Ok(())
}

/// Chunks that share a frame, as the packer puts them together.
fn groups(chunks: &[Vec<u8>], frame: usize) -> Vec<Vec<u8>> {
    let (mut groups, mut open) = (Vec::new(), Vec::new());
    for chunk in chunks {
        if open.len() + chunk.len() > frame && !open.is_empty() {
            groups.push(std::mem::take(&mut open));
        }
        open.extend_from_slice(chunk);
    }
    groups.extend((!open.is_empty()).then_some(open));
    groups
}

fn packed(group: &[u8], level: i32) -> (compress::Codec, Vec<u8>, u32) {
    let mut packed = Vec::new();
    let codec = compress::compress(group, level, 0, &mut packed);
    packed.shrink_to_fit();
    (codec, packed, group.len() as u32)
}
