//! Tests of `codec`: the varint table of docs/format.md, and what a reader refuses.

use super::{Reader, Writer};
use crate::error::{Error, Flaw};
use proptest::prelude::*;

const PART: &str = "test";

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes));
    bytes
}

fn flaw_of<T: std::fmt::Debug>(result: Result<T, Error>) -> Flaw {
    match result {
        Err(Error::Decode { flaw, .. }) => flaw,
        other => panic!("not a flaw: {other:?}"),
    }
}

#[test]
fn numbers_have_these_bytes_and_no_others() {
    let cases: [(u64, &[u8]); 7] = [
        (0, &[0]),
        (127, &[0x7f]),
        (128, &[0x80, 1]),
        (300, &[0xac, 2]),
        (16_384, &[0x80, 0x80, 1]),
        (u64::from(u32::MAX), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ];
    for (value, bytes) in cases {
        assert_eq!(written(|writer| writer.varint(value)), bytes, "{value}");
        let mut reader = Reader::new(PART, bytes);
        assert_eq!(reader.varint(), Ok(value));
        assert_eq!(reader.finish(), Ok(()));
    }
    for (value, byte) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (63, 126), (-64, 127)] {
        assert_eq!(written(|writer| writer.zigzag(value)), [byte], "{value}");
    }
}

#[test]
fn a_number_that_is_longer_than_it_needs_to_be_or_has_more_than_64_bits_is_refused() {
    let cases: [(&[u8], Flaw); 7] = [
        (&[], Flaw::Truncated),
        (&[0x80], Flaw::Truncated),
        (&[0x80, 0], Flaw::VarintForm),
        (&[0xff, 0x80, 0], Flaw::VarintForm),
        (&[0x80; 9], Flaw::Truncated),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], Flaw::VarintRange),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0], Flaw::VarintRange),
    ];
    for (bytes, flaw) in cases {
        assert_eq!(flaw_of(Reader::new(PART, bytes).varint()), flaw, "{bytes:02x?}");
    }
}

#[test]
fn an_error_tells_where_the_reader_stood() {
    let mut reader = Reader::new(PART, &[1, 2, 3, 0x80, 0]);
    assert_eq!(reader.array(), Ok([1, 2, 3]));
    assert_eq!(reader.varint(), Err(Error::Decode { part: PART, offset: 3, flaw: Flaw::VarintForm }));
    assert_eq!(reader.finish(), Err(Error::Decode { part: PART, offset: 3, flaw: Flaw::Trailing }));
}

#[test]
fn limits_and_lengths_beyond_the_input_are_refused() {
    assert_eq!(flaw_of(Reader::new(PART, &[9]).varint_to(8)), Flaw::Limit { max: 8 });
    assert_eq!(flaw_of(Reader::new(PART, &[3, b'a', b'b']).bytes(9)), Flaw::Truncated);
    assert_eq!(flaw_of(Reader::new(PART, &[3, b'a', b'b', b'c']).bytes(2)), Flaw::Limit { max: 2 });
    assert_eq!(flaw_of(Reader::new(PART, &[2, 0, 0, 0]).count(9, 2)), Flaw::Truncated, "two of two bytes are four");
    assert_eq!(Reader::new(PART, &[2, 0, 0, 0, 0]).count(9, 2), Ok(2));
    assert_eq!(flaw_of(Reader::new(PART, &[2, 0xc3, 0x28]).text(9)), Flaw::Text);
    assert_eq!(
        flaw_of(Reader::new(PART, &[0xff, 0xff, 0xff, 0xff, 0x1f]).varint_u32()),
        Flaw::Limit { max: u64::from(u32::MAX) }
    );
}

#[test]
fn a_later_version_is_told_from_damage() {
    assert_eq!(Reader::new(PART, &[1]).version(1), Ok(1));
    assert_eq!(Reader::new(PART, &[2]).version(1), Err(Error::Version { part: PART, version: 2, newest: 1 }));
    assert_eq!(flaw_of(Reader::new(PART, &[0]).version(1)), Flaw::Fixed);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(number: u64, signed: i64, bytes: Vec<u8>) {
        let out = written(|writer| {
            writer.varint(number);
            writer.zigzag(signed);
            writer.bytes(&bytes);
        });
        let mut reader = Reader::new(PART, &out);
        prop_assert_eq!(reader.varint(), Ok(number));
        prop_assert_eq!(reader.zigzag(), Ok(signed));
        prop_assert_eq!(reader.bytes(u64::MAX), Ok(bytes.as_slice()));
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_number_that_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        let mut reader = Reader::new(PART, &bytes);
        if let Ok(value) = reader.varint() {
            prop_assert_eq!(written(|writer| writer.varint(value)), &bytes[..reader.offset()]);
        }
    }
}
