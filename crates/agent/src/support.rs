//! `holdfast support-bundle`, and the order of an admin to send one: one text for whoever helps, with what is known
//! here and nothing that opens anything. Refuses keys, tokens, counters, passwords, and names of files in backups.

use crate::error::AgentError;
use crate::evidence;
use crate::last::{self, Last, LastBundle};
use crate::remote::{Around, Connection};
use crate::state::{Pin, State, StateDir, fingerprint_text};
use crate::status::{self, Device, Status};
use protocol::PROTOCOL_VERSION;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file was written.
#[derive(Debug)]
pub struct Bundle {
    /// Where.
    pub file: PathBuf,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// What is in it: the name of each part, and what that is.
    pub parts: Vec<(&'static str, &'static str)>,
}

/// What each part is, in the order of the file.
const PARTS: [(&str, &str); 7] = [
    ("program", "release, protocol, operating system, when it was made"),
    ("computer", "its name, serial number and hardware UUID, as the server has them"),
    ("state", "server, device, user, folders to back up; neither key nor counter"),
    ("server", "what the server says of this device now, or why it does not"),
    ("policy", "values, folders, patterns and quota in force"),
    ("last", "the last good backup and the last error"),
    ("unattended", "how an activation without a person stands, without its token"),
];

/// Collects everything and writes it to `file`, which must not be there yet; only its owner may read it.
///
/// # Errors
/// The state cannot be used, or the file cannot be written.
pub async fn write(around: &Around, dir: &StateDir, file: &Path) -> Result<Bundle, AgentError> {
    let bytes = made(around, &status::look(around, dir).await?);
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let written = opened.and_then(|mut open| {
        open.write_all(&bytes)?;
        open.sync_all()
    });
    written.map_err(AgentError::file("writing", file))?;
    Ok(Bundle { file: file.to_owned(), bytes: bytes.len() as u64, parts: PARTS.to_vec() })
}

/// The word of the order.
pub const ORDER: &str = "support_bundle";
/// The server's word for a bundle that it has already, or wants no more.
const NOT_ASKED: &str = "bundle_not_asked";

/// Sends a bundle if an admin has asked for one, and notes that in `status`. Never fails: what this computer was asked
/// for does not depend on it, and the order stands until it is answered.
pub async fn obey(around: &Around, dir: &StateDir, status: &mut Status) {
    if !status.is_asked_for_bundle() {
        return;
    }
    let Ok(Some((state, key))) = dir.load() else { return };
    let bundle = made(around, status);
    let bytes = bundle.len() as u64;
    let sent = match Connection::of_device(dir, &state, key, around) {
        Ok(connection) => connection.send_bundle(bundle).await.map_err(AgentError::Remote),
        Err(error) => Err(error),
    };
    match sent {
        Ok(()) => {
            let sent = LastBundle { sent_at_ms: around.clock.now().as_ms(), bytes };
            tracing::info!("an admin has asked for a support bundle, and it was sent: {bytes} bytes");
            last::note(dir, |last| last.bundle = Some(sent.clone()));
            status.last.bundle = Some(sent);
        }
        Err(error) if error.code() == NOT_ASKED => {}
        Err(error) => tracing::warn!("an admin has asked for a support bundle, and it was not sent: {error}"),
    }
}

/// The same after a command that has not looked.
pub async fn obey_after(around: &Around, dir: &StateDir) {
    let Ok(Some((state, key))) = dir.load() else { return };
    let Ok(connection) = Connection::of_device(dir, &state, key, around) else { return };
    let asked = connection.device().await.is_ok_and(|said| said.orders.iter().any(|order| order == ORDER));
    if asked && let Ok(mut status) = status::look(around, dir).await {
        obey(around, dir, &mut status).await;
    }
}

fn made(around: &Around, status: &Status) -> Vec<u8> {
    let value = bundle(status, around.clock.now().as_ms());
    let mut bytes = serde_json::to_vec_pretty(&value).expect("a JSON value is always JSON");
    bytes.push(b'\n');
    bytes
}

/// Without the sentence of the last error: it may name a file of the user's.
fn happened(last: &Last) -> Value {
    json!({
        "backup": last.backup,
        "error": last.error.as_ref().map(|error| json!({
            "command": error.command,
            "at_ms": error.at_ms,
            "code": error.code,
        })),
        "bundle": last.bundle,
    })
}

fn bundle(status: &Status, now_ms: i64) -> Value {
    let device = status.device.as_ref();
    json!({
        "program": {
            "release": evidence::RELEASE,
            "protocol": PROTOCOL_VERSION,
            "system": evidence::os_text(),
            "arch": std::env::consts::ARCH,
            "made_at_ms": now_ms,
        },
        "computer": evidence::gather(),
        "state": device.map(|device| state(&device.state)),
        "server": device.map(said),
        "policy": device.and_then(|device| device.policy.as_ref()).map(|known| json!({
            "fetched_at_ms": known.fetched_at_ms,
            "policy": known.policy,
        })),
        "last": happened(&status.last),
        "unattended": status.unattended,
        "wiped": status.wiped,
    })
}

fn state(state: &State) -> Value {
    let pin = match &state.server.pin {
        Pin::Ca(pem) => json!({ "kind": "ca", "bytes": pem.len() }),
        Pin::Fingerprint(sha256) => json!({ "kind": "fingerprint", "sha256": fingerprint_text(sha256) }),
    };
    json!({
        "url": state.server.url,
        "pin": pin,
        "device": state.device.to_string(),
        "epoch": state.epoch,
        "user": state.user,
        "folders": state.folders.iter().map(crate::folders::path_text).collect::<Vec<_>>(),
        "has_counter": state.counter.is_some(),
    })
}

/// Field by field: the root of a snapshot is a key to its contents.
fn said(device: &Device) -> Value {
    match &device.said {
        Ok(reply) => json!({
            "name": reply.name,
            "state": reply.state,
            "rights": reply.rights,
            "snapshots": reply.snapshots,
            "newest_committed_at_ms": reply.snapshot.as_ref().map(|snapshot| snapshot.committed_at_ms),
            "orders": reply.orders,
            "catch_up_at_ms": reply.catch_up_at_ms,
            "policy_revision": reply.policy_revision,
            "support": reply.support,
            "now_ms": reply.now_ms,
        }),
        Err(error) => json!({ "code": error.code(), "sentence": error.sentence() }),
    }
}
