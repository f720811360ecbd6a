//! The paths that a document names: files of the repository, links, items of our crates, places on a machine.
//! Refuses to guess: what is not plainly one of these, and every pattern with a placeholder, is passed over.

use crate::tidy::Problem;
use crate::tidy::lex::Kind;
use crate::tidy::sources::{Source, Sources};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a path of the repository begins with.
const ROOTS: &[&str] = &["crates/", "docs/", "xtask/", "testdata/", "changes/", ".ci/", ".cargo/"];

/// What a path of somebody's machine begins with.
const MACHINES: &[&str] = &["/root/", "/work/", "/builds/", "/workspace/", "/home/", "/Users/"];

/// The people of the examples, who may have a home.
const PEOPLE: &[&str] = &["anna", "ben"];

/// What exists.
pub struct Known {
    root: PathBuf,
    /// Each crate and the identifiers of its source.
    crates: BTreeMap<String, BTreeSet<String>>,
}

impl Known {
    /// Gathers what exists below the root.
    pub fn new(root: &Path, sources: &Sources) -> Self {
        let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for source in &sources.files {
            let Some((krate, file)) = source.path.strip_prefix("crates/").and_then(|path| path.split_once('/')) else {
                continue;
            };
            let names = crates.entry(krate.to_owned()).or_default();
            names.extend(file.split(['/', '.']).map(str::to_owned));
            let tokens = source.tokens();
            names.extend(tokens.iter().filter(|token| token.kind == Kind::Ident).map(|token| token.text.to_owned()));
        }
        Self { root: root.to_owned(), crates }
    }

    fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}

/// The places where the document names what does not exist.
pub fn missing(document: &Source, known: &Known) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, line) in document.text.lines().enumerate() {
        let found = paths(line).filter_map(|path| missing_path(path, known));
        let found = found.chain(links(line).filter_map(|link| missing_link(&document.path, link, known)));
        let found: BTreeSet<_> = found.chain(code_spans(line).filter_map(|code| missing_item(code, known))).collect();
        problems.extend(found.into_iter().map(|sentence| Problem::at(&document.path, at + 1, sentence)));
    }
    problems
}

/// The places where the document names a path of somebody's machine.
pub fn of_machines(document: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, line) in document.text.lines().enumerate() {
        for path in runs(line).filter(|path| MACHINES.iter().any(|machine| path.starts_with(machine))) {
            let person = path.split('/').nth(2).unwrap_or_default();
            if !PEOPLE.contains(&person) {
                let sentence = format!("{path} is a path of somebody's machine: examples live with anna and ben");
                problems.push(Problem::at(&document.path, at + 1, sentence));
            }
        }
    }
    problems
}

/// The longest runs of letters that a path may have.
fn runs(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_ascii_alphanumeric() && !"_-./*{}<>:".contains(letter))
        .flat_map(|run| run.split(':'))
        .map(|run| run.trim_start_matches("//"))
        .filter(|run| run.contains('/'))
}

/// The runs that are paths without a placeholder.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    runs(line)
        .filter(|run| !run.contains(['*', '{', '}', '<', '>']) && !run.contains("NNN"))
        .map(|run| run.trim_end_matches(['.', '/', '-']))
}

fn missing_path(path: &str, known: &Known) -> Option<String> {
    if ROOTS.iter().any(|root| path.starts_with(root)) {
        return (!known.has(path)).then(|| format!("there is no {path}"));
    }
    // A crate's file may be named from the crate on: format/pack.rs, format/src/pack.rs, format/tests/golden.rs.
    let (krate, file) = path.split_once('/')?;
    let is_file = known.crates.contains_key(krate) && file.ends_with(".rs");
    let exists = known.has(&format!("crates/{krate}/{file}")) || known.has(&format!("crates/{krate}/src/{file}"));
    (is_file && !exists).then(|| format!("there is no {path} in crates/{krate}"))
}

/// The targets of the links, without their fragments.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter_map(|target| target.split('#').next()).filter(|target| !target.is_empty() && !target.contains(':'))
}

fn missing_link(document: &str, link: &str, known: &Known) -> Option<String> {
    let folder = Path::new(document).parent().unwrap_or(Path::new(""));
    (!known.root.join(folder).join(link).exists()).then(|| format!("the link to {link} leads nowhere"))
}

/// What stands between backticks.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// `control::lifecycle::step`: each of the names must be in the source of the crate.
fn missing_item(code: &str, known: &Known) -> Option<String> {
    let path = code.split(['(', '<', ' ', '{']).next().unwrap_or_default();
    let (krate, items) = path.split_once("::")?;
    let names = known.crates.get(krate)?;
    let missing = items.split("::").find(|item| !item.is_empty() && *item != "*" && !names.contains(*item))?;
    Some(format!("there is no {missing} in the crate {krate}, so no `{path}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Source {
        Source { path: "docs/page.md".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn what_does_not_exist_is_named_and_patterns_are_passed_over() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for file in ["docs/page.md", "README.md", "crates/store/src/disk.rs", "crates/store/tests/it.rs"] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, "pub fn open() {}").expect("writing");
        }
        let known = Known::new(
            root.path(),
            &Sources { files: crate::tidy::sources::read_below(root.path(), "crates").expect("the sources") },
        );
        let rows: [(&str, &[&str]); 10] = [
            ("See docs/page.md, crates/store/ and `crates/store/src/disk.rs:12`.", &[]),
            ("See docs/gone.md.", &["there is no docs/gone.md"]),
            ("`store/disk.rs`, store/src/disk.rs and store/tests/it.rs", &[]),
            ("store/gone.rs", &["there is no store/gone.rs in crates/store"]),
            ("docs/adr/NNNN-slug.md, crates/*/src, crates/{a,b}, docs/<page>.md", &[]),
            ("https://example.org/docs/gone.md and /usr/share/docs/gone", &[]),
            ("[a](page.md) [b](../README.md#c) [d](#e) [f](https://example.org/x)", &[]),
            ("[a](gone.md#b)", &["the link to gone.md leads nowhere"]),
            ("`store::disk::open(x)`, `store::*`, `std::fs::gone`, store::gone in prose", &[]),
            ("`store::disk::close`", &["there is no close in the crate store, so no `store::disk::close`"]),
        ];
        for (text, sentences) in rows {
            let found: Vec<_> = missing(&document(text), &known).into_iter().map(|problem| problem.sentence).collect();
            assert_eq!(found, sentences, "{text}");
        }
    }

    #[test]
    fn paths_of_a_machine_are_refused_and_those_of_examples_are_not() {
        let refused = ["cd /work/x", "`/root/.cargo`", "file:///home/builder/x", "(/Users/me/x)"];
        let free = ["/home/anna/report.odt", "/usr/share", "/v1/runs/{run}/work/", "GET /healthz", "a/root/b"];
        assert!(refused.iter().all(|text| of_machines(&document(text)).len() == 1));
        assert!(free.iter().all(|text| of_machines(&document(text)).is_empty()));
    }
}
