//! The evidence of a campaign as CSV: one line a device, in pages, so that a large one streams.
//! Refuses to let a text be a formula: what a spreadsheet would compute begins with an apostrophe.

use super::BoardEntry;
use base::{Bytes, Timestamp};

/// The first line, with its end.
pub const CSV_HEADER: &str = "device,name,user,place,reason,note,wave,dry_run,reset_at_ms,back_at_ms,proof,bytes_read,\
                              bytes_sent,bytes_covered,flagged,first_good,first_good_at_ms\r\n";

/// One device as a line, with its end. Times are milliseconds since 1970; what is not known is empty. Never fails.
pub fn csv_line(entry: &BoardEntry) -> String {
    let time = |at: Option<Timestamp>| at.map_or(String::new(), |at| at.as_ms().to_string());
    let bytes = |bytes: Option<Bytes>| bytes.map_or(String::new(), |bytes| bytes.0.to_string());
    let fields = [
        entry.device.to_string(),
        cell(&entry.name),
        cell(&entry.email),
        entry.place.word().to_owned(),
        entry.reason.word().to_owned(),
        cell(&entry.note),
        entry.wave.to_string(),
        entry.class.word().to_owned(),
        time(entry.reset_at),
        time(entry.back_at),
        cell(entry.proof.as_deref().unwrap_or_default()),
        bytes(entry.bytes_read),
        bytes(entry.bytes_sent),
        bytes(entry.bytes_covered),
        if entry.flagged { "yes" } else { "no" }.to_owned(),
        entry.first_good.map_or(String::new(), |snapshot| snapshot.to_string()),
        time(entry.first_good_at),
    ];
    format!("{}\r\n", fields.join(","))
}

/// A text as a cell that no spreadsheet computes, in quotes where it has to be.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_never_breaks_its_line() {
        for (text, expected) in [
            ("anna-laptop", "anna-laptop"),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\t=1", "'\t=1"),
            ("a,b", "\"a,b\""),
            ("say \"x\"\n", "\"say \"\"x\"\"\n\""),
            ("=1,2", "\"'=1,2\""),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }
}
