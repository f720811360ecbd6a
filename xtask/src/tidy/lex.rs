//! Rust source as tokens, with as much grammar as the checks need: what is a comment, a literal, an identifier.
//! Refuses nothing: the compiler has read the file already. Never panics on text that is not Rust.

/// A piece of source. White space is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// As it stands in the file.
    pub text: &'a str,
    /// The line it begins on; the first is 1.
    pub line: usize,
}

/// The kinds of tokens that the checks tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or a keyword.
    Ident,
    /// A string, a character, a lifetime or a number.
    Literal,
    /// A comment of either form, with its marks.
    Comment,
    /// One character of punctuation.
    Punct,
}

impl Token<'_> {
    /// Whether it is this identifier, keyword or punctuation.
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Ident | Kind::Punct) && self.text == text
    }
}

/// The tokens of a file, in order.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(first) = source[at..].chars().next() {
        let rest = &source[at..];
        let (kind, len) = match first {
            _ if first.is_whitespace() => (None, first.len_utf8()),
            '/' if rest.starts_with("//") => (Some(Kind::Comment), rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (Some(Kind::Comment), block_comment(rest)),
            '"' => (Some(Kind::Literal), quoted(rest, '"')),
            '\'' => (Some(Kind::Literal), character_or_lifetime(rest)),
            'b' | 'c' | 'r' if prefixed_literal(rest).is_some() => {
                (Some(Kind::Literal), prefixed_literal(rest).unwrap_or(1))
            }
            _ if first.is_ascii_digit() => (Some(Kind::Literal), word(rest)),
            _ if first.is_alphabetic() || first == '_' => (Some(Kind::Ident), word(rest)),
            _ => (Some(Kind::Punct), first.len_utf8()),
        };
        let text = &rest[..len];
        tokens.extend(kind.map(|kind| Token { kind, text, line }));
        line += text.matches('\n').count();
        at += len;
    }
    tokens
}

/// The length of the letters, digits and underscores at the beginning.
fn word(rest: &str) -> usize {
    rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len())
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a literal between two of `quote`, with escapes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn character_or_lifetime(rest: &str) -> usize {
    let mut letters = rest.chars().skip(1);
    match (letters.next(), letters.next()) {
        (Some('\\'), _) => quoted(rest, '\''),
        (Some(letter), Some('\'')) => letter.len_utf8() + 2,
        _ => 1 + word(&rest[1..]),
    }
}

/// The length of `b'…'`, `b"…"`, `c"…"`, `r"…"`, `r#"…"#` and the like; None when it is an identifier.
fn prefixed_literal(rest: &str) -> Option<usize> {
    let prefix = word(rest);
    match (&rest[..prefix], &rest[prefix..]) {
        ("b" | "c", text) if text.starts_with('"') => Some(prefix + quoted(text, '"')),
        ("b", text) if text.starts_with('\'') => Some(prefix + quoted(text, '\'')),
        ("r" | "br" | "cr", text) => {
            let hashes = text.len() - text.trim_start_matches('#').len();
            let body = text[hashes..].strip_prefix('"')?;
            let end = format!("\"{}", "#".repeat(hashes));
            Some(body.find(&end).map_or(rest.len(), |at| prefix + hashes + 1 + at + end.len()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, wanted: &[(Kind, &str)]) {
        let found: Vec<_> = tokens(source).into_iter().map(|token| (token.kind, token.text)).collect();
        assert_eq!(found, wanted, "{source}");
    }

    #[test]
    fn comments_literals_and_identifiers_are_told_apart() {
        use Kind::{Comment, Ident, Literal, Punct};
        check("a // b\nc", &[(Ident, "a"), (Comment, "// b"), (Ident, "c")]);
        check("/* a /* b */ \" */ c", &[(Comment, "/* a /* b */ \" */"), (Ident, "c")]);
        check(r#""a \" // b" c"#, &[(Literal, r#""a \" // b""#), (Ident, "c")]);
        check(r###"r#"a " b"# c"###, &[(Literal, r###"r#"a " b"#"###), (Ident, "c")]);
        check(
            r#"br"\" b"a" b'\'' c"a""#,
            &[(Literal, r#"br"\""#), (Literal, r#"b"a""#), (Literal, r"b'\''"), (Literal, r#"c"a""#)],
        );
        check("'a' '\\'' 'é' '{'", &[(Literal, "'a'"), (Literal, "'\\''"), (Literal, "'é'"), (Literal, "'{'")]);
        check("<'a, 'static>", &[(Punct, "<"), (Literal, "'a"), (Punct, ","), (Literal, "'static"), (Punct, ">")]);
        check("1_000u64..b2", &[(Literal, "1_000u64"), (Punct, "."), (Punct, "."), (Ident, "b2")]);
        check("r#type bar crate", &[(Ident, "r"), (Punct, "#"), (Ident, "type"), (Ident, "bar"), (Ident, "crate")]);
    }

    #[test]
    fn lines_are_counted_through_everything() {
        let lines: Vec<_> = tokens("a\n\"b\n\"\n/* c\n*/ d").iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 2, 4, 5]);
    }

    #[test]
    fn what_has_no_end_ends_with_the_file() {
        for source in ["\"a", "r#\"a", "/* a", "'", "b'", "'\\", "é"] {
            assert_eq!(tokens(source).iter().map(|token| token.text.len()).sum::<usize>(), source.len(), "{source}");
        }
    }
}
