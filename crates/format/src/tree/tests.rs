//! Tests of `tree`: the bytes of a small tree, and every rule that a tree can break, written or read.

use super::{Content, Entry, EntryBody, FileTime, ListRef, Meta, Page, Totals, Tree, TreeBody};
use crate::digest::ChunkRef;
use crate::error::{Error, Flaw};
use crate::piece::Piece;
use base::{Bytes, Count, Kind};

const REF: ChunkRef = ChunkRef::from_bytes([7; 32]);

fn file(name: &str, content: &[u8]) -> Entry {
    let body = EntryBody::File { size: content.len() as u64, content: Content::Inline(content.to_vec()) };
    Entry { name: name.into(), meta: Meta { mode: 0o644, uid: 5, ..Meta::default() }, body }
}

fn directory(name: &str) -> Entry {
    Entry { body: EntryBody::Directory { tree: REF }, ..file(name, b"") }
}

fn totals(entries: u64, files: u64, bytes: u64) -> Totals {
    Totals { entries: Count(entries), files: Count(files), bytes: Bytes(bytes) }
}

fn decode_flaw(bytes: &[u8]) -> Flaw {
    match Tree::decode(bytes) {
        Err(Error::Decode { part: "tree", flaw, .. }) => flaw,
        other => panic!("not refused as damage: {other:?}"),
    }
}

