//! Reads a large file from end to end, a window at a time, one window ahead of who cuts what was read.
//! Refuses to go on behind a place where the file has ended before its time.

use crate::cpu::{Cpu, Started};
use crate::error::SourceError;
use crate::ports::{Extent, SourceFile};
use crate::progress::Progress;
use std::sync::Arc;

/// Bytes read in one go.
const WINDOW_BYTES: u64 = 4 << 20;

/// What comes next of a file.
pub(super) enum Next {
    /// So many bytes that are not stored.
    Hole(u64),
    /// Bytes that were read, and whether the stretch of the file ends with them.
    Bytes { bytes: Vec<u8>, is_end: bool },
    /// The same, and the file has ended before its stretch did.
    Short(Vec<u8>),
}

/// The windows of one file.
pub(super) struct Reads {
    cpu: Cpu,
    progress: Arc<Progress>,
    /// Stretches that were not begun, the next one last.
    extents: Vec<Extent>,
    /// How far the file is read, or being read.
    at: u64,
    /// The file, unless a window of it is being read.
    file: Option<Box<dyn SourceFile>>,
    under_way: Option<UnderWay>,
    /// Windows that are done with.
    free: Vec<Vec<u8>>,
}

enum UnderWay {
    Hole(u64),
    Read(Started<Read>),
}

struct Read {
    file: Box<dyn SourceFile>,
    read: Result<usize, SourceError>,
    bytes: Vec<u8>,
    is_end: bool,
}

impl Reads {
    /// Begins with the first of these stretches.
    pub fn begin(cpu: &Cpu, progress: &Arc<Progress>, file: Box<dyn SourceFile>, mut extents: Vec<Extent>) -> Self {
        extents.reverse();
        let (cpu, progress, file) = (cpu.clone(), Arc::clone(progress), Some(file));
        let mut reads = Self { cpu, progress, extents, at: 0, file, under_way: None, free: Vec::new() };
        reads.go_on();
        reads
    }

    /// What comes next; `None` at the end of the file.
    ///
    /// # Errors
    /// The medium or the file system fails.
    pub async fn next(&mut self) -> Result<Option<Next>, SourceError> {
        let next = match self.under_way.take() {
            None => return Ok(None),
            Some(UnderWay::Hole(len)) => Next::Hole(len),
            Some(UnderWay::Read(started)) => {
                let Read { file, read, mut bytes, is_end } = started.await;
                self.file = Some(file);
                let (len, wanted) = (read?, bytes.len());
                self.progress.add_bytes_read(len as u64);
                if len < wanted {
                    bytes.truncate(len);
                    return Ok(Some(Next::Short(bytes)));
                }
                Next::Bytes { bytes, is_end }
            }
        };
        self.go_on();
        Ok(Some(next))
    }

    /// Takes a window back that is done with.
    pub fn reuse(&mut self, window: Vec<u8>) {
        self.free.push(window);
    }

    /// The file, after `next` has given everything.
    pub fn into_file(self) -> Option<Box<dyn SourceFile>> {
        self.file
    }

    fn go_on(&mut self) {
        self.under_way = match self.extents.pop() {
            None => None,
            Some(Extent::Hole(len)) => {
                self.at += len;
                Some(UnderWay::Hole(len))
            }
            Some(Extent::Data(len)) => Some(self.read(len)),
        };
    }

    /// Begins to read the first window of a stretch; the rest of it comes next.
    fn read(&mut self, stretch: u64) -> UnderWay {
        let len = stretch.min(WINDOW_BYTES);
        if len < stretch {
            self.extents.push(Extent::Data(stretch - len));
        }
        let (at, is_end) = (self.at, len == stretch);
        self.at += len;
        let file = self.file.take().expect("one window is read at a time");
        let mut bytes = self.free.pop().unwrap_or_default();
        UnderWay::Read(self.cpu.start(move || {
            bytes.resize(len as usize, 0);
            let read = file.read_at(at, &mut bytes);
            Read { file, read, bytes, is_end }
        }))
    }
}
