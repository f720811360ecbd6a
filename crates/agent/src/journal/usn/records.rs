//! Reads what FSCTL_READ_USN_JOURNAL returns: USN_RECORD_V2 and USN_RECORD_V3 of winioctl.h. Pure. Refuses what does
//! not fit, and versions that it does not know: who reads it has missed something.

/// The file reference number: names a file or directory on its volume for as long as it is there. NTFS counts in its
/// upper 16 of 64 bits how often a number was given out, so one that is given out again is another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::journal) struct FileId(pub u128);

/// What has happened to one file or directory, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Where it stands in the journal.
    pub usn: u64,
    pub file: FileId,
    /// The directory that holds the name that was used.
    pub parent: FileId,
    /// Bits of `reasons`: all that has happened since the file was opened.
    pub reason: u32,
    pub is_directory: bool,
}

/// Where in a record its fields are: of V2 the two ids have 8 bytes, of V3 16. Length u32 · major u16 · minor u16 ·
/// file · parent · usn i64 · time i64 · reason u32 · source u32 · security u32 · attributes u32 · length of the name
/// u16 · its offset u16 · name.
struct Layout {
    id_len: usize,
    usn: usize,
    reason: usize,
    attributes: usize,
    name_len: usize,
    name_offset: usize,
    len_min: usize,
}

const IDS: usize = 8;
const V2: Layout =
    Layout { id_len: 8, usn: 24, reason: 40, attributes: 52, name_len: 56, name_offset: 58, len_min: 60 };
const V3: Layout =
    Layout { id_len: 16, usn: 40, reason: 56, attributes: 68, name_len: 72, name_offset: 74, len_min: 76 };

/// winnt.h.
const FILE_ATTRIBUTE_DIRECTORY: u32 = 0x10;

/// Where to read on, and the records in order; `None` in place of one that is not understood, and of all after it.
/// Nothing where not even the beginning is there.
pub(super) fn parse(bytes: &[u8]) -> Option<(u64, impl Iterator<Item = Option<Record>>)> {
    let (next, mut rest) = bytes.split_first_chunk::<8>()?;
    let next = u64::try_from(i64::from_le_bytes(*next)).ok()?;
    let records = std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match one(rest) {
            Some((record, len)) => {
                rest = &rest[len..];
                Some(Some(record))
            }
            None => {
                rest = &[];
                Some(None)
            }
        }
    });
    Some((next, records))
}

/// The first record, and its length.
fn one(bytes: &[u8]) -> Option<(Record, usize)> {
    let len = u32::from_le_bytes(array(bytes, 0)?) as usize;
    let layout = match u16::from_le_bytes(array(bytes, 4)?) {
        2 => V2,
        3 => V3,
        _ => return None,
    };
    // Each record begins at a multiple of eight bytes, and its length says where the next one begins.
    let record = bytes.get(..len).filter(|_| len >= layout.len_min && len.is_multiple_of(8))?;
    let name_len = usize::from(u16::from_le_bytes(array(record, layout.name_len)?));
    let name_offset = usize::from(u16::from_le_bytes(array(record, layout.name_offset)?));
    if name_offset < layout.len_min || name_offset + name_len > len {
        return None;
    }
    let attributes = u32::from_le_bytes(array(record, layout.attributes)?);
    let record = Record {
        usn: u64::try_from(i64::from_le_bytes(array(record, layout.usn)?)).ok()?,
        file: id(record, IDS, layout.id_len)?,
        parent: id(record, IDS + layout.id_len, layout.id_len)?,
        reason: u32::from_le_bytes(array(record, layout.reason)?),
        is_directory: attributes & FILE_ATTRIBUTE_DIRECTORY != 0,
    };
    Some((record, len))
}

fn id(record: &[u8], at: usize, len: usize) -> Option<FileId> {
    let mut bytes = [0; 16];
    bytes[..len].copy_from_slice(record.get(at..at + len)?);
    Some(FileId(u128::from_le_bytes(bytes)))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Version, encode};
    use super::super::reasons;
    use super::*;

    fn record(usn: u64, is_directory: bool) -> Record {
        Record { usn, file: FileId(0x3_0000_0000_0012), parent: FileId(5), reason: reasons::DATA_EXTEND, is_directory }
    }

    fn buffer(next: i64, records: &[Vec<u8>]) -> Vec<u8> {
        [next.to_le_bytes().to_vec(), records.concat()].concat()
    }

    fn parsed(bytes: &[u8]) -> (u64, Vec<Option<Record>>) {
        parse(bytes).map(|(next, records)| (next, records.collect())).expect("there is a beginning")
    }

    #[test]
    fn records_of_both_versions_are_understood() {
        let (file, directory) = (record(64, false), record(136, true));
        let bytes = buffer(
            240,
            &[encode(&file, "a name of odd length", Version::V2), encode(&directory, "Documents", Version::V3)],
        );
        assert_eq!(parsed(&bytes), (240, vec![Some(file), Some(directory)]));
    }

    #[test]
    fn the_fields_are_where_winioctl_has_them() {
        let mut bytes = vec![0_u8; 64];
        bytes[0] = 64;
        bytes[4] = 2;
        bytes[8..16].copy_from_slice(&0x0007_0000_0000_0102_u64.to_le_bytes());
        bytes[16..24].copy_from_slice(&0x0005_0000_0000_0005_u64.to_le_bytes());
        bytes[24..32].copy_from_slice(&4096_i64.to_le_bytes());
        bytes[40..44].copy_from_slice(&0x8000_0100_u32.to_le_bytes());
        bytes[52] = 0x10;
        bytes[56] = 2;
        bytes[58] = 60;
        bytes[60] = b'd';
        let expected = Record {
            usn: 4096,
            file: FileId(0x0007_0000_0000_0102),
            parent: FileId(0x0005_0000_0000_0005),
            reason: reasons::FILE_CREATE | reasons::CLOSE,
            is_directory: true,
        };
        assert_eq!(parsed(&buffer(4160, &[bytes])), (4160, vec![Some(expected)]));
    }

    #[test]
    fn an_unknown_version_is_no_record() {
        for version in [0, 1, 4, 5, 0xff] {
            let mut bytes = encode(&record(64, false), "name", Version::V2);
            bytes[4] = version;
            assert_eq!(parsed(&buffer(128, &[bytes])).1, [None], "{version}");
        }
    }

    #[test]
    fn no_cut_or_changed_byte_makes_a_panic() {
        for version in [Version::V2, Version::V3] {
            let whole = buffer(200, &[encode(&record(64, false), "name", version)]);
            assert!((0..8).all(|len| parse(&whole[..len]).is_none()));
            for len in 9..whole.len() {
                assert_eq!(parsed(&whole[..len]).1, [None], "{len} bytes");
            }
            for at in 0..whole.len() {
                for byte in 0..=255 {
                    let mut changed = whole.clone();
                    changed[at] = byte;
                    assert!(parse(&changed).is_none_or(|(_, records)| records.count() <= 2));
                }
            }
        }
    }
}
