//! A volume of Windows with its journal, for tests: USNs are offsets, records of both versions, a journal that loses
//! its beginning or is deleted and created anew, reasons that add up until a file is closed, file ids that are given
//! out again under a new sequence number. Refuses what NTFS would refuse, with its error codes.

use super::reasons;
use super::records::{FileId, Record};
use super::volume::{ERROR_INVALID_PARAMETER, ERROR_JOURNAL_ENTRY_DELETED, Extent, Place, Volume, Volumes};
use format::StoredPath;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;

pub const VOLUME: &str = r"\\?\Volume{c}\";
// winerror.h.
const ERROR_JOURNAL_NOT_ACTIVE: i32 = 1179;
const ERROR_PATH_NOT_FOUND: i32 = 3;
/// The root directory of NTFS is number 5.
const ROOT: u64 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V2,
    V3,
}

/// The bytes of a record, as winioctl.h lays it out.
pub fn encode(record: &Record, name: &str, version: Version) -> Vec<u8> {
    let (major, id_len): (u16, usize) = if version == Version::V2 { (2, 8) } else { (3, 16) };
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let name_offset = 8 + 2 * id_len + 36;
    let mut bytes = ((name_offset + name.len()).next_multiple_of(8) as u32).to_le_bytes().to_vec();
    bytes.extend(major.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes.extend(&record.file.0.to_le_bytes()[..id_len]);
    bytes.extend(&record.parent.0.to_le_bytes()[..id_len]);
    bytes.extend((record.usn as i64).to_le_bytes());
    bytes.extend(133_000_000_000_000_000_i64.to_le_bytes());
    bytes.extend(record.reason.to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(if record.is_directory { 0x10_u32 } else { 0x20 }.to_le_bytes());
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend((name_offset as u16).to_le_bytes());
    bytes.extend(name);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

struct Node {
    sequence: u64,
    /// Directory and name: more than one where it has hard links, none where it is gone.
    names: Vec<(FileId, String)>,
    is_directory: bool,
    /// What has happened since it was opened.
    reason: u32,
}

struct Log {
    id: u64,
    records: VecDeque<(u64, Vec<u8>)>,
    first: u64,
    next: u64,
}

pub struct State {
    nodes: BTreeMap<u64, Node>,
    log: Option<Log>,
    pub version: Version,
    pub places: Vec<Place>,
}

/// A volume, shared by the test and the journal under test.
#[derive(Clone)]
pub struct Fake(pub Rc<RefCell<State>>);

impl Fake {
    pub fn new(version: Version) -> Self {
        let root = Node { sequence: 5, names: vec![(id(ROOT, 5), String::new())], is_directory: true, reason: 0 };
        let places = vec![Place { volume: VOLUME.to_owned(), at: r"C:\".to_owned() }];
        let log = Some(Log { id: 71, records: VecDeque::new(), first: 0, next: 0 });
        let fake = Self(Rc::new(RefCell::new(State { nodes: BTreeMap::from([(ROOT, root)]), log, version, places })));
        fake.create(fake.root(), "$Extend", true);
        fake
    }

    pub fn root(&self) -> FileId {
        id(ROOT, 5)
    }

    /// Makes a file or directory, and closes it. Takes the lowest number that is free, as NTFS does.
    pub fn create(&self, parent: FileId, name: &str, is_directory: bool) -> FileId {
        let file = {
            let nodes = &mut self.0.borrow_mut().nodes;
            let number = (40..).find(|number| nodes.get(number).is_none_or(|node| node.names.is_empty()));
            let number = number.expect("there is always another number");
            let sequence = nodes.get(&number).map_or(1, |node| node.sequence + 1);
            let names = vec![(parent, name.to_owned())];
            nodes.insert(number, Node { sequence, names, is_directory, reason: 0 });
            id(number, sequence)
        };
        self.log(file, reasons::FILE_CREATE, 0);
        self.close(file);
        file
    }

    /// Something happens to an open file. Once a reason is told, it is not told again before the file is closed.
    pub fn change(&self, file: FileId, reason: u32) {
        if self.reason(file) & reason != reason {
            self.log(file, reason, 0);
        }
    }

    pub fn close(&self, file: FileId) {
        if self.reason(file) != 0 {
            self.log(file, reasons::CLOSE, 0);
            self.node(file, |node| node.reason = 0);
        }
    }

    pub fn write(&self, file: FileId) {
        self.change(file, reasons::DATA_EXTEND);
        self.close(file);
    }

    pub fn rename(&self, file: FileId, parent: FileId, name: &str) {
        self.log(file, reasons::RENAME_OLD_NAME, 0);
        self.node(file, |node| {
            node.names[0] = (parent, name.to_owned());
            node.reason &= !reasons::RENAME_OLD_NAME;
        });
        self.log(file, reasons::RENAME_NEW_NAME, 0);
        self.close(file);
    }

    pub fn link(&self, file: FileId, parent: FileId, name: &str) {
        self.node(file, |node| node.names.push((parent, name.to_owned())));
        let at = self.node(file, |node| node.names.len() - 1);
        self.log(file, reasons::HARD_LINK_CHANGE, at);
        self.log(file, reasons::CLOSE, at);
        self.node(file, |node| node.reason = 0);
    }

    /// Takes a name away; the last one takes the file with it.
    pub fn remove(&self, file: FileId, at: usize) {
        let is_last = self.node(file, |node| node.names.len() == 1);
        self.log(file, if is_last { reasons::FILE_DELETE } else { reasons::HARD_LINK_CHANGE } | reasons::CLOSE, at);
        self.node(file, |node| {
            node.names.remove(at);
            node.reason = 0;
        });
    }

    /// Writes a record of a version that nobody knows.
    pub fn log_unknown(&self) {
        let state = &mut *self.0.borrow_mut();
        let log = state.log.as_mut().expect("there is a journal");
        let (usn, file) = (log.next, id(1, 1));
        let mut bytes = encode(&Record { usn, file, parent: file, reason: 0, is_directory: false }, "", Version::V3);
        bytes[4] = 9;
        log.push(bytes);
    }

    /// The journal makes room: only so many records stay.
    pub fn wrap(&self, keep: usize) {
        let state = &mut *self.0.borrow_mut();
        let log = state.log.as_mut().expect("there is a journal");
        log.records.drain(..log.records.len().saturating_sub(keep));
        log.first = log.records.front().map_or(log.next, |(usn, _)| *usn);
    }

    pub fn delete_journal(&self) {
        self.0.borrow_mut().log = None;
    }

    /// NTFS goes on counting where the last journal ended.
    pub fn create_journal(&self, journal: u64, next: u64) {
        self.0.borrow_mut().log = Some(Log { id: journal, records: VecDeque::new(), first: next, next });
    }

    fn reason(&self, file: FileId) -> u32 {
        self.node(file, |node| node.reason)
    }

    fn node<T>(&self, file: FileId, with: impl FnOnce(&mut Node) -> T) -> T {
        with(self.0.borrow_mut().nodes.get_mut(&number(file)).expect("a file that was made"))
    }

    fn log(&self, file: FileId, reason: u32, at: usize) {
        let state = &mut *self.0.borrow_mut();
        let node = state.nodes.get_mut(&number(file)).expect("a file that was made");
        node.reason |= reason;
        let (parent, name) = node.names[at].clone();
        let Some(log) = &mut state.log else { return };
        let (reason, is_directory) = (node.reason, node.is_directory);
        log.push(encode(&Record { usn: log.next, file, parent, reason, is_directory }, &name, state.version));
    }
}

impl Log {
    fn push(&mut self, bytes: Vec<u8>) {
        let usn = self.next;
        self.next += bytes.len() as u64;
        self.records.push_back((usn, bytes));
    }
}

fn id(number: u64, sequence: u64) -> FileId {
    FileId(u128::from(number | sequence << 48))
}

fn number(file: FileId) -> u64 {
    file.0 as u64 & 0xffff_ffff_ffff
}

fn failed<T>(code: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(code))
}

impl State {
    /// The node, if the id is not one that was given out again.
    fn live(&self, file: FileId) -> Option<&Node> {
        let node = self.nodes.get(&number(file))?;
        (u128::from(node.sequence) == file.0 >> 48 && !node.names.is_empty()).then_some(node)
    }

    fn path(&self, file: FileId) -> Option<String> {
        if number(file) == ROOT {
            return Some(r"\".to_owned());
        }
        let (parent, name) = self.live(file)?.names.first()?;
        let above = self.path(*parent)?;
        Some(format!(r"{}\{name}", above.trim_end_matches('\\')))
    }
}

impl Volumes for Fake {
    type Volume = Self;

    fn places(&self) -> io::Result<Vec<Place>> {
        Ok(self.0.borrow().places.clone())
    }

    fn real(&self, folder: &StoredPath) -> io::Result<Vec<u16>> {
        let path = String::from_utf8_lossy(folder.as_bytes()).replace('/', r"\") + r"\";
        let places = &self.0.borrow().places;
        let above = places.iter().filter(|place| path.to_lowercase().starts_with(&place.at.to_lowercase()));
        let Some(place) = above.max_by_key(|place| place.at.len()) else { return failed(ERROR_PATH_NOT_FOUND) };
        let within = path[place.at.len()..].trim_end_matches('\\');
        Ok(format!("{}{within}", place.volume).encode_utf16().collect())
    }

    fn open(&self, _: &str) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl Volume for Fake {
    fn extent(&self) -> io::Result<Extent> {
        let state = self.0.borrow();
        let Some(Log { id, first, next, .. }) = &state.log else { return failed(ERROR_JOURNAL_NOT_ACTIVE) };
        Ok(Extent { volume: 0xabcd, id: *id, first: *first, next: *next })
    }

    fn read(&self, journal: u64, from: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.0.borrow();
        let Some(log) = &state.log else { return failed(ERROR_JOURNAL_NOT_ACTIVE) };
        if log.id != journal || from > log.next {
            return failed(ERROR_INVALID_PARAMETER);
        }
        if from < log.first {
            return failed(ERROR_JOURNAL_ENTRY_DELETED);
        }
        // Little room, so that more than one reading is needed.
        let room = buffer.len().min(512);
        let (mut len, mut next) = (8, from);
        for (usn, bytes) in log.records.iter().filter(|(usn, _)| *usn >= from) {
            if len + bytes.len() > room {
                break;
            }
            buffer[len..len + bytes.len()].copy_from_slice(bytes);
            (len, next) = (len + bytes.len(), usn + bytes.len() as u64);
        }
        buffer[..8].copy_from_slice(&next.to_le_bytes());
        Ok(len)
    }

    fn path_of(&self, file: FileId) -> io::Result<Option<Vec<u16>>> {
        Ok(self.0.borrow().path(file).map(|path| path.encode_utf16().collect()))
    }

    fn name_count(&self, file: FileId) -> io::Result<Option<u32>> {
        Ok(self.0.borrow().live(file).map(|node| node.names.len() as u32))
    }
}
