//! What a folder becomes when content up to several lengths stands in the trees.
//! Refuses pages: a large directory is one tree here, which changes its length by little.

use super::{Packer, naming, sorted};
use engine::cutter;
use format::{ChunkKind, ChunkRef, Content, Entry, EntryBody, FileTime, Meta, NamingKey, Piece, Totals, Tree};
use std::collections::HashSet;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, io};

const LIMITS: [usize; 7] = [0, 128, 256, 512, 1_024, 2_048, 4_096];

/// What a snapshot of a folder consists of.
struct Snapshot {
    limit: usize,
    naming: NamingKey,
    known: HashSet<ChunkRef>,
    contents: u64,
    content: Packer,
    trees: Packer,
    trees_plain: u64,
}

pub fn run(folder: &Path) -> io::Result<()> {
    println!("| inline, bytes | chunks of content | MB of them | trees, MB plain | trees, MB | together, MB |");
    println!("|---|---|---|---|---|---|");
    for limit in LIMITS {
        let mut snapshot = Snapshot {
            limit,
            naming: naming(),
            known: HashSet::new(),
            contents: 0,
            content: Packer::default(),
            trees: Packer::default(),
            trees_plain: 0,
        };
        snapshot.directory(folder)?;
        let (contents, plain) = (snapshot.contents, snapshot.trees_plain);
        let [content, trees, plain] =
            [snapshot.content.end(), snapshot.trees.end(), plain].map(|bytes| bytes as f64 / 1e6);
        println!("| {limit} | {contents} | {content:.1} | {plain:.1} | {trees:.1} | {:.1} |", content + trees);
    }
    Ok(())
}

impl Snapshot {
    fn directory(&mut self, folder: &Path) -> io::Result<(ChunkRef, Totals)> {
        let (mut entries, mut beneath) = (Vec::new(), Totals::default());
        for entry in sorted(folder)? {
            let about = entry.metadata()?;
            let body = if about.is_dir() {
                let (tree, totals) = self.directory(&entry.path())?;
                beneath += totals;
                EntryBody::Directory { tree }
            } else if about.is_file() {
                let content = fs::read(entry.path())?;
                EntryBody::File { size: content.len() as u64, content: self.content(content) }
            } else {
                continue;
            };
            let time = |seconds, nanos: i64| FileTime { seconds, nanos: nanos as u32 };
            let meta = Meta {
                mode: (about.mode() & 0o7777) as u16,
                uid: about.uid(),
                gid: about.gid(),
                mtime: time(about.mtime(), about.mtime_nsec()),
                ctime: time(about.ctime(), about.ctime_nsec()),
                inode: about.ino(),
                ..Meta::default()
            };
            entries.push(Entry { name: entry.file_name().into_vec(), meta, body });
        }
        let tree = Tree::leaf(entries, beneath);
        let plain = tree.encode().map_err(io::Error::other)?;
        let name = self.naming.name(ChunkKind::Tree, &plain);
        if self.known.insert(name) {
            self.trees_plain += plain.len() as u64;
            self.trees.add(&plain);
        }
        Ok((name, tree.totals))
    }

    fn content(&mut self, content: Vec<u8>) -> Content {
        if content.len() <= self.limit || content.is_empty() {
            return Content::Inline(content);
        }
        let (mut pieces, mut rest) = (Vec::new(), &content[..]);
        while let Some(len) = cutter::first_cut(rest, true) {
            let (bytes, after) = rest.split_at(len);
            let chunk = self.naming.name(ChunkKind::Content, bytes);
            if self.known.insert(chunk) {
                self.contents += 1;
                self.content.add(bytes);
            }
            pieces.push(Piece::Data { chunk, len: len as u32 });
            rest = after;
        }
        Content::Pieces(pieces)
    }
}
