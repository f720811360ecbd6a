//! What every store must do, as one suite: disk, memory, wrappers, and whatever other crates bring.
//! Refuses to know which store it has before it. Panics with a sentence at the first broken promise.

use crate::{OBJECT_BYTES_MAX, ObjectInfo, ObjectName, Put, Store, StoreError};
use base::{Entropy, Kind, SeededEntropy};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The length of the largest objects of the suite. A store that puts large objects in another way than small ones does
/// so below this length in its tests.
pub const LARGE_LEN: usize = 9 << 20;

/// Runs the whole suite on a store that is empty and that nobody else uses. Leaves objects behind.
///
/// # Panics
/// When the store breaks a promise of `Store`.
pub async fn run(store: Arc<dyn Store>) {
    an_empty_store_has_nothing(&*store).await;
    an_object_comes_back_and_is_never_overwritten(&*store).await;
    ranges_are_exact_or_refused(&*store).await;
    objects_of_any_allowed_size_are_kept(&*store).await;
    a_removed_object_is_gone_and_can_be_put_again(&*store).await;
    of_many_at_once_exactly_one_creates(&store, 8, 16, 10_000).await;
    of_many_at_once_exactly_one_creates(&store, 1, 4, LARGE_LEN).await;
    listings_are_in_order_and_complete_at_every_page_size(&*store).await;
    any_sequence_of_calls_does_what_a_map_does(&*store).await;
}

async fn an_empty_store_has_nothing(store: &dyn Store) {
    let absent = name("absent/object");
    assert_eq!(list_all(store, "", 10).await, [], "a store must be empty when the suite begins");
    assert_eq!(store.head(&absent).await.expect("looking for an object"), None);
    let errors = [
        store.get(&absent).await.expect_err("nothing can be read"),
        store.get_range(&absent, 0, 1).await.expect_err("nothing can be read"),
        store.get_range(&absent, 0, 0).await.expect_err("not even nothing can be read"),
    ];
    assert!(errors.iter().all(|error| matches!(error, StoreError::NotFound { name } if *name == absent)), "{errors:?}");
    store.remove(&absent).await.expect("what is not there is removed without an error");
}

async fn an_object_comes_back_and_is_never_overwritten(store: &dyn Store) {
    let (object, beneath) = (name("whole/ob"), name("whole/ob/ject"));
    assert_eq!(put(store, &object, b"first").await, Put::Created);
    assert_eq!(put(store, &beneath, b"beneath").await, Put::Created, "a name may begin with another and a slash");
    assert_eq!(put(store, &object, b"first").await, Put::Existed);
    assert_eq!(put(store, &object, b"second, and longer").await, Put::Existed);
    assert_eq!(store.get(&object).await.expect("reading"), &b"first"[..], "the first bytes stay");
    assert_eq!(store.get(&beneath).await.expect("reading"), &b"beneath"[..]);
    assert_eq!(store.head(&object).await.expect("looking"), Some(base::Bytes(5)));
}

async fn ranges_are_exact_or_refused(store: &dyn Store) {
    let object = name("range/object");
    put(store, &object, b"0123456789").await;
    for (offset, len, bytes) in [(0, 10, "0123456789"), (0, 0, ""), (3, 4, "3456"), (9, 1, "9"), (10, 0, "")] {
        let read = store.get_range(&object, offset, len).await.expect("the range lies within the object");
        assert_eq!(read, bytes.as_bytes(), "{len} bytes from {offset} on");
    }
    for (offset, len) in [(0, 11), (10, 1), (11, 0), (9, 2), (u64::MAX, 1), (1, OBJECT_BYTES_MAX.0)] {
        let error = store.get_range(&object, offset, len).await.expect_err("the range passes the end");
        assert!(matches!(error, StoreError::Short { size: base::Bytes(10), .. }), "{error:?}");
        assert_eq!(error.kind(), Kind::Damaged);
    }
    let error = store.get_range(&object, 0, u64::MAX).await.expect_err("no object is that long");
    assert_eq!(error.kind(), Kind::Invalid);
}

async fn objects_of_any_allowed_size_are_kept(store: &dyn Store) {
    let entropy = SeededEntropy::new(1);
    for (place, len) in [0, 1, 4_095, 4_096, 4_097, 3_000_000].into_iter().enumerate() {
        let object = name(&format!("size/{place}"));
        let mut bytes = vec![0; len];
        entropy.fill(&mut bytes);
        assert_eq!(put(store, &object, &bytes).await, Put::Created);
        assert!(store.get(&object).await.expect("reading") == bytes, "{len} bytes come back as they were");
        assert_eq!(store.head(&object).await.expect("looking"), Some(base::Bytes::of(len)));
    }
}

async fn a_removed_object_is_gone_and_can_be_put_again(store: &dyn Store) {
    let (object, sibling) = (name("gone/object"), name("gone/objects"));
    put(store, &object, b"first").await;
    put(store, &sibling, b"stays").await;
    store.remove(&object).await.expect("removing");
    store.remove(&object).await.expect("removing again");
    assert_eq!(store.head(&object).await.expect("looking"), None);
    assert_eq!(store.get(&object).await.expect_err("it is gone").kind(), Kind::NotFound);
    assert_eq!(list_all(store, "gone/", 10).await, [info(&sibling, 5)]);
    assert_eq!(put(store, &object, b"second").await, Put::Created);
    assert_eq!(store.get(&object).await.expect("reading"), &b"second"[..]);
}

