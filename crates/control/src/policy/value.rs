//! A value of a policy, and its one text. Refuses, with what would be allowed, every text that the policy's row in
//! `key.rs` does not have; what is read prints as the canonical text, and that reads back as the same.

use super::key::{Key, Shape};
use super::pattern;
use super::{Hours, pattern::PATTERNS_MAX};
use crate::Refusal;
use base::{Bytes, Count, Span};
use std::fmt;

/// The longest text of a value.
pub const VALUE_BYTES_MAX: Bytes = Bytes::kib(16);
const LINE_BYTES_MAX: usize = 500;
const RATE_MIN: u64 = 16_000;
const RATE_MAX: u64 = 100_000_000_000;
const SIZE_MIN: u64 = 1_000;
const SIZE_MAX: u64 = 1_000_000_000_000_000_000;
const UNITS: [(&str, u64); 6] = [
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A value of a policy. Made by `Value::parse` only, so that it is one that its policy allows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A length of time; `None` is off.
    Interval(Option<Span>),
    /// Hours of a week.
    Hours(Hours),
    /// A limit on what is sent.
    Rate(Rate),
    /// One of the policy's words.
    Word(&'static str),
    /// Some of the policy's words, in the policy's order.
    Words(Vec<&'static str>),
    /// Yes or no.
    Flag(bool),
    /// A number; `None` is no limit.
    Number(Option<Count>),
    /// A number of bytes; `None` is no limit.
    Size(Option<Bytes>),
    /// Patterns.
    Patterns(Vec<String>),
    /// A line for a person; may be empty.
    Line(String),
}

/// A limit on what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rate {
    /// As fast as it goes.
    NoLimit,
    /// In each second.
    PerSecond(Bytes),
    /// A share of what was measured, 1 to 100.
    Percent(u8),
}

impl Value {
    /// The value of `key` that `text` says. Fails with `policy_value_invalid`, which names what is allowed.
    pub fn parse(key: Key, text: &str) -> Result<Value, Refusal> {
        let invalid = Refusal::PolicyValueInvalid { key: key.word(), allowed: key.allowed() };
        let controls = |c: char| c.is_control() && !(c == '\n' && key.shape() == Shape::Patterns);
        if Bytes::of(text.len()) > VALUE_BYTES_MAX || text.contains(controls) {
            return Err(invalid);
        }
        let read = match key.shape() {
            Shape::Interval { min, max } => interval(text, min, max).map(Value::Interval),
            Shape::Hours { none } => Hours::parse(text).filter(|hours| none || !hours.is_empty()).map(Value::Hours),
            Shape::Rate => rate(text).map(Value::Rate),
            Shape::Word(words) => words.iter().find(|word| **word == text).map(|word| Value::Word(word)),
            Shape::Words(words) => some_of(words, text).map(Value::Words),
            Shape::Flag => flag(text).map(Value::Flag),
            Shape::Number { min, max, none } => number(text, min, max, none).map(Value::Number),
            Shape::Size => size(text).map(Value::Size),
            Shape::Patterns => patterns(text).map(Value::Patterns),
            Shape::Line => line(text).map(Value::Line),
        };
        read.ok_or(invalid)
    }

    /// Fails with `policy_value_invalid` unless this has the form of the values of `key`.
    pub(super) fn need_of(&self, key: Key) -> Result<(), Refusal> {
        let fits = match self {
            Value::Interval(_) => matches!(key.shape(), Shape::Interval { .. }),
            Value::Hours(_) => matches!(key.shape(), Shape::Hours { .. }),
            Value::Rate(_) => key.shape() == Shape::Rate,
            Value::Word(word) => matches!(key.shape(), Shape::Word(words) if words.contains(word)),
            Value::Words(_) => matches!(key.shape(), Shape::Words(_)),
            Value::Flag(_) => key.shape() == Shape::Flag,
            Value::Number(_) => matches!(key.shape(), Shape::Number { .. }),
            Value::Size(_) => key.shape() == Shape::Size,
            Value::Patterns(_) => key.shape() == Shape::Patterns,
            Value::Line(_) => key.shape() == Shape::Line,
        };
        let invalid = Refusal::PolicyValueInvalid { key: key.word(), allowed: key.allowed() };
        if fits { Ok(()) } else { Err(invalid) }
    }

    /// The value of `key` where no level has one. Never fails.
    pub fn default_of(key: Key) -> Value {
        Value::parse(key, key.default_text()).expect("a test parses the default of every policy")
    }
}

impl fmt::Display for Value {
    /// The canonical text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Interval(None) => f.write_str("off"),
            Value::Interval(Some(span)) => f.write_str(&span_text(*span)),
            Value::Hours(hours) => hours.fmt(f),
            Value::Rate(Rate::NoLimit) | Value::Number(None) | Value::Size(None) => f.write_str("none"),
            Value::Rate(Rate::PerSecond(bytes)) => write!(f, "{}/s", bytes_text(*bytes)),
            Value::Rate(Rate::Percent(percent)) => write!(f, "{percent}%"),
            Value::Word(word) => f.write_str(word),
            Value::Words(words) => f.write_str(&words.join(",")),
            Value::Flag(true) => f.write_str("yes"),
            Value::Flag(false) => f.write_str("no"),
            Value::Number(Some(number)) => write!(f, "{}", number.0),
            Value::Size(Some(bytes)) => f.write_str(&bytes_text(*bytes)),
            Value::Patterns(patterns) => f.write_str(&patterns.join("\n")),
            Value::Line(line) => f.write_str(line),
        }
    }
}

