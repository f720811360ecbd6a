//! What is kept between runs: private, durable, and said to be damaged when it is. Refuses a panic.

use super::*;
use base::{Entropy, SeededEntropy};
use data_encoding::HEXLOWER;
use protocol::agent::activation::{Choice, Evidence, Preview, Restore};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use tempfile::TempDir;

fn temp() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn key(seed: u64) -> DeviceKey {
    DeviceKey::mint(&SeededEntropy::new(seed))
}

fn state(key: &DeviceKey) -> State {
    let entropy: &dyn Entropy = &SeededEntropy::new(5);
    let folders = [b"home/anna".to_vec(), b"srv/latin-\xe9/100%".to_vec(), b"".to_vec()];
    State {
        server: Server { url: "https://backup.example.com:8471".to_owned(), pin: Pin::Fingerprint([7; 32]) },
        device: DeviceId::mint(entropy),
        epoch: 3,
        user: "anna@example.com".to_owned(),
        public_key: key.public(),
        folders: folders.map(|bytes| StoredPath::from_bytes(bytes).expect("a path")).to_vec(),
        counter: Some(Hex([8; 56])),
    }
}

fn pending() -> Pending {
    Pending {
        request: Hex([9; 16]),
        url: "https://backup.example.com:8471".to_owned(),
        email: "anna@example.com".to_owned(),
        evidence: Evidence { host_name: "laptop".to_owned(), ..Evidence::default() },
        choice: Choice::Auto,
        restore: None,
        can_ask: true,
        preview: Preview::None,
        proof: "password".to_owned(),
    }
}

fn activated(dir: &Path) -> (StateDir, State) {
    let state_dir = StateDir::open(dir).expect("a state directory");
    let key = key(1);
    let state = state(&key);
    state_dir.keep_pending(&pending(), &key).expect("kept");
    state_dir.adopt(&state).expect("adopted");
    (state_dir, state)
}

fn code<T>(result: Result<T, AgentError>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |_| String::new())
}

#[test]
fn what_is_kept_comes_back_and_only_its_owner_can_read_it() {
    let dir = temp();
    let at = dir.path().join("a/state");
    let (state_dir, mut state) = activated(&at);
    assert_eq!(state_dir.load().expect("a state").map(|(state, _)| state), Some(state.clone()));
    state.server.pin = Pin::Ca("-----BEGIN CERTIFICATE-----\n".to_owned());
    state.folders.clear();
    state_dir.store(&state).expect("stored");
    let (found, found_key) = state_dir.activated().expect("a state");
    assert_eq!((found, found_key.public()), (state, key(1).public()));
    assert_eq!(fs::metadata(&at).expect("a folder").mode() & 0o777, 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&at).expect("a folder") {
        let entry = entry.expect("an entry");
        assert_eq!(entry.metadata().expect("a file").mode() & 0o777, 0o600);
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["device.key", "state.json", "state.lock"]);
}

#[test]
fn a_computer_that_was_never_activated_says_so() {
    let dir = temp();
    let state_dir = StateDir::open(&dir.path().join("state")).expect("a state directory");
    assert!(state_dir.load().expect("no state").is_none());
    assert_eq!(code(state_dir.activated()), "not_activated");
}

#[test]
fn what_others_can_read_is_refused_with_the_command_that_mends_it() {
    let dir = temp();
    let (state_dir, _) = activated(dir.path());
    for (name, mode) in [("state.json", 0o640), ("device.key", 0o604), ("state.json", 0o660)] {
        let file = dir.path().join(name);
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("a mode");
        let error = state_dir.load().expect_err("exposed");
        assert_eq!(error.code(), "state_exposed");
        assert!(error.sentence().contains(&format!("chmod 600 {}", file.display())), "{}", error.sentence());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let error = StateDir::open(dir.path()).expect_err("exposed");
    assert!(error.sentence().contains("chmod 700"), "{}", error.sentence());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("a mode");
    symlink(dir.path(), dir.path().join("link")).expect("a link");
    assert_eq!(code(StateDir::open(&dir.path().join("link"))), "state_exposed");
    fs::rename(dir.path().join("state.json"), dir.path().join("moved")).expect("another name");
    symlink(dir.path().join("moved"), dir.path().join("state.json")).expect("a link");
    assert_eq!(code(state_dir.load()), "file_unusable");
}

#[test]
fn what_belongs_to_somebody_else_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = temp();
    let (state_dir, _) = activated(dir.path());
    std::os::unix::fs::chown(dir.path().join("device.key"), Some(4_000_001), None).expect("another owner");
    assert_eq!(code(state_dir.load()), "state_exposed");
    std::os::unix::fs::chown(dir.path(), Some(4_000_001), None).expect("another owner");
    assert_eq!(code(StateDir::open(dir.path())), "state_exposed");
}

