//! Files that are written without a word to anybody: mapped into memory for writing, or written by a process with the
//! kernel's old asynchronous calls. While that goes on, they count as changed; when it has ended, closing them was
//! noted. Refuses nothing: a process that is gone, or may not be looked at, has nothing to say.

use super::mounts::unescape;
use rustix::fs::OFlags;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// The absolute paths of such files, as they are named now. Never fails.
pub(super) fn files() -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    let Ok(processes) = fs::read_dir("/proc") else { return found };
    for process in processes.flatten() {
        if !process.file_name().as_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let Ok(maps) = fs::read(process.path().join("maps")) else { continue };
        if add_mapped(&maps, &mut found) {
            add_open(&process.path(), &mut found);
        }
    }
    found
}

/// Adds what is mapped for writing and shared; whether the process has asynchronous calls under way, or could.
fn add_mapped(maps: &[u8], found: &mut BTreeSet<Vec<u8>>) -> bool {
    let mut has_aio = false;
    for line in maps.split(|byte| *byte == b'\n') {
        // address perms offset device inode   path
        let Some(path) = line.iter().position(|byte| *byte == b'/').map(|at| &line[at..]) else { continue };
        has_aio |= path.starts_with(b"/[aio]");
        let perms = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let is_written = perms.len() == 4 && perms[1] == b'w' && perms[3] == b's';
        let is_file = !path.ends_with(b" (deleted)") && !path.starts_with(b"/dev/") && !path.starts_with(b"/[");
        if is_written && is_file {
            found.insert(unescape(path));
        }
    }
    has_aio
}

/// Adds what a process has open for writing.
fn add_open(process: &Path, found: &mut BTreeSet<Vec<u8>>) {
    let Ok(open) = fs::read_dir(process.join("fd")) else { return };
    for handle in open.flatten() {
        let about = fs::read_to_string(process.join("fdinfo").join(handle.file_name())).unwrap_or_default();
        let flags = about.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).unwrap_or_default();
        let is_written = flags & (OFlags::WRONLY | OFlags::RDWR).bits() != 0;
        if let Ok(path) = fs::read_link(handle.path())
            && is_written
            && path.is_absolute()
            && !path.starts_with("/dev")
        {
            found.insert(path.into_os_string().into_vec());
        }
    }
}

/// The directory in which an entry lies. Never fails.
pub(super) fn directory_of(path: &[u8]) -> Vec<u8> {
    let above = Path::new(OsStr::from_bytes(path)).parent().unwrap_or(Path::new("/"));
    above.as_os_str().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use memmap2::MmapMut;

    #[test]
    fn only_what_is_shared_and_written_counts() {
        let maps = br"7f00-7f01 rw-s 00000000 fe:00 12   /var/lib/a\040b/data.mdb
7f01-7f02 r--s 00000000 fe:00 13   /var/read
7f02-7f03 rw-p 00000000 fe:00 14   /usr/lib/own copy
7f03-7f04 rw-s 00000000 00:01 15   /dev/shm/x
7f04-7f05 rw-s 00000000 fe:00 16   /tmp/gone (deleted)
7f05-7f06 rw-p 00000000 00:00 0
7f06-7f07 rw-s 00000000 fe:00 17   /srv/with space
";
        let mut found = BTreeSet::new();
        assert!(!add_mapped(maps, &mut found));
        assert_eq!(Vec::from_iter(found), [&b"/srv/with space"[..], &b"/var/lib/a b/data.mdb"[..]]);
        assert!(add_mapped(b"7f-80 rw-s 0 00:0d 18   /[aio] (deleted)\n", &mut BTreeSet::new()));
    }

    #[test]
    #[expect(unsafe_code, reason = "nothing else can map a file")]
    fn a_file_that_this_process_maps_is_among_them() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("mapped \\ \n here");
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path).expect("a new file");
        file.set_len(4096).expect("some length");
        // SAFETY: nobody else has the file.
        let map = unsafe { MmapMut::map_mut(&file) }.expect("a file can be mapped");
        drop(file);
        let name = fs::canonicalize(&path).expect("it is there").into_os_string().into_vec();
        assert!(files().contains(&name), "it is mapped");
        drop(map);
        assert!(!files().contains(&name), "it is not mapped any more");
    }
}
