//! Every "no" of the domain: a stable code, one sentence for a person, what kind it is, and when to ask again.
//! Refuses to say who exists: what a stranger could learn from is worded alike. The list: docs/control.md, "Refusals".

mod make;
mod table;

pub use table::Refusal;

use base::Span;
use std::fmt;

impl Refusal {
    /// How long to wait before asking again; `None` where time alone changes nothing. Never fails.
    pub fn retry_after(&self) -> Option<Span> {
        self.retry().after()
    }
}

impl fmt::Display for Refusal {
    /// The sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests;
