//! How small a folder becomes, and what that costs, for frames of several lengths and several levels of zstd.
//! Refuses to read a file twice: all chunks are held.

use super::{INLINE_MAX, naming, read};
use engine::cutter;
use format::{ChunkKind, compress};
use std::collections::HashSet;
use std::io;
use std::path::Path;
use tokio::time::Instant;

const FRAMES: [usize; 5] = [256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20];
const LEVELS: [i32; 5] = [1, 2, 3, 4, 5];

pub fn run(folder: &Path) -> io::Result<()> {
    let (mut chunks, mut known, naming) = (Vec::new(), HashSet::new(), naming());
    read(folder, &mut |content| {
        let mut rest = if content.len() > INLINE_MAX { content } else { &[] };
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
