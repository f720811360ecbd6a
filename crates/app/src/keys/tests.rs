//! What the keys open and refuse.

use super::*;
use base::SeededEntropy;
use std::os::unix::fs::PermissionsExt;

const REPOSITORY: RepositoryId = RepositoryId::from_bytes([1; 16]);

fn sealed_rows(master: &MasterKey, entropy: &SeededEntropy) -> Vec<(KeyPurpose, u32, Vec<u8>)> {
    [(KeyPurpose::Name, 1), (KeyPurpose::Seal, 1), (KeyPurpose::Seal, 2)]
        .map(|(purpose, key_id)| {
            let secret = Secret::mint(entropy);
            (purpose, key_id, master.seal_repository_key(REPOSITORY, purpose, key_id, &secret, entropy))
        })
        .into()
}

#[test]
fn repository_keys_open_with_their_master_key_only_and_in_their_place_only() {
    let entropy = SeededEntropy::new(1);
    let master = MasterKey::mint(&entropy);
    let rows = sealed_rows(&master, &entropy);
    let keys = RepositoryKeys::open(&master, 1, REPOSITORY, &rows).expect("its own rows");
    assert_eq!(keys.newest().id(), 2);
    assert!(keys.seal_key(1).is_some() && keys.seal_key(3).is_none());

    let mut swapped = rows.clone();
    (swapped[1].1, swapped[2].1) = (2, 1);
    let other = RepositoryId::from_bytes([2; 16]);
    for (what, result) in [
        ("another master key", RepositoryKeys::open(&MasterKey::mint(&entropy), 1, REPOSITORY, &rows)),
        ("another repository", RepositoryKeys::open(&master, 1, other, &rows)),
        ("ids exchanged", RepositoryKeys::open(&master, 1, REPOSITORY, &swapped)),
        ("no naming key", RepositoryKeys::open(&master, 1, REPOSITORY, &rows[1..])),
        ("no seal key", RepositoryKeys::open(&master, 1, REPOSITORY, &rows[..1])),
    ] {
        assert_eq!(result.err().map(|error| error.kind()), Some(base::Kind::Damaged), "{what}");
    }
}

#[test]
fn a_root_opens_for_its_snapshot_only() {
    let entropy = SeededEntropy::new(2);
    let master = MasterKey::mint(&entropy);
    let keys = RepositoryKeys::open(&master, 1, REPOSITORY, &sealed_rows(&master, &entropy)).expect("its own rows");
    let (root, snapshot) = (ChunkRef::from_bytes([7; 32]), SnapshotId::mint(&entropy));
    let sealed = keys.seal_root(snapshot, &root, &entropy);
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
    master.store(dir.path()).expect("a new file");
    assert!(master.store(dir.path()).is_err(), "a key file is never overwritten");
    assert_eq!(MasterKey::load(dir.path()).expect("as written").0.expose(), master.0.expose());

    let file = dir.path().join(MASTER_KEY_FILE);
    let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("own file");
    for (path, mode) in [(&file, 0o640), (&file, 0o604), (&dir.path().join(KEYS_DIR), 0o750)] {
        let before = std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        set(path, mode);
        let error = MasterKey::load(dir.path()).err().expect("it is open to others").to_string();
        assert!(error.contains("chmod") && error.contains(&path.display().to_string()), "{error}");
        set(path, before);
    }
    std::fs::write(&file, "not a key").expect("own file");
    assert!(MasterKey::load(dir.path()).is_err());
}
