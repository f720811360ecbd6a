//! Answers that go on, line by line, up to the one that ends them. Refuses one that breaks off before.

use crate::client::Pieces;
use crate::out::Failure;
use futures::StreamExt as _;
use serde::de::DeserializeOwned;

/// The longest line of an answer: a report that lists what it may.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Gives every line to `take`, and what that makes of the last one. `what` names the work in the error.
///
/// # Errors
/// `answer_damaged` for an answer that breaks off; what `take` makes of a line.
pub(super) async fn followed<L: DeserializeOwned, T>(
    mut pieces: Pieces,
    what: &str,
    take: impl Fn(L) -> Option<Result<T, Failure>>,
) -> Result<T, Failure> {
    let broken_off = || Failure::new("answer_damaged", format!("The answer of the {what} broke off before its end."));
    let mut waiting = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            waiting.extend_from_slice(part);
            if !part.ends_with(b"\n") {
                continue;
            }
            let line = std::mem::take(&mut waiting);
            if let Some(end) = take(serde_json::from_slice(&line).map_err(|_| broken_off())?) {
                return end;
            }
        }
        if waiting.len() > LINE_BYTES_MAX {
            break;
        }
    }
    Err(broken_off())
}
