//! `POST /api/v1/scrub`: a line for each step, and at the end the report. Refuses to mend.

use crate::admin::describe::Made;
use crate::admin::extract::{AtAdmin, Body};
use crate::admin::lines::{Lines, streamed};
use crate::admin::{Entry, post};
use crate::reply::No;
use app::scrub::{Options, Progress, Report, sample, scrub};
use control::Permit;
use protocol::admin::scrub::{ScrubAsk, ScrubFile, ScrubLine, ScrubProblem, ScrubReport};
use protocol::{Text, path_to_text};

pub(super) fn routes() -> Vec<Entry> {
    let summary = "Read the whole repository and compare it with its names; marks damaged packs. The answer goes on.";
    vec![post("scrub", "/api/v1/scrub", Permit::RepositoryScrub, summary, run).streamed()]
}

async fn run(at: AtAdmin, Body(body): Body<ScrubAsk>) -> Result<Made<Lines<ScrubLine>>, No> {
    let (options, sampled) = (Options { read_data: !body.metadata_only }, body.sample);
    let failed = |code, sentence| ScrubLine::Failed { code, sentence };
    Ok(streamed(at, FAILED, failed, move |at, mut show| {
        Box::pin(async move {
            let mut show = |progress| show(step(progress));
            let found = match sampled {
                Some(percent) => sample(&at.app, &at.actor, percent, &mut show).await?,
                None => scrub(&at.app, &at.actor, options, &mut show).await?,
            };
            Ok(ScrubLine::Report(report(found)))
        })
    }))
}

const FAILED: &str = "The scrub ended early: the database or the store did not answer. The server's log says why.";

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
    let file = |(snapshot, path): (_, format::StoredPath)| ScrubFile {
        snapshot: Text(snapshot),
        path: path_to_text(path.as_bytes()),
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
        files_hurt: report.files_hurt.into_iter().map(file).collect(),
        files_hurt_more: report.files_hurt_more,
        orphans_total: report.orphans_total.0,
        orphans: report.orphans,
    }
}
