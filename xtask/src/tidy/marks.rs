//! Marks left in the code: what is still to do carries the number of an issue, what is broken does not stay.
//! Refuses imports of a whole crate too: they hide which module leans on which.

use super::Problem;
use super::lex::{Kind, Token};
use super::sources::{Source, Sources};
use std::path::Path;

/// Checks every file.
pub fn check(_root: &Path, sources: &Sources) -> anyhow::Result<Vec<Problem>> {
    Ok(sources.files.iter().flat_map(|source| marks(source).into_iter().chain(imports(source))).collect())
}

fn marks(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    for comment in source.tokens().iter().filter(|token| token.kind == Kind::Comment) {
        for (below, line) in comment.text.lines().enumerate() {
            if let Some(sentence) = broken_mark(line) {
                problems.push(Problem::at(&source.path, comment.line + below, sentence));
            }
        }
    }
    problems
}

fn broken_mark(line: &str) -> Option<&'static str> {
    let is_word = |at: usize, len: usize| {
        let joins = |letter: char| letter.is_alphanumeric() || letter == '_';
        !line[..at].ends_with(joins) && !line[at + len..].starts_with(joins)
    };
    let find = |word: &'static str| line.match_indices(word).find(|(at, _)| is_word(*at, word.len()));
    if find("FIXME").is_some() || find("XXX").is_some() {
        return Some("is marked as broken: mend it, or open an issue and write TODO(#12) with its number");
    }
    let (at, word) = find("TODO")?;
    let number = line[at + word.len()..].strip_prefix("(#").and_then(|rest| rest.split_once(')')).map(|(text, _)| text);
    let has_number = number.is_some_and(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    (!has_number).then_some("what is to do has an issue: write TODO(#12) with its number")
}

fn imports(source: &Source) -> Vec<Problem> {
    if source.is_tests() {
        return Vec::new();
    }
    let tests = source.test_lines();
    let tokens: Vec<Token<'_>> = source.tokens().into_iter().filter(|token| token.kind != Kind::Comment).collect();
    let of_crate = tokens.windows(5).filter(|five| {
        ["use", "crate", ":", ":", "*"].iter().zip(*five).all(|(text, token)| token.is(text))
            && !tests.iter().any(|range| range.contains(&five[0].line))
    });
    of_crate
        .map(|five| Problem::at(&source.path, five[0].line, "names the items it uses of its crate, not `*`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(text: &str) -> Vec<String> {
        let source = Source { path: "a".to_owned(), text: text.to_owned() };
        marks(&source).into_iter().chain(imports(&source)).map(|problem| problem.place).collect()
    }

    #[test]
    fn marks_are_refused_in_comments_unless_they_have_a_number() {
        let rows: [(&str, &[&str]); 8] = [
            ("// TODO(#12): more", &[]),
            ("// TODO: more", &["a:1"]),
            ("// TODO(#): more\n// TODO(#1x) more\n// TODO(12) more", &["a:1", "a:2", "a:3"]),
            ("/* one\n FIXME two */", &["a:2"]),
            ("/// XXX", &["a:1"]),
            ("let a = \"TODO FIXME\";", &[]),
            ("// TODOS and METHODOLOGY", &[]),
            ("// a TODO_LIST", &[]),
        ];
        for (text, places) in rows {
            assert_eq!(lines_of(text), places, "{text}");
        }
    }

    #[test]
    fn a_whole_crate_is_imported_in_tests_alone() {
        assert_eq!(lines_of("use crate::*;\npub use crate :: * ;\nuse crate::a::*;"), ["a:1", "a:2"]);
        assert_eq!(lines_of("#[cfg(test)]\nmod tests {\n use crate::*;\n}"), [] as [&str; 0]);
    }
}
