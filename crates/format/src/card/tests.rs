//! Tests of `card`: what is sealed opens, and nothing else does.

use super::*;
use base::Secret;

fn card() -> Card {
    Card {
        device: DeviceId::from_bytes([1; 16]),
        number: 3,
        repository: RepositoryId::from_bytes([2; 16]),
        created_at: Timestamp::from_ms(1_780_000_000_000),
        user: UserId::from_bytes([4; 16]),
        key: Some((3, [6; 32])),
        email: "anna@example.org".to_owned(),
        name: "anna's laptop".to_owned(),
        evidence: ["host", "serial", "uuid", "anna", "linux", "x86_64"].map(str::to_owned),
    }
}

fn key(id: u32) -> RepositoryKey {
    RepositoryKey::new(id, Secret::new([9; 32]))
}

#[test]
fn what_is_sealed_opens_with_its_repository_key() {
    let keyless = Card { key: None, ..card() };
    let bytes = keyless.seal(&key(5), [7; 32]).expect("within every limit");
    assert_eq!(Card::open(&bytes, |_| Some(key(5))), Ok(keyless));
    let bytes = card().seal(&key(5), [7; 32]).expect("within every limit");
    let opened = Card::open(&bytes, |id| (id == 5).then(|| key(5)));
    assert_eq!(opened, Ok(card()));
    assert_eq!(Card::open(&bytes, |_| None), Err(Error::Open { part: PART }));
    let other = RepositoryKey::new(5, Secret::new([8; 32]));
    assert_eq!(Card::open(&bytes, |_| Some(other)), Err(Error::Open { part: PART }));
}

#[test]
fn no_bit_can_be_changed_and_no_byte_taken_or_added() {
    let bytes = card().seal(&key(5), [7; 32]).expect("within every limit");
    let opens = |bytes: &[u8]| Card::open(bytes, |_| Some(key(5))).is_ok();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        // The id of the key is no secret: it only finds it, and the seal covers it all the same.
        assert!(!opens(&damaged), "bit {bit}");
    }
    assert!((0..bytes.len()).all(|len| !opens(&bytes[..len])));
    assert!(!opens(&[&bytes[..], &[0]].concat()));
}

#[test]
fn the_digest_says_whether_anything_but_the_number_is_another() {
    let digest = card().digest();
    assert_eq!(Card { number: 4, ..card() }.digest(), digest);
    assert_ne!(Card { email: "bert@example.org".to_owned(), ..card() }.digest(), digest);
    assert_ne!(Card { device: DeviceId::from_bytes([2; 16]), ..card() }.digest(), digest);
    assert_ne!(Card { user: UserId::from_bytes([5; 16]), ..card() }.digest(), digest);
}

#[test]
fn a_text_that_is_too_long_is_refused_before_it_is_written() {
    let wrong = Card { name: "x".repeat(1_025), ..card() };
    let flaw = Flaw::Limit { max: LABEL_MAX.0 };
    assert_eq!(wrong.seal(&key(5), [7; 32]), Err(Error::Encode { part: PART, flaw }));
}
