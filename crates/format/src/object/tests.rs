//! Tests of `object`: names are frozen, and have one form.

use super::ObjectName;
use crate::digest::PackId;
use base::{DeviceId, SnapshotId};

#[test]
fn names_have_this_form_and_parse_back() {
    let pack = ObjectName::Pack(PackId::from_bytes([0xa5; 32]));
    let manifest = ObjectName::Manifest(DeviceId::from_bytes([0; 16]), SnapshotId::from_bytes([0xff; 16]));
    let cases = [
        (pack, "packs/a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"),
        (manifest, "manifests/dev_00000000000000000000000000/snp_zzzzzzzzzzzzzzzzzzzzzzzzzw"),
        (ObjectName::Keyring(0x1f), "keys/0000001f"),
        (ObjectName::Card(DeviceId::from_bytes([0; 16]), 1), "cards/dev_00000000000000000000000000/00000001"),
        (ObjectName::Age(u32::MAX), "ages/ffffffff"),
    ];
    for (name, text) in cases {
        assert_eq!(name.to_string(), text);
        assert_eq!(text.parse(), Ok(name));
    }
    assert_eq!(cases.map(|(name, _)| name.number()), [None, None, Some(0x1f), Some(1), Some(u32::MAX)]);
}

#[test]
fn every_other_text_is_refused() {
    let hex = "a5".repeat(32);
    let cases = [
        String::new(),
        "packs/".to_owned(),
        format!("packs/{}", &hex[1..]),
        format!("packs/{}", hex.to_uppercase()),
        format!("packs/{hex}/"),
        format!("/packs/{hex}"),
        format!("pack/{hex}"),
        "manifests/dev_00000000000000000000000000".to_owned(),
        "manifests/snp_00000000000000000000000000/dev_00000000000000000000000000".to_owned(),
        "manifests/dev_00000000000000000000000000/snp_00000000000000000000000000/".to_owned(),
        "keys/1f".to_owned(),
        "keys/0000001F".to_owned(),
        "keys/+000001f".to_owned(),
        "ages/000000001".to_owned(),
        "cards/00000001".to_owned(),
        "manifests/dev_00000000000000000000000000/../snp_00000000000000000000000000".to_owned(),
    ];
    for text in cases {
        assert!(text.parse::<ObjectName>().is_err(), "{text}");
    }
}
