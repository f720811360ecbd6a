//! Paths of Windows as stored paths: `C:\Users\ann` is `C:/Users/ann`. Pure. Refuses names that are not Unicode: what
//! is at and beneath them is not certain.

use super::volume::Place;
use format::StoredPath;

/// A volume's name is `\\?\Volume{…}\`: up to and with its fourth backslash.
const SEPARATORS_OF_NAME: usize = 4;

/// A path within a volume, as far as it can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub path: StoredPath,
    /// Whether that is all of it.
    pub is_whole: bool,
}

/// Splits the path that the system gives by way of a volume's name: `\\?\Volume{…}\Users\ann` into the volume's name
/// and `\Users\ann`; `None` where it is none of these.
pub(super) fn split(real: &[u16]) -> Option<(String, &[u16])> {
    let mut separators = real.iter().enumerate().filter(|(_, unit)| **unit == u16::from(b'\\'));
    let (end, _) = separators.nth(SEPARATORS_OF_NAME - 1)?;
    let name = String::from_utf16(&real[..=end]).ok().filter(|name| name.starts_with(r"\\?\Volume{"))?;
    Some((name, &real[end..]))
}

/// Where a path within a volume is seen at one of its places.
pub(super) fn at(place: &Place, within: &[u16]) -> Told {
    let root: Vec<u16> = place.at.encode_utf16().collect();
    let mut told = Told { path: StoredPath::root(), is_whole: true };
    let units = root.split(is_separator).chain(within.split(is_separator));
    for name in units.filter(|name| !name.is_empty()) {
        let stepped = String::from_utf16(name).ok().filter(|name| told.path.push(name.as_bytes()).is_ok());
        if stepped.is_none() {
            told.is_whole = false;
            break;
        }
    }
    told
}

/// Whether a path is that of a folder or lies beneath it, in whatever case the two are written. Windows compares by a
/// table of its own, which this comes near: where it matters, one match too many costs a look.
pub(super) fn is_beneath(path: &StoredPath, folder: &StoredPath) -> bool {
    let in_one_case = |name: &[u8]| String::from_utf8_lossy(name).to_uppercase();
    let mut names = path.components().map(in_one_case);
    folder.components().map(in_one_case).all(|name| names.next().is_some_and(|own| own == name))
}

fn is_separator(unit: &u16) -> bool {
    *unit == u16::from(b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    fn place(at: &str) -> Place {
        Place { volume: r"\\?\Volume{1}\".to_owned(), at: at.to_owned() }
    }

    #[test]
    fn a_directory_is_seen_at_each_place_of_its_volume() {
        for (root, within, path) in [
            (r"C:\", r"\Users\ann", "C:/Users/ann"),
            (r"C:\", r"\", "C:"),
            (r"C:\mnt\données\", r"\x", "C:/mnt/données/x"),
        ] {
            let told = at(&place(root), &wide(within));
            assert_eq!((told.path.as_bytes(), told.is_whole), (path.as_bytes(), true));
        }
    }

    #[test]
    fn half_a_pair_ends_what_can_be_told() {
        let within = [wide(r"\Users\"), vec![0xd800], wide(r"\x")].concat();
        let told = at(&place(r"C:\"), &within);
        assert_eq!((told.path.as_bytes(), told.is_whole), (&b"C:/Users"[..], false));
    }

    #[test]
    fn what_is_beneath_a_folder_is_so_in_any_case() {
        let path = |text: &str| StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a path");
        for (beneath, folder, is_beneath_it) in [
            ("C:/Users/ann", "C:/Users", true),
            ("c:/USERS/ann", "C:/Users", true),
            ("C:/DONNÉES", "C:/données", true),
            ("C:/Users", "C:/Users/ann", false),
            ("C:/Users2/ann", "C:/Users", false),
            ("C:/anything", "", true),
        ] {
            assert_eq!(is_beneath(&path(beneath), &path(folder)), is_beneath_it, "{beneath} {folder}");
        }
    }

    #[test]
    fn only_the_name_of_a_volume_is_split_off() {
        let real = wide(r"\\?\Volume{0a-1b}\Users\ann");
        assert_eq!(split(&real), Some((r"\\?\Volume{0a-1b}\".to_owned(), &wide(r"\Users\ann")[..])));
        for other in [r"\\?\UNC\server\share\x", r"C:\Users", "", r"\\?\Volume{0a"] {
            assert_eq!(split(&wide(other)), None, "{other}");
        }
    }
}