#[test]
fn a_damaged_state_says_what_to_do_and_never_panics() {
    let dir = temp();
    let (state_dir, _) = activated(dir.path());
    let file = dir.path().join("state.json");
    let whole = fs::read(&file).expect("the state");
    for len in 0..whole.len() - 1 {
        fs::write(&file, &whole[..len]).expect("a short state");
        if let Err(error) = state_dir.load() {
            assert_eq!(error.code(), "state_damaged", "{len} bytes");
            assert!(error.sentence().contains("activate again"), "{}", error.sentence());
        }
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x15;
        fs::write(&file, &damaged).expect("a damaged state");
        let code = code(state_dir.load());
        assert!(["", "state_damaged", "state_version"].contains(&code.as_str()), "byte {at}: {code}");
    }
    fs::write(&file, vec![b' '; 2 << 20]).expect("a large state");
    assert_eq!(code(state_dir.load()), "state_damaged");
    let newer = String::from_utf8(whole).expect("JSON").replace("\"version\": 2", "\"version\": 3, \"more\": {}");
    fs::write(&file, newer).expect("a newer state");
    assert_eq!(code(state_dir.load()), "state_version");
}

#[test]
fn a_damaged_or_foreign_key_is_damage_too() {
    let dir = temp();
    let (state_dir, _) = activated(dir.path());
    for bytes in [vec![], key(2).to_pkcs8(), key(1).to_pkcs8()[..47].to_vec()] {
        fs::write(dir.path().join("device.key"), bytes).expect("a key");
        assert_eq!(code(state_dir.load()), "state_damaged");
    }
    fs::remove_file(dir.path().join("device.key")).expect("no key");
    assert_eq!(code(state_dir.load()), "state_damaged");
}

#[test]
fn dying_between_the_steps_of_adopting_loses_neither_key() {
    let dir = temp();
    let (state_dir, _) = activated(dir.path());
    let next = key(2);
    state_dir.keep_pending(&pending(), &next).expect("kept");
    assert_eq!(state_dir.activated().expect("a state").1.public(), key(1).public(), "the old one until the answer");
    // The answer is kept, and then the power goes.
    state_dir.store(&State { epoch: 4, ..state(&next) }).expect("stored");
    let (found, found_key) = state_dir.activated().expect("a state");
    assert_eq!((found.epoch, found_key.public()), (4, next.public()));
    assert!(state_dir.pending().expect("readable").is_none(), "the question is answered");
    assert_eq!(state_dir.activated().expect("a state").1.public(), next.public(), "again");
}

#[test]
fn a_question_is_kept_with_its_key_until_it_is_answered() {
    let dir = temp();
    let state_dir = StateDir::open(dir.path()).expect("a state directory");
    assert!(state_dir.pending().expect("readable").is_none());
    state_dir.keep_pending(&pending(), &key(1)).expect("kept");
    let (found, found_key) = state_dir.pending().expect("readable").expect("a question");
    assert_eq!((found, found_key.public()), (pending(), key(1).public()));
    let other = |change: fn(&mut Pending)| {
        let mut other = pending();
        change(&mut other);
        other
    };
    assert!(pending().asks_the_same(&other(|one| (one.request, one.evidence) = (Hex([1; 16]), Evidence::default()))));
    for (what, change) in [
        ("email", (|one| one.email = "berta@example.com".to_owned()) as fn(&mut Pending)),
        ("choice", |one| one.choice = Choice::Add),
        ("url", |one| one.url = "https://other".to_owned()),
        ("restore", |one| one.restore = Some(Restore::Data)),
        ("can_ask", |one| one.can_ask = false),
        ("proof", |one| one.proof = "token".to_owned()),
    ] {
        assert!(!pending().asks_the_same(&other(change)), "{what}");
    }
    let older = other(|one| one.proof = String::new());
    assert!(older.asks_the_same(&pending()), "an older release did not keep the proof");
    fs::write(dir.path().join("pending.json"), b"{").expect("damage");
    assert!(state_dir.pending().expect("readable").is_none(), "a damaged question is none");
}

