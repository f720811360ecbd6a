//! Every stable code that the server or its commands say stands in one table, with its kind, and the table has no
//! other. Refuses a code that cannot be read out of the source: what is put together at run time is in no table.

pub mod endpoint;

use super::Problem;
use super::lex::{Kind, Token};
use super::sources::{Source, Sources};
use anyhow::Context;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Where the table is.
const TABLE: &str = "docs/api.md";
const TABLE_MARK: &str = "<!-- table: codes -->";
/// Where the refusals are: their codes have a table of their own, and a test that reads it.
const REFUSALS: &str = "docs/control.md";
const REFUSALS_MARK: &str = "<!-- table: refusals -->";
/// The crates whose errors are answered.
const ROOTS: [&str; 2] = ["crates/app/src/", "crates/server/src/"];
/// The kinds, and the constructors of `AppError` that have their names.
const KINDS: [&str; 5] = ["invalid", "conflict", "not_found", "damaged", "unavailable"];
/// The constructors' own file, where they are `Self`, and where the arms of `code` have codes without one kind.
const ERRORS: &str = "crates/app/src/error.rs";
/// The crate whose commands say `Failure`.
const COMMANDS: &str = "crates/server/src/";
/// What stands for the kind of a code that has none: a command says it, and nobody asks it again.
const NO_KIND: &str = "–";

/// Checks the table against the sources.
pub fn check(root: &Path, sources: &Sources) -> anyhow::Result<Vec<Problem>> {
    let read = |page: &str| std::fs::read_to_string(root.join(page)).with_context(|| format!("reading {page}"));
    let (mut said, mut problems) = said(sources);
    let refusals = rows(&read(REFUSALS)?, REFUSALS_MARK);
    for (code, ..) in &refusals {
        if let Some(Said { place, .. }) = said.remove(code) {
            problems.push(Problem::new(place, format!("`{code}` is a refusal's code: answer that refusal")));
        }
    }
    problems.extend(compare(&said, &rows(&read(TABLE)?, TABLE_MARK)));
    Ok(problems)
}

/// A code as the sources say it.
#[derive(Debug)]
struct Said {
    /// Where, first.
    place: String,
    kinds: BTreeSet<&'static str>,
}

/// Every code, and the places where one cannot be read.
fn said(sources: &Sources) -> (BTreeMap<String, Said>, Vec<Problem>) {
    let ours = |source: &&Source| ROOTS.iter().any(|root| source.path.starts_with(root)) && !source.is_tests();
    let (mut said, mut problems) = (BTreeMap::new(), Vec::new());
    let files: Vec<_> = sources.files.iter().filter(ours).map(|source| (source, tokens(source))).collect();
    let constants = constants(files.iter().flat_map(|(_, tokens)| tokens.windows(8)));
    for (source, tokens) in &files {
        for at in 0..tokens.len() {
            let (kind, argument) = match says(&source.path, tokens, at) {
                Some(Says::Code(kind, argument)) => (kind, argument),
                Some(Says::Past) => {
                    let sentence = "says a code past `AppError` and `Failure::new`, where no table can know it";
                    problems.push(Problem::at(&source.path, tokens[at].line, sentence));
                    continue;
                }
                None => continue,
            };
            let Some(codes) = codes(&tokens[argument..], &constants) else {
                let sentence = "says a code that is neither a literal nor a constant";
                problems.push(Problem::at(&source.path, tokens[at].line, sentence));
                continue;
            };
            for code in codes {
                let place = format!("{}:{}", source.path, tokens[at].line);
                let found = said.entry(code).or_insert_with(|| Said { place, kinds: BTreeSet::new() });
                found.kinds.extend(kind);
            }
        }
    }
    (said, problems)
}

/// The tokens of a file without comments and tests.
fn tokens(source: &Source) -> Vec<Token<'_>> {
    let tests = source.test_lines();
    let counts =
        |token: &Token<'_>| token.kind != Kind::Comment && !tests.iter().any(|range| range.contains(&token.line));
    source.tokens().into_iter().filter(counts).collect()
}