fn interval(text: &str, min: u64, max: u64) -> Option<Option<Span>> {
    if text == "off" {
        return Some(None);
    }
    let units = [("m", 1), ("h", 60), ("d", 24 * 60)];
    let (digits, minutes) = units.into_iter().find_map(|(unit, minutes)| Some((text.strip_suffix(unit)?, minutes)))?;
    let minutes = digits_parse(digits)?.checked_mul(minutes)?;
    (min..=max).contains(&minutes).then(|| Some(Span::minutes(minutes)))
}

fn rate(text: &str) -> Option<Rate> {
    if text == "none" {
        return Some(Rate::NoLimit);
    }
    if let Some(percent) = text.strip_suffix('%') {
        let percent = digits_parse(percent)?;
        return (1..=100).contains(&percent).then_some(Rate::Percent(percent as u8));
    }
    let bytes = bytes(text.strip_suffix("/s")?)?;
    (RATE_MIN..=RATE_MAX).contains(&bytes).then_some(Rate::PerSecond(Bytes(bytes)))
}

/// Some words, separated by commas; in the order in which the policy has them.
fn some_of(words: &[&'static str], text: &str) -> Option<Vec<&'static str>> {
    let given: Vec<&str> = text.split(',').map(str::trim).collect();
    let known = given.iter().all(|word| words.contains(word));
    known.then(|| words.iter().copied().filter(|word| given.contains(word)).collect())
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn number(text: &str, min: u64, max: u64, none: bool) -> Option<Option<Count>> {
    if none && text == "none" {
        return Some(None);
    }
    let number = digits_parse(text)?;
    (min..=max).contains(&number).then_some(Some(Count(number)))
}

fn size(text: &str) -> Option<Option<Bytes>> {
    if text == "none" {
        return Some(None);
    }
    let bytes = bytes(text)?;
    (SIZE_MIN..=SIZE_MAX).contains(&bytes).then_some(Some(Bytes(bytes)))
}

fn patterns(text: &str) -> Option<Vec<String>> {
    let lines: Vec<String> = text.split('\n').filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let good = lines.len() <= PATTERNS_MAX && lines.iter().all(|line| pattern::check(line).is_ok());
    good.then_some(lines)
}

fn line(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() <= LINE_BYTES_MAX).then(|| text.to_owned())
}

/// `250MB`, `1 kB`: a whole number and a unit of 1,000, whatever the letter case.
fn bytes(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(at);
    let unit = unit.trim_start();
    let (_, factor) = UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    digits_parse(digits)?.checked_mul(factor)
}

fn bytes_text(bytes: Bytes) -> String {
    let (unit, factor) = UNITS
        .into_iter()
        .find(|(_, factor)| bytes.0 >= *factor && bytes.0.is_multiple_of(*factor))
        .unwrap_or(UNITS[UNITS.len() - 1]);
    format!("{}{unit}", bytes.0 / factor)
}

fn span_text(span: Span) -> String {
    let minutes = span.as_ms() / 60_000;
    match minutes {
        _ if minutes.is_multiple_of(24 * 60) => format!("{}d", minutes / (24 * 60)),
        _ if minutes.is_multiple_of(60) => format!("{}h", minutes / 60),
        _ => format!("{minutes}m"),
    }
}

/// Digits and nothing else: no sign, no space.
fn digits_parse(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}
