//! Tests of `path`: order, steps, and what is shown to people.

use super::{StoredPath, is_entry_name};
use proptest::prelude::*;
use std::cmp::Ordering;

fn path(text: &str) -> StoredPath {
    StoredPath::from_bytes(text.as_bytes().to_vec()).expect("the test's paths are good")
}

#[test]
fn a_directory_comes_right_before_what_is_in_it() {
    let sorted = ["", "A", "a", "a/b", "a/b/c", "a/b-c", "a/é", "a-b", "a-b/c", "a.b", "ab", "b"];
    for (place, one) in sorted.iter().enumerate() {
        for (other_place, other) in sorted.iter().enumerate() {
            assert_eq!(path(one).cmp(&path(other)), place.cmp(&other_place), "{one} and {other}");
        }
    }
}

#[test]
fn names_and_paths_that_could_mean_another_place_are_refused() {
    let long = [b'x'; 4_097];
    for name in [b"".as_slice(), b".", b"..", b"a/b", b"/", b"a\0b", &long] {
        assert!(!is_entry_name(name), "{name:?}");
        let mut path = path("a");
        assert!(path.push(name).is_err() && path.join(name).is_err());
        assert_eq!(path.as_bytes(), b"a");
    }
    for name in [b"...".as_slice(), b" ", b".a", b"\xff\xfe", b"a\\b", &long[..4_096]] {
        assert!(is_entry_name(name), "{name:?}");
    }
    for bytes in ["/", "/a", "a/", "a//b", "a/./b", "../a", "a\0"] {
        assert!(StoredPath::from_bytes(bytes.as_bytes().to_vec()).is_err(), "{bytes}");
    }
}

#[test]
fn steps_down_and_up_meet_again() {
    let mut at = StoredPath::root();
    assert!(!at.pop() && at.is_root() && at.parent().is_none() && at.name().is_none());
    at.push(b"a").expect("a good name");
    at.push(b"b c").expect("a good name");
    assert_eq!(at, path("a/b c"));
    assert_eq!(at.join(b"d"), Ok(path("a/b c/d")));
    assert_eq!(at.components().collect::<Vec<_>>(), [b"a".as_slice(), b"b c"]);
    assert_eq!(at.name(), Some(b"b c".as_slice()));
    assert_eq!(at.parent(), Some(path("a")));
    assert!(at.pop() && at == path("a") && at.pop() && at.is_root());
    assert_eq!(StoredPath::root().components().count(), 0);
}

#[test]
fn below_is_told_by_components_not_by_bytes() {
    let cases = [
        ("a/b", "a", true),
        ("a", "a", true),
        ("ab", "a", false),
        ("a", "a/b", false),
        ("a", "", true),
        ("", "", true),
    ];
    for (one, other, below) in cases {
        assert_eq!(path(one).starts_with(&path(other)), below, "{one} {other}");
    }
}

#[test]
fn what_people_see_cannot_move_their_cursor_or_turn_the_text_around() {
    let shown = StoredPath::from_bytes(b"a\x1b[2J\n/\xff/invoice\xe2\x80\xaefdp.exe".to_vec()).expect("good names");
    assert_eq!(shown.to_string(), "a\\u{1b}[2J\\n/\u{fffd}/invoice\\u{202e}fdp.exe");
    assert_eq!(format!("{:?}", path("é")), "\"é\"");
}

proptest! {
    #[test]
    fn the_order_is_that_of_the_components(one in "[ab/.-]{0,8}", other in "[ab/.-]{0,8}") {
        let parse = |text: &str| StoredPath::from_bytes(text.as_bytes().to_vec());
        if let (Ok(one), Ok(other)) = (parse(&one), parse(&other)) {
            let by_components: Ordering = one.components().cmp(other.components());
            prop_assert_eq!(one.cmp(&other), by_components);
        }
    }
}
