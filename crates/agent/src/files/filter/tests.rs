//! Which entries are left out: how a pattern is read, and what nested folders do to each other.

use super::*;
use crate::files::FolderSource;
use std::collections::BTreeSet;
use std::fs;

fn path(text: &str) -> StoredPath {
    StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a path")
}

fn texts(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|text| (*text).to_owned()).collect()
}

/// A tree of files (and, with a slash at the end, directories), walked as the engine walks it.
fn walked(entries: &[&str], selection: Selection) -> (BTreeSet<String>, u64) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for entry in entries {
        let at = dir.path().join(entry);
        if entry.ends_with('/') {
            fs::create_dir_all(at).expect("a folder");
        } else {
            fs::create_dir_all(at.parent().expect("a parent")).expect("a folder");
            fs::write(at, b"x").expect("a file");
        }
    }
    let roots = selection.folders();
    let source = FilteredSource::new(FolderSource::below(dir.path()).expect("a source"), Arc::new(selection));
    let mut found = BTreeSet::new();
    // The engine looks at a chosen folder once before it walks.
    roots.iter().for_each(|root| drop(source.list(root)));
    let mut open = roots;
    while let Some(folder) = open.pop() {
        for entry in source.list(&folder).expect("a listing").entries {
            let path = folder.join(&entry.name).expect("a path");
            if entry.stat.kind == EntryKind::Directory {
                open.push(path);
            } else {
                found.insert(path.to_string());
            }
        }
    }
    (found, source.excluded())
}

fn of(include: &[&str], exclude: &[&str], everywhere: &[&str]) -> Selection {
    let mut selection = Selection::default();
    assert_eq!(selection.add(path("home"), &texts(include), &texts(exclude)), []);
    assert_eq!(selection.exclude_everywhere(&texts(everywhere)), []);
    selection
}

const TREE: [&str; 9] = [
    "home/a.txt",
    "home/b.tmp",
    "home/cache/x",
    "home/doc/a.txt",
    "home/doc/b.tmp",
    "home/doc/cache/y",
    "home/doc/deep/er/c.odt",
    "home/[x]",
    "home/.hidden",
];

#[test]
fn a_pattern_is_read_as_the_document_says() {
    type Texts = &'static [&'static str];
    let cases: [(Texts, Texts, Texts, Texts); 12] = [
        (&[], &[], &[], &TREE),
        // A name alone at any depth.
        (
            &[],
            &["*.tmp"],
            &[],
            &["a.txt", "cache/x", "doc/a.txt", "doc/cache/y", "doc/deep/er/c.odt", "[x]", ".hidden"],
        ),
        // A path from the folder on, with or without the slash before it.
        (
            &[],
            &["doc/cache"],
            &[],
            &["a.txt", "b.tmp", "cache/x", "doc/a.txt", "doc/b.tmp", "doc/deep/er/c.odt", "[x]", ".hidden"],
        ),
        (
            &[],
            &["/cache", "/a.txt"],
            &[],
            &["b.tmp", "doc/a.txt", "doc/b.tmp", "doc/cache/y", "doc/deep/er/c.odt", "[x]", ".hidden"],
        ),
        // Directories only.
        (
            &[],
            &["cache/", "a.txt/"],
            &[],
            &["a.txt", "b.tmp", "doc/a.txt", "doc/b.tmp", "doc/deep/er/c.odt", "[x]", ".hidden"],
        ),
        // A star stops at a slash, two do not.
        (&[], &["doc/*.odt", "doc/*"], &[], &["a.txt", "b.tmp", "cache/x", "[x]", ".hidden"]),
        (
            &[],
            &["doc/**/c.odt"],
            &[],
            &["a.txt", "b.tmp", "cache/x", "doc/a.txt", "doc/b.tmp", "doc/cache/y", "[x]", ".hidden"],
        ),
        (
            &[],
            &["\\[x\\]", ".*"],
            &[],
            &["a.txt", "b.tmp", "cache/x", "doc/a.txt", "doc/b.tmp", "doc/cache/y", "doc/deep/er/c.odt"],
        ),
        // Only what matches; a directory stands for all in it.
        (&["*.txt", "/cache"], &[], &[], &["a.txt", "doc/a.txt", "cache/x"]),
        (&["doc/"], &["*.tmp"], &[], &["doc/a.txt", "doc/cache/y", "doc/deep/er/c.odt"]),
        // Everywhere: the same, within each folder.
        (&[], &[], &["/doc", "*.tmp"], &["a.txt", "cache/x", "[x]", ".hidden"]),
        (&[], &[], &["/home/doc"], &TREE),
    ];
    for (include, exclude, everywhere, expected) in cases {
        let (found, _) = walked(&TREE, of(include, exclude, everywhere));
        let expected = expected.iter().map(|name| format!("home/{}", name.trim_start_matches("home/")));
        assert_eq!(found, expected.collect(), "{include:?} {exclude:?} {everywhere:?}");
    }
}

