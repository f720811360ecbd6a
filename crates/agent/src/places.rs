//! What the variables of a policy stand for on this computer: `${home}/Documents` is a path of somebody.
//! Refuses to guess: a variable that it does not know leaves the folder out, as a problem.

use crate::error::AgentError;
use format::StoredPath;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use uzers::os::unix::UserExt;

/// Every variable, with the name that XDG gives it where it has one, and the folder below the home directory that it
/// is without that.
const FOLDERS: [(&str, &str, &str); 6] = [
    ("desktop", "XDG_DESKTOP_DIR", "Desktop"),
    ("documents", "XDG_DOCUMENTS_DIR", "Documents"),
    ("downloads", "XDG_DOWNLOAD_DIR", "Downloads"),
    ("music", "XDG_MUSIC_DIR", "Music"),
    ("pictures", "XDG_PICTURES_DIR", "Pictures"),
    ("videos", "XDG_VIDEOS_DIR", "Videos"),
];
/// The largest `user-dirs.dirs` that is read.
const USER_DIRS_BYTES_MAX: u64 = 64 << 10;

/// What each variable stands for.
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeMap<&'static str, String>);

/// The variable of the home directory, in which the folders of all others usually lie.
const HOME: &str = "home";

impl Places {
    /// Those of whoever runs this program; `home` is `HOME`, and where that is not set the system's own list is
    /// asked. Never fails: what cannot be found out has no value.
    pub fn of_this_process(home: Option<&Path>) -> Self {
        let account = uzers::get_user_by_uid(rustix::process::geteuid().as_raw());
        let listed = || account.as_ref().map(|account| account.home_dir().to_owned());
        let home = home.map(Path::to_owned).filter(|home| home.is_absolute()).or_else(listed);
        let user = account.as_ref().map(|account| account.name().to_string_lossy().into_owned());
        Self::of(home.as_deref(), user.as_deref())
    }

    /// Those of a person with this home directory and account. Never fails.
    pub fn of(home: Option<&Path>, user: Option<&str>) -> Self {
        let mut places = BTreeMap::new();
        if let Some(user) = user {
            places.insert("user", user.to_owned());
        }
        let Some(home) = home else { return Self(places) };
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        places.insert(HOME, text(home.to_owned()));
        places.insert("config", text(home.join(".config")));
        let chosen = user_dirs(home);
        for (name, xdg, usual) in FOLDERS {
            let place = chosen.get(xdg).cloned().unwrap_or_else(|| home.join(usual));
            places.insert(name, text(place));
        }
        Self(places)
    }

    /// The text with its variables replaced.
    ///
    /// # Errors
    /// `variable_unknown`.
    pub fn expand(&self, text: &str) -> Result<String, AgentError> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, behind)) = after.split_once('}') else { break };
            expanded.push_str(before);
            expanded.push_str(self.0.get(name).ok_or_else(|| unknown(text, name))?);
            rest = behind;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// Whether a folder of a policy lies in a place that a person has on other computers and not on this one, such as a
    /// desktop on a server: the folder in which it would be is there, within the home directory, and it is not. Where
    /// that folder is away, lies on another disk, or leads nowhere, something is wrong. Never fails.
    pub fn lacks(&self, text: &str) -> bool {
        let variable = text.strip_prefix("${").and_then(|rest| Some(rest.split_once('}')?.0));
        let Some(place) = variable.filter(|name| is_of_a_person(name)).and_then(|name| self.0.get(name)) else {
            return false;
        };
        let Some(home) = self.0.get(HOME).and_then(|home| fs::canonicalize(home).ok()) else { return false };
        let parent = Path::new(place).parent().and_then(|parent| fs::canonicalize(parent).ok());
        let is_near = parent.is_some_and(|parent| parent.starts_with(home) && parent.is_dir());
        let found = fs::symlink_metadata(place);
        is_near && found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }

    /// The stored path of a folder of a policy. Links on the way are resolved, as for a folder that is typed.
    ///
    /// # Errors
    /// `variable_unknown`, `path_invalid`.
    pub fn folder(&self, text: &str) -> Result<StoredPath, AgentError> {
        let path = self.expand(text)?;
        if !path.starts_with('/') || path.split('/').any(|name| name == "..") {
            let sentence = format!("{text} is no path of this computer: it must begin with a slash or a variable");
            return Err(AgentError::usage("path_invalid", sentence));
        }
        crate::folders::folder(Path::new(&path))
    }
}

/// Whether a variable stands for a folder that one person has and another has not.
fn is_of_a_person(name: &str) -> bool {
    name == "config" || FOLDERS.iter().any(|(folder, ..)| *folder == name)
}

