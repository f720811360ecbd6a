//! How much of a folder is sent, first and after its change, for chunks of several lengths. The least chunk is a
//! quarter of the average, the most four times it, as the engine has it.
//! Refuses to compare cutters: there is one.

use super::{INLINE_MAX, Packer, naming, read};
use fastcdc::v2020::FastCDC;
use format::{ChunkKind, ChunkRef, NamingKey};
use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

const AVERAGES: [usize; 5] = [64 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20];

/// What was sent of a folder.
struct Sent {
    chunks: u64,
    plain: u64,
    packed: u64,
    cut_in: Duration,
}

pub fn run(folder: &Path, next: &Path) -> io::Result<()> {
    println!(
        "| average KiB | chunks | MB sent first | then new chunks | MB of them | MB sent then | cut and name, s |"
    );
    println!("|---|---|---|---|---|---|---|");
    for average in AVERAGES {
        let (mut known, naming) = (HashSet::new(), naming());
        let first = sent(folder, average, &naming, &mut known)?;
        let then = sent(next, average, &naming, &mut known)?;
        let mb = |bytes: u64| bytes as f64 / 1e6;
        println!(
            "| {} | {} | {:.1} | {} | {:.1} | {:.1} | {:.2} |",
            average >> 10,
            first.chunks,
            mb(first.packed),
            then.chunks,
            mb(then.plain),
            mb(then.packed),
            (first.cut_in + then.cut_in).as_secs_f64(),
        );
    }
    Ok(())
}

fn sent(folder: &Path, average: usize, naming: &NamingKey, known: &mut HashSet<ChunkRef>) -> io::Result<Sent> {
    let mut sent = Sent { chunks: 0, plain: 0, packed: 0, cut_in: Duration::ZERO };
    let mut packer = Packer::default();
    read(folder, &mut |content| {
        if content.len() <= INLINE_MAX {
            return;
        }
        let began = Instant::now();
        let cuts: Vec<_> = match content.len() <= average / 4 {
            true => vec![(0, content.len())],
            false => {
                FastCDC::new(content, average / 4, average, average * 4).map(|cut| (cut.offset, cut.length)).collect()
            }
        };
        let chunks = cuts.into_iter().map(|(at, len)| &content[at..at + len]);
        let named: Vec<_> = chunks.map(|chunk| (naming.name(ChunkKind::Content, chunk), chunk)).collect();
        sent.cut_in += began.elapsed();
        for (name, chunk) in named {
            if known.insert(name) {
                sent.chunks += 1;
                sent.plain += chunk.len() as u64;
                packer.add(chunk);
            }
        }
    })?;
    sent.packed = packer.end();
    Ok(sent)
}
