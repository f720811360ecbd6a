//! Tests of `compress`: what is worth it, and what a decompressor refuses.

use super::{Codec, compress, decompress, saves_enough};
use crate::error::Error;

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut bytes);
    bytes
}

fn packed(plain: &[u8]) -> (Codec, Vec<u8>) {
    let mut out = b"left over from before".to_vec();
    let codec = compress(plain, 3, 16, &mut out);
    (codec, out)
}

#[test]
fn text_is_compressed_and_noise_is_stored() {
    let text = "all work and no play ".repeat(500).into_bytes();
    let noise = noise(10_000);
    let cases = [(&text, Codec::Zstd), (&noise, Codec::Stored)];
    for (plain, codec) in cases {
        let (chosen, bytes) = packed(plain);
        assert_eq!(chosen, codec);
        assert!(bytes.len() <= plain.len());
        assert_eq!(decompress(chosen, &bytes, plain.len() as u32).as_ref(), Ok(plain));
    }
    assert_eq!(packed(&noise).1, noise, "stored is as it is");
}

#[test]
fn a_long_frame_is_looked_at_all_over_before_it_is_compressed() {
    let text = "all work and no play ".repeat(50_000).into_bytes();
    let noise = noise(1 << 20);
    assert_eq!(packed(&noise), (Codec::Stored, noise.clone()));
    assert_eq!(packed(&text[..1 << 20]).0, Codec::Zstd);
    for half in 0..2 {
        let mut mixed = noise.clone();
        let from = half * (mixed.len() / 2);
        mixed[from..from + (512 << 10)].copy_from_slice(&text[..512 << 10]);
        let (codec, bytes) = packed(&mixed);
        assert_eq!(codec, Codec::Zstd, "half of it is text");
        assert!(bytes.len() < 600 << 10);
        assert_eq!(decompress(codec, &bytes, mixed.len() as u32).as_ref(), Ok(&mixed));
    }
}

#[test]
fn three_percent_is_enough_and_less_is_not() {
    assert!(saves_enough(1_000, 970));
    assert!(!saves_enough(1_000, 971));
    assert!(!saves_enough(1, 1));
}

#[test]
fn the_level_is_used_and_may_change_from_call_to_call() {
    let words =
        noise(2_000).iter().fold(String::new(), |text, byte| text + ["and ", "or ", "not ", "if "][*byte as usize % 4]);
    let mut lens = [1, 19, 1].map(|level| {
        let mut out = Vec::new();
        assert_eq!(compress(words.as_bytes(), level, 0, &mut out), Codec::Zstd);
        assert_eq!(decompress(Codec::Zstd, &out, words.len() as u32).as_deref(), Ok(words.as_bytes()));
        out.len()
    });
    assert_eq!(lens[0], lens[2]);
    lens.sort_unstable();
    assert!(lens[0] < lens[2], "{lens:?}");
}

#[test]
fn anything_but_one_whole_frame_of_the_promised_size_is_refused() {
    let plain = b"abc".repeat(1_000);
    let (_, bytes) = packed(&plain);
    let len = plain.len() as u32;
    let twice = bytes.repeat(2);
    let skippable = [bytes.as_slice(), &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]].concat();
    let longer = [bytes.as_slice(), &[0]].concat();
    let cases: [(&str, &[u8], u32); 8] = [
        ("one byte more is promised", &bytes, len + 1),
        ("one byte less is promised", &bytes, len - 1),
        ("cut off", &bytes[..bytes.len() - 1], len),
        ("a byte behind it", &longer, len),
        ("a frame behind it", &twice, len * 2),
        ("a skippable frame behind it", &skippable, len),
        ("nothing", &[], 0),
        ("no frame", b"not zstd at all", 15),
    ];
    for (case, bytes, plain_len) in cases {
        assert_eq!(decompress(Codec::Zstd, bytes, plain_len), Err(Error::Decompress { plain_len }), "{case}");
    }
    let (_, large) = packed(&vec![0; (16 << 20) + 1]);
    assert_eq!(decompress(Codec::Zstd, &large, (16 << 20) + 1), Err(Error::Decompress { plain_len: (16 << 20) + 1 }));
    assert_eq!(decompress(Codec::Stored, b"abc", 2), Err(Error::Decompress { plain_len: 2 }));
    assert_eq!(decompress(Codec::Zstd, &bytes, u32::MAX), Err(Error::Decompress { plain_len: u32::MAX }));
}

#[test]
fn a_frame_that_does_not_say_its_size_is_refused() {
    let mut compressor = zstd::bulk::Compressor::new(3).expect("level 3 exists");
    compressor.include_contentsize(false).expect("the flag exists");
    let bytes = compressor.compress(&[7; 500]).expect("it is small");
    assert_eq!(decompress(Codec::Zstd, &bytes, 500), Err(Error::Decompress { plain_len: 500 }));
}
