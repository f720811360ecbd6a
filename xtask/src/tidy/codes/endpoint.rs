//! Every code that the endpoint says of itself stands in docs/cli.md, with its exit code where that follows from how
//! it is said, and the table there has no other. Refuses a code that cannot be read out of the source.

use super::{Problem, Source, Sources, Token, constants, tokens, unquoted};
use crate::tidy::lex::Kind;
use anyhow::Context;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const PAGE: &str = "docs/cli.md";
const TABLE_MARK: &str = "<!-- table: endpoint codes -->";
/// What follows the table: codes of problems at single entries.
const ENTRIES: &str = "Codes of problems at single entries:";
/// The server's refusals, which the endpoint may repeat.
const REFUSALS: &str = "docs/control.md";
const ROOT: &str = "crates/agent/src/";
/// Where the arms of `code` are, and the constructors.
const ERRORS: [&str; 2] = ["crates/agent/src/error.rs", "crates/engine/src/error.rs"];
/// The constructors of an error of the endpoint's own, and the exit code of each; a "no" of the way to the server
/// ends as its kind says.
const CONSTRUCTORS: [(&str, &str, Option<u8>); 3] =
    [("AgentError", "usage", Some(2)), ("AgentError", "state", Some(1)), ("RemoteError", "new", None)];

/// Checks the page against the sources.
pub fn check(root: &Path, sources: &Sources) -> anyhow::Result<Vec<Problem>> {
    let read = |page: &str| std::fs::read_to_string(root.join(page)).with_context(|| format!("reading {page}"));
    let (mut said, mut problems) = said(sources);
    let refusals = read(REFUSALS)?;
    said.retain(|code, _| !refusals.contains(&format!("\n| `{code}` |")));
    problems.extend(compare(&said, &read(PAGE)?));
    Ok(problems)
}

/// A code as the sources say it.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    /// Where, first.
    place: String,
    /// How the program ends for it, where that is known here.
    exits: BTreeSet<u8>,
}

fn said(sources: &Sources) -> (BTreeMap<String, Said>, Vec<Problem>) {
    let is_error = |source: &Source| ERRORS.contains(&source.path.as_str());
    let ours = |source: &&Source| (source.path.starts_with(ROOT) || is_error(source)) && !source.is_tests();
    let (mut said, mut problems) = (BTreeMap::<String, Said>::new(), Vec::new());
    let files: Vec<_> = sources.files.iter().filter(ours).map(|source| (source, tokens(source))).collect();
    let constants = constants(files.iter().flat_map(|(_, tokens)| tokens.windows(8)));
    for (source, tokens) in &files {
        for at in 0..tokens.len() {
            let Some((argument, exit)) = says(tokens, at, is_error(source)) else { continue };
            let code = match tokens.get(argument) {
                Some(token) if token.kind == Kind::Literal => unquoted(token),
                Some(token) => constants.get(token.text).and_then(|codes| codes.first().cloned()),
                None => None,
            };
            match code {
                Some(code) => {
                    let place = format!("{}:{}", source.path, tokens[at].line);
                    let found = said.entry(code).or_insert_with(|| Said { place, exits: BTreeSet::new() });
                    found.exits.extend(exit);
                }
                // Where the constructors are, they hand their argument on.
                None if is_error(source) => {}
                // A field of that name: its literal is read where the value is made.
                None if tokens.get(argument + 2).is_some_and(|token| token.is("code")) => {}
                None => {
                    let sentence = "says a code that is neither a literal nor a constant";
                    problems.push(Problem::at(&source.path, tokens[at].line, sentence));
                }
            }
        }
    }
    (said, problems)
}

