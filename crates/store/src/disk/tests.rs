//! The disk store: the suite, leftovers of killed writers, a full disk, folders that are not its own.

use super::*;
use crate::{Record, conformance};
use base::Kind;
use std::ffi::OsStr;
use std::fs;
use std::io::BufRead;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Tests that need another process run themselves again with this variable set to a folder.
const CHILD: &str = "HOLDFAST_TEST_CHILD_FOLDER";

fn child_folder() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// This test program, set to run one test alone.
fn this_program() -> PathBuf {
    std::env::current_exe().expect("a test program has a path")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().expect("a runtime starts")
}

async fn new_disk() -> (TempDir, Disk) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = Disk::create(folder.path().join("store"), base::Bytes(0)).await.expect("a new store");
    (folder, disk)
}

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).expect("a plain name")
}

fn temps(store: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(store.join(layout::TEMP_FOLDER)).expect("the folder of temporary files");
    read.map(|found| found.expect("an entry").path()).collect()
}

/// Every file below the folder that is not a temporary one or the layout file.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the store") {
        let path = entry.expect("an entry").path();
        match path.file_name().and_then(OsStr::to_str) {
            Some(layout::LAYOUT_FILE | layout::TEMP_FOLDER) => {}
            _ if path.is_dir() => found.extend(files(&path)),
            _ => found.push(path),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_keeps_the_promises_of_a_store() {
    let (folder, disk) = new_disk().await;
    conformance::run(Arc::new(Record::new(disk))).await;
    assert_eq!(temps(&folder.path().join("store")), [] as [PathBuf; 0], "no temporary file stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_processes_worth_of_writers_exactly_one_creates() {
    let (folder, first) = new_disk().await;
    let second = Disk::open(folder.path().join("store"), base::Bytes(0)).await.expect("a store opens twice");
    for round in 0..20 {
        let object = name(&format!("race/{round}"));
        let puts = [&first, &second, &first, &second].map(|disk| {
            let (disk, object) = (disk.clone(), object.clone());
            tokio::spawn(async move { disk.put_new(&object, Bytes::from_static(b"bytes")).await })
        });
        let mut created = 0;
        for put in puts {
            created += u32::from(put.await.expect("no panic").expect("storing") == Put::Created);
        }
        assert_eq!(created, 1);
    }
}

#[tokio::test]
async fn only_a_folder_with_a_store_of_this_layout_opens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("deep/store");
    let error = Disk::open(&path, base::Bytes(0)).await.expect_err("there is no folder");
    assert!(matches!(error, StoreError::NoStore { .. }) && error.kind() == Kind::NotFound, "{error}");

    fs::create_dir_all(path.join("lost+found")).expect("a folder");
    let error = Disk::open(&path, base::Bytes(0)).await.expect_err("a disk just formatted");
    assert_eq!(
        error.to_string(),
        format!("there is no store in the folder {}: is the right disk mounted there?", path.display())
    );

    let disk = Disk::create(&path, base::Bytes(0)).await.expect("a new store");
    assert_eq!(disk.list("", None, 10).await.expect("listing"), []);
    drop(disk);
    let error = Disk::create(&path, base::Bytes(0)).await.expect_err("there is one");
    assert_eq!(error.kind(), Kind::Conflict);

    fs::write(path.join(layout::LAYOUT_FILE), "holdfast store layout 2\nand more").expect("writing");
    let error = Disk::open(&path, base::Bytes(0)).await.expect_err("another version wrote it");
    assert!(error.to_string().contains("\"holdfast store layout 2\""), "{error}");
}

#[tokio::test]
async fn leftovers_are_removed_by_who_is_alone_and_by_nobody_else() {
    let (folder, disk) = new_disk().await;
    let path = folder.path().join("store");
    let left = path.join(layout::TEMP_FOLDER).join("1-0");
    fs::write(&left, "half an obj").expect("writing");

    let beside = Disk::open(&path, base::Bytes(0)).await.expect("a store opens twice");
    assert!(left.exists(), "it could be that of the other, who is still writing");
    assert_eq!(beside.list("", None, 10).await.expect("listing"), [], "a temporary file is no object");

    drop((disk, beside));
    let alone = Disk::open(&path, base::Bytes(0)).await.expect("the store opens");
    assert!(!left.exists());
    alone.put_new(&name("a"), Bytes::from_static(b"bytes")).await.expect("storing");
}

#[tokio::test]
async fn strangers_files_are_not_listed_and_tidied_folders_come_back() {
    let (folder, disk) = new_disk().await;
    let path = folder.path().join("store");
    disk.put_new(&name("packs/abcdef"), Bytes::from_static(b"bytes")).await.expect("storing");
    for stranger in ["README", "packs/note", "packs/+ab/note", "packs/+ab/+cd/Note", "packs/+ab/+cd/abxx", "+a/x"] {
        fs::create_dir_all(path.join(stranger).parent().expect("a parent")).expect("a folder");
        fs::write(path.join(stranger), "not an object").expect("writing");
    }
    fs::create_dir_all(path.join("packs/+ab/+cd/abcdff")).expect("a folder");
    let listed = disk.list("", None, 10).await.expect("listing");
    assert_eq!(listed, [ObjectInfo { name: name("packs/abcdef"), size: base::Bytes(5) }]);

    fs::remove_dir_all(path.join("packs")).expect("somebody tidies up");
    // The first put may meet the folders it thinks are there; it says so, and the next makes them again.
    let _ = disk.put_new(&name("packs/abcdef"), Bytes::from_static(b"bytes")).await;
    disk.put_new(&name("packs/abcdef"), Bytes::from_static(b"bytes")).await.expect("the folders are made again");
}

#[tokio::test]
async fn an_object_that_grew_beyond_all_limits_is_not_read_into_memory() {
    let (folder, disk) = new_disk().await;
    let object = name("packs/abcdef");
    disk.put_new(&object, Bytes::from_static(b"bytes")).await.expect("storing");
    let file = layout::place(&folder.path().join("store"), &object).file;
    let grown = fs::OpenOptions::new().write(true).open(file).expect("the object's file");
    grown.set_len(OBJECT_BYTES_MAX.0 + 1).expect("a sparse file");
    let error = disk.get(&object).await.expect_err("it is too large");
    assert_eq!(error.to_string(), "the object packs/abcdef has 268 MB, and the largest allowed has 268 MB");
    assert_eq!(disk.get_range(&object, 1, 3).await.expect("a part of it can be read"), &b"yte"[..]);
}

#[tokio::test]
async fn a_put_that_would_eat_into_the_reserve_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = Disk::create(folder.path(), base::Bytes(u64::MAX)).await.expect("a new store");
    let error = disk.put_new(&name("a"), Bytes::from_static(b"bytes")).await.expect_err("no disk is that large");
    assert!(matches!(&error, StoreError::Full { cause: None, .. }), "{error}");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(files(folder.path()), [] as [PathBuf; 0]);
}

