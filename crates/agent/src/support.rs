//! `holdfast support-bundle`: one file of text for whoever helps, with what is known here and nothing that opens
//! anything. Refuses keys, tokens, counters, passwords, and names of files in backups.

use crate::error::AgentError;
use crate::evidence;
use crate::remote::Around;
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
    let status = status::look(around, dir).await?;
    let value = bundle(&status, around.clock.now().as_ms());
    let mut bytes = serde_json::to_vec_pretty(&value).expect("a JSON value is always JSON");
    bytes.push(b'\n');
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let written = opened.and_then(|mut open| {
        open.write_all(&bytes)?;
        open.sync_all()
    });
    written.map_err(AgentError::file("writing", file))?;
    Ok(Bundle { file: file.to_owned(), bytes: bytes.len() as u64, parts: PARTS.to_vec() })
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
        "last": status.last,
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
