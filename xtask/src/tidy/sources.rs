//! The source files of the workspace, read once, with the parts that are tests marked.
//! Refuses to follow links and to look into build folders.

use super::lex::{self, Kind, Token};
use anyhow::Context;
use std::ops::RangeInclusive;
use std::path::Path;
use walkdir::WalkDir;

/// Every `.rs` file below `crates` and `xtask`, in the order of their paths.
pub struct Sources {
    /// The files.
    pub files: Vec<Source>,
}

/// One file.
pub struct Source {
    /// Below the root, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl Sources {
    /// Reads them all.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for folder in ["crates", "xtask"] {
            files.extend(read_below(root, folder)?);
        }
        Ok(Self { files })
    }
}

/// The `.rs` files below a folder of the root, in the order of their paths.
pub fn read_below(root: &Path, folder: &str) -> anyhow::Result<Vec<Source>> {
    let mut files = Vec::new();
    let walk = WalkDir::new(root.join(folder)).sort_by_file_name();
    for entry in walk.into_iter().filter_entry(|entry| entry.file_name() != "target") {
        let entry = entry.with_context(|| format!("reading the folder {folder}"))?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|extension| extension == "rs") {
            let path = entry.path().strip_prefix(root).context("a walk stays below its root")?;
            let path = path.to_string_lossy().replace('\\', "/");
            let text = std::fs::read_to_string(entry.path()).with_context(|| format!("reading {path}"))?;
            files.push(Source { path, text });
        }
    }
    Ok(files)
}

impl Source {
    /// Its tokens, comments among them.
    pub fn tokens(&self) -> Vec<Token<'_>> {
        lex::tokens(&self.text)
    }

    /// Whether the whole file is tests or benches: a `tests.rs`, or anything below such a folder.
    pub fn is_tests(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.split('/').any(|folder| matches!(folder, "tests" | "benches"))
    }

    /// The lines of the items that are compiled for tests alone.
    pub fn test_lines(&self) -> Vec<RangeInclusive<usize>> {
        let tokens: Vec<_> = self.tokens().into_iter().filter(|token| token.kind != Kind::Comment).collect();
        let mut ranges: Vec<RangeInclusive<usize>> = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            match test_attribute(&tokens[at..]) {
                Some(len) => {
                    let end = at + len + item_len(&tokens[at + len..]);
                    let last = tokens[end.min(tokens.len()) - 1].line;
                    ranges.push(tokens[at].line..=last);
                    at = end;
                }
                None => at += 1,
            }
        }
        ranges
    }
}

/// The number of tokens of `#[cfg(test)]`, and of other conditions that name `test` without `not`.
fn test_attribute(tokens: &[Token<'_>]) -> Option<usize> {
    let begins = tokens.len() > 3 && ["#", "[", "cfg"].iter().zip(tokens).all(|(text, token)| token.is(text));
    let end = tokens.iter().position(|token| token.is("]")).filter(|_| begins)?;
    let names = |text| tokens[..end].iter().any(|token| token.is(text));
    (names("test") && !names("not")).then_some(end + 1)
}

/// The number of tokens to the end of the item that begins here: its closing brace, or its semicolon.
pub fn item_len(tokens: &[Token<'_>]) -> usize {
    let (mut braces, mut others) = (0_usize, 0_usize);
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Punct) {
        match token.text {
            "{" => braces += 1,
            "(" | "[" => others += 1,
            ")" | "]" => others = others.saturating_sub(1),
            "}" => {
                braces = braces.saturating_sub(1);
                if braces == 0 && others == 0 {
                    return at + 1;
                }
            }
            ";" if braces == 0 && others == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compiled_for_tests_alone_is_found() {
        let rows: [(&str, &[RangeInclusive<usize>]); 5] = [
            ("fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}", &[2..=5]),
            ("#[cfg(test)]\nmod tests;\nfn c() {}", &[1..=2]),
            ("#[cfg(test)]\n#[expect(x)]\nfn a() -> [u8; 2] {\n [1; 2]\n}", &[1..=5]),
            ("#[cfg(any(test, feature = \"testing\"))]\npub mod a;\n#[cfg(not(test))]\nmod b;", &[1..=2]),
            ("// #[cfg(test)]\nfn a() { \"#[cfg(test)] mod b {\"; }", &[]),
        ];
        for (text, lines) in rows {
            let source = Source { path: "a.rs".to_owned(), text: text.to_owned() };
            assert_eq!(source.test_lines(), lines, "{text}");
        }
    }

    #[test]
    fn files_of_tests_are_known_by_their_place() {
        let is_tests = |path: &str| Source { path: path.to_owned(), text: String::new() }.is_tests();
        assert!(is_tests("crates/a/tests/it/main.rs") && is_tests("crates/a/src/b/tests.rs"));
        assert!(!is_tests("crates/a/src/tested.rs") && !is_tests("crates/a/src/contests.rs"));
    }
}
