//! Tests of `list` and `piece`: sums, and every rule that a list can break.

use super::List;
use crate::digest::ChunkRef;
use crate::error::{Error, Flaw};
use crate::piece::Piece;
use base::{Bytes, Count};

const CHUNK: Piece = Piece::Data { chunk: ChunkRef::from_bytes([7; 32]), len: 5 };
const HOLE: Piece = Piece::Hole { len: 3 };

#[test]
fn a_list_knows_its_sums_and_reads_back() {
    let list = List { pieces: vec![HOLE, CHUNK, CHUNK, HOLE] };
    assert_eq!((list.count(), list.covered()), (Count(4), Bytes(16)));
    let bytes = list.encode().expect("it keeps the rules");
    assert_eq!(bytes[..3], [1, 4, 7], "version, count, a hole of 3");
    assert_eq!(bytes[3], 10, "a chunk of 5");
    assert_eq!(List::decode(&bytes), Ok(list));
}

#[test]
fn lists_that_break_a_rule_are_neither_written_nor_read() {
    let chunk = ChunkRef::from_bytes([7; 32]);
    let half = Piece::Hole { len: 1 << 62 };
    let cases = [
        (vec![], Flaw::Empty),
        (vec![Piece::Hole { len: 0 }], Flaw::Empty),
        (vec![Piece::Data { chunk, len: 0 }], Flaw::Empty),
        (vec![CHUNK, HOLE, HOLE], Flaw::Holes),
        (vec![Piece::Data { chunk, len: (8 << 20) + 1 }], Flaw::Limit { max: 8 << 20 }),
        (vec![Piece::Hole { len: 1 << 63 }], Flaw::Limit { max: (1 << 63) - 1 }),
        (vec![half, CHUNK, half], Flaw::Sum),
    ];
    for (pieces, flaw) in cases {
        let mut out = b"before".to_vec();
        let refused = List { pieces: pieces.clone() }.encode_into(&mut out);
        assert_eq!(refused, Err(Error::Encode { part: "list", flaw }));
        assert_eq!(out, b"before");
        let mut bytes = vec![1];
        crate::piece::write(&mut crate::codec::Writer::new(&mut bytes), &pieces);
        assert!(List::decode(&bytes).is_err(), "{pieces:?}");
    }
}

#[test]
fn a_list_fits_in_a_chunk() {
    let fits = List { pieces: vec![CHUNK; (8 << 20) / 33 - 1] };
    assert!(fits.encode().is_ok());
    let too_many = List { pieces: vec![CHUNK; (8 << 20) / 33 + 1] };
    let mut bytes = vec![1];
    crate::piece::write(&mut crate::codec::Writer::new(&mut bytes), &too_many.pieces);
    assert!(List::decode(&bytes).is_err());
    assert_eq!(too_many.encode(), Err(Error::Encode { part: "list", flaw: Flaw::Limit { max: 8 << 20 } }));
}

#[test]
fn a_count_that_the_input_cannot_hold_costs_no_memory() {
    assert!(List::decode(&[1, 0xff, 0xff, 0xff, 0x03, 1]).is_err());
}
