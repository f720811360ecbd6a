//! Rows of the device map out of bytes as they arrive, and back as CSV. Refuses to hold more of a row than a row may
//! be: one that is longer is passed over to its end, and rejected.

use super::{Given, Rejected, RowText};
use crate::AppError;
use control::Refusal;
use control::device_map::{ROWS_MAX, neutral};
use csv_core::ReadRecordResult;
use std::borrow::Cow;

/// The names of columns, in the order in which they are written.
const COLUMNS: [&str; 6] = ["email", "device_id", "device_id_type", "device_name", "replace_device", "restore_data"];
/// The column that a file with rejected rows has besides; it may come back.
const ERROR_COLUMN: &str = "error";
/// The longest row: every column at its longest, and some room for the error.
const ROW_BYTES_MAX: usize = 8 << 10;
/// The most columns of a row that are looked at.
const FIELDS_MAX: usize = 32;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// What a file in UTF-16 begins with, in either order.
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
const TOO_LONG: &str = "The row is longer than a row may be.";
const NOT_UTF_8: &str = "The row is not in UTF-8.";
const TOO_WIDE: &str = "The row has more columns than the line of names.";
const CUT: &str = "The file ends in the middle of this row.";
const OPEN: &str = "A quotation mark of this row is never closed.";
const FILE_NOT_UTF_8: &str = "The file is not in UTF-8: save it as \"CSV UTF-8\".";

/// Reads rows out of pieces of a file.
pub(super) struct Rows {
    core: csv_core::Reader,
    text: Vec<u8>,
    text_len: usize,
    ends: Vec<usize>,
    ends_len: usize,
    is_too_long: bool,
    /// Which column of ours each column of the file is; `None` before the line of names.
    columns: Option<Vec<Option<usize>>>,
    number: u64,
    began: bool,
    ending: Ending,
}

/// What ends the row that is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// A line break of the file.
    Line,
    /// The end of the file.
    File,
    /// The end of the file, in the middle of quotation marks.
    Quote,
}

impl Rows {
    /// Before the first byte. Never fails.
    pub fn new() -> Self {
        Self {
            core: csv_core::Reader::new(),
            text: vec![0; ROW_BYTES_MAX],
            text_len: 0,
            ends: vec![0; FIELDS_MAX],
            ends_len: 0,
            is_too_long: false,
            columns: None,
            number: 0,
            began: false,
            ending: Ending::Line,
        }
    }

    /// Takes a piece in, and adds the rows that are whole now.
    ///
    /// # Errors
    /// `csv_invalid`, `request_too_large`.
    pub fn push(&mut self, piece: &[u8], rows: &mut Vec<Given>) -> Result<(), AppError> {
        let mut input = piece;
        if !self.began {
            if UTF_16_MARKS.iter().any(|mark| piece.starts_with(mark)) {
                return Err(invalid(FILE_NOT_UTF_8));
            }
            // A mark that is cut in two is not looked for: no sender cuts so short.
            input = input.strip_prefix(BYTE_ORDER_MARK).unwrap_or(input);
            self.began = !piece.is_empty();
        }
        while !input.is_empty() {
            input = self.step(input, rows)?.0;
        }
        Ok(())
    }

    /// The file has ended: adds the last row.
    ///
    /// # Errors
    /// `csv_invalid` for a file without a line of names; `request_too_large`.
    pub fn finish(&mut self, rows: &mut Vec<Given>) -> Result<(), AppError> {
        // A line break ends the last row, unless it is within quotation marks …
        self.ending = Ending::File;
        let mut input: &[u8] = b"\n";
        while !input.is_empty() {
            input = self.step(input, rows)?.0;
        }
        // … and then only the end does, which is an empty input for `csv_core`.
        self.ending = Ending::Quote;
        while !self.step(&[], rows)?.1 {}
        if self.columns.is_none() { Err(invalid("The file has no line of names.")) } else { Ok(()) }
    }

