//! What an admin may say at the desk where devices wait. Refuses to decide about them: `lifecycle::step` does.

use base::{Count, Span};

/// The longest reason for a refusal, in characters: it is shown at the computer.
pub const REASON_MAX: Count = Count(200);
/// How long an endpoint waits before it asks again whether its record was approved.
pub const WAITING_POLL: Span = Span::minutes(5);
/// The most refused activations that are kept; then the oldest makes room.
pub const REFUSED_MAX: Count = Count(10_000);
/// What an endpoint that waits is told.
pub const WAITING_SENTENCE: &str = "This computer waits for an admin's approval. Once that is given, its next try \
     succeeds; nothing else need be done.";

/// The reason as it is kept and shown: one line, without space around it; `None` when there is nothing in it, when it
/// is longer than `REASON_MAX` or has control characters. Never fails.
pub fn reason(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() as u64 <= REASON_MAX.0;
    (fits && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line() {
        assert_eq!(reason(" not ours "), Some("not ours".to_owned()));
        assert_eq!(reason(&"é".repeat(200)), Some("é".repeat(200)));
        for bad in ["", "  ", "two\nlines", &"x".repeat(201)] {
            assert_eq!(reason(bad), None, "{bad:?}");
        }
    }
}