pub(crate) async fn of_many_at_once_exactly_one_creates(store: &Arc<dyn Store>, rounds: u8, writers: u8, len: usize) {
    for round in 0..rounds {
        let object = name(&format!("race/{len}/{round:04}/object"));
        let tasks: Vec<_> = (0..writers)
            .map(|writer| {
                let (store, object) = (Arc::clone(store), object.clone());
                tokio::spawn(async move {
                    let answer = put(&*store, &object, &vec![writer; len]).await;
                    // Whoever has an answer can read the object, and sees all of it.
                    let bytes = store.get(&object).await.expect("after an answer the object is there");
                    assert!(bytes.len() == len && bytes.iter().all(|byte| *byte == bytes[0]), "not one whole object");
                    (answer, writer, bytes[0])
                })
            })
            .collect();
        let mut created = Vec::new();
        for task in tasks {
            let (answer, writer, seen) = task.await.expect("a writer does not panic");
            if answer == Put::Created {
                assert_eq!(writer, seen, "the object is that of the writer who created it");
                created.push(writer);
            }
        }
        assert_eq!(created.len(), 1, "exactly one of the writers creates, not {created:?}");
    }
}

async fn listings_are_in_order_and_complete_at_every_page_size(store: &dyn Store) {
    // Names around the slash, which sorts between `.` and `0`, and around the first 2 and 4 letters.
    let names: Vec<ObjectName> =
        "a a-b a.b a/b a/b/c a/bcd a0 ab ab/c abc abc/d abcd abcd-e abcd/e abcde abcdf abcf aba/z \
         ac b/aaaa b/aaab b/aabb b/abbb b/bbbb b/aaaa/x c_c c-c c.c cc"
            .split_whitespace()
            .map(|text| name(&format!("list/{text}")))
            .collect();
    for object in &names {
        put(store, object, object.as_str().as_bytes()).await;
    }
    let mut sorted: Vec<ObjectInfo> = names.iter().map(|name| info(name, name.as_str().len())).collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));

    for prefix in
        ["list/", "list/a", "list/a/", "list/ab", "list/abc", "list/abcd", "list/abcde", "list/b/aa", "list/z"]
    {
        let wanted: Vec<_> = sorted.iter().filter(|info| info.name.as_str().starts_with(prefix)).cloned().collect();
        for limit in [1, 2, 3, 7, 100] {
            assert_eq!(list_all(store, prefix, limit).await, wanted, "{prefix} by {limit}");
        }
    }
    for after in ["a", "list/", "list/abc", "list/abcc", "list/zzz", "zzz"].map(|text| text.trim_end_matches('/')) {
        let wanted: Vec<_> = sorted.iter().filter(|info| info.name.as_str() > after).cloned().collect();
        let page = store.list("list/", Some(&name(after)), 100).await.expect("listing");
        assert_eq!(page, wanted, "after {after}, which need not be there");
    }
    assert_eq!(store.list("list/", None, 0).await.expect("listing"), [], "a limit of nothing");
    assert!(store.list("list/", None, usize::MAX).await.expect("listing").len() == names.len());
    assert_eq!(store.list("List/+/..", None, 9).await.expect("a prefix may be any text"), []);
}

async fn any_sequence_of_calls_does_what_a_map_does(store: &dyn Store) {
    let entropy = SeededEntropy::new(2);
    let draw = |below: u8| {
        let mut byte = [0];
        entropy.fill(&mut byte);
        byte[0] % below
    };
    let mut model = BTreeMap::new();
    for step in 0..400 {
        let letters: String = (0..=draw(4)).map(|_| ["a", "b", "/c", "d-"][usize::from(draw(4))]).collect();
        let object = name(&format!("model/x{letters}"));
        match draw(4) {
            0 | 1 => {
                let bytes = vec![step as u8; usize::from(draw(200))];
                let wanted = if model.contains_key(&object) { Put::Existed } else { Put::Created };
                assert_eq!(put(store, &object, &bytes).await, wanted, "{object} at step {step}");
                model.entry(object).or_insert(bytes);
            }
            2 => {
                store.remove(&object).await.expect("removing");
                model.remove(&object);
            }
            _ => {
                let read = store.get(&object).await.ok().map(Vec::from);
                assert_eq!(read, model.get(&object).cloned(), "{object} at step {step}");
            }
        }
    }
    let wanted: Vec<_> = model.iter().map(|(name, bytes)| info(name, bytes.len())).collect();
    assert_eq!(list_all(store, "model/", 5).await, wanted);
}

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).expect("the suite uses plain names")
}

fn info(name: &ObjectName, len: usize) -> ObjectInfo {
    ObjectInfo { name: name.clone(), size: base::Bytes::of(len) }
}

async fn put(store: &dyn Store, name: &ObjectName, bytes: &[u8]) -> Put {
    store.put_new(name, Bytes::copy_from_slice(bytes)).await.expect("storing")
}

/// Every page up to the first short one, joined.
async fn list_all(store: &dyn Store, prefix: &str, limit: usize) -> Vec<ObjectInfo> {
    let mut all: Vec<ObjectInfo> = Vec::new();
    loop {
        let page = store.list(prefix, all.last().map(|info| &info.name), limit).await.expect("listing");
        assert!(page.len() <= limit, "a page of {} where {limit} is the limit", page.len());
        let last = page.len() < limit;
        all.extend(page);
        if last {
            return all;
        }
    }
}