/// Where the code begins that the tokens from `at` on say, and the exit code, where that is known.
fn says(tokens: &[Token<'_>], at: usize, is_error: bool) -> Option<(usize, Option<u8>)> {
    let is = |from: usize, texts: &[&str]| {
        let found = tokens.get(from..from + texts.len());
        found.is_some_and(|found| texts.iter().zip(found).all(|(text, token)| token.is(text)))
    };
    let is_text = |at: usize| tokens.get(at).is_some_and(|token| token.text.starts_with('"'));
    let made = CONSTRUCTORS.iter().find(|(of, name, _)| is(at, &[of, ":", ":", name, "("]));
    if let Some((.., exit)) = made {
        return Some((at + 5, *exit));
    }
    if is(at, &["code", ":"]) && is_text(at + 2) {
        return Some((at + 2, None));
    }
    (is_error && is(at, &["=", ">"]) && is_text(at + 2)).then_some((at + 2, None))
}

fn compare(said: &BTreeMap<String, Said>, page: &str) -> Vec<Problem> {
    let lines = page.lines().enumerate().skip_while(|(_, line)| line.trim() != TABLE_MARK).skip(3);
    let rows: Vec<(usize, Vec<&str>)> = lines
        .map_while(|(at, line)| Some((at + 1, line.strip_prefix('|')?.split('|').map(str::trim).collect())))
        .collect();
    let after = page.split(ENTRIES).nth(1).unwrap_or_default();
    let entries = after.split("\n\n").next().unwrap_or_default();
    let mut problems = Vec::new();
    let listed = |code: &str| rows.iter().find(|(_, row)| names(row[0]).any(|name| name == code));
    for (code, Said { place, exits }) in said {
        let (sentence, at) = match listed(code) {
            None if names(entries).any(|name| name == code) => continue,
            None => (format!("says `{code}`, which {PAGE} does not list"), None),
            // A dash: it is said beside an answer, and nothing ends for it.
            Some((_, row)) if row[1] == "–" => continue,
            Some((line, row)) => match exits.iter().find(|exit| exit.to_string() != row[1]) {
                Some(exit) => {
                    (format!("the program ends with {exit} for `{code}`, and not with {}", row[1]), Some(line))
                }
                None => continue,
            },
        };
        problems.push(match at {
            Some(line) => Problem::at(PAGE, *line, sentence),
            None => Problem::new(place, sentence),
        });
    }
    for (line, row) in &rows {
        for code in names(row[0]).filter(|code| !said.contains_key(*code)) {
            problems.push(Problem::at(PAGE, *line, format!("`{code}` is said nowhere any more: take it out")));
        }
    }
    if rows.is_empty() {
        problems.push(Problem::at(PAGE, 1, format!("has no table after {TABLE_MARK}")));
    }
    problems
}

/// What stands between backquotes.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> Sources {
        let file = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let error = "fn code(&self) -> &str { match self { A => \"a_gone\" } }";
        Sources { files: vec![file("crates/agent/src/a.rs", text), file(ERRORS[1], error)] }
    }

    const TEXT: &str = "const B: &str = \"b_held\"; fn a() { AgentError::usage(\"a_missing\", \"\"); \
                        RemoteError::new(B, \"\", k); AgentError::State { code: \"c_bad\", sentence } }";

    #[test]
    fn the_page_has_every_code_of_the_endpoint_with_its_exit_and_no_other() {
        let (said, unread) = said(&sources(TEXT));
        assert!(unread.is_empty(), "{unread:?}");
        let page =
            |rows: &str| format!("x\n{TABLE_MARK}\n| code | exit |\n|---|---|\n{rows}\n\n{ENTRIES} `a_gone`.\n\nMore");
        let good = "| `a_missing` | 2 | x |\n| `b_held`, `c_bad` | 1 | x |";
        let rows: [(&str, &[&str]); 5] = [
            (good, &[]),
            (&good.replace(", `c_bad`", ""), &["a.rs:1: says `c_bad`, which docs/cli.md does not list"]),
            (
                &good.replace("| 2 |", "| 1 |"),
                &["docs/cli.md:5: the program ends with 2 for `a_missing`, and not with 1"],
            ),
            (&good.replace("`c_bad`", "`c_bad`, `d`"), &["docs/cli.md:6: `d` is said nowhere any more"]),
            ("", &["`a_missing`", "`b_held`", "`c_bad`", "has no table"]),
        ];
        for (rows, expected) in rows {
            let problems: Vec<String> = compare(&said, &page(rows)).iter().map(ToString::to_string).collect();
            assert_eq!(problems.len(), expected.len(), "{problems:?}");
            for (problem, expected) in problems.iter().zip(expected) {
                assert!(problem.contains(expected), "{problem}, {expected}");
            }
        }
    }

    #[test]
    fn a_code_that_is_put_together_is_a_problem() {
        for text in
            ["fn a(c: &str) { AgentError::usage(c, \"\") }", "fn a() { RemoteError::new(format!(\"{a}\"), s, k) }"]
        {
            let (_, problems) = said(&sources(text));
            assert!(
                problems.len() == 1 && problems[0].to_string().contains("neither a literal"),
                "{text}: {problems:?}"
            );
        }
    }
}