#[test]
fn two_pieces_of_work_of_one_kind_do_not_run_side_by_side() {
    let dir = temp();
    let state_dir = StateDir::open(dir.path()).expect("a state directory");
    let lock = state_dir.lock("backup.lock", "a backup").expect("a lock");
    let busy = state_dir.lock("backup.lock", "a backup").expect_err("taken");
    assert_eq!(busy.to_string(), "a backup is running already on this computer: wait until it is done");
    state_dir.lock("activation.lock", "an activation").expect("another kind of work");
    drop(lock);
    state_dir.lock("backup.lock", "a backup").expect("free again");
}

#[test]
fn a_key_is_the_same_after_it_was_kept_and_is_never_printed() {
    let one = key(1);
    let same = DeviceKey::from_pkcs8(&one.to_pkcs8()).expect("a key");
    assert_eq!((one.public(), one.sign(b"x")), (same.public(), same.sign(b"x")));
    assert_ne!(one.public(), key(2).public());
    ring::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&one.to_pkcs8()).expect("PKCS#8 as others read it");
    ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, one.public())
        .verify(b"x", &one.sign(b"x"))
        .expect("a good signature");
    assert_eq!(format!("{one:?}"), "DeviceKey");
}

/// What release 0.0.0 wrote before there was a counter.
const VERSION_1: &str = r#"{
  "version": 1,
  "server": { "url": "https://backup.example.com:8471", "pin": { "kind": "fingerprint", "sha256": "PIN" } },
  "device": "DEVICE", "epoch": 3, "user": "anna@example.com", "public_key": "KEY", "folders": ["home/anna"]
}"#;

#[test]
fn a_state_of_version_1_is_read_and_becomes_version_2_with_its_first_counter() {
    let dir = temp();
    let (state_dir, state) = activated(dir.path());
    let text = VERSION_1.replace("PIN", &"07".repeat(32)).replace("DEVICE", &state.device.to_string());
    let text = text.replace("KEY", &HEXLOWER.encode(&state.public_key));
    let file = dir.path().join("state.json");
    fs::write(&file, text).expect("an old state");
    let (found, _) = state_dir.activated().expect("readable");
    assert_eq!((found.epoch, found.counter), (3, None));
    state_dir.change(&state.public_key, |state| state.counter = Some(Hex([9; 56]))).expect("stored");
    assert_eq!(state_dir.counter(&state.public_key).expect("a counter"), Some(Hex([9; 56])));
    assert!(fs::read_to_string(&file).expect("a file").contains("\"version\": 2"));
    assert_eq!(state_dir.activated().expect("readable").0.folders, found.folders);
}

#[test]
fn a_counter_belongs_to_one_key_and_is_never_stored_beside_another() {
    let dir = temp();
    let (state_dir, state) = activated(dir.path());
    assert_eq!(state_dir.counter(&[5; 32]).expect("readable"), None);
    state_dir.change(&[5; 32], |state| state.counter = None).expect("nothing to do");
    assert_eq!(state_dir.counter(&state.public_key).expect("readable"), state.counter);
}

#[tokio::test]
async fn who_signs_in_second_waits_for_the_turn() {
    let dir = temp();
    let (state_dir, _) = activated(dir.path());
    let clock = base::ManualClock::at(base::Timestamp::from_ms(0));
    let turn = state_dir.turn(&clock).await.expect("a turn");
    assert_eq!(state_dir.turn(&clock).await.expect_err("taken").code(), "already_running");
    assert!(clock.now() >= base::Timestamp::from_ms(180_000), "after minutes, not at once");
    drop(turn);
    state_dir.turn(&clock).await.expect("a turn");
}

#[test]
fn erasing_overwrites_before_it_removes() {
    let dir = temp();
    let (state_dir, _) = activated(dir.path());
    // What a crash has left of writing the file goes with it.
    fs::copy(dir.path().join("device.key"), dir.path().join("device.key.new")).expect("a copy");
    let names = ["device.key", "device.key.new"];
    let held = names.map(|name| fs::File::open(dir.path().join(name)).expect("the key"));
    state_dir.erase_beside("device.key").expect("erased");
    state_dir.erase_beside("device.key").expect("nothing to do");
    for (name, held) in names.iter().zip(&held) {
        let mut left = Vec::new();
        std::io::Read::read_to_end(&mut &*held, &mut left).expect("the old bytes");
        assert!(left.len() == 48 && left.iter().all(|byte| *byte == 0), "{name}");
        assert!(!dir.path().join(name).exists(), "{name}");
    }
}
