//! A command under way, and what it answered: exit code and JSON.
//! Refuses an answer without a code or without a sentence, whatever the command did.

use base::{Clock as _, Span, SystemClock};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Longer than any command takes, also on a machine with other work.
const SPAN_MAX: Span = Span::seconds(60);
const POLL: Span = Span::ms(2);

/// A command that runs. Killed when it is dropped.
pub struct Running {
    child: Child,
    shown: String,
    out: PathBuf,
}

impl Running {
    /// Starts it, with its output in files below `place`.
    pub fn begin(mut command: Command, place: &Path) -> Self {
        static COMMANDS: AtomicU32 = AtomicU32::new(0);
        let out = place.join(format!("command-{}.out", COMMANDS.fetch_add(1, Ordering::Relaxed)));
        let file = |path: &Path| File::create(path).expect("the temporary folder is writable");
        command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&out.with_extension("err")));
        let shown = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("{shown} does not start: {error}"));
        Self { child, shown, out }
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("it is ours to wait for").is_some()
    }

    /// Waits until something holds, while the command goes on.
    pub fn until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        let began_at = SystemClock.now();
        while !holds() {
            assert!(!self.is_over(), "{} was over before {what}: {}", self.shown, self.said());
            assert!(SystemClock.now().since(began_at) < SPAN_MAX, "it took too long until {what}");
            std::thread::sleep(POLL.as_duration());
        }
    }

    /// Ends it with SIGKILL.
    pub fn kill(mut self) {
        assert!(!self.is_over(), "{} was over before it could be killed: {}", self.shown, self.said());
        self.child.kill().expect("it is ours to kill");
        self.child.wait().expect("it is ours to wait for");
    }

    /// Asks it to stop, as a person does with the keyboard.
    pub fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is ours to stop");
    }

    /// Its end.
    pub fn wait(mut self) -> Answer {
        let began_at = SystemClock.now();
        while !self.is_over() {
            assert!(SystemClock.now().since(began_at) < SPAN_MAX, "{} does not end", self.shown);
            std::thread::sleep(POLL.as_duration());
        }
        let exit = self.child.wait().expect("it is ours to wait for");
        let text = fs::read_to_string(&self.out).expect("UTF-8, whatever the names of files are");
        let json = serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("{} ended with {exit} and no JSON: {}", self.shown, self.said()));
        assert_eq!(text.lines().count(), 1, "one object in one line");
        Answer { shown: self.shown.clone(), exit: exit.code(), json }
    }

    fn said(&self) -> String {
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        format!("{} {}", read(&self.out), read(&self.out.with_extension("err")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command answered.
pub struct Answer {
    shown: String,
    /// None after a signal.
    pub exit: Option<i32>,
    /// The object.
    pub json: Value,
}

impl Answer {
    /// It did everything; its answer.
    pub fn done(self) -> Value {
        assert_eq!(self.exit, Some(0), "{}: {}", self.shown, self.json);
        assert!(self.json["error"].is_null() && self.json["problem_count"].as_u64().unwrap_or(0) == 0);
        self.json
    }

    /// It ended with this exit code and this stable code; the sentence, which is one.
    pub fn error(&self, exit: i32, code: &str) -> String {
        let error = &self.json["error"];
        assert_eq!((self.exit, error["code"].as_str()), (Some(exit), Some(code)), "{}: {}", self.shown, self.json);
        sentence_of(error)
    }

    /// It was done but for problems at entries: the path of each below its folder, with its code.
    pub fn problems(&self) -> Vec<(String, String)> {
        assert_eq!(self.exit, Some(3), "{}: {}", self.shown, self.json);
        let all = self.json["problems"].as_array().expect("problems are listed");
        assert_eq!(self.json["problem_count"].as_u64(), Some(all.len() as u64));
        assert!(!all.is_empty(), "exit 3 and no problem: {}", self.json);
        let text = |problem: &Value, field: &str| problem[field].as_str().expect("a text").to_owned();
        let mut listed = Vec::new();
        for problem in all {
            sentence_of(problem);
            listed.push((text(problem, "path"), text(problem, "code")));
        }
        listed
    }

    /// A number of the answer.
    pub fn number(&self, field: &str) -> u64 {
        number(&self.json, field)
    }
}

/// A number of an answer.
pub fn number(json: &Value, field: &str) -> u64 {
    json[field].as_u64().unwrap_or_else(|| panic!("{field} is missing: {json}"))
}

fn sentence_of(error: &Value) -> String {
    let sentence = error["sentence"].as_str().unwrap_or_default();
    assert!(sentence.len() > 15 && sentence.contains(' '), "no sentence for a person: {error}");
    sentence.to_owned()
}
