//! Tests of `digest`: names are frozen, have one text form, and a ref is not printed.

use super::{ChunkId, ChunkKind, ChunkRef, NamingKey, PackHasher, PackId};
use base::Secret;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn chunks_have_these_names() {
    let naming = NamingKey::new(&Secret::new([0x33; 32]));
    for (kind, plain, chunk, id) in NAMES {
        let name = naming.name(kind, plain);
        assert_eq!(hex(name.as_bytes()), chunk, "{kind:?}");
        assert_eq!(name.id().to_string(), id, "{kind:?}");
    }
}

#[test]
fn a_name_depends_on_the_key_and_on_the_kind() {
    let naming = NamingKey::new(&Secret::new([0x33; 32]));
    let other = NamingKey::new(&Secret::new([0x34; 32]));
    let name = naming.name(ChunkKind::Content, b"holdfast");
    assert_ne!(name, naming.name(ChunkKind::Tree, b"holdfast"));
    assert_ne!(name, naming.name(ChunkKind::List, b"holdfast"));
    assert_ne!(name, other.name(ChunkKind::Content, b"holdfast"));
}

#[test]
fn a_pack_has_this_name_whole_and_in_parts() {
    let mut hasher = PackHasher::new();
    hasher.update(b"hold");
    hasher.update(b"fast");
    assert_eq!(hasher.finish(), PackId::of(b"holdfast"));
    assert_eq!(PackId::of(b"holdfast").to_string(), PACK);
}

#[test]
fn a_ref_and_a_naming_key_are_not_printed() {
    let shown = format!("{:?}", ChunkRef::from_bytes([0xab; 32]));
    assert_eq!(shown, "ChunkRef(abab…)");
    let shown = format!("{:?}", NamingKey::new(&Secret::new([0x41; 32])));
    assert!(!shown.contains("41") && !shown.contains("65"), "{shown}");
}

#[test]
fn an_id_has_one_text_form() {
    let id = ChunkId::from_bytes(std::array::from_fn(|place| place as u8 * 7));
    let text = id.to_string();
    assert_eq!(text.parse(), Ok(id));
    assert_eq!(format!("{id:?}"), text);
    for wrong in [&text[1..], &text.to_uppercase(), &format!("{text}0"), &text.replace('0', "g"), ""] {
        assert!(wrong.parse::<ChunkId>().is_err(), "{wrong}");
    }
}

#[test]
fn numbers_of_kinds_are_frozen() {
    let kinds = [0, 1, 2, 3].map(ChunkKind::from_u8);
    assert_eq!(kinds, [Some(ChunkKind::Content), Some(ChunkKind::Tree), Some(ChunkKind::List), None]);
}

/// Kind, plaintext, ref, id: under the naming key of 32 bytes 0x33.
const NAMES: [(ChunkKind, &[u8], &str, &str); 4] = [
    (
        ChunkKind::Content,
        b"holdfast",
        "bb3d7744597246f33db4f19985e91f01d2444ede3733514acb1344ac2ab38dde",
        "a1ed21e20e375e56e2d93671b489e702677db8bb872f015a28569921dba43989",
    ),
    (
        ChunkKind::Tree,
        b"holdfast",
        "66e5b60dbb2b782d22ea80395320cdfb2bbc1f588b3432e17029c110208810ca",
        "bbb5452dbd36f6d2e8b8e1c6634cf0013693cc55d057a47ea90cf85e0c13adce",
    ),
    (
        ChunkKind::List,
        b"holdfast",
        "c81d317ca07a1257b63e2b012ef83a0034a1daf9766ab2c0ff151c558db7b97b",
        "7a454817bb9b4b17e2e93c50ee03a4337bc1596397e123c6d92f44e1d010d001",
    ),
    (
        ChunkKind::Content,
        b"",
        "e5d4c7e652bfab4a0824ce0ebf18d6ac4f78490a6aa9df98a84c1f12906dbc52",
        "0266363041d90c7c48ddbd1d1c5ed95588b5a7c75a49524b61802540790d428f",
    ),
];

const PACK: &str = "6a6e08fa696956cb8cdbc9421d4186a2c6d3d4eb51397275dbf24b9680b2ed30";
