//! Tests of `manifest`: signature, rules, and the budget of the problems. Damage is in tests/it/damage.rs.

use super::{ListedProblem, Manifest, Problems, SignedManifest};
use crate::digest::ChunkRef;
use crate::error::{Error, Flaw};
use crate::header::ObjectHeader;
use crate::key::RunKey;
use crate::path::StoredPath;
use crate::tree::Totals;
use base::{Bytes, Count, DeviceId, Kind, RepositoryId, RunId, Secret, SnapshotId, Timestamp};
use ring::signature::{Ed25519KeyPair, KeyPair};

fn path(text: &str) -> StoredPath {
    StoredPath::from_bytes(text.as_bytes().to_vec()).expect("the test's paths are good")
}

fn manifest() -> Manifest {
    Manifest {
        snapshot: SnapshotId::from_bytes([1; 16]),
        device: DeviceId::from_bytes([2; 16]),
        repository: RepositoryId::from_bytes([3; 16]),
        root: ChunkRef::from_bytes([4; 32]),
        parent: None,
        began_at: Timestamp::from_ms(-1),
        ended_at: Timestamp::from_ms(64),
        totals: Totals { entries: Count(3), files: Count(2), bytes: Bytes(1) },
        partial: false,
        folders: vec![path("a")],
        device_name: "d".to_owned(),
        os: "o".to_owned(),
        agent_version: "v".to_owned(),
        problems: Problems::default(),
    }
}

fn device_key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes are a seed")
}

fn public(seed: u8) -> [u8; 32] {
    device_key(seed).public_key().as_ref().try_into().expect("32 bytes are a public key")
}

fn sign(message: &[u8]) -> [u8; 64] {
    device_key(5).sign(message).as_ref().try_into().expect("64 bytes are a signature")
}

fn run_key() -> RunKey {
    RunKey::new(Secret::new([6; 32]))
}

fn header() -> ObjectHeader {
    ObjectHeader::new(7, RunId::from_bytes([8; 16]), [9; 32])
}

