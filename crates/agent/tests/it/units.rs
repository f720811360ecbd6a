//! The units that are shipped: what they start is a command line that the program reads, what they call no failure is
//! no failure, and every service has its timer.

use crate::command::holdfast;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A unit's lines as `Name=value`, without comments.
struct Unit(String);

impl Unit {
    fn read(path: &Path) -> Self {
        Self(fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.0.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
    }

    fn one(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in\n{}", self.0);
        all[0]
    }
}

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.file_type().expect("a type").is_file());
    files.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect()
}

/// What every service of the endpoint gives away.
const GIVEN_AWAY: [&str; 4] = ["NoNewPrivileges", "RestrictRealtime", "LockPersonality", "MemoryDenyWriteExecute"];

#[test]
fn the_units_start_what_the_program_reads_and_call_an_answer_no_failure() {
    let state = tempfile::tempdir().expect("a temporary directory");
    for folder in [packaging(), packaging().join("user")] {
        let is_of_users = folder.ends_with("user");
        let expected = ["backup", "unattended"]
            .iter()
            .flat_map(|name| ["service", "timer"].map(|kind| format!("holdfast-{name}.{kind}")))
            .chain(["holdfast-watch.service".to_owned()]);
        assert_eq!(
            names(&folder),
            expected.collect(),
            "every service with its timer, one that stays, and nothing else"
        );
        let watch = Unit::read(&folder.join("holdfast-watch.service"));
        assert_eq!(holdfast(state.path(), &["watch", "--help"]).exit, 0);
        assert_eq!((watch.one("ExecStart"), watch.one("Restart")), ("/usr/bin/holdfast --quiet watch", "on-failure"));
        assert_eq!(watch.one("WantedBy"), if is_of_users { "default.target" } else { "multi-user.target" });
        GIVEN_AWAY.iter().for_each(|given| assert_eq!(watch.one(given), "yes", "{given}"));
        for (name, answers) in [("backup", "3 4 5 8"), ("unattended", "4 5 8")] {
            let service = Unit::read(&folder.join(format!("holdfast-{name}.service")));
            let line = service.one("ExecStart").strip_prefix("/usr/bin/holdfast ").expect("the program");
            let mut arguments: Vec<&str> = line.split_whitespace().collect();
            assert!(arguments.contains(&name), "{line}");
            arguments.push("--help");
            assert_eq!(holdfast(state.path(), &arguments).exit, 0, "{line}");
            assert_eq!(service.one("SuccessExitStatus"), answers);
            GIVEN_AWAY.iter().for_each(|given| assert_eq!(service.one(given), "yes", "{given}"));
            assert_eq!(service.one("UMask"), "0077");
            let conditions = service.all("ConditionPathExists");
            if is_of_users {
                assert_eq!(service.one("ConditionUser"), "!@system", "root's device is the system's");
                assert!(conditions.contains(&"|%S/holdfast/state.json") && service.all("StateDirectory").is_empty());
                assert!(conditions.iter().all(|condition| condition.starts_with('|')), "any of them is enough");
                let is_legacy = conditions.contains(&"|%E/holdfast/legacy.cfg");
                assert_eq!(is_legacy, name == "unattended", "what an installer has left is a reason to activate");
            } else {
                assert_eq!(service.one("StateDirectory"), "holdfast");
            }
            let timer = Unit::read(&folder.join(format!("holdfast-{name}.timer")));
            assert_eq!(timer.one("WantedBy"), "timers.target");
            assert!(timer.all("Unit").is_empty(), "a timer starts the service of its name");
        }
        let backup = Unit::read(&folder.join("holdfast-backup.service"));
        assert!(backup.one("ExecStart").contains(" backup --if-due --in-slot"), "the interval is obeyed");
        let timer = Unit::read(&folder.join("holdfast-backup.timer"));
        assert_eq!((timer.one("Persistent"), timer.one("FixedRandomDelay")), ("true", "true"));
    }
}
