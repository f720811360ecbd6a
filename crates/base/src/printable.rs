//! Text of others as a terminal may show it. Refuses to pass on what a terminal would obey.

/// The text without characters that a terminal would obey, or that turn the direction of the text after them: they are
/// shown as escapes. Never fails.
pub fn printable(text: &str) -> String {
    let turns = |letter| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() || turns(letter) {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_or_turn_the_text_is_shown_as_an_escape() {
        assert_eq!(printable("Ähre/漢 a"), "Ähre/漢 a");
        assert_eq!(printable("\u{1b}[2Ja\nb\u{9b}"), "\\u{1b}[2Ja\\nb\\u{9b}");
        assert_eq!(printable("invoice\u{202e}fdp.exe"), "invoice\\u{202e}fdp.exe");
        assert_eq!(printable("\u{2067}a\u{2069}\u{200f}"), "\\u{2067}a\\u{2069}\\u{200f}");
    }
}
