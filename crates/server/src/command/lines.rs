//! Answers that go on, line by line, up to the one that ends them. Refuses one that breaks off before.

use crate::client::Pieces;
use crate::out::{Failure, Out, retry_own};
use futures::StreamExt as _;
use serde::de::DeserializeOwned;

/// The longest line of an answer: a report that lists what it may.
const LINE_BYTES_MAX: usize = 64 << 20;

/// What a line says.
pub(super) enum Line<T> {
    /// How far the work is.
    Step(String),
    /// What came of it.
    End(T),
    /// Why nothing came of it.
    Failed {
        /// The stable code.
        code: String,
        /// One plain sentence.
        sentence: String,
    },
}

/// Shows on a terminal how far the work is, and gives what came of it. `what` names the work in the error.
///
/// # Errors
/// `answer_damaged` for an answer that breaks off; the failure that a line says.
pub(super) async fn followed<L: DeserializeOwned, T>(
    pieces: Pieces,
    what: &str,
    out: Out,
    read: impl Fn(L) -> Line<T>,
) -> Result<T, Failure> {
    let end = ended(pieces, what, |line| match read(line) {
        Line::Step(shown) => {
            out.progress(&shown);
            None
        }
        Line::End(end) => Some(Ok(end)),
        Line::Failed { code, sentence } => {
            let retry = retry_own(&code);
            Some(Err(Failure::said(code, sentence, retry)))
        }
    });
    let end = end.await;
    out.progress_end();
    end
}

/// Gives every line to `take`, and what that makes of the last one.
async fn ended<L: DeserializeOwned, T>(
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
