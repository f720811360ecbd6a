//! Every single bit, every length, every mix-up of a small pack and of a small manifest is refused.

use crate::sample;
use base::Secret;
use format::{Error, Manifest, ObjectHeader, RepositoryKey, RunKey, SealedPack, open_pack};

/// Reads all there is in a pack, as whoever verifies it does.
fn read_pack(bytes: &[u8], run_key_for: fn(&ObjectHeader) -> Option<RunKey>) -> Result<(), Error> {
    let open = open_pack(bytes, run_key_for)?;
    for (number, entry) in (0..).zip(open.index().frames()) {
        entry.verify(number, &sample::naming_key(), &open.frame(number)?)?;
    }
    Ok(())
}

fn read_manifest(bytes: &[u8]) -> Result<Manifest, Error> {
    Manifest::open(bytes, sample::run_key_for)?.verify(&sample::device_public_key())
}

/// The same bytes with one bit turned, for each bit.
fn flips(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len() * 8).map(|bit| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        (bit, bytes)
    })
}

fn small_pack() -> SealedPack {
    sample::pack(0x71, &sample::noisy_frames())
}

#[test]
fn a_pack_with_any_bit_turned_is_refused() {
    for pack in [small_pack(), sample::pack(0x72, &sample::texts()[..1].to_vec())] {
        assert_eq!(read_pack(&pack.bytes, sample::run_key_for), Ok(()));
        for (bit, bytes) in flips(&pack.bytes) {
            assert!(read_pack(&bytes, sample::run_key_for).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn a_pack_of_any_other_length_is_refused() {
    let pack = small_pack().bytes;
    for len in 0..pack.len() {
        assert!(read_pack(&pack[..len], sample::run_key_for).is_err(), "cut off at {len}");
        assert!(read_pack(&pack[pack.len() - len..], sample::run_key_for).is_err(), "the last {len} bytes");
    }
    for more in [&[0][..], &pack[pack.len() - 8..], &pack] {
        assert!(read_pack(&[&pack, more].concat(), sample::run_key_for).is_err());
    }
    for at in 0..=pack.len() {
        let mut bytes = pack.clone();
        bytes.insert(at, 0);
        assert!(read_pack(&bytes, sample::run_key_for).is_err(), "a byte put in at {at}");
    }
}

#[test]
fn frames_that_changed_places_are_refused() {
    let frames = ["one", "two"].map(|label| vec![(format::ChunkKind::Content, sample::noise(label, 50))]).to_vec();
    let pack = sample::pack(0x73, &frames);
    let mut bytes = pack.bytes;
    let [first, second] = [0, 1].map(|number: usize| pack.index.frames()[number].range());
    assert_eq!(first.end - first.start, second.end - second.start, "only the seal can tell them apart");
    let len = (first.end - first.start) as usize;
    let (head, tail) = bytes.split_at_mut(second.start as usize);
    head[first.start as usize..].swap_with_slice(&mut tail[..len]);
    assert_eq!(read_pack(&bytes, sample::run_key_for), Err(Error::Frame { frame: 0 }));
}

#[test]
fn an_index_or_a_frame_from_another_pack_is_refused() {
    let (one, other) = (small_pack(), sample::pack(0x74, &sample::noisy_frames()));
    assert_eq!(one.bytes.len(), other.bytes.len());
    let end = one.index.frames_end() as usize;
    let mixed = [&one.bytes[..end], &other.bytes[end..]].concat();
    assert_eq!(read_pack(&mixed, sample::run_key_for), Err(Error::Open { part: "pack index" }));
    let frame = one.index.frames()[1].range();
    let (begin, end) = (frame.start as usize, frame.end as usize);
    let mixed = [&one.bytes[..begin], &other.bytes[begin..end], &one.bytes[end..]].concat();
    assert_eq!(read_pack(&mixed, sample::run_key_for), Err(Error::Frame { frame: 1 }));
    let mixed = [&other.bytes[..64], &one.bytes[64..]].concat();
    assert_eq!(read_pack(&mixed, sample::run_key_for), Err(Error::Open { part: "pack index" }));
}

#[test]
fn the_key_of_another_run_and_a_key_id_that_nobody_has_are_refused() {
    let (pack, manifest) = (small_pack().bytes, sample::sealed_manifest());
    let wrong_run = |header: &ObjectHeader| {
        let mut run = *header.run.as_bytes();
        run[0] ^= 1;
        Some(sample::repository_key().run_key(base::RunId::from_bytes(run)))
    };
    let wrong_repository =
        |header: &ObjectHeader| Some(RepositoryKey::new(header.key_id, Secret::new([0x12; 32])).run_key(header.run));
    for wrong in [wrong_run, wrong_repository] {
        assert_eq!(read_pack(&pack, wrong), Err(Error::Open { part: "pack index" }));
        assert_eq!(Manifest::open(&manifest, wrong), Err(Error::Open { part: "manifest" }));
    }
    for bytes in [pack, manifest] {
        let mut bytes = bytes;
        bytes[8] ^= 1;
        let is_pack = bytes.starts_with(b"HFPACK");
        let refused = if is_pack { read_pack(&bytes, sample::run_key_for) } else { read_manifest(&bytes).map(drop) };
        assert!(matches!(refused, Err(Error::KeyUnknown { key_id: 0x0102_0305, .. })), "{refused:?}");
        // Even a server that takes the same key for both ids refuses: the header is part of every seal.
        let any_id = |header: &ObjectHeader| Some(sample::repository_key().run_key(header.run));
        let refused = if is_pack { read_pack(&bytes, any_id) } else { Manifest::open(&bytes, any_id).map(drop) };
        assert!(matches!(refused, Err(Error::Open { .. })), "{refused:?}");
    }
}

#[test]
fn a_later_version_is_told_from_damage() {
    let mut pack = small_pack().bytes;
    pack[6] = 2;
    let refused = Error::Version { part: "pack header", version: 2, newest: 1 };
    assert_eq!(read_pack(&pack, sample::run_key_for), Err(refused));
}

#[test]
fn a_manifest_with_any_bit_turned_or_any_other_length_is_refused() {
    let manifest = sample::sealed_manifest();
    assert_eq!(read_manifest(&manifest), Ok(sample::manifest()));
    for (bit, bytes) in flips(&manifest) {
        assert!(read_manifest(&bytes).is_err(), "bit {bit}");
    }
    for len in 0..manifest.len() {
        assert!(read_manifest(&manifest[..len]).is_err(), "cut off at {len}");
    }
    assert!(read_manifest(&[manifest.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn what_the_device_signed_is_proven_bit_by_bit() {
    let signed = Manifest::open(&sample::sealed_manifest(), sample::run_key_for).expect("nothing was changed");
    let mut still_read = 0;
    for (bit, body) in flips(&signed.encode()) {
        // Whoever has the run key can seal another body; nobody but the device can sign it.
        if let Ok(forged) = format::SignedManifest::decode(&body) {
            still_read += 1;
            assert_eq!(forged.verify(&sample::device_public_key()), Err(Error::Signature), "bit {bit}");
        }
    }
    assert!(still_read > 1_000, "most flips only change a name or a number: {still_read}");
}
