//! The evidence of a campaign as CSV: one line a device, in pages, so that a large one streams.
//! Refuses to let a text be a formula: what a spreadsheet would compute begins with an apostrophe.

use super::BoardEntry;
use crate::csv::line;
use base::{Bytes, Timestamp};

/// The first line, with its end.
pub const CSV_HEADER: &str = "device,name,user,place,reason,note,wave,dry_run,reset_at_ms,back_at_ms,proof,bytes_read,\
                              bytes_sent,bytes_covered,flagged,first_good,first_good_at_ms\r\n";

/// One device as a line, with its end. Times are milliseconds since 1970; what is not known is empty. Never fails.
pub fn csv_line(entry: &BoardEntry) -> String {
    let time = |at: Option<Timestamp>| at.map_or(String::new(), |at| at.as_ms().to_string());
    let bytes = |bytes: Option<Bytes>| bytes.map_or(String::new(), |bytes| bytes.0.to_string());
    line(&[
        entry.device.to_string(),
        entry.name.clone(),
        entry.email.clone(),
        entry.place.word().to_owned(),
        entry.reason.word().to_owned(),
        entry.note.clone(),
        entry.wave.to_string(),
        entry.class.word().to_owned(),
        time(entry.reset_at),
        time(entry.back_at),
        entry.proof.clone().unwrap_or_default(),
        bytes(entry.bytes_read),
        bytes(entry.bytes_sent),
        bytes(entry.bytes_covered),
        if entry.flagged { "yes" } else { "no" }.to_owned(),
        entry.first_good.map_or(String::new(), |snapshot| snapshot.to_string()),
        time(entry.first_good_at),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::DeviceId;
    use control::campaign::{Class, Place, Reason};

    #[test]
    fn a_cell_is_never_a_formula_and_never_breaks_its_line() {
        let device = DeviceId::from_bytes([1; 16]);
        for (text, expected) in [
            ("anna-laptop", "anna-laptop"),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@x", "\"'@x\""),
            ("\t=1", "\"'\t=1\""),
            ("a,b", "\"a,b\""),
            ("say \"x\"\n", "\"say \"\"x\"\"\n\""),
            ("=1,2", "\"'=1,2\""),
            ("", ""),
        ] {
            let entry = BoardEntry {
                device,
                name: text.to_owned(),
                email: text.to_owned(),
                place: Place::Done,
                reason: Reason::CameBack,
                note: text.to_owned(),
                wave: 3,
                class: Class::Automatic,
                seen_at: None,
                reset_at: Some(Timestamp::from_ms(5)),
                back_at: None,
                proof: Some(text.to_owned()),
                bytes_read: None,
                bytes_sent: Some(Bytes(7)),
                bytes_covered: None,
                flagged: false,
                first_good: None,
                first_good_at: None,
            };
            let (place, reason, class) = (Place::Done.word(), Reason::CameBack.word(), Class::Automatic.word());
            let line = format!(
                "{device},{expected},{expected},{place},{reason},{expected},3,{class},5,,{expected},,7,,no,,\r\n"
            );
            assert_eq!(csv_line(&entry), line, "{text:?}");
        }
    }
}
