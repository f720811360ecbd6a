//! The rules of the house that no compiler checks: as a command, and as the tests at the end of this file.
//! Refuses to change a file, save for the hashes that `--bless` writes. Rules: CONTRIBUTING.md.

mod codes;
mod docs;
mod lex;
mod manifests;
mod marks;
mod shape;
mod sources;
mod words;

use sources::Sources;
use std::fmt;
use std::path::Path;

/// Checks everything and prints what is wrong, a line each. With `bless`, first writes the hashes of the code into
/// the documents that describe it.
pub fn run(root: &Path, bless: bool) -> anyhow::Result<()> {
    if bless {
        for blessed in docs::bless(root)? {
            println!("blessed: {blessed}");
        }
    }
    let sources = Sources::read(root)?;
    let mut problems = crate::layers::check(root)?;
    let of_sources = [manifests::check, shape::check, words::check, marks::check];
    let of_documents = [codes::check, codes::endpoint::check, docs::check_hashes, docs::check_paths];
    for check in of_sources.into_iter().chain(of_documents) {
        problems.extend(check(root, &sources)?);
    }
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => println!("tidy: {} source files and their documents keep the rules", sources.files.len()),
        1 => anyhow::bail!("tidy found 1 problem"),
        found => anyhow::bail!("tidy found {found} problems"),
    }
    Ok(())
}

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// A path below the root, with a line number where there is one: `crates/base/src/id.rs:12`.
    place: String,
    /// What is wrong, and what to do where that is not plain.
    sentence: String,
}

impl Problem {
    /// A broken rule at a place below the root. Never fails.
    pub fn new(place: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self { place: place.into(), sentence: sentence.into() }
    }

    fn at(path: &str, line: usize, sentence: impl Into<String>) -> Self {
        Self::new(format!("{path}:{line}"), sentence)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.sentence)
    }
}

/// Ends a test with the list of problems, if there are any.
#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "it is the end of every list it is given")]
pub fn expect_none(problems: Vec<Problem>) {
    let lines: String = problems.iter().map(|problem| format!("\n{problem}")).collect();
    assert!(problems.is_empty(), "{} problems:{lines}\n", problems.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(check: fn(&Path, &Sources) -> anyhow::Result<Vec<Problem>>) {
        let root = crate::root();
        let sources = Sources::read(root).expect("the sources can be read");
        assert!(sources.files.len() > 20, "the sources were found");
        expect_none(check(root, &sources).expect("the files to check can be read"));
    }

    #[test]
    fn every_crate_inherits_the_rules_of_the_workspace() {
        check(manifests::check);
    }

    #[test]
    fn files_have_headers_and_files_functions_and_lines_keep_their_limits() {
        check(shape::check);
    }

    #[test]
    fn no_identifier_has_a_word_that_the_glossary_refuses() {
        check(words::check);
    }

    #[test]
    fn marks_have_issue_numbers_and_nobody_imports_a_whole_crate() {
        check(marks::check);
    }

    #[test]
    fn every_code_that_is_said_stands_in_the_table_of_codes() {
        check(codes::check);
    }

    #[test]
    fn every_code_that_the_endpoint_says_stands_in_its_page() {
        check(codes::endpoint::check);
    }

    #[test]
    fn documents_that_describe_bytes_have_the_hash_of_the_code() {
        check(docs::check_hashes);
    }

    #[test]
    fn documents_name_only_what_exists() {
        check(docs::check_paths);
    }
}
