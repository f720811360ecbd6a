//! How requests and answers look as bytes, where they are not plain JSON messages: refs, bitmaps, places.
//! Refuses answers of another length than the question asks for.

use super::http::Call;
use base::Span;
use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long an exchange of a few kilobytes may take.
const SMALL_SPAN: Span = Span::seconds(60);
/// What a slow line sends in one millisecond, at least: 16 bytes, which is 128 kbit/s.
const LINE_BYTES_PER_MS: u64 = 16;
const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";

/// `GET path`. Never fails.
pub(super) fn get(path: impl Into<String>) -> Call {
    Call { method: Method::GET, path: path.into(), body: Bytes::new(), content: JSON, span: SMALL_SPAN }
}

/// `POST path` with a message. Never fails.
pub(super) fn post(path: impl Into<String>, message: &impl Serialize) -> Call {
    let body = serde_json::to_vec(message).expect("messages are structs of texts and numbers").into();
    Call { method: Method::POST, path: path.into(), body, content: JSON, span: SMALL_SPAN }
}

/// `PATCH path` with a message. Never fails.
pub(super) fn patch(path: impl Into<String>, message: &impl Serialize) -> Call {
    Call { method: Method::PATCH, ..post(path, message) }
}

/// `DELETE path`. Never fails.
pub(super) fn delete(path: impl Into<String>) -> Call {
    Call { method: Method::DELETE, ..get(path) }
}

/// `POST path` with nothing. Never fails.
pub(super) fn post_nothing(path: impl Into<String>) -> Call {
    Call { method: Method::POST, ..get(path) }
}

/// `POST path` with bytes; the time it may take grows with them. Never fails.
pub(super) fn post_bytes(path: impl Into<String>, body: Bytes) -> Call {
    let span = Span::ms(SMALL_SPAN.as_ms() + body.len() as u64 / LINE_BYTES_PER_MS);
    Call { method: Method::POST, path: path.into(), body, content: OCTETS, span }
}

/// `PUT path` with bytes; the time it may take grows with them. Never fails.
pub(super) fn put_bytes(path: impl Into<String>, body: Bytes) -> Call {
    Call { method: Method::PUT, ..post_bytes(path, body) }
}

/// The message in these bytes; `None` when they are not one. Never fails otherwise.
pub(super) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

/// Names of 32 bytes, back to back. Never fails.
pub(super) fn names<'a>(names: impl ExactSizeIterator<Item = &'a [u8; 32]>) -> Bytes {
    let mut bytes = Vec::with_capacity(names.len() * 32);
    names.for_each(|name| bytes.extend_from_slice(name));
    bytes.into()
}

/// The first `count` bits of a bitmap, the low bit of each byte first; `None` when the bytes are too few or too many,
/// or a bit beyond the last is set. Never fails otherwise.
pub(super) fn bits(bytes: &[u8], count: usize) -> Option<Vec<bool>> {
    let bit = |n: usize| bytes[n / 8] >> (n % 8) & 1 == 1;
    if bytes.len() != count.div_ceil(8) || (count..bytes.len() * 8).any(bit) {
        return None;
    }
    Some((0..count).map(bit).collect())
}

/// `count` places of 8 bytes, little-endian, all ones meaning none; `None` when the bytes are too few or too many.
/// Never fails otherwise.
pub(super) fn places(bytes: &[u8], count: usize) -> Option<Vec<Option<u64>>> {
    let (places, rest) = bytes.as_chunks::<8>();
    if places.len() != count || !rest.is_empty() {
        return None;
    }
    let place = |bytes: &[u8; 8]| Some(u64::from_le_bytes(*bytes)).filter(|place| *place != u64::MAX);
    Some(places.iter().map(place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_has_its_length_and_nothing_beyond() {
        assert_eq!(bits(&[], 0), Some(vec![]));
        assert_eq!(bits(&[0b101], 3), Some(vec![true, false, true]));
        assert_eq!(bits(&[0, 1], 9).map(|bits| bits[8]), Some(true));
        for (bytes, count) in [(&[][..], 1), (&[0, 0][..], 8), (&[0b1000][..], 3), (&[0][..], 0)] {
            assert_eq!(bits(bytes, count), None, "{bytes:?} for {count}");
        }
    }

    #[test]
    fn places_are_eight_bytes_each_and_all_ones_is_none() {
        let bytes = [7u64.to_le_bytes(), u64::MAX.to_le_bytes()].concat();
        assert_eq!(places(&bytes, 2), Some(vec![Some(7), None]));
        assert_eq!(places(&bytes, 1), None);
        assert_eq!(places(&bytes[..15], 2), None);
    }
}
