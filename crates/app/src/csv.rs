//! Tables as text with commas (RFC 4180), for spreadsheets. Refuses formulas: a cell that a spreadsheet would compute
//! is marked as text.

use control::device_map::neutral;

/// One line with these cells and its end. Never fails.
pub fn line<C: AsRef<str>>(cells: &[C]) -> String {
    let cells: Vec<String> = cells.iter().map(|text| cell(text.as_ref())).collect();
    cells.join(",") + "\r\n"
}

fn cell(text: &str) -> String {
    let safe = neutral(text);
    let quoted = safe != text || text.contains(['"', ',', '\n', '\r']) || text != text.trim();
    if quoted { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_comes_back_as_text_and_nothing_is_computed() {
        for (text, written) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            (" space", "\" space\""),
            ("=1+2", "\"'=1+2\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("-3", "\"'-3\""),
            ("+cmd|' /C calc'!A0", "\"'+cmd|' /C calc'!A0\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("+1", "\"'+1\""),
            ("=1,2", "\"'=1,2\""),
            ("say \"x\"\n", "\"say \"\"x\"\"\n\""),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
        ] {
            assert_eq!(line(&[text]), format!("{written}\r\n"), "{text:?}");
        }
        assert_eq!(line(&["a", "b"]), "a,b\r\n");
    }
}