    /// What is left of the input, and whether the file has ended.
    fn step<'a>(&mut self, input: &'a [u8], rows: &mut Vec<Given>) -> Result<(&'a [u8], bool), AppError> {
        let (text, ends) = (&mut self.text[self.text_len..], &mut self.ends[self.ends_len..]);
        let (result, read, written, ended) = self.core.read_record(input, text, ends);
        self.text_len += written;
        self.ends_len += ended;
        match result {
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                self.is_too_long = true;
                (self.text_len, self.ends_len) = (0, 0);
            }
            ReadRecordResult::Record => self.record(rows)?,
            ReadRecordResult::End => return Ok((&[], true)),
        }
        Ok((&input[read..], false))
    }

    fn record(&mut self, rows: &mut Vec<Given>) -> Result<(), AppError> {
        let is_too_long = std::mem::take(&mut self.is_too_long);
        let (fields, is_text) = if is_too_long { (Vec::new(), true) } else { self.fields() };
        (self.text_len, self.ends_len) = (0, 0);
        let Some(columns) = &self.columns else {
            if !is_text || fields.iter().any(|name| name.contains('\0')) {
                return Err(invalid(FILE_NOT_UTF_8));
            }
            if self.ending == Ending::Quote {
                return Err(invalid("A quotation mark of the line of names is never closed."));
            }
            self.columns = Some(columns(&fields)?);
            return Ok(());
        };
        self.number += 1;
        if self.number > ROWS_MAX.0 {
            return Err(Refusal::RequestTooLarge.into());
        }
        let error = match self.ending {
            Ending::Quote => Some(OPEN),
            _ if is_too_long => Some(TOO_LONG),
            // Some programs leave out the empty columns at the end of a line, but not in half a file.
            Ending::File if fields.len() < columns.len() => Some(CUT),
            _ if !is_text => Some(NOT_UTF_8),
            _ if fields.iter().skip(columns.len()).any(|field| !field.is_empty()) => Some(TOO_WIDE),
            Ending::Line | Ending::File => None,
        };
        rows.push(Given { number: self.number, row: row(columns, &fields), error });
        Ok(())
    }

    /// The columns of the row, and whether all of them are text; what is not has U+FFFD in its place.
    fn fields(&self) -> (Vec<String>, bool) {
        let (mut from, mut is_text) = (0, true);
        let field = |&to: &usize| {
            let field = String::from_utf8_lossy(&self.text[from..to]);
            is_text &= matches!(field, Cow::Borrowed(_));
            from = to;
            field.trim().to_owned()
        };
        (self.ends[..self.ends_len].iter().map(field).collect(), is_text)
    }
}

/// The rejected rows as CSV.
pub(super) fn write(rejected: &[Rejected]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = COLUMNS.into_iter().chain([ERROR_COLUMN]).map(str::to_owned);
    let cells = |Rejected { row, error, .. }: &Rejected| {
        let RowText { email, device_id, device_id_type, device_name, replace_device, restore_data } = row;
        [email, device_id, device_id_type, device_name, replace_device, restore_data, error].map(|cell| neutral(cell))
    };
    writer.write_record(names).expect("memory takes every record");
    for row in rejected {
        writer.write_record(cells(row)).expect("memory takes every record, and all are equally long");
    }
    writer.into_inner().expect("memory can be flushed")
}

/// Which column of ours each name is.
fn columns(names: &[String]) -> Result<Vec<Option<usize>>, AppError> {
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let name = name.to_lowercase();
        let found = COLUMNS.iter().position(|column| *column == name);
        if found.is_none() && name != ERROR_COLUMN {
            return Err(invalid(&format!("There is no column \"{}\".", name.escape_debug())));
        }
        if found.is_some() && columns.contains(&found) {
            return Err(invalid(&format!("The column \"{}\" is there twice.", name.escape_debug())));
        }
        columns.push(found);
    }
    match (0..3).find(|needed| !columns.contains(&Some(*needed))) {
        Some(missing) => Err(invalid(&format!("The column \"{}\" is missing.", COLUMNS[missing]))),
        None => Ok(columns),
    }
}

fn row(columns: &[Option<usize>], fields: &[String]) -> RowText {
    let text = |wanted: usize| {
        let at = columns.iter().position(|column| *column == Some(wanted));
        at.and_then(|at| fields.get(at)).cloned().unwrap_or_default()
    };
    RowText {
        email: text(0),
        device_id: text(1),
        device_id_type: text(2),
        device_name: text(3),
        replace_device: text(4),
        restore_data: text(5),
    }
}

