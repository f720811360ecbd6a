//! `device support-bundle`: asks a device for one, writes what it has sent to a file, takes the order back. Refuses a
//! file that is there, and one for nothing.

use super::super::{named, unwritable, words};
use crate::client::{Client, Said};
use crate::out::{Answer, Failure};
use base::Timestamp;
use protocol::admin::Nothing;
use protocol::admin::device::{Device, SupportBundle};
use serde_json::json;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Asks for a bundle; with `out` writes it there, with `withdraw` removes it.
///
/// # Errors
/// `device_unknown`, `name_ambiguous`; `bundle_unknown`, `bundle_pending`; `file_unwritable`; the server's refusal.
pub(super) async fn bundle(
    client: &Client,
    device: &str,
    out: Option<&Path>,
    withdraw: bool,
) -> Result<Answer, Failure> {
    let path = format!("/devices/{}/support-bundle", named::id::<Device>(client, device).await?);
    if withdraw {
        let Said { json, .. } = client.change::<Nothing>("DELETE", &path, &Nothing {}).await?;
        return Ok(Answer::good("the support bundle is removed, or the order for it taken back\n", json));
    }
    match out {
        Some(file) => take(client, &path, file).await,
        None => {
            let Said { json, .. } = client.post::<SupportBundle>(&path, &Nothing {}).await?;
            let text = "asked: the device sends it when it looks next; then take it with --out FILE\n";
            Ok(Answer::good(text, json))
        }
    }
}

async fn take(client: &Client, path: &str, file: &Path) -> Result<Answer, Failure> {
    let SupportBundle { device, asked_at_ms, sent_at_ms, text, .. } =
        client.get::<SupportBundle>(path, &()).await?.value;
    let time = |ms: i64| words::time(Timestamp::from_ms(ms));
    let (Some(sent_at_ms), Some(text)) = (sent_at_ms, text) else {
        let sentence = format!(
            "The device was asked at {} and has not sent it yet: it does so when it looks next.",
            time(asked_at_ms)
        );
        return Err(Failure::new("bundle_pending", sentence));
    };
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let written = opened.and_then(|mut opened| {
        opened.write_all(text.as_bytes())?;
        opened.sync_all()
    });
    written.map_err(|cause| unwritable(file, &cause))?;
    let said = format!("sent {}, written to {}\n", time(sent_at_ms), file.display());
    let json = json!({ "device": device, "sent_at_ms": sent_at_ms, "file": file.display().to_string() });
    Ok(Answer::good(said, json))
}