/// Mounts a disk of 2 MB where the system lets us (as root, or as root of a namespace), and fills it there.
#[test]
fn a_full_disk_refuses_with_a_sentence_and_shows_nothing_half() {
    if let Some(folder) = child_folder() {
        return runtime().block_on(fill(&folder));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mount_then_test = r#"mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@""#;
    let ran = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", mount_then_test])
        .arg(folder.path())
        .arg(this_program())
        .args(["--exact", "disk::tests::a_full_disk_refuses_with_a_sentence_and_shows_nothing_half", "--nocapture"])
        .env(CHILD, folder.path())
        .output();
    let (code, said) = match &ran {
        Ok(output) => {
            (output.status.code(), String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned())
        }
        Err(error) => (None, error.to_string()),
    };
    match code {
        Some(0) => assert!(said.contains("1 passed"), "the test ran there: {said}"),
        Some(101) => panic!("on the small disk: {said}"),
        _ => println!("skipped: no small disk can be mounted here: {said}"),
    }
}

async fn fill(folder: &Path) {
    let disk = Disk::create(folder.join("store"), base::Bytes(0)).await.expect("a new store");
    let content = |number: u32| Bytes::from(vec![number as u8; 300_000]);
    let mut kept = Vec::new();
    let error = loop {
        let object = name(&format!("packs/{:04}", kept.len()));
        match disk.put_new(&object, content(kept.len() as u32)).await {
            Ok(put) => assert_eq!(put, Put::Created),
            Err(error) => break error,
        }
        kept.push(object);
    };
    assert!((3..=6).contains(&kept.len()), "{} objects of 300 kB fit on 2 MB", kept.len());
    let sentence = error.to_string();
    assert!(matches!(&error, StoreError::Full { cause: None, .. }) && sentence.contains("is full"), "{error:?}");

    // Without asking first: the system's own answer, in the middle of the write.
    let cause = write::put_unasked(&disk.0, &name("packs/unasked"), &content(9)).expect_err("the disk is full");
    assert!(matches!(&cause, StoreError::Full { cause: Some(_), .. }), "{cause:?}");

    assert_eq!(temps(&folder.join("store")), [] as [PathBuf; 0], "what was written of it is gone");
    assert_eq!(files(&folder.join("store")).len(), kept.len());
    let listed = disk.list("", None, 100).await.expect("listing");
    assert!(listed.iter().map(|info| &info.name).eq(&kept));
    for (number, object) in kept.iter().enumerate() {
        assert!(disk.get(object).await.expect("reading") == content(number as u32));
    }
    disk.remove(&kept[0]).await.expect("a full disk lets objects go");
    disk.put_new(&name("packs/later"), content(7)).await.expect("then there is room again");
}

/// Kills a process that stores objects, at some point, a few times.
#[test]
fn a_killed_writer_leaves_whole_objects_and_a_store_that_opens() {
    let content = |round: usize, number: usize| Bytes::from(format!("{round}:{number};").repeat(20_000));
    if let Some(folder) = child_folder() {
        return runtime().block_on(async {
            let disk = Disk::open(&folder, base::Bytes(0)).await.expect("the store opens");
            let round = disk.list("", None, LIST_MAX).await.expect("listing").len();
            for number in 0.. {
                disk.put_new(&name(&format!("packs/{round}-{number}")), content(round, number)).await.expect("storing");
                println!("stored {round} {number}");
            }
        });
    }
    let (folder, disk) = runtime().block_on(new_disk());
    let path = folder.path().join("store");
    drop(disk);
    for acknowledged in [1, 4, 9, 2] {
        let mut child = Command::new(this_program())
            .args([
                "--exact",
                "disk::tests::a_killed_writer_leaves_whole_objects_and_a_store_that_opens",
                "--nocapture",
            ])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test program starts");
        // The pipe stays open until the kill: the child must not end by itself.
        let mut lines = io::BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let stored: Vec<_> = lines
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|line| line.find("stored ").map(|at| line[at + 7..].to_owned()))
            .take(acknowledged)
            .collect();
        child.kill().expect("SIGKILL");
        assert_eq!(child.wait().expect("it ended").signal(), Some(9), "nothing but the kill ended it");
        assert_eq!(stored.len(), acknowledged, "it was killed while it was storing");

        runtime().block_on(async {
            let disk = Disk::open(&path, base::Bytes(0)).await.expect("the store opens");
            assert_eq!(temps(&path), [] as [PathBuf; 0]);
            for acknowledged in &stored {
                let object = name(&format!("packs/{}", acknowledged.replace(' ', "-")));
                assert!(disk.head(&object).await.expect("looking").is_some(), "{object} was acknowledged");
            }
            for info in disk.list("packs/", None, LIST_MAX).await.expect("listing") {
                let (round, number) = info.name.as_str()["packs/".len()..].split_once('-').expect("our own names");
                let wanted = content(round.parse().expect("a number"), number.parse().expect("a number"));
                assert!(disk.get(&info.name).await.expect("reading") == wanted, "{} is whole", info.name);
            }
        });
    }
}
