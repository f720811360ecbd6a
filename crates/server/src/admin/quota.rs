//! `POST /api/v1/quota/check`: a line for each step, and at the end what was found. What users take is in `policies`.
//! Refuses to compare: `app::quota` does.

use crate::admin::describe::Made;
use crate::admin::extract::{AtAdmin, Body};
use crate::admin::lines::{Lines, streamed};
use crate::admin::{Entry, post};
use crate::reply::No;
use app::quota::{Checked, Difference, check};
use control::Permit;
use protocol::Text;
use protocol::admin::quota::{QuotaCheckAsk, QuotaCheckLine, QuotaChecked, QuotaDifference};

pub(super) fn routes() -> Vec<Entry> {
    let summary = "Compare what quota believes with the snapshots, and mend it. The answer goes on.";
    vec![post("quota_check", "/api/v1/quota/check", Permit::RepositoryScrub, summary, run).streamed()]
}

async fn run(at: AtAdmin, Body(body): Body<QuotaCheckAsk>) -> Result<Made<Lines<QuotaCheckLine>>, No> {
    let failed = |code, sentence| QuotaCheckLine::Failed { code, sentence };
    Ok(streamed(at, FAILED, failed, move |at, mut show| {
        Box::pin(async move {
            let mut show = |devices: base::Count| show(QuotaCheckLine::Devices { done: devices.0 });
            Ok(QuotaCheckLine::Report(report(check(&at.app, &at.actor, body.apply, &mut show).await?)))
        })
    }))
}

const FAILED: &str = "The check ended early: the database or the store did not answer. The server's log says why.";

fn report(checked: Checked) -> QuotaChecked {
    let difference = |difference: Difference| QuotaDifference {
        device: Text(difference.device),
        user: Text(difference.user),
        snapshot: Text(difference.snapshot),
        believed_bytes: difference.believed.0,
        found_bytes: difference.found.0,
        mended: difference.is_mended,
    };
    QuotaChecked {
        clean: checked.is_clean(),
        devices: checked.devices.0,
        differences_total: checked.differences_total.0,
        mended_total: checked.mended_total.0,
        differences: checked.differences.into_iter().map(difference).collect(),
        unreadable_total: checked.unreadable_total.0,
        unreadable: checked.unreadable.into_iter().map(Text).collect(),
    }
}
