//! docs/format.md says what the code does: its limits and its known answers are read and compared.
//! Refuses a row too many, a row too few, and another value.

use crate::sample;
use base::{Bytes, Count, RunId};
use format::{ChunkKind, limits as l};
use std::fmt::Write;

const DOCUMENT: &str = include_str!("../../../../docs/format.md");

/// The cells of the rows of the first table below `heading`, without its head.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = DOCUMENT.split_once(&format!("\n{heading}\n")).expect("the heading is there");
    let rows = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// As the page says a size: in the largest unit that divides it.
fn size(bytes: Bytes) -> String {
    match bytes.0 {
        n if n == (1 << 63) - 1 => "2^63 − 1 bytes".to_owned(),
        n if n.is_multiple_of(1 << 30) => format!("{} GiB", n >> 30),
        n if n.is_multiple_of(1 << 20) => format!("{} MiB", n >> 20),
        n if n.is_multiple_of(1 << 10) && n > 4_096 => format!("{} KiB", n >> 10),
        n => format!("{} bytes", Count(n)),
    }
}

#[test]
fn the_limits_on_the_page_are_those_of_the_code() {
    let problems =
        format!("{}, and {} of paths, codes and sentences", l::PROBLEMS_LISTED_MAX, size(l::PROBLEMS_BYTES_MAX));
    let texts = format!("{}; {}", l::PROBLEM_CODE_MAX.0, size(l::PROBLEM_SENTENCE_MAX));
    let rows = [
        ("pack, all of it", size(l::PACK_BYTES_MAX)),
        ("pack, all frames in the open", size(l::PACK_PLAIN_MAX)),
        ("frames of a pack", l::PACK_FRAMES_MAX.to_string()),
        ("frame in the open", size(l::FRAME_PLAIN_MAX)),
        ("chunks of a frame", l::FRAME_CHUNKS_MAX.to_string()),
        ("chunk: content, tree or list", size(l::CHUNK_MAX)),
        ("content inline", size(l::INLINE_MAX)),
        ("name of an entry", size(l::NAME_MAX)),
        ("size of a file; length of a hole; sum of pieces or lists", size(l::FILE_SIZE_MAX)),
        ("pieces of an entry", l::ENTRY_PIECES_MAX.to_string()),
        ("lists of an entry", l::ENTRY_LISTS_MAX.to_string()),
        ("target of a symbolic link", size(l::SYMLINK_TARGET_MAX)),
        ("name of a user or group", size(l::OWNER_NAME_MAX)),
        ("name of an extended attribute", size(l::XATTR_NAME_MAX)),
        ("names and values of all extended attributes of an entry", size(l::XATTRS_BYTES_MAX)),
        ("manifest, all of it", size(l::MANIFEST_BYTES_MAX)),
        ("keyring, all of it", size(l::KEYRING_BYTES_MAX)),
        ("repositories of a keyring; keys of one of them", l::KEYRING_KEYS_MAX.to_string()),
        ("certificate of the authority, and its private key: each", size(l::AUTHORITY_BYTES_MAX)),
        ("card, all of it", size(l::CARD_BYTES_MAX)),
        ("folders of a manifest", l::FOLDERS_MAX.to_string()),
        ("stored path in a manifest", size(l::PATH_MAX)),
        ("problems listed", problems),
        ("code; sentence of a problem", texts),
        (
            "device's name; operating system; version of the agent; texts of a card",
            format!("{} each", size(l::LABEL_MAX)),
        ),
    ];
    let rows: Vec<Vec<&str>> = rows.iter().map(|(what, value)| vec![*what, value.as_str()]).collect();
    assert_eq!(table("## Limits"), rows);
}

#[test]
fn the_known_answers_on_the_page_are_those_of_the_code() {
    let (_, names) = DOCUMENT.split_once("Known answers").expect("the page has them");
    for (word, kind) in [("content", ChunkKind::Content), ("tree", ChunkKind::Tree), ("list", ChunkKind::List)] {
        let chunk = sample::naming_key().name(kind, b"holdfast");
        let row = format!("| {word} | {} | `{}` | `{}` |", kind as u8, hex(chunk.as_bytes()), chunk.id());
        assert!(names.contains(&row), "{row}");
    }
    let run_key = sample::repository_key().run_key(RunId::from_bytes([0x22; 16]));
    assert!(DOCUMENT.contains(&hex(run_key.secret().expose())));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}
