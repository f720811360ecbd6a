//! Documents agree with the tree: they carry the hash of the code that they describe, and name only what exists.
//! Refuses paths of somebody's machine. Decisions (docs/adr) are history and may name what is gone.

mod paths;

use super::Problem;
use super::lex::Kind;
use super::sources::{self, Source, Sources};
use anyhow::Context;
use std::path::Path;
use walkdir::WalkDir;

/// Documents that describe bytes, and the folder of the code that makes them.
const HASHED: &[(&str, &str)] = &[("docs/format.md", "crates/format/src"), ("docs/protocol.md", "crates/protocol/src")];

const MARK: &str = "<!-- code: ";

/// Checks that each document of `HASHED` has the hash of its code.
pub fn check_hashes(root: &Path, _sources: &Sources) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for (document, code) in HASHED {
        let hash = hash(&sources::read_below(root, code)?);
        let wanted = format!("{MARK}{hash} -->");
        let text = std::fs::read_to_string(root.join(document));
        let sentence = match text.as_deref().map(mark_of) {
            Err(_) => format!("is missing: it describes {code}"),
            Ok(None) => format!("has no line `{wanted}`, which ties it to {code}"),
            Ok(Some(mark)) if mark != wanted => {
                format!("{code} has changed since: read it again, mend it, then run `cargo xtask tidy --bless`")
            }
            Ok(Some(_)) => continue,
        };
        problems.push(Problem::new(*document, sentence));
    }
    Ok(problems)
}

/// Writes the present hashes into the documents that have a mark; returns those it changed.
pub fn bless(root: &Path) -> anyhow::Result<Vec<&'static str>> {
    let mut changed = Vec::new();
    for (document, code) in HASHED {
        let Ok(text) = std::fs::read_to_string(root.join(document)) else { continue };
        let wanted = format!("{MARK}{} -->", hash(&sources::read_below(root, code)?));
        if let Some(mark) = mark_of(&text).filter(|mark| *mark != wanted) {
            let blessed = text.replacen(mark, &wanted, 1);
            std::fs::write(root.join(document), blessed).with_context(|| format!("writing {document}"))?;
            changed.push(*document);
        }
    }
    Ok(changed)
}

/// Checks that the documents name only paths that exist, and none of a machine.
pub fn check_paths(root: &Path, sources: &Sources) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let known = paths::Known::new(root, sources);
    for document in documents(root)? {
        let path = document.path.clone();
        problems.extend(paths::of_machines(&document));
        if !path.starts_with("docs/adr/") {
            problems.extend(paths::missing(&document, &known));
        }
    }
    for must in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        if !root.join(must).is_file() {
            problems.push(Problem::new(must, "is missing"));
        }
    }
    Ok(problems)
}

fn mark_of(text: &str) -> Option<&str> {
    text.lines().find(|line| line.starts_with(MARK) && line.ends_with("-->"))
}

/// The hash of code without its comments, its white space and its tests: the document describes none of those.
fn hash(files: &[Source]) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    for file in files.iter().filter(|file| !file.is_tests()) {
        let tests = file.test_lines();
        add(&file.path);
        for token in file.tokens().iter().filter(|token| token.kind != Kind::Comment) {
            if !tests.iter().any(|range| range.contains(&token.line)) {
                add(token.text);
            }
        }
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// The pages at the root and below docs.
fn documents(root: &Path) -> anyhow::Result<Vec<Source>> {
    let pages = WalkDir::new(root).max_depth(1).sort_by_file_name().into_iter();
    let below = WalkDir::new(root.join("docs")).sort_by_file_name().into_iter();
    let mut documents = Vec::new();
    for entry in pages.chain(below).filter_map(Result::ok) {
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|extension| extension == "md") {
            let path = entry.path().strip_prefix(root).context("a walk stays below its root")?;
            let path = path.to_string_lossy().replace('\\', "/");
            let text = std::fs::read_to_string(entry.path()).with_context(|| format!("reading {path}"))?;
            documents.push(Source { path, text });
        }
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn the_hash_is_that_of_the_code_alone() {
        let same = [
            "fn a() -> u8 { 1 }",
            "//! Header.\nfn a() -> u8 {\n    1 // one\n}\n",
            "fn a() -> u8 { 1 }\n#[cfg(test)]\nmod tests { fn b() {} }",
        ];
        let of = |text: &str| hash(&[code("a.rs", text)]);
        assert!(same.iter().all(|text| of(text) == of(same[0])));
        assert_ne!(of("fn a() -> u8 { 2 }"), of(same[0]));
        assert_ne!(hash(&[code("b.rs", same[0])]), of(same[0]));
        assert_eq!(hash(&[code("a.rs", same[0]), code("a/tests.rs", "fn c() {}")]), of(same[0]));
        assert_eq!(of(same[0]).len(), 16);
    }

    #[test]
    fn blessing_writes_the_hash_and_then_the_check_is_content() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for folder in ["docs", "crates/format/src", "crates/protocol/src"] {
            std::fs::create_dir_all(root.path().join(folder)).expect("a folder");
        }
        let write = |path: &str, text: &str| std::fs::write(root.path().join(path), text).expect("writing");
        let sentences = || {
            let problems = check_hashes(root.path(), &Sources { files: Vec::new() }).expect("reading");
            problems.iter().map(Problem::to_string).collect::<Vec<_>>()
        };
        write("crates/format/src/lib.rs", "fn a() {}");
        write("docs/protocol.md", "# Protocol\n");
        let found = sentences();
        assert!(found[0].contains("docs/format.md: is missing"), "{found:?}");
        assert!(found[1].contains("docs/protocol.md: has no line `<!-- code: "), "{found:?}");

        write("docs/format.md", "# Format\n<!-- code: 0 -->\nbytes\n");
        write("docs/protocol.md", "# Protocol\n<!-- code: 0 -->\n");
        assert_eq!(bless(root.path()).expect("writing"), ["docs/format.md", "docs/protocol.md"]);
        assert_eq!(sentences(), [] as [String; 0]);
        assert_eq!(bless(root.path()).expect("writing"), [] as [&str; 0]);

        write("crates/format/src/lib.rs", "fn a() { 1; }");
        assert!(sentences()[0].contains("crates/format/src has changed since"));
    }
}
