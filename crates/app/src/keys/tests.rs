//! What the keys open and refuse.

use super::*;
use crate::{Config, SecretText};
use base::SeededEntropy;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const REPOSITORY: RepositoryId = RepositoryId::from_bytes([1; 16]);

fn sealed_rows(secret: &InstallationSecret, entropy: &SeededEntropy) -> Vec<SealedKey> {
    let one = |(purpose, id, ms)| {
        let sealed = secret.seal(REPOSITORY, (purpose, id), &Secret::mint(entropy), entropy);
        SealedKey { purpose, id, sealed, created_at: Timestamp::from_ms(ms) }
    };
    [(KeyPurpose::Name, 1, 0), (KeyPurpose::Seal, 1, 0), (KeyPurpose::Seal, 2, 5_000)].map(one).into()
}

#[test]
fn repository_keys_open_with_their_secret_only_and_in_their_place_only() {
    let entropy = SeededEntropy::new(1);
    let secret = InstallationSecret(Secret::mint(&entropy));
    let rows = sealed_rows(&secret, &entropy);
    let open = |secret: &InstallationSecret, id, rows: &[SealedKey]| RepositoryKeys::open(secret, 1, id, rows);
    let keys = open(&secret, REPOSITORY, &rows).expect("its own rows");
    assert!(keys.seal_key(1).is_some() && keys.seal_key(3).is_none());

    let mut swapped = rows.clone();
    (swapped[1].id, swapped[2].id) = (2, 1);
    let other = RepositoryId::from_bytes([2; 16]);
    for (what, result) in [
        ("another secret", open(&InstallationSecret(Secret::mint(&entropy)), REPOSITORY, &rows)),
        ("another repository", open(&secret, other, &rows)),
        ("ids exchanged", open(&secret, REPOSITORY, &swapped)),
        ("no naming key", open(&secret, REPOSITORY, &rows[1..])),
        ("no seal key", open(&secret, REPOSITORY, &rows[..1])),
    ] {
        assert_eq!(result.err().map(|error| error.kind()), Some(base::Kind::Damaged), "{what}");
    }
}

#[test]
fn a_key_seals_once_every_server_has_heard_of_it() {
    let entropy = SeededEntropy::new(1);
    let secret = InstallationSecret(Secret::mint(&entropy));
    let keys = RepositoryKeys::open(&secret, 1, REPOSITORY, &sealed_rows(&secret, &entropy)).expect("its own rows");
    let newest = |ms| keys.newest(Timestamp::from_ms(ms)).id();
    let settled = SETTLE_SPAN.as_ms().cast_signed();
    assert_eq!((newest(0), newest(settled), newest(settled + 4_999), newest(settled + 5_000)), (1, 1, 1, 2));
}

#[test]
fn the_secret_opens_with_its_master_key_and_for_its_installation_only() {
    let entropy = SeededEntropy::new(4);
    let (master, secret) = (MasterKey::mint(&entropy), Secret::mint(&entropy));
    let (own, other) = (InstallationId::from_bytes([1; 16]), InstallationId::from_bytes([2; 16]));
    let sealed = master.seal(own, &secret, &entropy);
    assert_eq!(master.open(own, &sealed).expect("its own").expose(), secret.expose());
    assert!(master.open(other, &sealed).is_none());
    assert!(MasterKey::mint(&entropy).open(own, &sealed).is_none());
}

#[test]
fn a_root_opens_for_its_snapshot_only() {
    let entropy = SeededEntropy::new(2);
    let secret = InstallationSecret(Secret::mint(&entropy));
    let keys = RepositoryKeys::open(&secret, 1, REPOSITORY, &sealed_rows(&secret, &entropy)).expect("its own rows");
    let (root, snapshot) = (ChunkRef::from_bytes([7; 32]), SnapshotId::mint(&entropy));
    let sealed = keys.seal_root(snapshot, &root, Timestamp::from_ms(0), &entropy);
    assert!(keys.open_root(snapshot, &sealed).expect("as sealed") == root);
    assert!(keys.open_root(SnapshotId::mint(&entropy), &sealed).is_err());
    for at in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] ^= 1;
        assert!(keys.open_root(snapshot, &damaged).is_err(), "byte {at}");
    }
}

#[test]
fn a_key_file_that_others_can_open_is_refused_with_the_command_that_mends_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    keys_dir_create(dir.path()).expect("an empty directory");
    let master = MasterKey::mint(&SeededEntropy::new(3));
    let load = || MasterKey::load(dir.path(), &Config::default(), None);
    master.store(dir.path(), MASTER_KEY_FILE).expect("a new file");
    assert!(master.store(dir.path(), MASTER_KEY_FILE).is_err(), "a key file is never overwritten");
    assert_eq!(load().expect("as written").secret().expose(), master.secret().expose());

    let file = dir.path().join(MASTER_KEY_FILE);
    let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("own file");
    for (path, mode) in [(&file, 0o640), (&file, 0o604), (&dir.path().join(KEYS_DIR), 0o750)] {
        let before = std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        set(path, mode);
        let error = load().err().expect("it is open to others").to_string();
        assert!(error.contains("chmod") && error.contains(&path.display().to_string()), "{error}");
        set(path, before);
    }
    std::fs::write(&file, "not a key").expect("own file");
    assert!(load().is_err());
}

#[test]
fn a_master_key_comes_from_the_environment_a_command_or_a_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (digits, other) = ("0f".repeat(32), "a0".repeat(32));
    let given = SecretText::new(digits);
    let config = |text: &str| Config::parse(text).expect("good text");
    let load = |config: &Config, given| MasterKey::load(dir.path(), config, given).map(|key| key.secret().expose()[0]);
    let asks = config(&format!("master_key.command = \"echo {other}\""));
    assert_eq!(load(&asks, Some(&given)).expect("given"), 0x0f);
    assert_eq!(load(&asks, None).expect("printed"), 0xa0);
    for (command, code) in [
        ("false", "master_key_command_failed"),
        ("/nowhere/program", "master_key_command_failed"),
        ("echo short", "master_key_damaged"),
    ] {
        let error = load(&config(&format!("master_key.command = \"{command}\"")), None).expect_err(command);
        assert_eq!(error.code(), code);
        assert!(!error.to_string().contains("short"), "what a command prints is not repeated");
    }
    assert_eq!(load(&Config::default(), None).expect_err("there is no file").code(), "file_failed");
}
