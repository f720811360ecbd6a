//! What docs/operating.md and docs/protocol.md say about this program is what it does.

use app::config::{Config, KEYS};
use control::Refusal;
use std::path::Path;

#[test]
fn the_operating_manual_lists_every_configuration_key_with_its_default_and_no_other() {
    let document = include_str!("../../../../docs/operating.md");
    let (_, section) = document.split_once("## Configuration").expect("the section is there");
    let (section, _) = section.split_once("## ").expect("another one follows");
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let defaults = Config::default();
    let expected: Vec<String> =
        KEYS.iter().map(|key| format!("| `{}` | `{}` | {} |", key.name, defaults.shown(key), key.meaning)).collect();
    assert_eq!(rows, expected, "write this table into docs/operating.md:\n{}", expected.join("\n"));
}

#[test]
fn a_table_in_the_protocol_says_which_status_a_kind_has() {
    let document = include_str!("../../../../docs/protocol.md");
    for refusal in Refusal::samples() {
        let status = match refusal.kind() {
            base::Kind::Invalid => 400,
            base::Kind::Refused => 403,
            base::Kind::NotFound => 404,
            base::Kind::Conflict => 409,
            base::Kind::Unavailable => 503,
            base::Kind::Damaged => 422,
        };
        let row = format!("| {} | {status} |", refusal.kind().word());
        assert!(document.contains(&row), "docs/protocol.md lacks {row}");
    }
}

#[test]
fn no_document_puts_a_secret_on_a_command_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = std::fs::read_dir(root.join("docs")).expect("there are documents");
    let docs = docs.map(|entry| entry.expect("readable").path()).filter(|path| path.extension() == Some("md".as_ref()));
    let documents: Vec<_> = docs.chain([root.join("README.md")]).collect();
    assert!(documents.len() > 8, "{documents:?}");
    // What such a command would look like: a secret's text, or what expands to one, behind an argument.
    let secrets = ["Bearer $(", "Bearer hfa1_", "--token hft", "--ticket HT-", "--password "];
    for path in documents {
        let text = std::fs::read_to_string(&path).expect("readable");
        for line in text.lines() {
            // What the shell itself prints into a file or a pipe is no process with arguments.
            let printed = line.trim_start().trim_start_matches("(umask 077; ").starts_with("printf ");
            let found = secrets.iter().find(|secret| line.contains(*secret));
            assert!(printed || found.is_none(), "{}: {line}", path.display());
        }
    }
}