fn invalid(sentence: &str) -> AppError {
    AppError::invalid("csv_invalid", sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "email,device_id,device_id_type,restore_data\n";

    type Row = Result<RowText, &'static str>;

    fn read(text: &[u8], piece: usize) -> Result<Vec<Row>, AppError> {
        let (mut rows, mut given) = (Rows::new(), Vec::new());
        for piece in text.chunks(piece) {
            rows.push(piece, &mut given)?;
        }
        rows.finish(&mut given)?;
        Ok(given.into_iter().map(|given| given.error.map_or(Ok(given.row), Err)).collect())
    }

    fn row_of(email: &str, restore: &str) -> RowText {
        let text = str::to_owned;
        RowText {
            email: text(email),
            device_id: text("S1"),
            device_id_type: text("serial"),
            restore_data: text(restore),
            ..RowText::default()
        }
    }

    #[test]
    fn rows_are_the_same_in_whatever_pieces_they_come() {
        let text = format!("\u{feff}{HEAD}a@x, S1 ,serial,all\r\n\"b@x\",S1,serial\n\nc@x,S1,serial,");
        let expected = vec![Ok(row_of("a@x", "all")), Ok(row_of("b@x", "")), Ok(row_of("c@x", ""))];
        for piece in [3, 7, 64, 1_000] {
            assert_eq!(read(text.as_bytes(), piece).expect("a good file"), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn a_row_of_ten_megabytes_is_passed_over_in_little_memory() {
        let mut text = HEAD.as_bytes().to_vec();
        text.extend(vec![b'x'; 10 << 20]);
        text.extend(b"\na@x,S1,serial,\n");
        text.extend(vec![b','; 1_000]);
        text.extend(b"\na@x,S1,serial,");
        let rows = read(&text, 1 << 16).expect("a good line of names");
        assert_eq!(rows, [Err(TOO_LONG), Ok(row_of("a@x", "")), Err(TOO_LONG), Ok(row_of("a@x", ""))]);
    }

    #[test]
    fn a_line_of_names_says_what_is_missing_strange_or_twice() {
        for (head, said) in [
            ("", "no line of names"),
            ("email,device_id", "\"device_id_type\" is missing"),
            ("email,device_id,device_id_type,colour", "no column \"colour\""),
            ("email,email,device_id,device_id_type", "\"email\" is there twice"),
        ] {
            let error = read(head.as_bytes(), 10).expect_err("a bad line of names");
            assert!(error.code() == "csv_invalid" && error.to_string().contains(said), "{head}: {error}");
        }
    }

    /// The errors of the rows after a line of names; empty for a good row.
    fn errors(rows: &[u8]) -> Vec<&'static str> {
        let text = [HEAD.as_bytes(), rows].concat();
        let all = [1, 5, 4_096].map(|piece| read(&text, piece).expect("a good line of names"));
        assert!(all.iter().all(|rows| *rows == all[0]), "in whatever pieces: {all:?}");
        all[0].iter().map(|row| row.as_ref().err().copied().unwrap_or_default()).collect()
    }

    #[test]
    fn a_file_that_ends_in_the_middle_says_so_at_its_last_row_wherever_it_was_cut() {
        let whole = "a@x,S1,serial,all\nb@x,S\u{e9}2,serial,\"da\u{e9}ta\"\n".as_bytes();
        assert_eq!(errors(whole), ["", ""]);
        assert_eq!(errors(&whole[..whole.len() - 1]), ["", ""], "a last line without its end is a line");
        let second = b"a@x,S1,serial,all\n".len();
        for end in second + 1..whole.len() - 1 {
            let rest = &whole[second..end];
            let quotes = rest.iter().filter(|byte| **byte == b'"').count();
            let commas = rest.iter().filter(|byte| **byte == b',').count();
            let expected = match (quotes, commas) {
                (1, _) => OPEN,
                (_, 0..3) => CUT,
                // Nothing tells an empty last column from one that was cut off before it began.
                (..) => "",
            };
            assert_eq!(errors(&whole[..end]), ["", expected], "{}", String::from_utf8_lossy(rest));
        }
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_takes_the_rest_with_it_and_nothing_of_that_is_stored() {
        assert_eq!(errors(b"a@x,S1,serial,\"all\nb@x,S2,serial,all\nc@x,S3,serial,all\n"), [OPEN]);
        let mut long = b"a@x,S1,serial,\"".to_vec();
        long.extend([b'x'; ROW_BYTES_MAX + 1]);
        assert_eq!(errors(&long), [OPEN]);
        assert_eq!(errors(b"a@x,S1,serial,\"all\"\n"), [""]);
    }

    #[test]
    fn every_end_of_a_line_is_one_and_what_is_not_text_is_not_guessed() {
        for end in ["\n", "\r\n", "\r"] {
            let rows = ["a@x,S1,serial,all", "", "b@x,S2,serial", "c@x,S3,serial,,"].join(end) + end;
            assert_eq!(errors(rows.as_bytes()), ["", "", ""], "{end:?}");
        }
        assert_eq!(errors(b"a@x,S\xff1,serial,all\nb@x,S\xc3,serial,all\n"), [NOT_UTF_8, NOT_UTF_8]);
        assert_eq!(errors(b"a@x,S1,serial,all,more\n"), [TOO_WIDE]);
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for file in
            [utf_16("\u{feff}email,device_id\n"), utf_16(HEAD), b"\xfe\xff\0e".to_vec(), b"caf\xe9,x\n".to_vec()]
        {
            let error = read(&file, 4_096).expect_err("not in UTF-8");
            assert!(error.code() == "csv_invalid" && error.to_string() == FILE_NOT_UTF_8, "{error}");
        }
    }

    #[test]
    fn rejected_rows_come_back_without_a_formula_and_can_be_sent_again() {
        let row = RowText { device_name: "=cmd|' /C calc'!A0".to_owned(), ..row_of("@a,\"b\"", "+1") };
        let bytes = write(&[Rejected { number: 1, row, error: "No.".to_owned() }]);
        let text = String::from_utf8(bytes.clone()).expect("text");
        assert_eq!(
            text,
            "email,device_id,device_id_type,device_name,replace_device,restore_data,error\n\
             \"'@a,\"\"b\"\"\",S1,serial,'=cmd|' /C calc'!A0,,'+1,No.\n"
        );
        assert_eq!(read(&bytes, 10).expect("our own file").len(), 1);
    }
}
