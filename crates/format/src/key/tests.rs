//! Tests of `key`: derivations are frozen, and keys are not printed.

use super::{RepositoryKey, RunKey};
use base::{RunId, Secret};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_key_of_a_run_is_this_one() {
    let repository = RepositoryKey::new(7, Secret::new([0x11; 32]));
    let run_key = repository.run_key(RunId::from_bytes([0x22; 16]));
    assert_eq!(hex(run_key.secret().expose()), RUN_KEY);
    assert_ne!(hex(repository.run_key(RunId::from_bytes([0x23; 16])).secret().expose()), RUN_KEY);
    assert_eq!(repository.id(), 7);
}

#[test]
fn keys_are_not_printed() {
    let repository = RepositoryKey::new(7, Secret::new([0x41; 32]));
    assert_eq!(format!("{repository:?}"), "RepositoryKey { id: 7, secret: Secret(32 bytes) }");
    assert_eq!(format!("{:?}", RunKey::new(Secret::new([0x41; 32]))), "RunKey(Secret(32 bytes))");
}

const RUN_KEY: &str = "58c56b8e46c9fcf49649d0e67e570954e8840ce0494b3903483784335ef3cfa5";
