//! Tests of the check of codes. Refuses to look at the repository: the table of the house is checked beside the others.

use super::*;

fn sources(files: &[(&str, &str)]) -> Sources {
    let source = |(path, text): &(&str, &str)| Source { path: (*path).to_owned(), text: (*text).to_owned() };
    Sources { files: files.iter().map(source).collect() }
}

/// What is found in one file of `app`, as `code kinds`.
fn found(path: &str, text: &str) -> (Vec<String>, Vec<String>) {
    let (said, problems) = said(&sources(&[(path, text)]));
    let kinds = |kinds: BTreeSet<&'static str>| kinds.into_iter().collect::<Vec<_>>().join(" ");
    (
        said.into_iter().map(|(code, said)| format!("{code} {}", kinds(said.kinds)).trim().to_owned()).collect(),
        problems.into_iter().map(|problem| problem.to_string()).collect(),
    )
}

#[test]
fn codes_are_read_wherever_an_error_is_made() {
    let rows: [(&str, &[&str]); 10] = [
        ("fn a() { AppError::not_found(\"a_unknown\", \"No.\") }", &["a_unknown not_found"]),
        ("fn a() { AppError::damaged(\n    \"a_damaged\",\n \"No.\") }", &["a_damaged damaged"]),
        ("fn a() { AppError::invalid(\"a\", \"\"); AppError::conflict(\"a\", \"\") }", &["a conflict invalid"]),
        ("fn a() { AppError::invalid(Refusal::RequestMalformed.code(), \"\") }", &[]),
        ("const A: &str = \"a_b\"; fn a() { Failure::new(A, \"\") }", &["a_b"]),
        (
            "impl E for A { const U: &'static str = \"a_u\"; } impl E for B { const U: &'static str = \"b_u\"; } \
             fn a() { Failure::new(T::U, \"\") }",
            &["a_u", "b_u"],
        ),
        ("fn a() { AppError::db(\"reading\"); other(\"no_code\") }", &[]),
        (
            "// AppError::invalid(\"a\", \"\")\n#[cfg(test)]\nmod tests { fn a() { AppError::invalid(\"b\", \"\") } }",
            &[],
        ),
        ("impl Failure { fn a() -> Failure { b() } } pub struct Failure { pub code: String }", &[]),
        ("fn code(&self) -> &str { match self { A => \"no_code\" } } fn b() { Self::invalid(\"no_code\", \"\") }", &[]),
    ];
    for (text, codes) in rows {
        let (said, problems) = found("crates/server/src/a.rs", text);
        assert_eq!(
            (said.iter().map(String::as_str).collect::<Vec<_>>(), problems.len()),
            (codes.to_vec(), 0),
            "{text}"
        );
    }
    let own = "fn code(&self) -> &str { match self { A => \"a_failed\" } } fn b() { Self::invalid(\"b\", \"\") }";
    assert_eq!(found(ERRORS, own).0, ["a_failed", "b invalid"]);
    assert_eq!(found("crates/agent/src/a.rs", "fn a() { AppError::invalid(\"a\", \"\") }").0, [] as [&str; 0]);
    assert_eq!(found("crates/app/src/a/tests.rs", "fn a() { AppError::invalid(\"a\", \"\") }").0, [] as [&str; 0]);
}

#[test]
fn a_code_that_no_table_can_know_is_a_problem() {
    let rows = [
        ("fn a() { Failure::new(&format!(\"{word}_unknown\"), \"\") }", "neither a literal nor a constant"),
        ("fn a(code: &str) { AppError::invalid(code, \"\") }", "neither a literal nor a constant"),
        ("fn a() { AppError::Said { kind, code: \"a\", sentence } }", "past `AppError`"),
        ("fn a() { Err(Failure { code, sentence }) }", "past `AppError`"),
        ("fn a() { match b { C => Failure { code: code() }, } }", "past `AppError`"),
    ];
    for (text, sentence) in rows {
        let (_, problems) = found("crates/server/src/a.rs", text);
        assert!(problems.len() == 1 && problems[0].contains(sentence), "{text}: {problems:?}");
    }
}

#[test]
fn the_table_has_every_code_with_its_kind_and_no_other() {
    let table = |rows: &str| rows_of(&format!("# Page\n\n{TABLE_MARK}\n| code | kind |\n|---|---|\n{rows}\nMore\n"));
    let (said, _) = said(&sources(&[(
        "crates/server/src/a.rs",
        "fn a() { AppError::invalid(\"a\", \"\"); AppError::conflict(\"c\", \"\"); Failure::new(\"d\", \"\") }",
    )]));
    let good = "| `a` | invalid | x |\n| `c` | conflict | x |\n| `d` | – | x |";
    let rows: [(&str, &[&str]); 6] = [
        (good, &[]),
        (&good.replace("| `c` | conflict | x |\n", ""), &["a.rs:1: says `c`, which has no row"]),
        (&format!("{good}\n| `e` | – | x |"), &["docs/api.md:9: `e` is said nowhere any more"]),
        (&good.replace("conflict", "invalid"), &["docs/api.md:7: `c` is of the kind conflict, and not invalid"]),
        (&good.replace('–', "conflict"), &["docs/api.md:8: `d` is of the kind –, and not conflict"]),
        ("| `c` | conflict |\n| `a` | invalid |\n| `d` | – |", &["docs/api.md:7: `a` is out of order"]),
    ];
    for (text, wanted) in rows {
        let problems: Vec<_> = compare(&said, &table(text)).iter().map(Problem::to_string).collect();
        assert_eq!(problems.len(), wanted.len(), "{text}: {problems:?}");
        assert!(problems.iter().zip(wanted).all(|(problem, wanted)| problem.contains(wanted)), "{text}: {problems:?}");
    }
}

#[test]
fn a_code_of_two_kinds_and_one_of_a_refusal_are_problems() {
    let root = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir_all(root.path().join("docs")).expect("a folder");
    let write = |page: &str, text: &str| std::fs::write(root.path().join(page), text).expect("writing");
    write(TABLE, &format!("{TABLE_MARK}\n| code | kind |\n|---|---|\n| `a` | conflict |\n"));
    write(REFUSALS, &format!("{REFUSALS_MARK}\n| code | kind |\n|---|---|\n| `b` | refused |\n"));
    let text =
        "fn a() { AppError::invalid(\"a\", \"\"); AppError::conflict(\"a\", \"\"); AppError::invalid(\"b\", \"\") }";
    let problems = check(root.path(), &sources(&[("crates/app/src/a.rs", text)])).expect("readable");
    let problems: Vec<_> = problems.iter().map(Problem::to_string).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("`b` is a refusal's code") && problems[1].contains("several kinds"), "{problems:?}");
}

fn rows_of(page: &str) -> Vec<Row> {
    rows(page, TABLE_MARK)
}
