//! `quota show`, `quota check`: exit code 1 when quota believes what is not so, and that was not mended.

use super::lines::{self, Line};
use super::{Desk, named};
use crate::client::{Said, call};
use crate::out::{Answer, Failure, table, wrapped};
use base::{Bytes, Count};
use clap::Subcommand;
use protocol::admin::PageQuery;
use protocol::admin::policy::Quota as Wire;
use protocol::admin::quota::{QuotaCheckAsk, QuotaCheckLine, QuotaChecked, QuotaDifference};
use protocol::admin::user::User;

/// What can be asked about how much users take.
#[derive(Debug, Subcommand)]
pub enum Quota {
    /// Show what users' backups take, and may take.
    Show {
        /// Only of this user: an e-mail address or an identifier.
        #[arg(long)]
        user: Option<String>,
    },
    /// Compare what quota believes of the newest snapshots with what they are.
    Check {
        /// Mend what differs.
        #[arg(long)]
        apply: bool,
    },
}

impl Quota {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        match self {
            Quota::Show { user } => show(desk, user).await,
            Quota::Check { apply } => check(desk, apply).await,
        }
    }
}

async fn show(desk: &Desk, user: Option<String>) -> Result<Answer, Failure> {
    let client = desk.client().await?;
    let (rows, json) = match user {
        Some(user) => {
            let id = named::id::<User>(&client, &user).await?;
            let said: Said<Wire> = client.get(&format!("/users/{id}/quota"), &()).await?;
            (vec![said.value], said.json)
        }
        None => {
            let said = client.list::<Wire>("/quota", &PageQuery::default()).await?;
            (said.value, said.json)
        }
    };
    let rows: Vec<Vec<String>> = rows.into_iter().map(row).collect();
    Ok(Answer::good(table(&["EMAIL", "USED", "LIMIT", "FROM"], &rows), json))
}

async fn check(desk: &Desk, apply: bool) -> Result<Answer, Failure> {
    let body = serde_json::to_value(QuotaCheckAsk { apply }).expect("plain values");
    let pieces = desk.client().await?.send(call("POST", "/quota/check", &(), Some(body))).await?;
    let checked = lines::followed(pieces, "check", desk.surroundings.out, said).await?;
    let json = serde_json::to_value(&checked).expect("plain values");
    Ok(Answer { text: to_text(&checked), json, good: checked.clean })
}

fn said(line: QuotaCheckLine) -> Line<QuotaChecked> {
    match line {
        QuotaCheckLine::Report(checked) => Line::End(checked),
        QuotaCheckLine::Failed { code, sentence } => Line::Failed { code, sentence },
        QuotaCheckLine::Devices { done } => Line::Step(format!("devices: {done}")),
    }
}

fn to_text(checked: &QuotaChecked) -> String {
    let devices = Count(checked.devices).counted("device");
    let mut text = format!("{devices} looked at, {} differ\n", checked.differences_total);
    if !checked.differences.is_empty() {
        let row = |difference: &QuotaDifference| {
            let bytes = |bytes: u64| Bytes(bytes).to_string();
            let mended = if difference.mended { "yes" } else { "no" };
            vec![
                difference.device.0.to_string(),
                bytes(difference.believed_bytes),
                bytes(difference.found_bytes),
                mended.to_owned(),
            ]
        };
        let rows: Vec<Vec<String>> = checked.differences.iter().map(row).collect();
        text.push_str(&table(&["DEVICE", "BELIEVED", "FOUND", "MENDED"], &rows));
    }
    if !checked.unreadable.is_empty() {
        text.push_str("\nsnapshots of which neither manifest nor trees can be read:\n");
        text.extend(checked.unreadable.iter().map(|snapshot| format!("  {}\n", snapshot.0)));
    }
    if checked.mended_total < checked.differences_total {
        text.push_str(&wrapped("`quota check --apply` mends what differs.", ""));
    }
    text
}

fn row(quota: Wire) -> Vec<String> {
    let limit = quota.limit.map_or_else(|| "none".to_owned(), |limit| Bytes(limit).to_string());
    vec![quota.email, Bytes(quota.used).to_string(), limit, quota.from]
}
