//! The ledger: one line a step, and the verdict on the promise.

use base::{Bytes, Count, Span};
use serde::Serialize;

/// Bytes that the trees of what changed and the requests themselves may take.
pub const SENT_ALLOWANCE: u64 = 64 << 10;

/// What the demo did and whether the promise held.
#[derive(Serialize)]
pub struct Ledger {
    /// What the story was played on.
    pub folder: String,
    /// One a step, in order.
    pub steps: Vec<Step>,
    /// The promise.
    pub verdict: Verdict,
}

/// One step.
#[derive(Clone, Serialize, Default)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// How long it took.
    pub time_ms: u64,
    /// What it read and sent; absent for a step that is no backup or restore.
    #[serde(flatten)]
    pub numbers: Option<Numbers>,
    /// What is to be said of it.
    pub note: String,
}

/// What a backup or restore read and sent.
#[derive(Clone, Copy, Serialize, Default, Debug)]
pub struct Numbers {
    /// Files that it came by.
    pub files_seen: u64,
    /// Files whose content it opened.
    pub files_opened: u64,
    /// Bytes of content it read.
    pub bytes_read: u64,
    /// Bytes it sent to the server.
    pub bytes_sent: u64,
    /// Chunks that the server did not have.
    pub chunks_new: u64,
}

/// Whether the first backup after reactivation read and sent what changed, and nothing else.
#[derive(Serialize)]
pub struct Verdict {
    /// It did.
    pub holds: bool,
    /// In words.
    pub sentence: String,
    /// Files that changed while the device was cut off.
    pub files_changed: u64,
    /// Their bytes.
    pub bytes_changed: u64,
}

impl Verdict {
    /// Weighs the backup after reactivation against what changed.
    pub fn weigh(files_changed: u64, bytes_changed: u64, after: &Numbers) -> Self {
        let holds = after.files_opened == files_changed && after.bytes_sent <= bytes_changed + SENT_ALLOWANCE;
        let sentence = format!(
            "after reactivation {} files changed and {} were opened; {} changed and {} were sent",
            Count(files_changed),
            Count(after.files_opened),
            Bytes(bytes_changed),
            Bytes(after.bytes_sent),
        );
        Self { holds, sentence, files_changed, bytes_changed }
    }
}

impl Ledger {
    /// Prints the ledger, 80 columns wide.
    pub fn print(&self) {
        println!("\nLedger of {}", self.folder);
        println!("{:24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9}", "", "files", "opened", "read", "sent", "chunks", "time");
        for step in &self.steps {
            let time = Span::ms(step.time_ms).to_string();
            match &step.numbers {
                None => println!("{:24} {:>44} {time:>9}", step.name, ""),
                Some(n) => println!(
                    "{:24} {:>8} {:>8} {:>8} {:>8} {:>8} {time:>9}",
                    step.name,
                    Count(n.files_seen).to_string(),
                    Count(n.files_opened).to_string(),
                    Bytes(n.bytes_read).to_string(),
                    Bytes(n.bytes_sent).to_string(),
                    Count(n.chunks_new).to_string(),
                ),
            }
            for line in wrap(&step.note, 74) {
                println!("    {line}");
            }
        }
        let word = if self.verdict.holds { "HOLDS" } else { "DOES NOT HOLD" };
        println!();
        for line in wrap(&format!("Verdict: {word}: {}.", self.verdict.sentence), 78) {
            println!("{line}");
        }
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_fails_when_more_is_opened_or_sent_than_changed() {
        let after = |files_opened, bytes_sent| Numbers { files_opened, bytes_sent, ..Numbers::default() };
        assert!(Verdict::weigh(3, 1_000, &after(3, 1_000 + SENT_ALLOWANCE)).holds);
        assert!(!Verdict::weigh(3, 1_000, &after(3, 1_001 + SENT_ALLOWANCE)).holds);
        assert!(!Verdict::weigh(3, 1_000, &after(4, 0)).holds);
        assert!(!Verdict::weigh(3, 1_000, &after(2, 0)).holds);
    }
}
