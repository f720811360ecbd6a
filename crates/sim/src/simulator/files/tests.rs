//! What the simulated disk keeps and loses; and that the disk store keeps the promises of a store on it.

use super::*;
use bytes::Bytes;
use futures::FutureExt as _;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, resume_unwind};
use store::files::Lock;
use store::{Disk, ObjectName, Put, Store as _, conformance};

/// A process that ends when it is told to, or before one of its operations.
#[derive(Default)]
struct Told {
    ended: AtomicBool,
    /// How many operations it still does; none: any number.
    left: Mutex<Option<u64>>,
}

impl Process for Told {
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn before(&self, _: &'static str) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if *left == Some(0) {
            self.ended.store(true, Ordering::SeqCst);
            resume_unwind(Box::new("it was killed"));
        }
        *left = left.map(|left| left - 1);
    }
}

fn mount(drive: &Arc<Drive>) -> (Arc<Told>, Arc<dyn Files>) {
    let process = Arc::new(Told::default());
    (Arc::clone(&process), drive.of(process))
}

fn write(files: &dyn Files, path: &str, bytes: &[u8], syncs: bool) {
    let file = files.make_file(Path::new(path)).expect("the name is free");
    file.write(bytes).expect("there is room");
    if syncs {
        file.sync().expect("it can be made durable");
    }
}

fn sync_folder(files: &dyn Files, path: &str) {
    files.open(Path::new(path)).and_then(|folder| folder.sync()).expect("it can be made durable");
}

fn read(files: &dyn Files, path: &str) -> Option<Vec<u8>> {
    let file = files.open(Path::new(path)).ok()?;
    let mut bytes = vec![0; file.size().expect("it is a file").0 as usize];
    file.read_at(&mut bytes, 0).expect("it has so many bytes");
    Some(bytes)
}

/// What there is after a power cut, with each of many seeds.
fn after_power_cuts<T: Ord>(make: impl Fn(&dyn Files), look: impl Fn(&dyn Files) -> T) -> BTreeSet<T> {
    let outcome = |seed| {
        let drive = Drive::new(seed);
        let (_, files) = mount(&drive);
        make(&*files);
        drive.lose_power();
        let once = look(&*files);
        assert_eq!(drive.lose_power(), Lost::default(), "what has come through one power cut is durable");
        assert!(once == look(&*files));
        once
    };
    (0..200).map(outcome).collect()
}

const BYTES: [u8; 2_000] = [7; 2_000];

#[test]
fn what_was_synced_in_a_synced_folder_survives() {
    let make = |files: &dyn Files| {
        files.make_folder(Path::new("/a")).expect("a new folder");
        sync_folder(files, "/");
        write(files, "/a/kept", &BYTES, true);
        write(files, "/a/gone", &BYTES, true);
        files.remove(Path::new("/a/gone")).expect("it is there");
        sync_folder(files, "/a");
    };
    let seen = after_power_cuts(make, |files| (read(files, "/a/kept"), read(files, "/a/gone")));
    assert_eq!(seen, BTreeSet::from([(Some(BYTES.to_vec()), None)]));
}

#[test]
fn bytes_that_nobody_synced_are_torn_holed_missing_or_there() {
    let make = |files: &dyn Files| {
        write(files, "/file", &BYTES, false);
        sync_folder(files, "/");
    };
    let seen = after_power_cuts(make, |files| read(files, "/file").expect("its entry is durable"));
    let has = |is_so: &dyn Fn(&[u8]) -> bool| seen.iter().any(|bytes| is_so(bytes));
    assert!(has(&|bytes| bytes == BYTES) && has(&<[u8]>::is_empty));
    assert!(has(&|bytes| (1..BYTES.len()).contains(&bytes.len())), "a prefix");
    assert!(has(&|bytes| bytes.len() == BYTES.len() && bytes[..512] == [0; 512] && bytes[512..1_024] == [7; 512]));
    assert!(has(&|bytes| bytes.len() == BYTES.len() && bytes[..512] == [7; 512] && bytes.contains(&0)));
}

#[test]
fn entries_that_nobody_synced_are_kept_or_lost_each_by_itself() {
    let make = |files: &dyn Files| {
        write(files, "/old", &BYTES, true);
        sync_folder(files, "/");
        files.link(Path::new("/old"), Path::new("/first")).expect("the name is free");
        files.link(Path::new("/old"), Path::new("/second")).expect("the name is free");
        files.remove(Path::new("/old")).expect("it is there");
    };
    let look = |files: &dyn Files| ["/old", "/first", "/second"].map(|path| read(files, path).is_some());
    let seen = after_power_cuts(make, look);
    assert_eq!(seen.len(), 8, "every combination: {seen:?}");
}

#[test]
fn what_is_in_a_lost_folder_is_lost() {
    let make = |files: &dyn Files| {
        files.make_folder(Path::new("/a")).expect("a new folder");
        write(files, "/a/file", &BYTES, true);
        sync_folder(files, "/a");
    };
    let seen = after_power_cuts(make, |files| read(files, "/a/file"));
    assert_eq!(seen, BTreeSet::from([None, Some(BYTES.to_vec())]));
}

#[test]
fn a_full_disk_takes_a_part_and_has_room_again_once_it_is_removed() {
    let drive = Drive::new(1);
    let (_, files) = mount(&drive);
    drive.fill(3_000);
    write(&*files, "/first", &BYTES, true);
    let second = files.make_file(Path::new("/second")).expect("the name is free");
    let error = second.write(&BYTES).expect_err("there is no room");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(read(&*files, "/second"), Some(BYTES[..1_000].to_vec()));
    files.link(Path::new("/second"), Path::new("/third")).expect("the name is free");
    files.remove(Path::new("/second")).expect("it is there");
    assert_eq!(drive.take(1), 0, "it has another name");
    files.remove(Path::new("/third")).expect("it is there");
    assert_eq!(drive.take(2_000), 1_000);
}

