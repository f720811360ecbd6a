//! What is mounted where, from `/proc/self/mountinfo`. Refuses lines that it does not understand: what is mounted there
//! is as if it were not, and nobody trusts a journal about it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use std::io::{self, Read, Seek};

/// One mounted file system, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// The kernel's number for it; may be given out again.
    pub id: u64,
    /// The file system, as the kernel writes it in `fdinfo`: the major number above 20 bits of the minor one.
    pub device: u64,
    /// Which directory of the file system is mounted.
    pub root: Vec<u8>,
    /// Where.
    pub point: Vec<u8>,
    /// `ext4` and the like.
    pub kind: Vec<u8>,
    /// What the file system was told.
    options: Vec<u8>,
}

/// The kernel's list, open.
pub(super) struct MountList(std::fs::File);

impl MountList {
    pub fn open() -> io::Result<Self> {
        let handle: OwnedFd = open("/proc/self/mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self(handle.into()))
    }

    /// Whether anything was mounted or unmounted since this was last asked.
    pub fn has_changed(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.0, PollFlags::PRI)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        Ok(!fds[0].revents().is_empty())
    }

    pub fn read(&mut self) -> io::Result<Vec<Mount>> {
        let mut text = Vec::new();
        self.0.rewind()?;
        self.0.read_to_end(&mut text)?;
        Ok(text.split(|byte| *byte == b'\n').filter_map(parse).collect())
    }
}

impl Mount {
    /// Where a mounted overlay keeps what is written to it: nothing tells the file system beneath.
    pub fn upper_directory(&self) -> Option<Vec<u8>> {
        let options = (self.kind == b"overlay").then_some(&self.options)?;
        let option = options.split(|byte| *byte == b',').find_map(|option| option.strip_prefix(b"upperdir="))?;
        Some(unescape(option))
    }

    /// The path by which an entry of the file system is seen here: `None` where it is not.
    pub fn path_of(&self, within: &[u8]) -> Option<Vec<u8>> {
        let rest = strip(within, &self.root)?;
        Some(join(&self.point, rest))
    }

    /// The path within the file system of what is seen at `path` through this mount.
    pub fn within(&self, path: &[u8]) -> Option<Vec<u8>> {
        Some(join(&self.root, strip(path, &self.point)?))
    }
}

/// What follows `above` in `path`: empty, or with a slash in front.
fn strip<'a>(path: &'a [u8], above: &[u8]) -> Option<&'a [u8]> {
    let above = above.strip_suffix(b"/").unwrap_or(above);
    let rest = path.strip_prefix(above)?;
    match rest {
        [] | [b'/'] => Some(&[]),
        [b'/', ..] => Some(rest),
        _ => None,
    }
}

fn join(above: &[u8], rest: &[u8]) -> Vec<u8> {
    let above = above.strip_suffix(b"/").unwrap_or(above);
    match [above, rest].concat() {
        whole if whole.is_empty() => b"/".to_vec(),
        whole => whole,
    }
}

/// `id parent major:minor root point options [optional…] - kind source options`: proc(5).
fn parse(line: &[u8]) -> Option<Mount> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = words.iter().position(|word| *word == b"-")?;
    let text = |at: usize| std::str::from_utf8(words.get(at)?).ok();
    let (major, minor) = text(2)?.split_once(':')?;
    let (major, minor): (u64, u64) = (major.parse().ok()?, minor.parse().ok()?);
    Some(Mount {
        id: text(0)?.parse().ok()?,
        device: (major << 20) | minor,
        root: unescape(words.get(3)?),
        point: unescape(words.get(4)?),
        kind: words.get(dash + 1)?.to_vec(),
        options: words.get(dash + 3)?.to_vec(),
    })
}

/// The kernel writes space, tab, newline, backslash and some others as a backslash and three octal digits.
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().filter(|_| *first == b'\\');
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match code {
            Some(byte) => {
                plain.push(byte);
                rest = &after[3..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_understood() {
        let line = br"36 35 254:3 /@home /srv/my\040files\134x rw,noatime shared:7 master:1 - btrfs /dev/vda3 rw,ssd";
        let mount = parse(line).expect("a line");
        assert_eq!((mount.id, mount.device), (36, (254 << 20) | 3));
        assert_eq!(
            (&mount.root[..], &mount.point[..], &mount.kind[..]),
            (&b"/@home"[..], &br"/srv/my files\x"[..], &b"btrfs"[..])
        );
        assert_eq!(mount.upper_directory(), None);
        for broken in ["", "x", "36 35 254:3 / / rw", "36 35 2543 / / rw - ext4 a b", "y 35 2:3 / / rw - ext4 a b"] {
            assert_eq!(parse(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn an_overlay_tells_where_it_writes() {
        let line = br"40 35 0:50 / /merged rw - overlay none rw,lowerdir=/l,upperdir=/var/lib/a\040b/diff,workdir=/w";
        assert_eq!(parse(line).and_then(|mount| mount.upper_directory()), Some(b"/var/lib/a b/diff".to_vec()));
    }

    #[test]
    fn a_path_is_found_wherever_its_file_system_is_mounted() {
        let mount = |root: &str, point: &str| Mount {
            id: 1,
            device: 1,
            root: root.as_bytes().to_vec(),
            point: point.as_bytes().to_vec(),
            kind: b"ext4".to_vec(),
            options: Vec::new(),
        };
        for (root, point, path, within) in [
            ("/", "/", "/", "/"),
            ("/", "/", "/home/ann", "/home/ann"),
            ("/", "/data", "/data", "/"),
            ("/", "/data", "/data/x", "/x"),
            ("/sub", "/", "/x", "/sub/x"),
            ("/sub", "/data", "/data", "/sub"),
            ("/sub", "/data", "/data/x/y", "/sub/x/y"),
        ] {
            let mount = mount(root, point);
            assert_eq!(mount.within(path.as_bytes()).as_deref(), Some(within.as_bytes()), "{path} within");
            assert_eq!(mount.path_of(within.as_bytes()).as_deref(), Some(path.as_bytes()), "{within} seen");
        }
        assert_eq!(mount("/sub", "/data").path_of(b"/subway"), None);
        assert_eq!(mount("/sub", "/data").path_of(b"/"), None);
        assert_eq!(mount("/", "/data").within(b"/database"), None);
    }
}
