//! Which files are believed: private, plain, small, ours. Refuses a token from any other.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn file(mode: u32, bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("token");
    fs::write(&path, bytes).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    (dir, path)
}

fn code(result: Result<Hidden, AgentError>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |token| token.expose().to_owned())
}

#[test]
fn a_token_comes_from_a_private_file_of_ours() {
    for (mode, bytes, expected) in [
        (0o600, b"hft1_secret\nmore\n".as_slice(), "hft1_secret"),
        (0o400, b"  hft1_secret  ", "hft1_secret"),
        (0o640, b"hft1_secret", "file_exposed"),
        (0o604, b"hft1_secret", "file_exposed"),
        (0o622, b"hft1_secret", "file_exposed"),
        (0o600, b"", "token_missing"),
        (0o600, b"\nhft1_secret", "token_missing"),
        (0o600, b"two words", "file_invalid"),
        (0o600, b"caf\xc3\xa9", "file_invalid"),
        (0o600, b"\xff", "file_invalid"),
        (0o600, &[b'x'; 1_025], "file_invalid"),
        (0o600, &[b'x'; 10 << 20], "file_invalid"),
    ] {
        let (_dir, path) = file(mode, bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]);
        assert_eq!(code(token_file(&path)), expected, "{mode:o} {shown:?}");
    }
    assert_eq!(code(token_file(Path::new("/not/there"))), "token_missing");
}

#[test]
fn neither_a_link_nor_a_second_name_nor_a_pipe_is_followed() {
    let (dir, path) = file(0o600, b"hft1_secret");
    let link = dir.path().join("link");
    symlink(&path, &link).expect("a link");
    assert_eq!(code(token_file(&link)), "file_exposed");
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).expect("a folder");
    assert_eq!(code(token_file(&folder)), "file_invalid");
    let pipe = dir.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    assert_eq!(code(token_file(&pipe)), "file_invalid", "and nobody waits for it");
    fs::hard_link(&path, dir.path().join("second")).expect("a second name");
    assert_eq!(code(token_file(&path)), "file_exposed");
}

#[test]
fn another_account_is_not_believed() {
    if !geteuid().is_root() {
        return;
    }
    let (_dir, path) = file(0o600, b"hft1_secret");
    std::os::unix::fs::chown(&path, Some(12_345), None).expect("another owner");
    assert_eq!(code(token_file(&path)), "file_exposed");
}

#[test]
fn a_rewritten_file_keeps_owner_and_mode_and_leaves_nothing_beside_it() {
    let (dir, path) = file(0o640, b"TOKEN = 'hft1_secret'\nOTHER = 1\n");
    let old = fs::File::open(&path).expect("the old file");
    let before = fs::metadata(&path).expect("metadata");
    let read = Trusted::read(&path).expect("believed").expect("there");
    read.rewrite("OTHER = 1\n").expect("rewritten");
    assert_eq!(fs::read(&path).expect("a file"), b"OTHER = 1\n");
    let after = fs::metadata(&path).expect("metadata");
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
    let mut left = Vec::new();
    (&old).read_to_end(&mut left).expect("the old bytes");
    assert!(!left.is_empty() && left.iter().all(|byte| *byte == 0), "overwritten: {left:?}");
    // Somebody puts another file there between reading and writing.
    let read = Trusted::read(&path).expect("believed").expect("there");
    fs::remove_file(&path).expect("gone");
    fs::write(&path, b"other").expect("another file");
    assert_eq!(read.rewrite("x").expect_err("replaced").code(), "file_invalid");
    assert_eq!(fs::read(&path).expect("a file"), b"other");
}