fn unknown(text: &str, name: &str) -> AgentError {
    let sentence = format!("{text} has the variable {name}, which has no value on this computer");
    AgentError::usage("variable_unknown", sentence)
}

/// What the person has chosen in `user-dirs.dirs`: lines `XDG_…_DIR="$HOME/…"` or with an absolute path.
fn user_dirs(home: &Path) -> BTreeMap<String, PathBuf> {
    let mut text = String::new();
    let opened = fs::File::open(home.join(".config/user-dirs.dirs"));
    let read = opened.and_then(|file| file.take(USER_DIRS_BYTES_MAX).read_to_string(&mut text));
    if read.is_err() {
        return BTreeMap::new();
    }
    let line = |line: &str| {
        let (name, value) = line.trim().split_once('=')?;
        let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
        let place = match value.strip_prefix("$HOME") {
            Some(below) => home.join(below.trim_start_matches('/')),
            None => PathBuf::from(value),
        };
        place.is_absolute().then(|| (name.trim().to_owned(), place))
    };
    text.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_the_folders_of_a_person() {
        let home = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(home.path().join(".config")).expect("a folder");
        let dirs = "# made by a program\nXDG_DOCUMENTS_DIR=\"$HOME/Dokumente\"\nXDG_MUSIC_DIR=\"/srv/music\"\n\
                    XDG_VIDEOS_DIR=\"relative\"\nnonsense\n";
        fs::write(home.path().join(".config/user-dirs.dirs"), dirs).expect("a file");
        let at = |below: &str| home.path().join(below).to_string_lossy().into_owned();
        let places = Places::of(Some(home.path()), Some("anna"));
        let cases = [
            ("${home}/x", at("x")),
            ("${documents}", at("Dokumente")),
            ("${music}/a", "/srv/music/a".to_owned()),
            ("${videos}", at("Videos")),
            ("${config}", at(".config")),
            ("/srv/${user}/x", "/srv/anna/x".to_owned()),
            ("/plain", "/plain".to_owned()),
            ("/a/${unfinished", "/a/${unfinished".to_owned()),
        ];
        for (text, expected) in cases {
            assert_eq!(places.expand(text).expect(text), expected);
        }
    }

    #[test]
    fn only_a_persons_own_folder_in_a_home_that_is_there_is_lacked() {
        let home = tempfile::tempdir().expect("a temporary directory");
        for name in ["Documents", "Music"] {
            fs::create_dir(home.path().join(name)).expect("a folder");
        }
        std::os::unix::fs::symlink("/media/away/pictures", home.path().join("Pictures")).expect("a link");
        let places = Places::of(Some(home.path()), Some("anna"));
        let cases = [
            ("${desktop}", true),
            ("${videos}/holidays", true),
            ("${config}", true),
            ("${documents}", false),
            // The folder of the variable is there, and what is in it is another matter.
            ("${documents}/work", false),
            // A disk that is not mounted.
            ("${pictures}", false),
            ("${home}", false),
            ("${home}/Desktop", false),
            ("${appdata}", false),
            ("/srv/gone", false),
        ];
        for (text, expected) in cases {
            assert_eq!(places.lacks(text), expected, "{text}");
        }
        let away = Places::of(Some(Path::new("/not/mounted/anna")), Some("anna"));
        assert!(!away.lacks("${desktop}"), "the home directory is away");
    }

    #[test]
    fn a_folder_on_another_disk_that_is_away_is_not_lacked() {
        let home = tempfile::tempdir().expect("a temporary directory");
        for name in [".config", "Here"] {
            fs::create_dir(home.path().join(name)).expect("a folder");
        }
        std::os::unix::fs::symlink("/media/away", home.path().join("Media")).expect("a link");
        let text = "XDG_DOCUMENTS_DIR=\"/data/away/anna/Documents\"\nXDG_PICTURES_DIR=\"$HOME/Media/Pictures\"\n\
                    XDG_MUSIC_DIR=\"$HOME/Here/Music\"\n";
        fs::write(home.path().join(".config/user-dirs.dirs"), text).expect("a file");
        let places = Places::of(Some(home.path()), Some("anna"));
        for (text, expected) in [("${documents}", false), ("${pictures}/2026", false), ("${music}", true)] {
            assert_eq!(places.lacks(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_here_is_refused() {
        let places = Places::of(Some(Path::new("/home/anna")), None);
        for (text, code) in [
            ("${user}/x", "variable_unknown"),
            ("${appdata}", "variable_unknown"),
            ("${home}/../root", "path_invalid"),
            ("relative", "path_invalid"),
            ("C:\\Users", "path_invalid"),
        ] {
            assert_eq!(places.folder(text).expect_err(text).code(), code, "{text}");
        }
        assert_eq!(Places::of(None, None).expand("${home}").expect_err("no home").code(), "variable_unknown");
    }
}
