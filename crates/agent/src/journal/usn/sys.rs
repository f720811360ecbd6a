//! The calls of Windows that no safe library offers: each one small, with why it is sound. Refuses to interpret
//! anything, and a volume on which the id of the root does not lead back to the root.

use super::records::FileId;
use super::volume::{ERROR_INVALID_PARAMETER, Extent, Place, Volume, Volumes};
use format::StoredPath;
use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use windows_sys::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_FILES, GENERIC_READ, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    ExtendedFileIdType, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_ID_128, FILE_ID_DESCRIPTOR,
    FILE_ID_DESCRIPTOR_0, FILE_ID_INFO, FILE_INFO_BY_HANDLE_CLASS, FILE_READ_ATTRIBUTES, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_STANDARD_INFO, FileIdInfo, FileStandardInfo, FindFirstVolumeW,
    FindNextVolumeW, FindVolumeClose, GetFileInformationByHandleEx, GetFinalPathNameByHandleW,
    GetVolumeInformationByHandleW, GetVolumePathNamesForVolumeNameW, OpenFileById, VOLUME_NAME_GUID, VOLUME_NAME_NONE,
};
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::{
    FSCTL_QUERY_USN_JOURNAL, FSCTL_READ_USN_JOURNAL, READ_USN_JOURNAL_DATA_V1, USN_JOURNAL_DATA_V0,
};

/// The name of a volume has 49 characters and a NUL.
const VOLUME_NAME_UNITS: usize = 64;
/// Most paths fit; for others the system says how much it needs.
const PATH_UNITS: usize = 512;
const SHARED: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// This computer.
pub(in crate::journal) struct System;

/// A volume, and its root directory: files are opened by id beside it.
pub(in crate::journal) struct Opened {
    volume: File,
    root: File,
    serial: u32,
}

impl Volumes for System {
    type Volume = Opened;

    fn places(&self) -> io::Result<Vec<Place>> {
        let mut places = Vec::new();
        for volume in volumes()? {
            let at = path_names(&volume)?;
            let name = text(&volume)?;
            for at in at.split(|unit| *unit == 0).filter(|at| !at.is_empty()) {
                places.push(Place { volume: name.clone(), at: text(at)? });
            }
        }
        Ok(places)
    }

    fn real(&self, folder: &StoredPath) -> io::Result<Vec<u16>> {
        let folder = std::str::from_utf8(folder.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput)?;
        // A drive alone would be the directory in which this process is.
        let end = if folder.contains('/') { "" } else { r"\" };
        let path = format!(r"\\?\{}{end}", folder.replace('/', r"\"));
        let opened = about(&path, FILE_READ_ATTRIBUTES, FILE_FLAG_BACKUP_SEMANTICS)?;
        final_path(&opened, VOLUME_NAME_GUID)
    }

    fn open(&self, name: &str) -> io::Result<Opened> {
        let volume = about(name.trim_end_matches('\\'), GENERIC_READ, 0)?;
        let root = about(name, FILE_READ_ATTRIBUTES, FILE_FLAG_BACKUP_SEMANTICS)?;
        let serial = serial(&root)?;
        let opened = Opened { volume, root, serial };
        let info: FILE_ID_INFO = information(&opened.root, FileIdInfo)?;
        let root = FileId(u128::from_le_bytes(info.FileId.Identifier));
        match opened.path_of(root)? {
            Some(path) if path == [u16::from(b'\\')] => Ok(opened),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "files of this volume cannot be opened by their ids")),
        }
    }
}

impl Volume for Opened {
    fn extent(&self) -> io::Result<Extent> {
        let mut data = USN_JOURNAL_DATA_V0::default();
        let out = (&raw mut data).cast();
        control(&self.volume, FSCTL_QUERY_USN_JOURNAL, (null(), 0), (out, size_of::<USN_JOURNAL_DATA_V0>()))?;
        let usn = |usn: i64| u64::try_from(usn).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
        let (first, next) = (usn(data.FirstUsn)?, usn(data.NextUsn)?);
        Ok(Extent { volume: self.serial.into(), id: data.UsnJournalID, first, next })
    }

