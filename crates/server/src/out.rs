//! The one place that prints: text for people, or one line of JSON for machines. Prose is broken at 80 columns; a table
//! is as wide as the terminal, and in a file or another program nothing of it is cut.
//! Refuses to let what a device says of itself steer a terminal: control characters, and those that turn the
//! direction of text, are shown, not sent.

use app::{BROKEN_RETRY, retry_said};
use base::{Kind, Retry, printable};
use serde_json::{Value, json};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;

/// How wide prose is at most, and a table on a terminal that does not say how wide it is.
pub const COLUMNS: usize = 80;
/// The narrowest terminal that is still heeded.
const COLUMNS_MIN: usize = 40;

/// How wide a line may be before it is cut; `None` is without end. Until it is known, as on a usual terminal.
static ROOM: OnceLock<Option<usize>> = OnceLock::new();

/// Fits tables to where answers go. The first word counts. Never fails.
pub fn fit() {
    let stdout = io::stdout();
    let size = rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col));
    let columns = size.filter(|columns| *columns > 0).unwrap_or(COLUMNS).max(COLUMNS_MIN);
    let _ = ROOM.set(stdout.is_terminal().then_some(columns));
}

fn room() -> Option<usize> {
    ROOM.get().copied().unwrap_or(Some(COLUMNS))
}

/// What a command has to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// For people; lines end with a line feed.
    pub text: String,
    /// For machines.
    pub json: Value,
    /// Whether the command did what it is for and found nothing wrong.
    pub good: bool,
}

/// Why a command did not do what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub code: String,
    /// One plain sentence.
    pub sentence: String,
    /// Whether and when the same command may do better.
    pub retry: Retry,
}

impl Failure {
    /// A failure of the command's own. The code is a literal or a constant, and listed in docs/api.md. Never fails.
    pub fn new(code: &str, sentence: impl Into<String>) -> Self {
        Self::said(code, sentence, retry_own(code))
    }

    /// What somebody else has said, with their code. Never fails.
    pub fn said(code: impl Into<String>, sentence: impl Into<String>, retry: Retry) -> Self {
        Self { code: code.into(), sentence: sentence.into(), retry }
    }

    /// For machines. Never fails.
    pub fn json(&self) -> Value {
        let mut json = json!({ "code": self.code, "sentence": self.sentence, "retry": self.retry.word() });
        if let Some(after) = self.retry.after() {
            json["retry_after_ms"] = json!(after.as_ms());
        }
        json
    }
}

/// Whether asking again helps after a failure of a command's own; docs/api.md, "Codes", has the same, tested. Never
/// fails.
pub fn retry_own(code: &str) -> Retry {
    match code {
        "server_unreachable" | "server_failed" | "answer_damaged" | "bundle_pending" => Retry::After(BROKEN_RETRY),
        // Somebody has to say, give or mend something; or the code is one of `AppError`'s.
        _ => retry_said(Kind::Conflict, code),
    }
}

/// Where answers go.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// Machines read them.
    pub json: bool,
}

impl Answer {
    /// An answer of a command that went well. Never fails.
    pub fn good(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, good: true }
    }

    /// An answer that was printed piece by piece already. Never fails.
    pub fn silent() -> Self {
        Self { text: String::new(), json: Value::Null, good: true }
    }
}

impl Out {
    /// Prints a piece of an answer that is longer than memory should hold. A reader that went away is no error.
    pub fn piece(&self, piece: &[u8]) {
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(piece).and_then(|()| stdout.flush());
    }

    /// Prints an answer. A reader that went away is no error.
    pub fn answer(&self, answer: &Answer) {
        let text = match (self.json, &answer.json) {
            (true, Value::Null) => String::new(),
            (true, json) => format!("{json}\n"),
            (false, _) => answer.text.clone(),
        };
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }

    /// Prints why there is no answer: a sentence on the error output, or JSON where the answer would be.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            let json = json!({ "error": failure.json() });
            return self.answer(&Answer { text: String::new(), json, good: false });
        }
        let _ = writeln!(
            io::stderr().lock(),
            "holdfast-server: {} ({})",
            printable(&failure.sentence),
            printable(&failure.code)
        );
    }

    /// Shows how far a long command is, on a terminal only, in place of what was shown before.
    pub fn progress(&self, line: &str) {
        let mut stderr = io::stderr().lock();
        if !self.json && stderr.is_terminal() {
            let _ = write!(stderr, "\r\x1b[K{}", clip(&printable(line), COLUMNS - 1)).and_then(|()| stderr.flush());
        }
    }

    /// Takes the progress away.
    pub fn progress_end(&self) {
        self.progress("");
    }
}

