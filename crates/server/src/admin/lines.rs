//! Answers that go on: what takes as long as reading everything takes is answered by a line for each step, and ends
//! with what came of it. Refuses to go on for nobody: who closes the connection ends the work.

use crate::admin::describe::{Content, Made, Media, json};
use crate::admin::extract::AtAdmin;
use crate::reply::log;
use app::{AdminActor, AppError};
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream;
use schemars::JsonSchema;
use serde::Serialize;
use std::convert::Infallible;
use std::marker::PhantomData;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Steps on their way to the caller; while there are so many, further ones are left out.
const STEPS_MAX: usize = 16;
const NDJSON: &str = "application/x-ndjson";

/// Lines of this type.
pub(super) struct Lines<L>(PhantomData<L>);

impl<L: JsonSchema> Media for Lines<L> {
    fn contents() -> Vec<Content> {
        vec![Content { media: NDJSON, ..json::<L>() }]
    }
}

/// Shows a step.
pub(super) type Show<L> = Box<dyn FnMut(L) + Send>;

/// Answers with the lines that `work` shows and the one that it ends with. `failed` makes the last line of an error:
/// its code and its sentence. `broken` is what is said over the network of what the log says more of.
pub(super) fn streamed<L: Serialize + Send + 'static>(
    at: AtAdmin,
    broken: &'static str,
    failed: fn(String, String) -> L,
    work: impl FnOnce(AtAdmin, Show<L>) -> BoxFuture<'static, Result<L, AppError>> + Send + 'static,
) -> Made<Lines<L>> {
    let (steps, said) = mpsc::channel(STEPS_MAX);
    let task = tokio::spawn(async move {
        let is_own = at.actor == AdminActor::Command;
        let shown = steps.clone();
        // A caller that reads slowly misses a step and nothing else.
        let show = Box::new(move |step| drop(shown.try_send(step)));
        let last = work(at, show).await.unwrap_or_else(|error| {
            log(&error);
            // Whoever may read the data directory may know what broke; over the network it stays in the log.
            let sentence = if is_own { app::chain(&error) } else { broken.to_owned() };
            failed(error.code().to_owned(), sentence)
        });
        let _ = steps.send(last).await;
    });
    let state = (said, Ending(task.abort_handle()));
    let lines = stream::unfold(state, |(mut said, ending)| async move {
        let line: L = said.recv().await?;
        let mut text = serde_json::to_vec(&line).expect("a line is plain values");
        text.push(b'\n');
        Some((Ok::<Bytes, Infallible>(Bytes::from(text)), (said, ending)))
    });
    Made(([(CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response(), PhantomData)
}

/// Ends the work with the answer.
struct Ending(AbortHandle);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}
