//! Pages of lists: how many are asked for, after which, and the opaque text that says where the next page begins.
//! Refuses offsets: a page begins after a key, so that nothing is left out or shown twice while rows come and go.

use crate::AppError;
use control::Refusal;
use data_encoding::BASE64URL_NOPAD;

/// The most items on one page.
pub const LIMIT_MAX: u32 = 1_000;
/// Items on a page when nobody says how many.
pub const LIMIT: u32 = 100;
/// A cursor's text is never longer.
const CURSOR_TEXT_MAX: usize = 1_024;
/// The first byte of every cursor: another form gets another one.
const CURSOR_VERSION: u8 = 1;

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageAsk {
    after: Option<String>,
    limit: u32,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins; None on the last.
    pub next: Option<String>,
}

impl PageAsk {
    /// The page after `after` (the `next` of the page before) with at most `limit` items.
    ///
    /// # Errors
    /// `request_malformed`: a limit that is not from 1 to 1,000, a text that is no cursor.
    pub fn new(after: Option<String>, limit: Option<u64>) -> Result<Self, AppError> {
        let limit = limit.map_or(Ok(LIMIT), |limit| match u32::try_from(limit) {
            Ok(limit @ 1..=LIMIT_MAX) => Ok(limit),
            Ok(_) | Err(_) => Err(malformed("`limit` is a number from 1 to 1000.")),
        })?;
        Ok(Self { after, limit })
    }

    /// The first page, as long as a page may be. Never fails.
    pub const fn first() -> Self {
        Self { after: None, limit: LIMIT_MAX }
    }

    /// How many rows to read: one more than fit, which says whether there is a next page. Never fails.
    pub const fn rows(&self) -> u32 {
        self.limit + 1
    }

    /// The `N` parts of the key after which this page begins; `None` at the beginning of the list.
    ///
    /// # Errors
    /// `request_malformed`: a cursor of another list, or none.
    pub fn key<const N: usize>(&self) -> Result<Option<[Vec<u8>; N]>, AppError> {
        let Some(text) = &self.after else { return Ok(None) };
        let wrong = || malformed("`after` must be the `next` of the page before.");
        let parts = decode(text).and_then(|parts| parts.try_into().ok()).ok_or_else(wrong)?;
        Ok(Some(parts))
    }

    /// The page that these rows make; `key` gives the parts of a row's key. Never fails.
    pub fn page<R, T, const N: usize>(
        &self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> [Vec<u8>; N],
        view: impl FnMut(R) -> T,
    ) -> Page<T> {
        let more = rows.len() > self.limit as usize;
        rows.truncate(self.limit as usize);
        let next = rows.last().filter(|_| more).map(|row| encode(&key(row)));
        Page { items: rows.into_iter().map(view).collect(), next }
    }
}

/// A part of a key that must have this form.
///
/// # Errors
/// `request_malformed`.
pub fn part<T>(parsed: Option<T>) -> Result<T, AppError> {
    parsed.ok_or_else(|| malformed("`after` must be the `next` of the page before."))
}

fn encode(parts: &[Vec<u8>]) -> String {
    let mut bytes = vec![CURSOR_VERSION];
    for part in parts {
        let len = u16::try_from(part.len()).expect("the parts of keys are names, addresses and numbers: all short");
        bytes.extend(len.to_le_bytes());
        bytes.extend(part);
    }
    BASE64URL_NOPAD.encode(&bytes)
}

fn decode(text: &str) -> Option<Vec<Vec<u8>>> {
    if text.len() > CURSOR_TEXT_MAX {
        return None;
    }
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let mut rest = bytes.strip_prefix(&[CURSOR_VERSION])?;
    let mut parts = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<2>() {
        let (part, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        parts.push(part.to_vec());
        rest = after;
    }
    rest.is_empty().then_some(parts)
}

fn malformed(sentence: &str) -> AppError {
    AppError::invalid(Refusal::RequestMalformed.code(), sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(after: Option<String>, limit: u64) -> Result<PageAsk, AppError> {
        PageAsk::new(after, Some(limit))
    }

    #[test]
    fn pages_follow_each_other_without_a_gap_and_end() {
        let all: Vec<u8> = (1..=7).collect();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let ask = ask(after, 3).expect("a good page");
            let from = ask.key::<1>().expect("our own cursor").map_or(0, |[key]| key[0]);
            let rows = all.iter().copied().filter(|n| *n > from).take(ask.rows() as usize).collect();
            let page = ask.page(rows, |n| [vec![*n]], |n| n);
            assert!(page.items.len() <= 3);
            seen.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_page_that_is_just_full_is_the_last() {
        let page = ask(None, 3).expect("a good page").page(vec![1, 2, 3], |n| [vec![*n]], |n| n);
        assert_eq!((page.items, page.next), (vec![1, 2, 3], None));
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for limit in [0, 1_001, u64::MAX] {
            assert_eq!(ask(None, limit).expect_err("no limit").code(), "request_malformed");
        }
        let two = encode(&[vec![1], vec![2, 3]]);
        let key = |text: &str| ask(Some(text.to_owned()), 1).expect("a text").key::<2>();
        assert_eq!(key(&two).expect("our own"), Some([vec![1], vec![2, 3]]));
        let one = encode(&[vec![1]]);
        for text in ["", "!", "AA", &two[..two.len() - 2], &one, &"A".repeat(2_000)] {
            assert_eq!(key(text).expect_err(text).code(), "request_malformed", "{text}");
        }
    }
}
