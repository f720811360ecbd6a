//! Patterns of names, as in a `.gitignore`: `*`, `?`, `[a-z]`, `{a,b}`, `**`, `/` first for the folder's own top, `/`
//! last for directories only. Refuses what no matcher could read, and what would lead out of the folder.

use crate::Refusal;

/// The most patterns in one list.
pub const PATTERNS_MAX: usize = 256;
const PATTERN_BYTES_MAX: usize = 512;
const BRACES_MAX: usize = 8;

/// Fails with `pattern_invalid`, which says what is wrong.
pub fn check(pattern: &str) -> Result<(), Refusal> {
    let fails = |why| Err(Refusal::PatternInvalid { why });
    if pattern.trim().is_empty() {
        return fails("it is empty");
    }
    if pattern.len() > PATTERN_BYTES_MAX {
        return fails("it is longer than 512 bytes");
    }
    if pattern.chars().any(char::is_control) {
        return fails("it has a control character");
    }
    if pattern.starts_with('!') {
        return fails("it begins with !, and a pattern takes nothing back");
    }
    if pattern.split('/').any(|part| part == "..") {
        return fails("it has .. as a name");
    }
    match syntax(pattern) {
        None => Ok(()),
        Some(why) => fails(why),
    }
}

/// A list of patterns. Fails with `pattern_invalid` for the first bad one, or for too many.
pub fn check_all(patterns: &[String]) -> Result<(), Refusal> {
    if patterns.len() > PATTERNS_MAX {
        return Err(Refusal::PatternInvalid { why: "there are more than 256 of them" });
    }
    patterns.iter().try_for_each(|pattern| check(pattern))
}

/// What of the syntax is wrong: escapes, classes, alternatives.
fn syntax(pattern: &str) -> Option<&'static str> {
    let mut letters = pattern.chars();
    let (mut open, mut braces) = (false, 0);
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.next().is_none() => return Some("it ends in a backslash"),
            '[' => {
                if let Some(why) = class(&mut letters) {
                    return Some(why);
                }
            }
            '{' if open => return Some("it has a { within a {"),
            '{' => {
                (open, braces) = (true, braces + 1);
                if braces > BRACES_MAX {
                    return Some("it has more than 8 alternatives in braces");
                }
            }
            '}' if !open => return Some("it has a } without a {"),
            '}' => open = false,
            _ => {}
        }
    }
    open.then_some("it has a { without a }")
}

/// The rest of a class, up to its `]`, which may be the first of its letters.
fn class(letters: &mut std::str::Chars<'_>) -> Option<&'static str> {
    const UNENDED: Option<&str> = Some("it has a [ without a ]");
    let mut first = letters.next();
    if matches!(first, Some('!' | '^')) {
        first = letters.next();
    }
    let mut before = match first {
        None | Some('/') => return UNENDED,
        Some(letter) => letter,
    };
    let mut ranges = false;
    loop {
        match letters.next() {
            None | Some('/') => return UNENDED,
            Some(']') => return None,
            Some('-') if !ranges => ranges = true,
            Some(letter) if ranges && letter < before => return Some("it has a range that ends before it begins"),
            Some(letter) => (before, ranges) = (letter, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_patterns_are_taken_and_bad_ones_say_why() {
        for good in ["*.tmp", "/cache/", "**/node_modules", "[a-z]*", "[]x]", "[!a]", "a{b,c}d", r"\[", "[a-]", "été/*"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let bad = [
            ("", "it is empty"),
            ("  ", "it is empty"),
            ("a\nb", "it has a control character"),
            ("a\0", "it has a control character"),
            ("!a", "it begins with !, and a pattern takes nothing back"),
            ("../a", "it has .. as a name"),
            ("a/../b", "it has .. as a name"),
            (r"a\", "it ends in a backslash"),
            ("[a", "it has a [ without a ]"),
            ("[", "it has a [ without a ]"),
            ("[a/b]", "it has a [ without a ]"),
            ("[z-a]", "it has a range that ends before it begins"),
            ("{a", "it has a { without a }"),
            ("a}", "it has a } without a {"),
            ("{a{b}}", "it has a { within a {"),
        ];
        for (pattern, why) in bad {
            assert_eq!(check(pattern), Err(Refusal::PatternInvalid { why }), "{pattern}");
        }
        assert!(check(&"a".repeat(513)).is_err() && check(&"{a}".repeat(9)).is_err());
        assert!(check_all(&vec!["a".to_owned(); 257]).is_err());
    }
}
