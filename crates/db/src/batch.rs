//! Many keys in one statement: they are bound as one byte string, and SQL cuts it at a fixed width.
//! Refuses widths that do not divide; the statements themselves stand with their tables.
//!
//! The answer comes back as one text, numbers with spaces between them: a row for each key would cost ten times more.
//!
//! A statement that does so begins with `with recursive n (i) as (select 0 union all …)` and finds the i-th key as
//! `substr($2, i * 32 + 1, 32)`. A number stands in 12 decimal digits, because SQL makes a number of those alone.

use crate::sql::Row;

use crate::DbError;
use crate::error::failed;

/// How many decimal digits a number takes in a batch. Lengths and places stay below 10^12.
const DIGITS: usize = 12;

/// The numbers as `DIGITS` decimal digits each. Panics on one that does not fit: lengths of chunks and places in
/// packs never do.
pub(crate) fn digits(numbers: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut text = Vec::with_capacity(numbers.size_hint().0 * DIGITS);
    for number in numbers {
        let mut rest = number;
        let mut field = [b'0'; DIGITS];
        for digit in field.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        assert!(rest == 0, "{number} has more than {DIGITS} digits: no length and no place of a chunk has");
        text.extend_from_slice(&field);
    }
    text
}

/// The keys back to back.
pub(crate) fn concat<'a, const N: usize>(keys: impl ExactSizeIterator<Item = &'a [u8; N]>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(keys.len() * N);
    keys.for_each(|key| bytes.extend_from_slice(key));
    bytes
}

/// The answer of a statement that gives one text: its numbers, `N` for each thing found.
pub(crate) fn numbers<const N: usize>(row: &Row) -> Result<Vec<[i64; N]>, DbError> {
    let wrong = || DbError::Column { column: "found", what: "the lists of numbers" };
    let text: Option<&str> = row.try_get("found").map_err(failed("read what was found"))?;
    let mut parsed = text.unwrap_or("").split_ascii_whitespace().map(str::parse);
    let mut found = Vec::new();
    while let Some(first) = parsed.next() {
        let mut group = [first.map_err(|_| wrong())?; N];
        for number in &mut group[1..] {
            *number = parsed.next().ok_or_else(wrong)?.map_err(|_| wrong())?;
        }
        found.push(group);
    }
    Ok(found)
}

/// The answer of a statement that gives one text of places in a list, from 0.
pub(crate) fn positions(row: &Row) -> Result<Vec<u32>, DbError> {
    numbers::<1>(row)?.into_iter().map(|[position]| narrow(position)).collect()
}

/// A number of 32 bits.
pub(crate) fn narrow(number: i64) -> Result<u32, DbError> {
    u32::try_from(number).map_err(|_| DbError::Column { column: "found", what: "the numbers of 32 bits" })
}
