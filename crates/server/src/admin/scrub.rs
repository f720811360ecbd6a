//! `POST /api/v1/scrub`: a scrub takes as long as reading everything takes, so its answer is a line for each step and
//! ends with the report. Refuses to go on for nobody: who closes the connection ends the scrub.

use crate::admin::describe::{Content, Made, Media, json};
use crate::admin::extract::{AtAdmin, Body};
use crate::admin::{Entry, post};
use crate::reply::{No, log};
use app::AdminActor;
use app::scrub::{Options, Progress, Report, scrub};
use axum::body::Body as AnswerBody;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use control::Permit;
use futures::stream;
use protocol::Text;
use protocol::admin::scrub::{ScrubAsk, ScrubLine, ScrubProblem, ScrubReport};
use std::convert::Infallible;
use std::marker::PhantomData;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Steps on their way to the caller; while there are so many, further ones are left out.
const STEPS_MAX: usize = 16;

pub(super) fn routes() -> Vec<Entry> {
    let summary = "Read the whole repository and compare it with its names; marks damaged packs. The answer goes on.";
    vec![post("scrub", "/api/v1/scrub", Permit::RepositoryScrub, summary, run).streamed()]
}

struct Lines;

impl Media for Lines {
    fn contents() -> Vec<Content> {
        vec![Content { media: "application/x-ndjson", ..json::<ScrubLine>() }]
    }
}

async fn run(at: AtAdmin, Body(body): Body<ScrubAsk>) -> Result<Made<Lines>, No> {
    let options = Options { read_data: !body.metadata_only };
    let (steps, said) = mpsc::channel(STEPS_MAX);
    let task = tokio::spawn(async move {
        let mut show = |progress| {
            // A caller that reads slowly misses a step and nothing else.
            let _ = steps.try_send(step(progress));
        };
        let last = match scrub(&at.app, &at.actor, options, &mut show).await {
            Ok(found) => ScrubLine::Report(report(found)),
            Err(error) => {
                log(&error);
                // Whoever may read the data directory may know what broke; over the network it stays in the log.
                let sentence = if at.actor == AdminActor::Command { app::chain(&error) } else { FAILED.to_owned() };
                ScrubLine::Failed { code: error.code().to_owned(), sentence }
            }
        };
        let _ = steps.send(last).await;
    });
    let state = (said, Ending(task.abort_handle()));
    let lines = stream::unfold(state, |(mut said, ending)| async move {
        let line = said.recv().await?;
        let mut text = serde_json::to_vec(&line).expect("a line is plain values");
        text.push(b'\n');
        Some((Ok::<Bytes, Infallible>(Bytes::from(text)), (said, ending)))
    });
    let body = AnswerBody::from_stream(lines);
    Ok(Made(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response(), PhantomData))
}

const FAILED: &str = "The scrub ended early: the database or the store did not answer. The server's log says why.";

/// Ends the scrub with the answer.
struct Ending(AbortHandle);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn step(progress: Progress) -> ScrubLine {
    match progress {
        Progress::Packs { done, total, bytes } => ScrubLine::Packs { done: done.0, total: total.0, bytes: bytes.0 },
        Progress::Snapshots { done } => ScrubLine::Snapshots { done: done.0 },
        Progress::Objects { done } => ScrubLine::Objects { done: done.0 },
    }
}

fn report(report: Report) -> ScrubReport {
    let clean = report.is_clean();
    let problem = |problem: app::scrub::Problem| ScrubProblem {
        code: problem.code.word().to_owned(),
        subject: problem.subject,
        sentence: problem.sentence,
    };
    ScrubReport {
        clean,
        packs: report.packs.0,
        chunks: report.chunks.0,
        bytes_read: report.bytes.0,
        snapshots: report.snapshots.0,
        problems_total: report.problems_total.0,
        problems: report.problems.into_iter().map(problem).collect(),
        snapshots_hurt: report.snapshots_hurt.into_iter().map(Text).collect(),
        orphans_total: report.orphans_total.0,
        orphans: report.orphans,
    }
}
