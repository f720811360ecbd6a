//! Tests of `keyring`: what is sealed opens, and nothing else does.

use super::*;

fn keyring() -> Keyring {
    let key = |purpose, id| KeyringKey { purpose, id, secret: Secret::new([id as u8; 32]) };
    let of = |byte| KeyringRepository {
        id: RepositoryId::from_bytes([byte; 16]),
        keys: vec![key(KeyPurpose::Name, 1), key(KeyPurpose::Seal, 1), key(KeyPurpose::Seal, 300)],
    };
    Keyring {
        number: 7,
        installation: InstallationId::from_bytes([5; 16]),
        made_at: Timestamp::from_ms(1_780_000_000_000),
        secret: Secret::new([6; 32]),
        repositories: vec![of(1), of(2)],
        authority: "a certificate".to_owned(),
        authority_key: SecretBytes::new(b"its key".to_vec()),
    }
}

#[test]
fn what_is_sealed_opens_with_its_master_key_and_seals_again_the_same() {
    let (master, salt) = (Secret::new([1; 32]), [2; 32]);
    let bytes = keyring().seal(&master, salt).expect("within every limit");
    let opened = Keyring::open(&bytes, &master).expect("as sealed");
    assert_eq!((opened.number, opened.installation), (7, keyring().installation));
    assert_eq!(opened.authority_key.expose(), b"its key");
    assert_eq!(opened.repositories[1].keys[2].id, 300);
    assert_eq!(opened.seal(&master, salt).expect("within every limit"), bytes);
    assert_eq!(Keyring::open(&bytes, &Secret::new([3; 32])).err(), Some(Error::Open { part: PART }));
}

#[test]
fn no_bit_can_be_changed_and_no_byte_taken_or_added() {
    let master = Secret::new([1; 32]);
    let bytes = keyring().seal(&master, [2; 32]).expect("within every limit");
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Keyring::open(&damaged, &master).is_err(), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(Keyring::open(&bytes[..len], &master).is_err(), "{len} bytes");
    }
    assert!(Keyring::open(&[&bytes[..], &[0]].concat(), &master).is_err());
}

#[test]
fn an_order_that_is_not_ascending_is_refused_before_it_is_written() {
    let master = Secret::new([1; 32]);
    let mut swapped = keyring();
    swapped.repositories.swap(0, 1);
    let mut twice = keyring();
    twice.repositories[0].keys[2].id = 1;
    for wrong in [swapped, twice] {
        let refused = wrong.seal(&master, [2; 32]);
        assert_eq!(refused.err(), Some(Error::Encode { part: PART, flaw: Flaw::Order }));
    }
}