/// A table under headings, no wider than the terminal: the widest columns give way, down to their headings, and the
/// first one, which says what a line is about, only after all others. What is cut ends in `…`; where no terminal shows
/// it, nothing is. Never fails.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    table_within(room(), headings, rows)
}

fn table_within(room: Option<usize>, headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines: Vec<Vec<String>> = vec![headings.iter().map(|heading| (*heading).to_owned()).collect()];
    lines.extend(rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let gaps = (widths.len() - 1) * GAP.len();
    while room.is_some_and(|room| widths.iter().sum::<usize>() + gaps > room) {
        let others = (1..widths.len()).filter(|column| widths[*column] > headings[*column].len());
        let column = others.max_by_key(|column| widths[*column]).unwrap_or(0);
        if widths[column] <= 1 {
            break;
        }
        widths[column] -= 1;
    }
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{:width$}", clip(cell, *width))).collect();
        text.push_str(cells.join(GAP).trim_end());
        text.push('\n');
    }
    text
}

/// Words and their values, one a line, the values in one column; nothing is a dash. Values are not cut. Never fails.
pub fn card(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
    let said = |value: &str| if value.is_empty() { "-".to_owned() } else { printable(value) };
    lines.iter().map(|(word, value)| format!("{word:width$}{GAP}{}\n", said(value))).collect()
}

/// One line as it is printed: what would steer a terminal is shown as escapes, what is beyond its columns is cut.
/// Never fails.
pub fn cut(text: &str) -> String {
    clip(&printable(text), room().unwrap_or(usize::MAX))
}

/// A text broken into lines of at most 80 columns, each after `indent`. Never fails.
pub fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one from the beginning");
        if line.is_empty() {
            line.push_str(word);
        } else if indent.len() + line.chars().count() + 1 + word.chars().count() <= COLUMNS {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.iter().map(|line| format!("{indent}{line}\n")).collect()
}

const GAP: &str = "  ";

fn clip(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_to_80_columns_whatever_is_in_it() {
        let long = "x".repeat(100);
        let text = table(
            &["ID", "NAME", "USER"],
            &[vec!["dev_0123".to_owned(), long.clone(), long], vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]],
        );
        for line in text.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
        assert!(text.contains("dev_0123") && text.contains('…'), "{text}");
    }

    #[test]
    fn a_table_is_as_wide_as_the_terminal_and_whole_where_there_is_none() {
        let (name, user) = ("n".repeat(70), "u".repeat(70));
        let rows = [vec!["dev_0123".to_owned(), name.clone(), user.clone()]];
        let text = |room| table_within(room, &["ID", "NAME", "USER"], &rows);
        let widest = |room| text(room).lines().map(|line| line.chars().count()).max();
        assert_eq!((widest(Some(80)), widest(Some(120)), widest(Some(200))), (Some(80), Some(120), Some(152)));
        assert_eq!(text(None), format!("ID        NAME{}USER\ndev_0123  {name}  {user}\n", " ".repeat(68)));
        assert!(widest(Some(1)) < Some(20), "what cannot fit is no loop without end");
    }

    #[test]
    fn what_a_device_says_cannot_steer_the_terminal() {
        let text = table(&["NAME"], &[vec!["\u{1b}[2Jgone\n".to_owned()]]);
        assert!(!text.contains('\u{1b}') && text.lines().count() == 2, "{text:?}");
        assert_eq!(card(&[("a", String::new()), ("name", "x".to_owned())]), "a     -\nname  x\n");
        assert!(!card(&[("name", "\u{1b}]0;x\u{7}".to_owned())]).contains('\u{1b}'));
    }

    #[test]
    fn long_sentences_are_broken_between_words() {
        let text = wrapped(&"word ".repeat(40), "    ");
        assert!(text.lines().all(|line| line.len() <= COLUMNS && line.starts_with("    word")), "{text}");
        assert_eq!(text.split_whitespace().count(), 40);
    }
}