fn seal_flaw(manifest: &Manifest) -> Flaw {
    match manifest.seal(&run_key(), &header(), |_| panic!("it is refused before it is signed")) {
        Err(Error::Encode { part: "manifest", flaw }) => flaw,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_small_manifest_has_these_bytes() {
    let body = [
        &[0; 64][..],                 // signature
        &[1; 16],                     // snapshot
        &[2; 16],                     // device
        &[3; 16],                     // repository
        &[4; 32],                     // root
        &[0],                         // no parent
        &[1],                         // began at -1 ms
        &[0x80, 1],                   // ended at 64 ms
        &[3, 2, 1],                   // totals
        &[0],                         // not partial
        &[1, 1, b'a'],                // folders
        &[1, b'd', 1, b'o', 1, b'v'], // labels
        &[0, 0],                      // problems: counted, listed
    ]
    .concat();
    let signed = SignedManifest::decode(&body).expect("it keeps the rules");
    assert_eq!(signed.unverified(), &manifest());
    assert_eq!(signed.encode(), body);
    for at in 0..body.len() {
        assert!(SignedManifest::decode(&body[..at]).is_err(), "cut off at {at}");
    }
    assert!(SignedManifest::decode(&[body.as_slice(), &[0]].concat()).is_err());
    let listed = [&body[..body.len() - 2], &[0, 1, 0, 1, b'c', 0]].concat();
    assert!(SignedManifest::decode(&listed).is_err(), "a problem is listed, and none was counted");
    let counted = [&body[..body.len() - 2], &[1, 1, 0, 1, b'c', 0]].concat();
    assert!(SignedManifest::decode(&counted).is_ok());
}

#[test]
fn a_manifest_opens_and_is_proven_by_the_device_key() {
    let with_parent = Manifest { parent: Some(SnapshotId::from_bytes([0; 16])), ..manifest() };
    for manifest in [manifest(), with_parent] {
        let bytes = manifest.seal(&run_key(), &header(), sign).expect("it keeps the rules");
        assert_eq!(bytes[..8], *b"HFMANI\x01\x00");
        assert_eq!(ObjectHeader::of_manifest(&bytes), Ok(header()));
        let open = || Manifest::open(&bytes, |found| (*found == header()).then(run_key)).expect("nothing was changed");
        assert_eq!(open().verify(&public(5)), Ok(manifest));
        let refused = open().verify(&public(6)).expect_err("another device's key");
        assert_eq!((refused.kind(), refused), (Kind::Damaged, Error::Signature));
    }
}

#[test]
fn a_manifest_of_another_key_another_run_or_an_unknown_key_is_refused() {
    let bytes = manifest().seal(&run_key(), &header(), sign).expect("it keeps the rules");
    let other = RunKey::new(Secret::new([7; 32]));
    assert_eq!(Manifest::open(&bytes, |_| Some(other)), Err(Error::Open { part: "manifest" }));
    let unknown = Manifest::open(&bytes, |_| None).expect_err("nobody has the key");
    assert_eq!((unknown.kind(), unknown), (Kind::NotFound, Error::KeyUnknown { key_id: 7, run: header().run }));
    assert!(ObjectHeader::of_pack(&bytes).is_err(), "a manifest is not a pack");
    let too_long = [bytes, vec![0; 4 << 20]].concat();
    let refused = Manifest::open(&too_long, |_| panic!("its length is enough"));
    assert_eq!(refused.map_err(|error| error.kind()), Err(Kind::Damaged));
}

#[test]
fn manifests_that_break_a_rule_are_refused() {
    let long = "x".repeat(1_025);
    let numbered = |count, len| (0..count).map(|number| path(&format!("{number:0len$}x{number:04}"))).collect();
    let cases = [
        (Manifest { folders: vec![path("b"), path("a")], ..manifest() }, Flaw::Order),
        (Manifest { folders: vec![path("a"), path("a")], ..manifest() }, Flaw::Order),
        (Manifest { folders: vec![path(&["x"; 40_000].join("/"))], ..manifest() }, Flaw::Limit { max: 65_536 }),
        (Manifest { folders: numbered(4_097, 1), ..manifest() }, Flaw::Limit { max: 4_096 }),
        (Manifest { folders: numbered(4_096, 1_100), ..manifest() }, Flaw::Limit { max: 4 << 20 }),
        (Manifest { device_name: long.clone(), ..manifest() }, Flaw::Limit { max: 1_024 }),
        (Manifest { os: long.clone(), ..manifest() }, Flaw::Limit { max: 1_024 }),
        (Manifest { agent_version: long, ..manifest() }, Flaw::Limit { max: 1_024 }),
        (Manifest { totals: Totals { files: Count(9), ..manifest().totals }, ..manifest() }, Flaw::Sum),
    ];
    for (manifest, flaw) in cases {
        assert_eq!(seal_flaw(&manifest), flaw);
    }
}

fn problem(path_len: usize, code: &str, sentence: &str) -> ListedProblem {
    ListedProblem { path: path(&"x".repeat(path_len)), code: code.to_owned(), sentence: sentence.to_owned() }
}

#[test]
fn every_problem_is_counted_and_the_first_thousand_are_listed() {
    let mut problems = Problems::default();
    for number in 0..1_200 {
        problems.add(problem(10, "unreadable", &format!("problem {number}")));
    }
    assert_eq!((problems.total(), problems.listed().len()), (Count(1_200), 1_000));
    assert_eq!(problems.listed()[999].sentence, "problem 999");
    let bytes = Manifest { problems: problems.clone(), ..manifest() }.seal(&run_key(), &header(), sign);
    let open = Manifest::open(&bytes.expect("they fit"), |_| Some(run_key())).expect("nothing was changed");
    assert_eq!(open.unverified().problems, problems);
}

#[test]
fn a_problem_that_does_not_fit_is_only_counted() {
    let mut problems = Problems::default();
    problems.add(problem(3, "Not A Word", "a code is for machines"));
    problems.add(problem(3, "", "there must be one"));
    let mut deep = problem(1, "unreadable", "its path is too long");
    deep.path = path(&["x"; 33_000].join("/"));
    problems.add(deep);
    assert_eq!((problems.total(), problems.listed().len()), (Count(3), 0));
    for _ in 0..900 {
        problems.add(problem(4_000, "unreadable", "long"));
    }
    assert_eq!(problems.total(), Count(903));
    assert_eq!(problems.listed().len(), (1 << 20) / 4_014, "as many as fit in the budget");
    assert!(Manifest { problems, ..manifest() }.seal(&run_key(), &header(), sign).is_ok());
}

#[test]
fn a_long_sentence_is_cut_between_two_characters() {
    let mut problems = Problems::default();
    problems.add(problem(3, "unreadable", &"é".repeat(600)));
    problems.add(problem(3, "unreadable", &format!("x{}", "é".repeat(600))));
    let lens: Vec<usize> = problems.listed().iter().map(|problem| problem.sentence.len()).collect();
    assert_eq!(lens, [1_024, 1_023]);
}
