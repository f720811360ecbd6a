//! Any bytes as a tree: what is read, is written the same, and each entry keeps the rules by itself.
#![no_main]

use format::{Tree, TreeBody};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let decoded = Tree::decode(bytes);
    assert_eq!(Tree::check(bytes), decoded.as_ref().map(|_| ()).map_err(Clone::clone));
    let Ok(tree) = decoded else { return };
    assert_eq!(tree.encode().as_deref(), Ok(bytes));
    if let TreeBody::Leaf(entries) = &tree.body {
        let weight: usize = entries.iter().map(format::Entry::weight).sum();
        assert!(bytes.len() <= weight + 64, "a weight is an upper bound");
        assert!(entries.iter().all(|entry| entry.check().is_ok()));
    }
});