/// What the tokens from a place on do with a code.
enum Says {
    /// Say the one that begins at this token, which is of this kind.
    Code(Option<&'static str>, usize),
    /// Put an error together around its constructors.
    Past,
}

fn says(path: &str, tokens: &[Token<'_>], at: usize) -> Option<Says> {
    let is = |from: usize, texts: &[&str]| {
        let found = tokens.get(from..from + texts.len());
        found.is_some_and(|found| texts.iter().zip(found).all(|(text, token)| token.is(text)))
    };
    let text_at = |at: usize| tokens.get(at).filter(|token| token.kind == Kind::Literal && token.text.starts_with('"'));
    let own = is(at, &["Self", ":", ":"]) && path == ERRORS;
    if own || is(at, &["AppError", ":", ":"]) {
        let kind = KINDS.into_iter().find(|kind| is(at + 3, &[kind, "("]))?;
        return Some(Says::Code(Some(kind), at + 5));
    }
    let is_command = path.starts_with(COMMANDS);
    if is_command && is(at, &["Failure", ":", ":", "new", "("]) {
        return Some(Says::Code(None, at + 5));
    }
    if path == ERRORS && is(at, &["=", ">"]) && text_at(at + 2).is_some() {
        return Some(Says::Code(None, at + 2));
    }
    // A type that is named before a brace: its definition, its impl, or what a function gives.
    let is_type = at > 0 && ["struct", "impl", "for"].iter().any(|word| tokens[at - 1].is(word));
    let is_given = at > 1 && is(at - 2, &["-", ">"]);
    let made = is_command && is(at, &["Failure", "{"]) && !is_type && !is_given;
    (made || is(at, &["code", ":"]) && text_at(at + 2).is_some()).then_some(Says::Past)
}

/// The codes that an argument stands for; `None` when it is neither a literal, a constant nor a refusal's own.
fn codes(argument: &[Token<'_>], constants: &BTreeMap<String, BTreeSet<String>>) -> Option<BTreeSet<String>> {
    let first = argument.first()?;
    if first.kind == Kind::Literal {
        return Some([unquoted(first)?].into());
    }
    if first.is("Refusal") {
        return Some(BTreeSet::new());
    }
    let path = argument.iter().take_while(|token| token.kind == Kind::Ident || token.is(":"));
    constants.get(path.last()?.text).cloned()
}

/// The texts of the constants of each name: a trait's has one for each type.
fn constants<'a>(windows: impl Iterator<Item = &'a [Token<'a>]>) -> BTreeMap<String, BTreeSet<String>> {
    let mut constants: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for window in windows {
        let [word, name, colon, and, rest @ ..] = window else { continue };
        let rest = if rest.first().is_some_and(|token| token.text == "'static") { &rest[1..] } else { rest };
        if let [of, equals, text, ..] = rest
            && [(word, "const"), (colon, ":"), (and, "&"), (of, "str"), (equals, "=")].iter().all(|(a, b)| a.is(b))
            && let Some(text) = unquoted(text)
        {
            constants.entry(name.text.to_owned()).or_default().insert(text);
        }
    }
    constants
}

fn unquoted(token: &Token<'_>) -> Option<String> {
    Some(token.text.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

/// A row of a table: code, kind, line number.
type Row = (String, String, usize);

/// The rows of the table after `mark`, as far as their first cells are codes.
fn rows(page: &str, mark: &str) -> Vec<Row> {
    let lines = page.lines().enumerate().skip_while(|(_, line)| line.trim() != mark).skip(1);
    let table = lines.take_while(|(_, line)| line.starts_with('|'));
    let row = |(at, line): (usize, &str)| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let code = cells.next()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        Some((code, cells.next().unwrap_or_default().to_owned(), at + 1))
    };
    table.filter_map(row).collect()
}

fn compare(said: &BTreeMap<String, Said>, rows: &[Row]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (code, Said { place, kinds }) in said {
        if kinds.len() > 1 {
            let kinds: Vec<_> = kinds.iter().copied().collect();
            problems.push(Problem::new(place, format!("`{code}` is of several kinds, {}: give one", kinds.join(", "))));
        }
        if !rows.iter().any(|(listed, ..)| listed == code) {
            problems.push(Problem::new(place, format!("says `{code}`, which has no row in the table of {TABLE}")));
        }
    }
    for (code, kind, line) in rows {
        let sentence = match said.get(code) {
            None => format!("`{code}` is said nowhere any more: remove its row"),
            Some(Said { kinds, .. }) => match kinds.first().copied().unwrap_or(NO_KIND) {
                own if own != kind => format!("`{code}` is of the kind {own}, and not {kind}"),
                _ => continue,
            },
        };
        problems.push(Problem::at(TABLE, *line, sentence));
    }
    for pair in rows.windows(2).filter(|pair| pair[0].0 >= pair[1].0) {
        problems.push(Problem::at(TABLE, pair[1].2, format!("`{}` is out of order: sort by code", pair[1].0)));
    }
    problems
}

#[cfg(test)]
mod tests;