#[test]
fn what_is_left_out_is_counted_once_and_not_what_lies_beneath() {
    let (_, excluded) = walked(&TREE, of(&[], &["*.tmp", "cache"], &[]));
    assert_eq!(excluded, 4, "b.tmp and cache, in both folders");
}

#[test]
fn a_folder_within_another_keeps_its_own_patterns() {
    let tree = ["home/a", "home/big/b", "home/big/keep/c", "home/big/keep/d.tmp", "home/x.tmp"];
    let mut selection = of(&[], &["big", "*.tmp"], &[]);
    assert_eq!(selection.add(path("home/big/keep"), &[], &[]), []);
    let roots_outside_only = {
        let (found, _) = walked(&tree, selection);
        found
    };
    let expected = ["home/a", "home/big/keep/c", "home/big/keep/d.tmp"];
    assert_eq!(roots_outside_only, expected.map(str::to_owned).into());
}

#[test]
fn names_that_are_no_text_are_matched_byte_by_byte() {
    let selection = of(&[], &["*.tmp"], &[]);
    let name = |name: &[u8]| engine::Found {
        name: name.to_vec(),
        stat: FolderSource::whole().expect("a source").stat(&StoredPath::root()).expect("a stat"),
    };
    let mut listing = Listing { entries: vec![name(b"\xff.tmp"), name(b"\xff.txt")], problems: vec![], more: None };
    assert_eq!(selection.keep(&path("home"), &mut listing), 1);
    assert_eq!(listing.entries[0].name, b"\xff.txt");
}

#[test]
fn a_pattern_that_cannot_be_read_is_given_back_and_the_others_hold() {
    let mut selection = Selection::default();
    let bad = selection.add(path("home"), &[], &texts(&["[", "*.tmp", "", "{a"]));
    assert_eq!(bad.iter().map(|bad| bad.pattern.as_str()).collect::<Vec<_>>(), ["[", "{a"]);
    assert!(!walked(&TREE, selection).0.contains("home/b.tmp"));
}

#[test]
fn a_digest_tells_one_selection_from_another() {
    let (list, none) = (|texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), Vec::new());
    let of = |folders: &[(&str, Vec<String>, Vec<String>)], everywhere: &[String]| {
        let mut selection = Selection::default();
        for (root, include, exclude) in folders {
            selection.add(StoredPath::from_bytes(root.as_bytes().to_vec()).expect("a path"), include, exclude);
        }
        selection.exclude_everywhere(everywhere);
        selection.digest()
    };
    let all = [
        of(&[], &none),
        of(&[("a", none.clone(), none.clone())], &none),
        of(&[("a", none.clone(), none.clone()), ("b", none.clone(), none.clone())], &none),
        of(&[("a", list(&["b"]), none.clone())], &none),
        of(&[("a", none.clone(), list(&["b"]))], &none),
        of(&[("a", none.clone(), list(&["b", "c"]))], &none),
        of(&[("a", none.clone(), list(&["bc"]))], &none),
        of(&[("a", none.clone(), none.clone())], &list(&["b"])),
    ];
    for (at, digest) in all.iter().enumerate() {
        assert!(!all[..at].contains(digest), "{at}");
    }
    assert_eq!(of(&[("a", none.clone(), list(&["b"]))], &none), all[4]);
}
