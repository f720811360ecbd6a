//! Reads what the kernel writes for each event: fanotify(7). Pure. Refuses what does not fit: who reads it has missed
//! something.

/// Names a directory or a file on its file system, for as long as it is there: the file system's own name, the kind of
/// the handle, and the handle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Handle(Box<[u8]>);

impl Handle {
    pub fn file_system(&self) -> &[u8; 8] {
        self.0.first_chunk().expect("a handle begins with the name of its file system")
    }

    pub fn kind(&self) -> i32 {
        i32::from_ne_bytes(self.0[8..12].try_into().expect("four bytes"))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0[12..]
    }
}

/// What has happened, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Whether events were lost.
    pub is_overflow: bool,
    /// The directory in which something changed, or that changed itself.
    pub directory: Option<Handle>,
    /// The file.
    pub object: Option<Handle>,
}

impl Event {
    pub const OVERFLOW: Self = Self { is_overflow: true, directory: None, object: None };
}

/// The header of an event: length u32 · version u8 · reserved u8 · length of the header u16 · mask u64 · descriptor i32
/// · process i32.
const HEADER_LEN: usize = 24;
/// The header of a piece of information: type u8 · reserved u8 · length u16; then the file system 8, length of the
/// handle u32, its kind i32.
const INFO_LEN: usize = 20;

/// The events in the bytes of one reading, in order; `None` in place of one that is not understood, and of all after
/// it.
pub(super) fn parse(bytes: &[u8]) -> impl Iterator<Item = Option<Event>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let event = rest.first_chunk::<4>().map(|len| u32::from_ne_bytes(*len) as usize);
        let event = match event {
            None if rest.is_empty() => return None,
            Some(len) if (HEADER_LEN..=rest.len()).contains(&len) => one(&rest[..len]).map(|event| (event, len)),
            _ => None,
        };
        match event {
            Some((event, len)) => {
                rest = &rest[len..];
                Some(Some(event))
            }
            None => {
                rest = &[];
                Some(None)
            }
        }
    })
}

fn one(bytes: &[u8]) -> Option<Event> {
    if bytes[4] != libc::FANOTIFY_METADATA_VERSION {
        return None;
    }
    let header_len = usize::from(u16::from_ne_bytes([bytes[6], bytes[7]]));
    let mask = u64::from_ne_bytes(bytes[8..16].try_into().ok()?);
    let mut event = Event { is_overflow: mask & libc::FAN_Q_OVERFLOW != 0, directory: None, object: None };
    let mut rest = bytes.get(header_len..)?;
    while !rest.is_empty() {
        let len = usize::from(u16::from_ne_bytes([*rest.get(2)?, *rest.get(3)?]));
        let info = rest.get(..len).filter(|info| info.len() >= INFO_LEN)?;
        let handle_len = u32::from_ne_bytes(info[12..16].try_into().ok()?) as usize;
        let handle = info.get(INFO_LEN..INFO_LEN.checked_add(handle_len)?)?;
        let handle = Handle([&info[4..12], &info[16..20], handle].concat().into());
        match info[0] {
            libc::FAN_EVENT_INFO_TYPE_DFID => event.directory = Some(handle),
            libc::FAN_EVENT_INFO_TYPE_FID => event.object = Some(handle),
            _ => return None,
        }
        rest = &rest[len..];
    }
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(kind: u8, handle: &[u8]) -> Vec<u8> {
        let len = (INFO_LEN + handle.len()).next_multiple_of(4);
        let mut bytes = vec![kind, 0];
        bytes.extend((len as u16).to_ne_bytes());
        bytes.extend([7; 8]);
        bytes.extend((handle.len() as u32).to_ne_bytes());
        bytes.extend(1_i32.to_ne_bytes());
        bytes.extend(handle);
        bytes.resize(len, 0);
        bytes
    }

    fn event(mask: u64, infos: &[Vec<u8>]) -> Vec<u8> {
        let infos = infos.concat();
        let mut bytes = ((HEADER_LEN + infos.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend([libc::FANOTIFY_METADATA_VERSION, 0]);
        bytes.extend((HEADER_LEN as u16).to_ne_bytes());
        bytes.extend(mask.to_ne_bytes());
        bytes.extend((-1_i32).to_ne_bytes());
        bytes.extend(9_i32.to_ne_bytes());
        bytes.extend(infos);
        bytes
    }

    fn handle(bytes: &[u8]) -> Option<Handle> {
        Some(Handle([&[7; 8][..], &1_i32.to_ne_bytes(), bytes].concat().into()))
    }

    #[test]
    fn events_name_directories_and_files() {
        let (directory, file) =
            (info(libc::FAN_EVENT_INFO_TYPE_DFID, b"dir"), info(libc::FAN_EVENT_INFO_TYPE_FID, b"file1"));
        let bytes = [
            event(libc::FAN_CREATE, std::slice::from_ref(&directory)),
            event(libc::FAN_MODIFY, &[directory, file.clone()]),
            event(libc::FAN_ATTRIB, &[file]),
            event(libc::FAN_Q_OVERFLOW, &[]),
        ];
        let expected = [
            Event { is_overflow: false, directory: handle(b"dir"), object: None },
            Event { is_overflow: false, directory: handle(b"dir"), object: handle(b"file1") },
            Event { is_overflow: false, directory: None, object: handle(b"file1") },
            Event::OVERFLOW,
        ];
        let parsed: Option<Vec<Event>> = parse(&bytes.concat()).collect();
        assert_eq!(parsed.as_deref(), Some(&expected[..]));
        let found = handle(b"dir").expect("a handle");
        assert_eq!((found.file_system(), found.kind(), found.bytes()), (&[7; 8], 1, &b"dir"[..]));
    }

    #[test]
    fn no_cut_or_changed_byte_makes_a_panic() {
        let whole = event(libc::FAN_MODIFY, &[info(libc::FAN_EVENT_INFO_TYPE_DFID, b"dir")]);
        for len in 1..whole.len() {
            assert_eq!(parse(&whole[..len]).last(), Some(None), "{len} bytes");
        }
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = byte;
                assert!(parse(&changed).count() <= 2);
            }
        }
    }
}
