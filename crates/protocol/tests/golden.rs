//! Every message of protocol version 1 as it travels, frozen in testdata/protocol/v1. A change of these bytes is a
//! change of the protocol: devices in the field speak them. `HOLDFAST_GOLDEN=write` writes files that are missing.

use base::{DeviceId, FolderId, RepositoryId, RunId, SnapshotId};
use protocol::agent::activation::{
    ActivationAnswer, ActivationChanges, ActivationQuestion, ActivationReply, ActivationRequest, ActivationWaiting,
    Choice, Evidence, OldKey, Platform, Preview, Proof, Replaceable, Restore,
};
use protocol::agent::fetch::{Parcel, ParcelChunk, ParcelReader, encode_end};
use protocol::agent::password::{PasswordLinkReply, PasswordLinkRequest};
use protocol::agent::policy::{
    FolderChange, FolderRequest, PolicyChanges, PolicyFolder, PolicyReply, PolicyValue, QuotaDetail, ValueChange,
    ValuesRequest,
};
use protocol::agent::run::{
    BeginReply, BeginRequest, CommitReply, EntryProblem, Limits, Purpose, SnapshotDetail, SnapshotListReply, Totals,
    UploadReply,
};
use protocol::agent::session::{
    ChallengeReply, ChallengeRequest, HelloReply, SessionReply, SessionRequest, signed_bytes,
};
use protocol::agent::status::DeviceReply;
use protocol::{Hex, HexBytes, Problem, RetryWord, Text, Versions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

const DEVICE: Text<DeviceId> = Text(DeviceId::from_bytes([0xd1; 16]));
const RUN: Text<RunId> = Text(RunId::from_bytes([0x52; 16]));
const SNAPSHOT: Text<SnapshotId> = Text(SnapshotId::from_bytes([0x5a; 16]));
const REPOSITORY: Text<RepositoryId> = Text(RepositoryId::from_bytes([0x4e; 16]));

#[test]
fn every_message_travels_as_it_is_frozen() {
    let mut files = Golden::default();
    activation(&mut files);
    session(&mut files);
    run(&mut files);
    policy(&mut files);
    files.json("snapshot-list-reply", &snapshot_list());
    files.json("snapshot-list-reply-empty", &SnapshotListReply { snapshots: Vec::new(), next: None });
    files.json("entry-problems", &entry_problems());
    let request =
        PasswordLinkRequest { link: "hfl1_0123456789".to_owned(), password: "correct horse battery".to_owned() };
    files.json("password-link-request", &request);
    files.json("password-link-reply", &PasswordLinkReply { email: "anna@example.org".to_owned() });
    files.json("device-reply", &device());
    files.json("problem", &problem(None));
    files.json("problem-retry", &problem(Some(5_000)));
    files.bytes("activation-signed.bin", &activation_request(password()).signed_bytes());
    files.bytes("session-signed.bin", &signed_bytes(DEVICE.0, &[0xc4; 48]));
    files.bytes("parcels.bin", &parcels());
    files.assert_complete();
}

#[test]
fn the_frozen_parcels_read_back() {
    let mut reader = ParcelReader::default();
    reader.push(&fs::read(folder().join("parcels.bin")).expect("the file is in the repository"));
    assert_eq!(reader.next_parcel(), Ok(Some(parcel())));
    assert_eq!(reader.next_parcel(), Ok(None));
    assert!(reader.is_complete());
}

#[test]
fn a_request_with_a_field_that_nobody_knows_is_refused_and_an_answer_is_not() {
    let with_more = |name: &str| {
        let text = fs::read_to_string(folder().join(format!("{name}.json"))).expect("the file is in the repository");
        text.replacen('{', "{\n  \"later\": 1,", 1)
    };
    assert!(serde_json::from_str::<ActivationRequest>(&with_more("activation-request-password")).is_err());
    assert!(serde_json::from_str::<ChallengeRequest>(&with_more("challenge-request")).is_err());
    assert!(serde_json::from_str::<SessionRequest>(&with_more("session-request")).is_err());
    assert!(serde_json::from_str::<BeginRequest>(&with_more("begin-request-backup")).is_err());
    // An older endpoint must be able to read what a newer server adds.
    assert!(serde_json::from_str::<ActivationAnswer>(&with_more("activation-reply")).is_ok());
    assert!(serde_json::from_str::<BeginReply>(&with_more("begin-reply-backup")).is_ok());
    assert!(serde_json::from_str::<CommitReply>(&with_more("commit-reply")).is_ok());
    assert!(serde_json::from_str::<Problem>(&with_more("problem")).is_ok());
}

fn activation(files: &mut Golden) {
    files.json("activation-request-password", &activation_request(password()));
    let old_key = Some(OldKey { device: DEVICE, signature: Hex([0x0d; 64]), counter: Some(Hex([0x0e; 56])) });
    files.json("activation-request-old-key", &ActivationRequest { old_key, ..activation_request(Proof::OldKey) });
    let ticket = Proof::Ticket { code: "HT-0123-4567-89AB-CDEF".to_owned() };
    files.json("activation-request-ticket", &activation_request(ticket));
    let token = Proof::Token { token: "hft2_0123456789".to_owned() };
    files.json("activation-request-token", &activation_request(token));
    let add = ActivationRequest { choice: Choice::Add, ..activation_request(password()) };
    files.json("activation-request-add", &add);
    let replace = Choice::Replace { device: DEVICE };
    files.json("activation-request-replace", &ActivationRequest { choice: replace, ..activation_request(password()) });
    let asks = ActivationRequest { can_ask: true, restore: Some(Restore::Data), ..activation_request(password()) };
    files.json("activation-request-asks", &asks);
    files.json("activation-reply", &activated(Some(snapshot())));
    files.json("activation-reply-first", &activated(None));
    files.json("activation-reply-question", &ActivationAnswer::Question(question()));
    let changes = ActivationChanges {
        device: Some(DEVICE),
        name: "anna-laptop".to_owned(),
        outcome: "reactivated".to_owned(),
        changes: policy_changes(),
    };
    files.json("activation-reply-changes", &ActivationAnswer::Changes(changes));
    let shows = ActivationRequest { preview: Preview::Changes, ..activation_request(password()) };
    files.json("activation-request-shows", &shows);
    let detail = "An admin has to approve this computer first.".to_owned();
    let waiting = ActivationWaiting { device: DEVICE, detail, retry_after_ms: 300_000 };
    files.json("activation-reply-waiting", &ActivationAnswer::Waiting(waiting));
}

fn session(files: &mut Golden) {
    let hello = HelloReply { release: "0.0.0".to_owned(), protocol: Versions { min: 1, max: 1 }, now_ms: NOW_MS };
    files.json("hello-reply", &hello);
    files.json("challenge-request", &ChallengeRequest { device: DEVICE });
    files.json("challenge-reply", &ChallengeReply { challenge: Hex([0xc4; 48]), expires_in_ms: 60_000 });
    let request =
        SessionRequest { device: DEVICE, challenge: Hex([0xc4; 48]), signature: Hex([0x51; 64]), counter: None };
    files.json("session-request", &request);
    let counter = Some(Hex([0xc0; 56]));
    files.json("session-request-counter", &SessionRequest { counter, ..request });
    let reply = SessionReply { token: "hfd1_0123456789".to_owned(), expires_in_ms: 900_000, counter: Hex([0xc0; 56]) };
    files.written("session-reply", &reply);
}

fn run(files: &mut Golden) {
    files.json("begin-request-backup", &BeginRequest { request: Hex([0xb1; 16]), purpose: Purpose::Backup });
    let restore = Purpose::Restore { snapshot: SNAPSHOT };
    files.json("begin-request-restore", &BeginRequest { request: Hex([0xb2; 16]), purpose: restore });
    files.json("begin-reply-backup", &begin_reply(Some(Hex([0x4b; 32])), None));
    files.json("begin-reply-restore", &begin_reply(None, Some(snapshot())));
    files.json("upload-reply", &UploadReply { chunks_new: 812 });
    let commit = CommitReply { snapshot: snapshot(), bytes_received: 70_123, chunks_new: 3, packs: 1 };
    files.json("commit-reply", &commit);
}

fn policy(files: &mut Golden) {
    let value = |key: &str, value: &str, from: &str, may_change| PolicyValue {
        key: key.to_owned(),
        value: value.to_owned(),
        from: from.to_owned(),
        may_change,
    };
    let folder = PolicyFolder {
        folder: Text(FolderId::from_bytes([0xf0; 16])),
        path: "${home}/Documents".to_owned(),
        os: "any".to_owned(),
        from: "profile".to_owned(),
        mandatory: false,
        linked: false,
        include: Vec::new(),
        exclude: vec!["*.tmp".to_owned()],
    };
    let reply = |folders: Vec<PolicyFolder>, limit| PolicyReply {
        revision: 7,
        profile: "Default".to_owned(),
        values: vec![value("interval", "1h", "device", true), value("quota", "10GB", "user", false)],
        folders,
        exclusions: vec!["/cache/".to_owned()],
        quota: QuotaDetail { used: 1_073_741_824, limit, from: "user".to_owned() },
    };
    files.json("policy-reply", &reply(vec![folder.clone()], Some(10_000_000_000)));
    files.json("policy-reply-empty", &reply(Vec::new(), None));
    files.json("policy-folder", &folder);
    let values = [("cpu_priority", Some("low")), ("interval", None)];
    let values = values.map(|(key, value)| (key.to_owned(), value.map(str::to_owned))).into();
    files.json("policy-values-request", &ValuesRequest { values });
    let include = vec!["*.odt".to_owned()];
    let request = FolderRequest { path: "${home}/Work".to_owned(), include, exclude: Vec::new() };
    files.json("policy-folder-request", &request);
}

const NOW_MS: i64 = 1_780_000_000_000;

fn password() -> Proof {
    Proof::Password { password: "correct horse battery".to_owned() }
}

fn activation_request(proof: Proof) -> ActivationRequest {
    let email = match proof {
        Proof::Password { .. } => "anna@example.org".to_owned(),
        Proof::Ticket { .. } | Proof::Token { .. } | Proof::OldKey => String::new(),
    };
    ActivationRequest {
        request: Hex([0xa1; 16]),
        email,
        proof,
        device_key: Hex([0xd7; 32]),
        signature: Hex([0x51; 64]),
        evidence: Evidence {
            host_name: "anna-laptop".to_owned(),
            serial: "PF-2XYZ".to_owned(),
            hardware_uuid: "4c4c4544-0051-3610-8052-b4c04f4e3132".to_owned(),
            os_user: "anna".to_owned(),
        },
        platform: Platform { os: "linux".to_owned(), arch: "x86_64".to_owned(), agent: "0.0.0".to_owned() },
        choice: Choice::Auto,
        can_ask: false,
        preview: Preview::None,
        restore: None,
        old_key: None,
    }
}

fn policy_changes() -> PolicyChanges {
    let folder = FolderChange { folder: Text(FolderId::from_bytes([0xf0; 16])), path: "${home}/Documents".to_owned() };
    let value = ValueChange { key: "interval".to_owned(), was: "1d".to_owned(), now: "4h".to_owned() };
    PolicyChanges { kept: false, folders: vec![folder], values: vec![value] }
}

fn activated(snapshot: Option<SnapshotDetail>) -> ActivationAnswer {
    let came_back = snapshot.is_some();
    ActivationAnswer::Activated(Box::new(ActivationReply {
        device: DEVICE,
        epoch: 2,
        rights: "full".to_owned(),
        outcome: if came_back { "reactivated" } else { "new" }.to_owned(),
        user: "anna@example.org".to_owned(),
        snapshot,
        unreadable: None,
        restore: if came_back { Restore::None } else { Restore::All },
        changes: if came_back { policy_changes() } else { PolicyChanges::default() },
        catch_up_at_ms: came_back.then_some(NOW_MS + 60_000),
        counter: Hex([0xc1; 56]),
    }))
}

fn question() -> ActivationQuestion {
    let replaceable = Replaceable {
        device: DEVICE,
        name: "anna-laptop".to_owned(),
        state: "active".to_owned(),
        host_name: "anna-laptop".to_owned(),
        serial: "PF-2XYZ".to_owned(),
        last_backup_at_ms: Some(NOW_MS),
        snapshots: 12,
    };
    ActivationQuestion { replaceable: vec![replaceable], adding_refused: None, suggestion: Choice::Add }
}

fn snapshot() -> SnapshotDetail {
    SnapshotDetail {
        snapshot: SNAPSHOT,
        device: DEVICE,
        root: Some(Hex([0x70; 32])),
        began_at_ms: NOW_MS - 60_000,
        ended_at_ms: NOW_MS - 1_000,
        committed_at_ms: NOW_MS,
        totals: Totals { entries: 78_611, files: 70_002, bytes: 1_073_741_824 },
        folders: vec!["home/anna".to_owned(), "home/anna/100%25".to_owned()],
        partial: false,
        host_name: "anna-laptop".to_owned(),
        problems: 2,
    }
}

fn begin_reply(run_key: Option<Hex<32>>, snapshot: Option<SnapshotDetail>) -> BeginReply {
    BeginReply {
        run: RUN,
        repository: REPOSITORY,
        naming_key: Hex([0x6e; 32]),
        run_key,
        key_id: 1,
        snapshot,
        unreadable: None,
        limits: Limits { pack_bytes: 67_108_864, uploads: 4, refs: 8_192 },
        lease_ms: 86_400_000,
    }
}

fn snapshot_list() -> SnapshotListReply {
    let unread = SnapshotDetail { root: None, ..snapshot() };
    SnapshotListReply { snapshots: vec![snapshot(), unread], next: Some("41".to_owned()) }
}

fn entry_problems() -> Vec<EntryProblem> {
    vec![EntryProblem {
        path: HexBytes(b"home/anna/caf\xe9".to_vec()),
        code: "changed_while_read".to_owned(),
        sentence: "The file changed while it was read.".to_owned(),
    }]
}

fn device() -> DeviceReply {
    DeviceReply {
        device: DEVICE,
        name: "anna-laptop".to_owned(),
        user: "anna@example.org".to_owned(),
        state: "active".to_owned(),
        rights: "full".to_owned(),
        snapshot: Some(snapshot()),
        unreadable: None,
        snapshots: 12,
        now_ms: NOW_MS,
        orders: vec!["wipe".to_owned()],
        catch_up_at_ms: Some(NOW_MS + 60_000),
        policy_revision: 7,
        support: Some("help@example.org".to_owned()),
    }
}

fn problem(retry_after_ms: Option<u64>) -> Problem {
    Problem {
        reference: "docs/control.md#device_deactivated".to_owned(),
        title: "A rule says no".to_owned(),
        status: 403,
        code: "device_deactivated".to_owned(),
        detail: "This device was deactivated.".to_owned(),
        retry: Some(retry_after_ms.map_or(RetryWord::WhenChanged, |_| RetryWord::Later)),
        retry_after_ms,
    }
}

fn parcel() -> Parcel {
    let chunks = vec![ParcelChunk { position: 3, len: 2 }, ParcelChunk { position: 0, len: 1 }];
    Parcel { codec: 0, plain_len: 3, chunks, bytes: b"abc".to_vec() }
}

fn parcels() -> Vec<u8> {
    [parcel().encode(), encode_end(1).to_vec()].concat()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/protocol/v1")
}

/// Compares with the folder, and knows which files it has compared.
#[derive(Default)]
struct Golden {
    seen: BTreeSet<String>,
}

impl Golden {
    /// The message is written as its file, and the file is read as the message.
    fn json<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(&mut self, name: &str, message: &T) {
        let text = self.written(name, message);
        assert_eq!(&serde_json::from_str::<T>(&text).expect(name), message, "{name}");
    }

    /// The message is written as its file.
    fn written<T: Serialize>(&mut self, name: &str, message: &T) -> String {
        let text = serde_json::to_string_pretty(message).expect("messages are plain values") + "\n";
        self.bytes(&format!("{name}.json"), text.as_bytes());
        text
    }

    fn bytes(&mut self, file: &str, bytes: &[u8]) {
        let path = folder().join(file);
        if !path.exists() && std::env::var_os("HOLDFAST_GOLDEN").is_some_and(|word| word == "write") {
            fs::write(&path, bytes).expect("the folder can be written");
        }
        let frozen = fs::read(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(frozen == bytes, "{file} is not what this build writes:\n{}", String::from_utf8_lossy(bytes));
        assert!(self.seen.insert(file.to_owned()), "{file} is compared twice");
    }

    /// No file is left over: a message cannot be dropped by forgetting it here.
    fn assert_complete(&self) {
        let listed = fs::read_dir(folder()).expect("the folder is in the repository");
        let files = listed.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned());
        assert_eq!(files.collect::<BTreeSet<_>>(), self.seen);
    }
}
