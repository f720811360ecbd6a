//! How a path, which is bytes, travels in JSON, which is text: UTF-8 as it stands, and `%XX` for the percent
//! sign, control characters and every byte that is not UTF-8. One path has one text.

use std::fmt::Write as _;

/// The text of a path. Never fails; `path_from_text` gives the same bytes back.
pub fn path_to_text(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for part in path.utf8_chunks() {
        for letter in part.valid().chars() {
            if letter == '%' || letter.is_ascii_control() {
                escape(&mut text, letter as u8);
            } else {
                text.push(letter);
            }
        }
        for byte in part.invalid() {
            escape(&mut text, *byte);
        }
    }
    text
}

/// The bytes of a path's text; `None` when a percent sign is not followed by two upper-case hexadecimal
/// digits, or the text is not the one that `path_to_text` gives for those bytes. Never fails otherwise.
pub fn path_from_text(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    (path_to_text(&bytes) == text).then_some(bytes)
}

fn escape(text: &mut String, byte: u8) {
    write!(text, "%{byte:02X}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn readable_names_stay_readable_and_odd_bytes_survive() {
        let cases: [(&[u8], &str); 5] = [
            (b"usr/share/doc", "usr/share/doc"),
            ("Bücher/été".as_bytes(), "Bücher/été"),
            (b"100%", "100%25"),
            (b"new\nline", "new%0Aline"),
            (b"latin1-\xe9", "latin1-%E9"),
        ];
        for (bytes, text) in cases {
            assert_eq!(path_to_text(bytes), text);
            assert_eq!(path_from_text(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn a_second_spelling_of_the_same_path_is_refused() {
        for text in ["%41", "%e9", "%", "%4", "%zz", "%+1"] {
            assert_eq!(path_from_text(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_path_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(path_from_text(&path_to_text(&bytes)), Some(bytes));
        }
    }
}
