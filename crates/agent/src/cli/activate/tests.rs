//! The questions of an activation, with a person who answers from a list.

use super::*;
use crate::activation::AskProof;
use crate::hidden::Hidden;
use crate::state::{Pin, Server};
use base::{DeviceId, SeededEntropy};
use protocol::Text;
use protocol::agent::activation::Replaceable;

/// Answers from a list, and remembers what was shown.
#[derive(Default)]
struct Script {
    answers: Vec<&'static str>,
    shown: String,
}

impl Person for Script {
    fn line(&mut self, text: &str) -> Result<String, AgentError> {
        self.shown.push_str(text);
        match self.answers.is_empty() {
            true => Err(AgentError::Interrupted),
            false => {
                self.shown.push('\n');
                Ok(self.answers.remove(0).to_owned())
            }
        }
    }

    fn secret(&mut self, text: &str) -> Result<Hidden, AgentError> {
        self.line(text).map(Hidden::new)
    }

    fn tell(&mut self, text: &str) {
        self.shown.push_str(text);
    }
}

fn device(number: u64) -> DeviceId {
    DeviceId::mint(&SeededEntropy::new(number))
}

fn replaceable(number: u64, name: &str, last_backup_at_ms: Option<i64>) -> Replaceable {
    Replaceable {
        device: Text(device(number)),
        name: name.to_owned(),
        state: "deactivated".to_owned(),
        host_name: "laptop.example.com".to_owned(),
        serial: if number == 1 { "PF3XK9LM".to_owned() } else { String::new() },
        last_backup_at_ms,
        snapshots: number,
    }
}

fn asked(suggestion: Choice, adding_refused: Option<&str>) -> ActivationQuestion {
    let long = "a name that somebody has made very, very, very much too long for any terminal\u{1b}[2J";
    ActivationQuestion {
        replaceable: vec![replaceable(1, "Anna's laptop", Some(1_764_006_480_000)), replaceable(2, long, None)],
        adding_refused: adding_refused.map(str::to_owned),
        suggestion,
    }
}

fn ask(restore: Option<Restore>) -> Ask {
    Ask {
        server: Server { url: "https://a".to_owned(), pin: Pin::Fingerprint([0; 32]) },
        proof: AskProof::OldKey,
        choice: Choice::Auto,
        restore,
        can_ask: true,
        preview: Preview::None,
        folders: vec![],
    }
}

fn play(question: &ActivationQuestion, restore: Option<Restore>, answers: &[&'static str]) -> (Ask, Script, bool) {
    let mut script = Script { answers: answers.to_vec(), ..Script::default() };
    let mut ask = ask(restore);
    let is_done = choose(question, &mut ask, &mut script, &TimeZone::UTC).is_ok();
    (ask, script, is_done)
}

#[test]
fn the_question_is_a_list_of_80_columns() {
    let replace = Choice::Replace { device: Text(device(1)) };
    let (_, script, _) = play(&asked(replace, None), None, &[""]);
    let expected = "Which device is this computer to be?\n\n\
        \x20  1  Anna's laptop (deactivated)\n\
        \x20     laptop.example.com, serial PF3XK9LM\n\
        \x20     last backup 2025-11-24 17:48, 1 snapshot\n\
        \x20  2  a name that somebody has made very, very,... (deactivated)\n\
        \x20     laptop.example.com\n\
        \x20     no backup yet, 2 snapshots\n\
        \x20  n  a new device\n\n\
        Choose 1 to 2, n [1]: ";
    assert!(script.shown.starts_with(expected), "{}", script.shown);
    assert!(script.shown.lines().all(|line| line.chars().count() <= 80), "{}", script.shown);
    assert!(!script.shown.contains('\u{1b}'));
}

#[test]
fn answers_are_taken_as_the_table_says() {
    let replace = |number| Choice::Replace { device: Text(device(number)) };
    type Wanted = Option<(Choice, Option<Restore>)>;
    let cases: [(Choice, Option<&str>, &[&'static str], Wanted); 9] = [
        (replace(1), None, &["", ""], Some((replace(1), Some(Restore::None)))),
        (replace(1), None, &["2", "data"], Some((replace(2), Some(Restore::Data)))),
        (replace(1), None, &["n"], Some((Choice::Add, None))),
        (Choice::Add, None, &[""], Some((Choice::Add, None))),
        // Without a suggestion an empty line is no answer.
        (Choice::Auto, None, &["", "1", "all"], Some((replace(1), Some(Restore::All)))),
        (
            replace(1),
            None,
            &["3", "0", "x", "-1", "2", "maybe", "settings"],
            Some((replace(2), Some(Restore::Settings))),
        ),
        (
            replace(1),
            Some("You have as many as you may."),
            &["n", "1", "none"],
            Some((replace(1), Some(Restore::None))),
        ),
        (replace(1), None, &["9"], None),
        (replace(1), None, &["1"], None),
    ];
    for (suggestion, adding_refused, answers, expected) in cases {
        let (ask, script, is_done) = play(&asked(suggestion, adding_refused), None, answers);
        let got = is_done.then_some((ask.choice, ask.restore));
        assert_eq!(got, expected, "{answers:?}: {}", script.shown);
    }
}

#[test]
fn what_to_bring_back_is_not_asked_when_it_was_said() {
    let replace = Choice::Replace { device: Text(device(1)) };
    let (ask, script, is_done) = play(&asked(replace, None), Some(Restore::Data), &["1"]);
    assert!(is_done && !script.shown.contains("Bring back"));
    assert_eq!(ask.restore, Some(Restore::Data));
}

#[test]
fn why_nothing_can_be_added_is_said() {
    let replace = Choice::Replace { device: Text(device(1)) };
    let why = "You have reached the limit on your number of devices, 2.";
    let (_, script, _) = play(&asked(replace, Some(why)), None, &["1", ""]);
    assert!(
        script.shown.contains("      A new device is not possible: You have reached the limit"),
        "{}",
        script.shown
    );
    assert!(script.shown.contains("Choose 1 to 2 [1]: "));
}
