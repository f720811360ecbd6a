//! What happened, line by line: the newest lines, and a digest of all of them, by which two plays are compared.

use base::Span;
use std::collections::VecDeque;
use std::fmt::Display;

/// Lines that are kept.
const KEPT_MAX: usize = 400;

/// All that happened in one play.
#[derive(Clone, Debug)]
pub struct Trace {
    hasher: blake3::Hasher,
    newest: VecDeque<String>,
    lines: u64,
    /// Whether every line is printed as it comes.
    shown: bool,
}

impl Trace {
    pub(super) fn new(shown: bool) -> Self {
        Self { hasher: blake3::Hasher::new(), newest: VecDeque::new(), lines: 0, shown }
    }

    pub(super) fn add(&mut self, at: Span, text: impl Display) {
        let seconds = at.as_ms() / 1_000;
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
        let line = format!("{days:2} {hours:02}:{minutes:02}:{:02}.{:03} {text}", seconds % 60, at.as_ms() % 1_000);
        if self.shown {
            #[expect(clippy::print_stderr, reason = "it was asked for, and is no answer")]
            {
                eprintln!("{line}");
            }
        }
        self.hasher.update(line.as_bytes()).update(b"\n");
        self.lines += 1;
        if self.newest.len() == KEPT_MAX {
            self.newest.pop_front();
        }
        self.newest.push_back(line);
    }

    /// The same for the same lines in the same order. Never fails.
    pub fn digest(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }

    /// How many lines there are. Never fails.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The newest lines, the last one last. Never fails.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &str> {
        self.newest.iter().skip(self.newest.len().saturating_sub(count)).map(String::as_str)
    }
}
