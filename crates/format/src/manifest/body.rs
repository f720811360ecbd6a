//! The signed part of a manifest, field by field. Layout: docs/format.md, "Manifest".
//! Refuses folders out of order, and texts that are too long or not UTF-8.

use super::{Manifest, PART, Problems};
use crate::codec::{Reader, Writer};
use crate::digest::ChunkRef;
use crate::error::{Error, Flaw};
use crate::limits::{FOLDERS_MAX, LABEL_MAX, PATH_MAX};
use crate::path::StoredPath;
use crate::tree::Totals;
use base::{DeviceId, RepositoryId, SnapshotId, Timestamp};

/// Appends the signed part.
pub(super) fn write(manifest: &Manifest, out: &mut Vec<u8>) -> Result<(), Error> {
    check(manifest).map_err(|flaw| Error::Encode { part: PART, flaw })?;
    let mut writer = Writer::new(out);
    writer.raw(manifest.snapshot.as_bytes());
    writer.raw(manifest.device.as_bytes());
    writer.raw(manifest.repository.as_bytes());
    writer.raw(manifest.root.as_bytes());
    match &manifest.parent {
        None => writer.u8(0),
        Some(parent) => {
            writer.u8(1);
            writer.raw(parent.as_bytes());
        }
    }
    writer.zigzag(manifest.began_at.as_ms());
    writer.zigzag(manifest.ended_at.as_ms());
    manifest.totals.write(&mut writer);
    writer.u8(u8::from(manifest.partial));
    writer.count(manifest.folders.len());
    for folder in &manifest.folders {
        writer.bytes(folder.as_bytes());
    }
    for label in [&manifest.device_name, &manifest.os, &manifest.agent_version] {
        writer.bytes(label.as_bytes());
    }
    manifest.problems.write(&mut writer);
    Ok(())
}

/// Reads the signed part, which must be all of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Manifest, Error> {
    let mut reader = Reader::new(PART, bytes);
    let manifest = Manifest {
        snapshot: SnapshotId::from_bytes(reader.array()?),
        device: DeviceId::from_bytes(reader.array()?),
        repository: RepositoryId::from_bytes(reader.array()?),
        root: ChunkRef::from_bytes(reader.array()?),
        parent: match reader.u8()? {
            0 => None,
            1 => Some(SnapshotId::from_bytes(reader.array()?)),
            _ => return Err(reader.flaw(Flaw::Tag)),
        },
        began_at: Timestamp::from_ms(reader.zigzag()?),
        ended_at: Timestamp::from_ms(reader.zigzag()?),
        totals: Totals::read(&mut reader)?,
        partial: match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(reader.flaw(Flaw::Tag)),
        },
        folders: folders(&mut reader)?,
        device_name: reader.text(LABEL_MAX.0)?.to_owned(),
        os: reader.text(LABEL_MAX.0)?.to_owned(),
        agent_version: reader.text(LABEL_MAX.0)?.to_owned(),
        problems: Problems::read(&mut reader)?,
    };
    check(&manifest).map_err(|flaw| reader.flaw(flaw))?;
    reader.finish()?;
    Ok(manifest)
}

fn check(manifest: &Manifest) -> Result<(), Flaw> {
    manifest.totals.check()?;
    let labels = [&manifest.device_name, &manifest.os, &manifest.agent_version];
    if labels.iter().any(|label| label.len() as u64 > LABEL_MAX.0) {
        return Err(Flaw::Limit { max: LABEL_MAX.0 });
    }
    if manifest.folders.len() as u64 > FOLDERS_MAX.0 {
        return Err(Flaw::Limit { max: FOLDERS_MAX.0 });
    }
    if manifest.folders.iter().any(|folder| folder.as_bytes().len() as u64 > PATH_MAX.0) {
        return Err(Flaw::Limit { max: PATH_MAX.0 });
    }
    if manifest.folders.is_sorted_by(|one, next| one < next) { Ok(()) } else { Err(Flaw::Order) }
}

fn folders(reader: &mut Reader<'_>) -> Result<Vec<StoredPath>, Error> {
    let count = reader.count(FOLDERS_MAX.0, 1)?;
    (0..count).map(|_| StoredPath::read(reader)).collect()
}