#[test]
fn a_lock_ends_with_its_process_or_when_its_file_is_closed() {
    let drive = Drive::new(1);
    let ((first, files), (_, others)) = (mount(&drive), mount(&drive));
    write(&*files, "/file", b"", true);
    let path = Path::new("/file");
    let lock = |files: &dyn Files, lock| {
        let file = files.open(path).expect("it is there");
        let given = file.lock(lock).expect("it is a file");
        (file, given)
    };
    let shared = lock(&*files, Lock::Shared);
    assert!(!lock(&*others, Lock::Alone).1 && lock(&*others, Lock::Shared).1);
    drop(shared);
    assert!(lock(&*others, Lock::Alone).1);
    let _open = lock(&*files, Lock::Alone);
    first.ended.store(true, Ordering::SeqCst);
    assert!(lock(&*others, Lock::Alone).1, "a dead process has none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_store_keeps_the_promises_of_a_store_on_it() {
    let drive = Drive::new(1);
    let store = Disk::create_on(mount(&drive).1, "/srv/store", base::Bytes(0)).await.expect("an empty disk");
    conformance::run(Arc::new(store)).await;
}

#[tokio::test]
async fn what_the_disk_store_has_answered_survives_a_power_cut() {
    for seed in 0..100 {
        let drive = Drive::new(seed);
        let open = || Disk::open_on(mount(&drive).1, "/deep/down/store", base::Bytes(0));
        let store = Disk::create_on(mount(&drive).1, "/deep/down/store", base::Bytes(0)).await.expect("an empty disk");
        drive.lose_power();
        drop(store);
        let store = open().await.expect("it was made");
        let [kept, gone] = ["packs/kept", "packs/gone"].map(|name| ObjectName::new(name).expect("a plain name"));
        for name in [&kept, &gone] {
            assert_eq!(store.put_new(name, Bytes::from_static(&BYTES)).await.expect("there is room"), Put::Created);
        }
        store.remove(&gone).await.expect("it is there");
        drive.lose_power();
        drop(store);
        let store = open().await.expect("it was made");
        assert_eq!(store.get(&kept).await.expect("it was stored"), &BYTES[..], "seed {seed}");
        assert_eq!(store.head(&gone).await.expect("it can be asked"), None, "seed {seed}");
    }
}

const NAME: &str = "packs/object";

fn object() -> ObjectName {
    ObjectName::new(NAME).expect("a plain name")
}

/// The store as another process has it open.
async fn opened(drive: &Arc<Drive>) -> Disk {
    Disk::open_on(mount(drive).1, "/store", base::Bytes(0)).await.expect("it was made")
}

/// A process that has begun to put an object, or to remove the one that is there, and was killed before one of its
/// operations; none when it came to the end.
async fn killed(drive: &Arc<Drive>, removes: bool, operations: u64) -> bool {
    Disk::create_on(mount(drive).1, "/store", base::Bytes(0)).await.expect("an empty disk");
    let (process, files) = mount(drive);
    let store = Disk::open_on(files, "/store", base::Bytes(0)).await.expect("it was made");
    if removes {
        store.put_new(&object(), Bytes::from_static(&BYTES)).await.expect("there is room");
    }
    *process.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(operations);
    let work = async {
        match removes {
            true => store.remove(&object()).await.expect("nothing goes wrong"),
            false => drop(store.put_new(&object(), Bytes::from_static(&BYTES)).await.expect("there is room")),
        }
    };
    AssertUnwindSafe(work).catch_unwind().await.is_err()
}

#[tokio::test]
async fn what_a_killed_process_has_left_undone_the_next_one_makes_durable() {
    for (removes, seed) in [false, true].into_iter().flat_map(|removes| (0..40).map(move |seed| (removes, seed))) {
        let mut operations = 0;
        while let drive = Drive::new(seed)
            && killed(&drive, removes, operations).await
        {
            let next = opened(&drive).await;
            match removes {
                true => next.remove(&object()).await.expect("nothing goes wrong"),
                false => drop(next.put_new(&object(), Bytes::from_static(&BYTES)).await.expect("there is room")),
            }
            drop(next);
            drive.lose_power();
            let found = opened(&drive).await.get(&object()).await.ok();
            let is_right = found == (!removes).then_some(Bytes::from_static(&BYTES));
            assert!(is_right, "seed {seed}, removes: {removes}, killed before operation {operations}");
            operations += 1;
        }
        assert!(operations > 1, "it was killed between its operations");
    }
}

#[tokio::test]
async fn an_object_that_was_being_put_when_the_power_went_is_whole_or_not_there() {
    for seed in 0..40 {
        let mut operations = 0;
        while let drive = Drive::new(seed)
            && killed(&drive, false, operations).await
        {
            drive.lose_power();
            let found = opened(&drive).await.get(&object()).await.ok();
            assert!(found.is_none_or(|bytes| bytes == BYTES[..]), "seed {seed}, before operation {operations}");
            assert_eq!(drive.root.get("store").map(|store| left_in(&store)), Some(0), "nothing half is left");
            operations += 1;
        }
    }
}

fn left_in(store: &Entry) -> usize {
    let Entry::Folder(store) = store else { return 0 };
    match store.get("+temp") {
        Some(Entry::Folder(temp)) => temp.list().len(),
        _ => 0,
    }
}
