//! Open and write: decompresses a parcel, names every chunk again, writes it to each place that needs it, and
//! finishes the files that have all their pieces. Runs on the pool.

use super::work::{FileWork, Window};
use crate::error::TargetError;
use crate::ports::{Parcel, Target, TargetFile};
use crate::progress::Progress;
use format::{ChunkKind, ChunkRef, Content, Entry, EntryBody, NamingKey, StoredPath, compress};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

/// What could not be written, and why.
pub(super) type Errors = Vec<(StoredPath, TargetError)>;

/// Files that are kept open between two of their pieces.
const OPEN_FILES_MAX: usize = 128;

/// Writes the chunks of one parcel. A chunk that is not what its name says is left out, as if it had not come.
pub(super) fn parcel(
    target: &dyn Target,
    progress: &Progress,
    naming: &NamingKey,
    window: &Window,
    refs: &[ChunkRef],
    parcel: &Parcel,
) -> Errors {
    let mut errors = Errors::new();
    let Ok(plain) = compress::decompress(parcel.codec, &parcel.bytes, parcel.plain_len) else { return errors };
    let mut at = 0;
    for (position, len) in &parcel.chunks {
        let end = at + *len as usize;
        let (Some(bytes), Some(chunk)) = (plain.get(at..end), refs.get(*position as usize)) else { return errors };
        at = end;
        if naming.name(ChunkKind::Content, bytes) != *chunk {
            continue;
        }
        let Some(places) = window.places.get(chunk) else { continue };
        if places.has_come.swap(true, Ordering::AcqRel) {
            continue;
        }
        for (file, offset) in &places.at {
            piece(target, progress, window, *file, *offset, bytes, &mut errors);
        }
    }
    errors
}

/// Writes entries that need no chunks, until `is_over`; a full disk makes it so.
pub(super) fn small(
    target: &dyn Target,
    progress: &Progress,
    batch: Vec<(StoredPath, Entry)>,
    is_over: &AtomicBool,
) -> Errors {
    let mut errors = Errors::new();
    for (path, entry) in batch {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let noted = match &entry.body {
            EntryBody::File { size, content } => {
                // What is not inline here is holes from end to end: nothing is written.
                let bytes = if let Content::Inline(bytes) = content { &bytes[..] } else { &[] };
                let written = target.write_file(&path, *size, bytes, &entry.meta);
                if written.is_ok() {
                    progress.add_bytes_written(bytes.len() as u64);
                    progress.add_files_seen(1);
                }
                written
            }
            body => target.make_special(&path, body, &entry.meta),
        };
        if matches!(noted, Err(TargetError::Full)) {
            is_over.store(true, Ordering::Relaxed);
        }
        note(&path, noted, &mut errors);
    }
    errors
}

fn piece(
    target: &dyn Target,
    progress: &Progress,
    window: &Window,
    file: usize,
    offset: u64,
    bytes: &[u8],
    errors: &mut Errors,
) {
    let file = &window.files[file];
    if file.is_lost.load(Ordering::Acquire) {
        return;
    }
    if (offset, bytes.len() as u64) == (0, file.size) {
        whole(target, progress, file, bytes, errors);
        return;
    }
    let written = part(target, window, file).and_then(|part| part.write_at(offset, bytes));
    if let Err(error) = written {
        if !file.is_lost.swap(true, Ordering::AcqRel) {
            errors.push((file.path.clone(), error));
        }
        close(window, file);
        return;
    }
    progress.add_bytes_written(bytes.len() as u64);
    // RACE: whoever brings the count to zero has seen every other piece written, and alone finishes the file.
    if file.pieces_left.fetch_sub(1, Ordering::AcqRel) == 1 {
        close(window, file);
        progress.add_files_seen(1);
        let finished = target.finish_file(&file.path, file.size, &file.meta);
        note(&file.path, finished.inspect_err(|_| target.discard_part(&file.path)), errors);
    }
}

/// Writes a file of which there is one piece.
fn whole(target: &dyn Target, progress: &Progress, file: &FileWork, bytes: &[u8], errors: &mut Errors) {
    let written = target.write_file(&file.path, file.size, bytes, &file.meta);
    file.pieces_left.store(0, Ordering::Release);
    match &written {
        Ok(_) => {
            progress.add_bytes_written(bytes.len() as u64);
            progress.add_files_seen(1);
        }
        Err(_) => file.is_lost.store(true, Ordering::Release),
    }
    note(&file.path, written, errors);
}

fn part(target: &dyn Target, window: &Window, file: &FileWork) -> Result<Arc<dyn TargetFile>, TargetError> {
    let mut open = file.part.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(part) = &*open {
        return Ok(Arc::clone(part));
    }
    let part: Arc<dyn TargetFile> = Arc::from(target.open_part(&file.path, file.size)?);
    let is_last = file.pieces_left.load(Ordering::Acquire) == 1;
    if !is_last && window.open_files.fetch_add(1, Ordering::AcqRel) < OPEN_FILES_MAX {
        *open = Some(Arc::clone(&part));
    } else if !is_last {
        window.open_files.fetch_sub(1, Ordering::AcqRel);
    }
    Ok(part)
}

fn close(window: &Window, file: &FileWork) {
    if file.part.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
        window.open_files.fetch_sub(1, Ordering::AcqRel);
    }
}

fn note(path: &StoredPath, noted: Result<Vec<TargetError>, TargetError>, errors: &mut Errors) {
    match noted {
        Ok(noted) => errors.extend(noted.into_iter().map(|error| (path.clone(), error))),
        Err(error) => errors.push((path.clone(), error)),
    }
}
