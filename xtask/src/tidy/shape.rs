//! The shape of source files: a header each, and limits on files, functions and lines, with ratchets.
//! Refuses a ratchet that is looser than need be: its numbers can only fall.

use super::Problem;
use super::lex::Kind;
use super::sources::{Source, Sources, item_len};
use std::path::Path;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 120;

/// Files that are longer and may stay so until somebody parts them: path, lines without tests. Lower the number, or
/// remove the line; never raise it, never add one.
const FILES_ABOVE_LIMIT: &[(&str, usize)] = &[];

/// The same for functions: path, a space, the name; lines.
const FUNCTIONS_ABOVE_LIMIT: &[(&str, usize)] = &[];

/// Checks every file.
pub fn check(_root: &Path, sources: &Sources) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let (mut files, mut functions) = (Vec::new(), Vec::new());
    for source in &sources.files {
        if !source.text.starts_with("//!") {
            problems.push(Problem::at(&source.path, 1, "must begin with //! and say what it is and what it refuses"));
        }
        problems.extend(long_lines(source));
        if !source.is_tests() {
            files.push(file(source));
            functions.extend(functions_of(source));
        }
    }
    problems.extend(ratchet(FILE_LINES_MAX, FILES_ABOVE_LIMIT, &files));
    problems.extend(ratchet(FUNCTION_LINES_MAX, FUNCTIONS_ABOVE_LIMIT, &functions));
    Ok(problems)
}

/// Something with a length that a ratchet may name.
struct Measured {
    name: String,
    place: String,
    lines: usize,
}

fn long_lines(source: &Source) -> Vec<Problem> {
    let lines = source.text.lines().map(|line| line.chars().count()).enumerate();
    let long = lines.filter(|(_, columns)| *columns > COLUMNS_MAX);
    long.map(|(at, columns)| {
        Problem::at(&source.path, at + 1, format!("has {columns} columns, and {COLUMNS_MAX} is the limit"))
    })
    .collect()
}

fn file(source: &Source) -> Measured {
    let tests: usize = source.test_lines().into_iter().map(|range| range.count()).sum();
    let lines = source.text.lines().count() - tests;
    Measured { name: source.path.clone(), place: source.path.clone(), lines }
}

fn functions_of(source: &Source) -> Vec<Measured> {
    let tests = source.test_lines();
    let tokens: Vec<_> = source.tokens().into_iter().filter(|token| token.kind != Kind::Comment).collect();
    let mut functions = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let (begin, name) = (pair[0], pair[1]);
        let in_tests = tests.iter().any(|range| range.contains(&begin.line));
        if begin.is("fn") && name.kind == Kind::Ident && !in_tests {
            let last = tokens[at + item_len(&tokens[at..]) - 1].line;
            functions.push(Measured {
                name: format!("{} {}", source.path, name.text),
                place: format!("{}:{}", source.path, begin.line),
                lines: last - begin.line + 1,
            });
        }
    }
    functions
}

fn ratchet(limit: usize, above: &[(&str, usize)], measured: &[Measured]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for Measured { name, place, lines } in measured {
        let allowed = above.iter().find(|(listed, _)| listed == name).map(|(_, lines)| *lines);
        let sentence = match allowed {
            None if *lines > limit => format!("{name} has {lines} lines, and {limit} is the limit: part it"),
            Some(allowed) if *lines > allowed => format!("{name} has grown from {allowed} lines to {lines}: part it"),
            Some(_) if *lines <= limit => format!("{name} keeps the limit now: remove it from the ratchet"),
            Some(allowed) if *lines < allowed => format!("{name} has shrunk: lower its ratchet to {lines}"),
            None | Some(_) => continue,
        };
        problems.push(Problem::new(place, sentence));
    }
    let gone = above.iter().filter(|(listed, _)| measured.iter().all(|one| one.name != *listed));
    problems.extend(gone.map(|(listed, _)| Problem::new(*listed, "is gone: remove it from the ratchet")));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { path: "a.rs".to_owned(), text: text.to_owned() }
    }

    fn one(name: &str, lines: usize) -> Measured {
        Measured { name: name.to_owned(), place: name.to_owned(), lines }
    }

    #[test]
    fn functions_are_measured_from_their_name_to_their_brace() {
        let text = "/// Doc.\npub fn a(\n x: [u8; 2],\n) -> u8 {\n if x { \"}\" }\n}\nfn b();\ntype C = fn(u8) -> u8;\n\
                    #[cfg(test)]\nmod tests {\n fn d() {\n }\n}";
        let found: Vec<_> = functions_of(&source(text)).into_iter().map(|one| (one.name, one.lines)).collect();
        assert_eq!(found, [("a.rs a".to_owned(), 5), ("a.rs b".to_owned(), 1)]);
        assert_eq!(file(&source(text)).lines, 8);
    }

    #[test]
    fn a_line_of_121_columns_is_one_too_long_whatever_its_bytes() {
        assert_eq!(long_lines(&source(&"é".repeat(120))), []);
        assert_eq!(long_lines(&source(&format!("\n{}", "é".repeat(121))))[0].place, "a.rs:2");
    }

    #[test]
    fn a_ratchet_only_turns_one_way() {
        let above: &[(&str, usize)] = &[("a", 80)];
        let rows = [
            (one("a", 80), None),
            (one("a", 81), Some("has grown from 80 lines to 81")),
            (one("a", 79), Some("lower its ratchet to 79")),
            (one("a", 70), Some("remove it from the ratchet")),
        ];
        for (measured, sentence) in rows {
            let problems = ratchet(70, above, &[measured]);
            match sentence {
                None => assert_eq!(problems, []),
                Some(sentence) => assert!(problems[0].to_string().contains(sentence), "{problems:?}"),
            }
        }
        assert_eq!(ratchet(70, &[], &[one("b", 70)]), []);
        assert!(ratchet(70, &[], &[one("b", 71)])[0].to_string().contains("70 is the limit"));
        assert!(ratchet(70, above, &[])[0].to_string().contains("is gone"));
    }
}
