//! The list of refusals against docs/control.md, and what every sentence must be.

use super::*;
use crate::document::Table;
use base::{Bytes, Count, Retry, Span};
use expect_test::{Expect, expect};

#[test]
fn the_document_lists_every_refusal_with_its_kind_retry_and_sentence() {
    let table = Table::read("refusals");
    let documented: Vec<String> = table.rows.iter().map(|row| row.join(" | ")).collect();
    let coded: Vec<String> = Refusal::ALL
        .iter()
        .zip(Refusal::samples())
        .map(|((code, sentence), sample)| {
            let retry = match sample.retry() {
                Retry::After(Span::ZERO) => "after {left}".to_owned(),
                retry => retry.to_string(),
            };
            format!("`{code}` | {} | {retry} | {sentence}", sample.kind().word())
        })
        .collect();
    for (documented, coded) in documented.iter().zip(&coded) {
        assert_eq!(documented, coded);
    }
    assert_eq!(documented.len(), coded.len(), "the table and the code have equally many");
}

#[test]
fn codes_are_snake_case_words_and_each_belongs_to_one_refusal() {
    let mut codes: Vec<&str> = Refusal::samples().iter().map(Refusal::code).collect();
    assert!(codes.iter().all(|code| code.chars().all(|c| c.is_ascii_lowercase() || c == '_')), "{codes:?}");
    let all = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), all);
}

#[test]
fn every_sentence_can_be_shown_to_a_person_as_it_is() {
    for refusal in Refusal::samples() {
        let sentence = refusal.sentence();
        assert!(sentence.starts_with(|c: char| c.is_uppercase()), "{sentence}");
        assert!(sentence.ends_with('.') && !sentence.contains("  "), "{sentence}");
        assert!(!sentence.contains(['{', '}', '\n']), "{sentence}");
        assert!(sentence.len() < 260, "{} letters: {sentence}", sentence.len());
    }
}

#[test]
fn damaged_and_invalid_never_promise_that_time_helps() {
    for refusal in Refusal::samples() {
        let by_time = matches!(refusal.kind(), base::Kind::Damaged | base::Kind::Invalid);
        assert!(!(by_time && refusal.retry_after().is_some()), "{}", refusal.code());
        let unavailable = refusal.kind() == base::Kind::Unavailable;
        assert!(!unavailable || refusal.retry_after().is_some(), "{} says when", refusal.code());
    }
}

fn check(refusal: &Refusal, expected: &Expect) {
    let lines = refusal.to_string().replace(". ", ".\n");
    expected.assert_eq(&format!("{lines}\n{}\n", refusal.retry()));
}

#[test]
fn fields_are_said_as_a_person_would_say_them() {
    let quota = Refusal::QuotaExceeded { used: Bytes(12_300_000_000), limit: Bytes(10_000_000_000) };
    check(
        &quota,
        &expect![[r#"
            Your backups would take more than your quota, 10 GB.
            Everything stored so far is kept.
            Take folders out of the backup, or ask your admin for a larger quota.
            when changed
        "#]],
    );
    check(
        &Refusal::AccountLocked { left: Span::minutes(42) },
        &expect![[r#"
            There were too many wrong passwords for this address.
            Try again in 42 min 0 s, or ask an admin for a new password.
            after 42 min 0 s
        "#]],
    );
    check(
        &Refusal::DeviceLimit { limit: Count(3) },
        &expect![[r#"
            You have reached the limit on your number of devices, 3.
            Replace one of them by this computer, or ask your admin to raise the limit.
            when changed
        "#]],
    );
    check(
        &Refusal::WrongState { state: "decommissioned", event: "hold" },
        &expect![[r#"
            The device is decommissioned, and from there "hold" is not possible; nothing was changed.
            Reactivate, enable or undelete it first, as that state asks for.
            when changed
        "#]],
    );
    check(
        &Refusal::PasswordTooLong { max: Bytes::kib(1) },
        &expect![[r#"
            The password is too long.
            Choose one of at most 1.0 kB.
            when changed
        "#]],
    );
}
