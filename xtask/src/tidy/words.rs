//! Words that the glossary marks with a star and that no identifier may have: another word is ours for that thing.
//! Refuses to judge comments and texts: there, the reader does.

use super::Problem;
use super::lex::Kind;
use super::sources::{Source, Sources};
use std::collections::BTreeSet;
use std::path::Path;

const GLOSSARY: &str = "docs/glossary.md";

/// Identifiers that keep such a word because it is not ours to change: each with whose it is.
const FOREIGN: &[(&str, &str)] = &[
    ("host_name", "evidence: what an operating system calls the name of its machine"),
    ("HostName", "the same"),
    ("Blob", "rusqlite: what SQLite calls octets"),
    ("host_str", "url: the part of an address"),
    ("set_host", "url and s3s: the same"),
    ("S3Host", "s3s: which bucket a name in an address stands for"),
    ("VirtualHost", "the same"),
    ("parse_host_header", "the same"),
];

/// The same for identifiers that are too plain to be let pass everywhere: the file, the identifier, whose it is.
const FOREIGN_THERE: &[(&str, &str, &str)] = &[("crates/store/src/testing.rs", "host", "s3s: the name of a module")];

/// Words of which only the whole and the plural are refused: too many good words begin with these letters.
const SHORT_MAX: usize = 4;

/// Checks every identifier, also those of tests.
pub fn check(root: &Path, sources: &Sources) -> anyhow::Result<Vec<Problem>> {
    let Ok(glossary) = std::fs::read_to_string(root.join(GLOSSARY)) else {
        return Ok(vec![Problem::new(GLOSSARY, "is missing: without it no word can be refused")]);
    };
    let refused = starred(&glossary);
    if refused.is_empty() {
        let sentence = "has no starred words in the last column of a table: their form is `word*`";
        return Ok(vec![Problem::new(GLOSSARY, sentence)]);
    }
    Ok(sources.files.iter().flat_map(|source| problems_of(source, &refused)).collect())
}

/// The words with a star in the last cell of every row of the tables: `host*`, also as `host\*` or in backticks.
fn starred(glossary: &str) -> BTreeSet<String> {
    let rows = glossary.lines().filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'));
    let cells = rows.filter_map(|row| row.rsplit('|').next());
    let words = cells.flat_map(|cell| cell.split([',', ';', ' ', '(', ')', '/']));
    let plain = words.map(|word| word.replace(['\\', '`'], ""));
    plain.filter_map(|word| Some(word.strip_suffix('*')?.to_lowercase())).filter(|word| !word.is_empty()).collect()
}

fn problems_of(source: &Source, refused: &BTreeSet<String>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    for token in source.tokens().iter().filter(|token| token.kind == Kind::Ident) {
        let foreign = FOREIGN.iter().any(|(name, _)| *name == token.text)
            || FOREIGN_THERE.iter().any(|(path, name, _)| *path == source.path && *name == token.text);
        if let Some(word) = refused_word(token.text, refused).filter(|_| !foreign && seen.insert(token.text)) {
            let sentence = format!("`{}` has the word `{word}`: {GLOSSARY} says which one is ours", token.text);
            problems.push(Problem::at(&source.path, token.line, sentence));
        }
    }
    problems
}

fn refused_word<'a>(identifier: &str, refused: &'a BTreeSet<String>) -> Option<&'a str> {
    let words = words(identifier);
    let pairs = words.windows(2).map(|pair| pair.concat());
    let candidates: Vec<String> = words.iter().cloned().chain(pairs).collect();
    let meets = |candidate: &String, refused: &str| match candidate.strip_prefix(refused) {
        Some(ending) => ending.is_empty() || ending == "s" || refused.len() > SHORT_MAX,
        None => false,
    };
    refused.iter().map(String::as_str).find(|refused| candidates.iter().any(|candidate| meets(candidate, refused)))
}

/// The words of an identifier in lower case: `HttpHost_name2` is http, host, name2; `HTTPHost` is http, host.
fn words(identifier: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let letters: Vec<char> = identifier.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let next_is_lower = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        let begins = letter.is_uppercase() && before.is_some_and(|before| !before.is_uppercase() || next_is_lower);
        if *letter == '_' || begins {
            words.push(String::new());
        }
        if *letter != '_' {
            words.last_mut().expect("there is always one").extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLOSSARY: &str = "\
| word | meaning | not |
|---|---|---|
| device | one computer | host*, client, `endpoint*`, machine |
| activation | the act* that binds | enroll\\*, register |
| source / target | from, to | origin, dest* |
| prune / collect | remove | gc*, clean (in parts) |
| token | a code | apikey* |
Outside a table, free* is free.
";

    #[test]
    fn the_words_are_those_with_a_star_in_the_last_column() {
        let words: Vec<_> = starred(GLOSSARY).into_iter().collect();
        assert_eq!(words, ["apikey", "dest", "endpoint", "enroll", "gc", "host"]);
    }

    #[test]
    fn an_identifier_is_refused_for_a_whole_word_in_any_case() {
        let refused = starred(GLOSSARY);
        let rows = [
            ("host", Some("host")),
            ("host_address", Some("host")),
            ("HostName", Some("host")),
            ("HTTP_HOSTS", Some("host")),
            ("HTTPHost", Some("host")),
            ("enrollment", Some("enroll")),
            ("Enrolled", Some("enroll")),
            ("api_key", Some("apikey")),
            ("end_points", Some("endpoint")),
            ("dest_dir", Some("dest")),
            ("run_gc", Some("gc")),
            ("hostile", None),
            ("destroy", None),
            ("ghost", None),
            ("guid", None),
            ("device", None),
            ("_", None),
        ];
        for (identifier, word) in rows {
            assert_eq!(refused_word(identifier, &refused), word, "{identifier}");
        }
    }

    #[test]
    fn comments_and_texts_are_free_and_a_name_is_reported_once() {
        let text = "//! the host\nfn a() { let host = \"host\"; host }";
        let source = Source { path: "a.rs".to_owned(), text: text.to_owned() };
        let places: Vec<_> =
            problems_of(&source, &starred(GLOSSARY)).into_iter().map(|problem| problem.place).collect();
        assert_eq!(places, ["a.rs:2"]);
    }
}
