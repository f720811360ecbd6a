//! The content of a file of the model, holes and all, so that a test can have ten gigabytes of them.
//! Refuses nothing: whatever lengths it is given are the file.

use base::{Entropy, SeededEntropy};
use bytes::Bytes;
use engine::Extent;

/// One stretch of a file.
#[derive(Clone, Debug)]
pub enum Segment {
    /// Bytes that the file system keeps.
    Data(Bytes),
    /// So many zeroes that it does not.
    Hole(u64),
}

impl Segment {
    fn len(&self) -> u64 {
        match self {
            Segment::Data(bytes) => bytes.len() as u64,
            Segment::Hole(len) => *len,
        }
    }
}

/// All of a file: its stretches, each with its offset.
#[derive(Clone, Debug, Default)]
pub struct Content {
    segments: Vec<(u64, Segment)>,
    size: u64,
}

impl Content {
    /// Bytes without holes.
    pub fn of(bytes: impl Into<Bytes>) -> Self {
        Self::sparse([Segment::Data(bytes.into())])
    }

    /// Stretches back to back.
    pub fn sparse(segments: impl IntoIterator<Item = Segment>) -> Self {
        let mut content = Self::default();
        for segment in segments {
            let len = segment.len();
            if len > 0 {
                content.segments.push((content.size, segment));
                content.size += len;
            }
        }
        content
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that are not in holes.
    pub fn stored(&self) -> u64 {
        self.data().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// The stretches that are not holes, each with its offset.
    pub fn data(&self) -> impl Iterator<Item = (u64, &Bytes)> {
        self.segments.iter().filter_map(|(at, segment)| match segment {
            Segment::Data(bytes) => Some((*at, bytes)),
            Segment::Hole(_) => None,
        })
    }

    /// The holes: offset and length.
    pub fn holes(&self) -> impl Iterator<Item = (u64, u64)> {
        self.segments.iter().filter_map(|(at, segment)| match segment {
            Segment::Data(_) => None,
            Segment::Hole(len) => Some((*at, *len)),
        })
    }

    /// As `SourceFile::read_at`.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> usize {
        let wanted = (into.len() as u64).min(self.size.saturating_sub(offset)) as usize;
        let mut done = 0;
        let mut at = self.segments.partition_point(|(at, segment)| at + segment.len() <= offset);
        while done < wanted {
            let (begin, segment) = &self.segments[at];
            let skip = offset + done as u64 - begin;
            let len = (segment.len() - skip).min((wanted - done) as u64) as usize;
            match segment {
                Segment::Data(bytes) => {
                    into[done..done + len].copy_from_slice(&bytes[skip as usize..skip as usize + len]);
                }
                Segment::Hole(_) => into[done..done + len].fill(0),
            }
            done += len;
            at += 1;
        }
        wanted
    }

    /// As `SourceFile::extents`.
    pub fn extents(&self, size: u64) -> Vec<Extent> {
        let mut extents: Vec<Extent> = Vec::new();
        for (at, segment) in &self.segments {
            let len = segment.len().min(size.saturating_sub(*at));
            match (segment, extents.last_mut()) {
                (Segment::Data(_), Some(Extent::Data(last))) | (Segment::Hole(_), Some(Extent::Hole(last))) => {
                    *last += len;
                }
                (Segment::Data(_), _) if len > 0 => extents.push(Extent::Data(len)),
                (Segment::Hole(_), _) if len > 0 => extents.push(Extent::Hole(len)),
                _ => {}
            }
        }
        extents
    }
}

/// Bytes that do not compress and that no other seed gives.
pub fn noise(seed: u64, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    SeededEntropy::new(seed).fill(&mut bytes);
    Bytes::from(bytes)
}

/// A line of text over and over, which compresses.
pub fn text(seed: u64, len: usize) -> Bytes {
    let line = format!("line of file {seed}, as programs write them by the thousand\n");
    Bytes::from(line.bytes().cycle().take(len).collect::<Vec<u8>>())
}