    fn read(&self, journal: u64, from: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let question = READ_USN_JOURNAL_DATA_V1 {
            StartUsn: i64::try_from(from).map_err(|_| io::ErrorKind::InvalidInput)?,
            ReasonMask: u32::MAX,
            ReturnOnlyOnClose: 0,
            Timeout: 0,
            BytesToWaitFor: 0,
            UsnJournalID: journal,
            MinMajorVersion: 2,
            MaxMajorVersion: 3,
        };
        let asked = ((&raw const question).cast(), size_of::<READ_USN_JOURNAL_DATA_V1>());
        control(&self.volume, FSCTL_READ_USN_JOURNAL, asked, (buffer.as_mut_ptr().cast(), buffer.len()))
    }

    fn path_of(&self, id: FileId) -> io::Result<Option<Vec<u16>>> {
        self.open_by_id(id)?.map(|opened| final_path(&opened, VOLUME_NAME_NONE)).transpose()
    }

    fn name_count(&self, id: FileId) -> io::Result<Option<u32>> {
        let Some(opened) = self.open_by_id(id)? else { return Ok(None) };
        let about: FILE_STANDARD_INFO = information(&opened, FileStandardInfo)?;
        Ok((!about.DeletePending).then_some(about.NumberOfLinks))
    }
}

impl Opened {
    /// Opens what an id names, without any right to its content; `None` where it is gone.
    #[expect(unsafe_code, reason = "nothing else can open a file by its id")]
    fn open_by_id(&self, id: FileId) -> io::Result<Option<OwnedHandle>> {
        let id = FILE_ID_DESCRIPTOR {
            dwSize: size_of::<FILE_ID_DESCRIPTOR>() as u32,
            Type: ExtendedFileIdType,
            Anonymous: FILE_ID_DESCRIPTOR_0 { ExtendedFileId: FILE_ID_128 { Identifier: id.0.to_le_bytes() } },
        };
        let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
        let root = self.root.as_raw_handle();
        // SAFETY: the handle is open, the descriptor says its own size and lives until the call is over; no attributes
        // of security are given.
        let handle = unsafe { OpenFileById(root, &raw const id, FILE_READ_ATTRIBUTES, SHARED, null(), flags) };
        if handle != INVALID_HANDLE_VALUE {
            // SAFETY: the call has succeeded, and nobody else has the handle.
            return Ok(Some(unsafe { OwnedHandle::from_raw_handle(handle) }));
        }
        let error = io::Error::last_os_error();
        let gone = [ERROR_INVALID_PARAMETER, ERROR_FILE_NOT_FOUND.cast_signed()];
        if error.raw_os_error().is_some_and(|code| gone.contains(&code)) { Ok(None) } else { Err(error) }
    }
}

/// Opens what a path names, shared with everybody.
fn about(path: &str, access: u32, flags: u32) -> io::Result<File> {
    OpenOptions::new().access_mode(access).share_mode(SHARED).custom_flags(flags).open(path)
}

/// The names of all volumes, each with the NUL at its end.
#[expect(unsafe_code, reason = "nothing else can list the volumes")]
fn volumes() -> io::Result<Vec<Vec<u16>>> {
    let mut name = [0_u16; VOLUME_NAME_UNITS];
    // SAFETY: the buffer is as long as is said.
    let search = unsafe { FindFirstVolumeW(name.as_mut_ptr(), name.len() as u32) };
    if search == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    let mut volumes = Vec::new();
    let ended = loop {
        let len = name.iter().position(|unit| *unit == 0).unwrap_or(name.len() - 1);
        volumes.push([&name[..len], &[0]].concat());
        // SAFETY: the search is open, and the buffer as long as is said.
        if unsafe { FindNextVolumeW(search, name.as_mut_ptr(), name.len() as u32) } == 0 {
            break io::Error::last_os_error();
        }
    };
    // SAFETY: the search is open, and is not used after this.
    unsafe { FindVolumeClose(search) };
    if ended.raw_os_error() == Some(ERROR_NO_MORE_FILES.cast_signed()) { Ok(volumes) } else { Err(ended) }
}

/// Where a volume is seen: paths, each with a NUL at its end. `volume` ends with a NUL.
#[expect(unsafe_code, reason = "nothing else can say where a volume is seen")]
fn path_names(volume: &[u16]) -> io::Result<Vec<u16>> {
    let mut buffer = vec![0_u16; PATH_UNITS];
    loop {
        let (mut len, room) = (0, buffer.len() as u32);
        let into = buffer.as_mut_ptr();
        // SAFETY: the name ends with a NUL, the buffer is as long as is said, and the length is written into ours.
        if unsafe { GetVolumePathNamesForVolumeNameW(volume.as_ptr(), into, room, &raw mut len) } != 0 {
            buffer.truncate(len as usize);
            return Ok(buffer);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(ERROR_MORE_DATA.cast_signed()) || len <= room {
            return Err(error);
        }
        buffer.resize(len as usize, 0);
    }
}

/// The path by which the system knows an open file.
#[expect(unsafe_code, reason = "nothing else can say the path of an open file")]
fn final_path(opened: &impl AsRawHandle, kind: u32) -> io::Result<Vec<u16>> {
    let mut buffer = vec![0_u16; PATH_UNITS];
    loop {
        let room = buffer.len() as u32;
        // SAFETY: the handle is open, and the buffer as long as is said.
        let len = unsafe { GetFinalPathNameByHandleW(opened.as_raw_handle(), buffer.as_mut_ptr(), room, kind) };
        if len == 0 {
            return Err(io::Error::last_os_error());
        }
        // Where it does not fit, the length is that of the buffer that is needed.
        let fits = len < room;
        buffer.resize(len as usize, 0);
        if fits {
            return Ok(buffer);
        }
    }
}

#[expect(unsafe_code, reason = "nothing else can say the serial number of a volume")]
fn serial(root: &File) -> io::Result<u32> {
    let (handle, mut serial) = (root.as_raw_handle(), 0);
    let (none, unasked) = (null_mut(), null_mut());
    // SAFETY: the handle is open, the number is written into ours, and nothing else is asked for.
    let is_told = unsafe { GetVolumeInformationByHandleW(handle, none, 0, &raw mut serial, unasked, unasked, none, 0) };
    if is_told == 0 { Err(io::Error::last_os_error()) } else { Ok(serial) }
}

/// Structures of numbers alone that `GetFileInformationByHandleEx` fills.
trait Information: Default + Copy {}
impl Information for FILE_ID_INFO {}
impl Information for FILE_STANDARD_INFO {}

/// What the system says of an open file: `class` goes with the structure.
#[expect(unsafe_code, reason = "nothing else can ask about an open file")]
fn information<T: Information>(opened: &impl AsRawHandle, class: FILE_INFO_BY_HANDLE_CLASS) -> io::Result<T> {
    let mut about = T::default();
    let (handle, size): (HANDLE, usize) = (opened.as_raw_handle(), size_of::<T>());
    // SAFETY: the handle is open, the structure as large as is said, and each pattern of bits that the system writes
    // for this class is a value of it.
    let is_told = unsafe { GetFileInformationByHandleEx(handle, class, (&raw mut about).cast(), size as u32) };
    if is_told == 0 { Err(io::Error::last_os_error()) } else { Ok(about) }
}

/// Asks a volume, with a question and room for the answer, each with its length, and says how long the answer is.
#[expect(unsafe_code, reason = "nothing else can ask a volume about its journal")]
fn control(volume: &File, code: u32, asked: (*const c_void, usize), out: (*mut c_void, usize)) -> io::Result<usize> {
    let (handle, mut len) = (volume.as_raw_handle(), 0);
    let (asked_len, room) = (asked.1 as u32, u32::try_from(out.1).unwrap_or(u32::MAX));
    // SAFETY: the callers give a question and a buffer of theirs with their lengths, which live until the call is over;
    // the handle is open and not for overlapped calls.
    let is_told = unsafe { DeviceIoControl(handle, code, asked.0, asked_len, out.0, room, &raw mut len, null_mut()) };
    if is_told == 0 { Err(io::Error::last_os_error()) } else { Ok(len as usize) }
}

/// Text without the NUL at its end.
fn text(units: &[u16]) -> io::Result<String> {
    let units = units.strip_suffix(&[0]).unwrap_or(units);
    String::from_utf16(units).map_err(|_| io::ErrorKind::InvalidData.into())
}