/// The rule that a tree breaks, for the encoder; the decoder must refuse its bytes too, by whichever rule comes first.
fn encode_flaw(tree: &Tree) -> Flaw {
    let mut bytes = Vec::new();
    super::encode::write(tree, &mut bytes);
    assert!(matches!(Tree::decode(&bytes), Err(Error::Decode { .. })), "the decoder reads {tree:?}");
    let mut out = b"before".to_vec();
    match tree.encode_into(&mut out) {
        Err(Error::Encode { part: "tree", flaw }) => {
            assert_eq!(out, b"before", "a refused tree leaves the buffer as it was");
            flaw
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[rustfmt::skip]
const SMALL: &[u8] = &[
    1, 0,                   // version, leaf
    1, 1, 2,                // totals: entries, files, bytes
    1, 5, 2, b'm', b'e',    // users: one, 5 "me"
    1, 0, 0,                // groups: one, 0 without a name
    1,                      // entries
    1, b'f', 0, 0,          // name, file, no flags
    0xa4, 3, 0, 0,          // mode 0o644, user 0, group 0
    3, 9,                   // mtime: -2 s, 9 ns
    0, 0,                   // ctime
    4,                      // inode
    2, 0, 2, b'h', b'i',    // size, inline, content
];

#[test]
fn a_small_tree_has_these_bytes() {
    let mut entry = file("f", b"hi");
    entry.meta.user = b"me".as_slice().into();
    entry.meta.mtime = FileTime { seconds: -2, nanos: 9 };
    entry.meta.inode = 4;
    let tree = Tree::leaf(vec![entry], Totals::default());
    assert_eq!(tree.encode().as_deref(), Ok(SMALL));
    assert_eq!(Tree::decode(SMALL), Ok(tree));
}

#[test]
fn each_byte_of_a_small_tree_matters() {
    let tree = Tree::decode(SMALL).expect("it is a tree");
    for at in 0..SMALL.len() {
        assert!(Tree::decode(&SMALL[..at]).is_err(), "cut off at {at}");
        for other in 0..=255 {
            let mut bytes = SMALL.to_vec();
            bytes[at] = other;
            if let Ok(read) = Tree::decode(&bytes) {
                assert_eq!(read == tree, bytes == SMALL, "byte {at} as {other}");
                assert_eq!(read.encode(), Ok(bytes));
            }
        }
    }
}

#[test]
fn the_empty_directory_is_five_zeroes_and_three_more() {
    let bytes = Tree::leaf(Vec::new(), Totals::default()).encode().expect("it keeps the rules");
    assert_eq!(bytes, [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Tree::decode(&bytes), Ok(Tree::leaf(Vec::new(), Totals::default())));
}

#[test]
fn bytes_that_no_encoder_writes_are_refused() {
    let cases: [(&str, usize, &[u8], Flaw); 11] = [
        ("a version of zero", 0, &[0], Flaw::Fixed),
        ("a third kind of tree", 1, &[2], Flaw::Tag),
        ("more files than entries", 3, &[2], Flaw::Sum),
        ("totals that the entries do not have", 4, &[3], Flaw::Sum),
        ("a group that is not in the table", 21, &[1], Flaw::Owner),
        ("an unknown kind of entry", 16, &[7], Flaw::Tag),
        ("an unknown flag", 17, &[4], Flaw::Tag),
        ("attributes announced, and none there", 17, &[1, 0xa4, 3, 0, 0, 3, 9, 0, 0, 4, 0], Flaw::Empty),
        ("an unknown content tag", 28, &[3], Flaw::Tag),
        ("a size that the content does not have", 27, &[1], Flaw::Sum),
        ("a name with a slash", 15, b"/", Flaw::Name),
    ];
    for (case, at, patch, flaw) in cases {
        let mut bytes = SMALL.to_vec();
        bytes[at..at + patch.len()].copy_from_slice(patch);
        assert_eq!(decode_flaw(&bytes), flaw, "{case}");
    }
    let trailing = [SMALL, &[0]].concat();
    assert_eq!(decode_flaw(&trailing), Flaw::Trailing);
    let newer = Tree::decode(&[2]).expect_err("version 2 is unknown");
    assert_eq!((newer.kind(), newer), (Kind::Invalid, Error::Version { part: "tree", version: 2, newest: 1 }));
}

#[test]
fn an_owner_that_nobody_uses_and_owners_out_of_order_are_refused() {
    // The content is long enough to pay for two owners.
    let good = Tree::leaf(vec![file("f", &[0; 40])], Totals::default()).encode().expect("it keeps the rules");
    assert_eq!(good[5..8], [1, 5, 0], "one user, 5, without a name");
    let with_users = |users: &[u8], user: u8| {
        let mut bytes = [&good[..5], users, &good[8..]].concat();
        let user_at = 5 + users.len() + 10;
        bytes[user_at] = user;
        decode_flaw(&bytes)
    };
    assert_eq!(with_users(&[2, 5, 0, 6, 0], 0), Flaw::Owner, "6 is used by nobody");
    assert_eq!(with_users(&[2, 6, 0, 5, 0], 1), Flaw::Order);
    assert_eq!(with_users(&[2, 5, 0, 5, 0], 1), Flaw::Order, "the same owner twice");
    assert_eq!(with_users(&[2, 5, 1, b'b', 5, 1, b'a'], 0), Flaw::Order, "two names of a number");
    let unused_group = [&good[..8], &[2, 0, 0, 1, 0], &good[11..]].concat();
    assert_eq!((&good[8..11], decode_flaw(&unused_group)), (&[1, 0, 0][..], Flaw::Owner));
}

#[test]
fn a_number_with_two_names_keeps_both() {
    let (mut old, mut new) = (file("a", b""), file("b", b""));
    old.meta.user = b"before".as_slice().into();
    new.meta.user = b"after".as_slice().into();
    let tree = Tree::leaf(vec![old, new], Totals::default());
    assert_eq!(Tree::decode(&tree.encode().expect("it keeps the rules")), Ok(tree));
}

/// Mends one thing of a good entry for the worse.
type Break = fn(&mut Entry);

fn content(entry: &mut Entry, size: u64, content: Content) {
    entry.body = EntryBody::File { size, content };
}

#[test]
fn entries_that_break_a_rule_are_refused_one_by_one() {
    const HUGE: u64 = 1 << 20;
    const BYTE: Piece = Piece::Data { chunk: REF, len: 1 };
    const fn list(bytes: u64) -> ListRef {
        ListRef { list: REF, pieces: 1, bytes }
    }
    let cases: [(Break, Flaw); 22] = [
        (|entry| entry.name.clear(), Flaw::Name),
        (|entry| entry.name = b"..".to_vec(), Flaw::Name),
        (|entry| entry.name = vec![b'x'; 4_097], Flaw::Name),
        (|entry| entry.meta.mode = 0o10000, Flaw::Limit { max: 0o7777 }),
        (|entry| entry.meta.mtime.nanos = 1_000_000_000, Flaw::Limit { max: 999_999_999 }),
        (|entry| entry.meta.ctime.nanos = u32::MAX, Flaw::Limit { max: 999_999_999 }),
        (|entry| entry.meta.user = vec![b'x'; 1_025].into(), Flaw::Limit { max: 1_024 }),
        (|entry| entry.meta.group = vec![b'x'; 1_025].into(), Flaw::Limit { max: 1_024 }),
        (|entry| entry.meta.xattrs = vec![(vec![], vec![])], Flaw::Empty),
        (|entry| entry.meta.xattrs = vec![(vec![b'x'; 1_025], vec![])], Flaw::Limit { max: 1_024 }),
        (|entry| entry.meta.xattrs = vec![(b"b".to_vec(), vec![]), (b"a".to_vec(), vec![])], Flaw::Order),
        (|entry| entry.meta.xattrs = vec![(b"a".to_vec(), vec![0; HUGE as usize])], Flaw::Limit { max: HUGE }),
        (|entry| content(entry, 4_097, Content::Inline(vec![0; 4_097])), Flaw::Limit { max: 4_096 }),
        (|entry| content(entry, 0, Content::Pieces(vec![])), Flaw::Empty),
        (|entry| content(entry, 9, Content::Pieces(vec![Piece::Hole { len: 4 }])), Flaw::Sum),
        (|entry| content(entry, 16_385, Content::Pieces(vec![BYTE; 16_385])), Flaw::Limit { max: 16_384 }),
        (|entry| content(entry, 0, Content::Lists(vec![])), Flaw::Empty),
        (|entry| content(entry, 16_385, Content::Lists(vec![list(1); 16_385])), Flaw::Limit { max: 16_384 }),
        (|entry| content(entry, 1 << 63, Content::Lists(vec![list(1 << 62), list(1 << 62)])), Flaw::Sum),
        (|entry| content(entry, 1, Content::Lists(vec![ListRef { list: REF, pieces: 2, bytes: 1 }])), Flaw::Empty),
        (|entry| content(entry, 9, Content::Lists(vec![list(4)])), Flaw::Sum),
        (|entry| entry.body = EntryBody::Symlink { target: vec![b'x'; 65_537] }, Flaw::Limit { max: 65_536 }),
    ];
    for (number, (break_it, flaw)) in cases.into_iter().enumerate() {
        let mut entry = file("f", b"hi");
        break_it(&mut entry);
        assert_eq!(entry.check(), Err(Error::Encode { part: "entry", flaw }), "case {number}");
        assert_eq!(encode_flaw(&Tree::leaf(vec![entry], Totals::default())), flaw, "case {number}");
    }
}

#[test]
fn totals_are_exactly_the_entries_or_more_where_there_is_a_directory() {
    let flat = |totals| Tree { totals, body: TreeBody::Leaf(vec![file("a", b"xy")]) };
    let deep = |totals| Tree { totals, body: TreeBody::Leaf(vec![directory("a"), file("b", b"xy")]) };
    assert!(flat(totals(1, 1, 2)).encode().is_ok());
    assert_eq!(encode_flaw(&flat(totals(2, 1, 2))), Flaw::Sum);
    assert_eq!(encode_flaw(&flat(totals(1, 1, 3))), Flaw::Sum);
    for good in [totals(2, 1, 2), totals(9, 8, 700)] {
        assert!(deep(good).encode().is_ok());
    }
    for wrong in [totals(1, 1, 2), totals(2, 0, 2), totals(2, 1, 1), totals(4, 5, 2)] {
        assert_eq!(encode_flaw(&deep(wrong)), Flaw::Sum, "{wrong:?}");
    }
    let directories = Tree { totals: totals(3, 0, 1), body: TreeBody::Leaf(vec![directory("a")]) };
    assert_eq!(encode_flaw(&directories), Flaw::Sum, "bytes of no file");
    assert_eq!(Tree::leaf(vec![directory("a"), file("b", b"xy")], totals(3, 2, 5)).totals, totals(5, 3, 7));
}

#[test]
fn entries_and_pages_stand_in_order() {
    for names in [["b", "a"], ["a", "a"]] {
        let entries = names.map(|name| file(name, b"")).to_vec();
        assert_eq!(encode_flaw(&Tree::leaf(entries, Totals::default())), Flaw::Order);
        let pages = names.map(|name| Page { first: name.into(), tree: REF }).to_vec();
        assert_eq!(encode_flaw(&Tree::fan(pages, totals(2, 0, 0))), Flaw::Order);
    }
}

#[test]
fn a_fan_has_two_good_pages_or_more_and_reads_back() {
    let page = |first: &str| Page { first: first.into(), tree: REF };
    let fan = Tree::fan(vec![page("a"), page("m")], totals(7, 7, 70));
    assert_eq!(Tree::decode(&fan.encode().expect("it keeps the rules")), Ok(fan));
    let cases = [
        (vec![], totals(7, 7, 70), Flaw::Empty),
        (vec![page("a")], totals(7, 7, 70), Flaw::Empty),
        (vec![page(""), page("a")], totals(7, 7, 70), Flaw::Name),
        (vec![page("a"), page("b")], totals(1, 1, 0), Flaw::Sum),
    ];
    for (pages, totals, flaw) in cases {
        assert_eq!(encode_flaw(&Tree::fan(pages, totals)), flaw);
    }
}

#[test]
fn a_page_must_be_the_one_that_the_fan_names() {
    let pages = ["b", "m"].map(|first| Page { first: first.into(), tree: REF });
    let page = |names: &[&str]| Tree::leaf(names.iter().map(|name| file(name, b"")).collect(), Totals::default());
    let taken = |tree: Tree, number| {
        tree.into_page(&pages, number).map(|entries| entries.len()).map_err(|error| match error {
            Error::Decode { part: "page", flaw, .. } => flaw,
            other => panic!("{other}"),
        })
    };
    assert_eq!(taken(page(&["b", "c"]), 0), Ok(2));
    assert_eq!(taken(page(&["m", "z"]), 1), Ok(2));
    assert_eq!(taken(page(&["a", "b"]), 0), Err(Flaw::Order), "another first name");
    assert_eq!(taken(page(&["b", "m"]), 0), Err(Flaw::Order), "it runs into the next page");
    assert_eq!(taken(page(&[]), 0), Err(Flaw::Empty));
    assert_eq!(taken(page(&["m"]), 2), Err(Flaw::Empty), "there is no third page");
    assert_eq!(taken(Tree::fan(pages.to_vec(), totals(2, 0, 0)), 0), Err(Flaw::Tag), "a fan in a fan");
}

#[test]
fn a_tree_fits_in_a_chunk_and_weights_say_when_to_cut() {
    let big = |number: usize| {
        let mut entry = file(&format!("{number:04}"), b"");
        entry.meta.xattrs = vec![(b"user.big".to_vec(), vec![0; (1 << 20) - 8])];
        entry
    };
    let entries: Vec<Entry> = (0..8).map(big).collect();
    assert!(entries.iter().all(|entry| entry.check().is_ok()));
    assert_eq!(encode_flaw(&Tree::leaf(entries.clone(), Totals::default())), Flaw::Limit { max: 8 << 20 });
    let fewer = Tree::leaf(entries[..7].to_vec(), Totals::default());
    let weight: usize = entries[..7].iter().map(Entry::weight).sum();
    assert!(fewer.encode().expect("seven fit").len() <= weight + 16);
    let mut owned = file("f", b"");
    owned.meta.user = vec![b'u'; 1_024].into();
    owned.meta.group = vec![b'g'; 1_024].into();
    let weight = owned.weight();
    let bytes = Tree::leaf(vec![owned], Totals::default()).encode().expect("it keeps the rules");
    assert!(bytes.len() <= weight, "the names of its owners may be its alone");
}

#[test]
fn a_count_that_the_input_cannot_hold_costs_no_memory() {
    for huge in
        [&[1, 0, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0xff, 0xff, 0x7f][..], &[1, 1, 0xff, 0xff, 0x7f, 0, 0, 0xff, 0xff, 0x7f]]
    {
        assert_eq!(decode_flaw(huge), Flaw::Truncated);
    }
}
