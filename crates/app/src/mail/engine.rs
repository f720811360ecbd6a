//! Fills templates that admins write with values that anybody may have chosen: names of devices, above all.
//! Refuses everything but values and conditions: a template can neither loop, calculate, call, include, nor switch
//! the escaping off, and a value is never read as a template.

use super::catalogue::{Kind, VALUES};
use crate::AppError;
use control::mail::one_line;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use std::collections::BTreeMap;
use std::io;

/// The longest subject of a template, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 500;
/// The longest text or HTML of a template, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// The longest subject of a message, in characters.
const SUBJECT_CHARS_MAX: usize = 200;
/// The longest value, in characters.
const VALUE_CHARS_MAX: usize = 1_000;
/// The largest text or HTML of a message, in bytes.
const OUTPUT_BYTES_MAX: usize = 256 << 10;
/// Steps of one template. One of the greatest size has about as many.
const FUEL: u64 = 100_000;
/// Conditions within conditions.
const DEPTH_MAX: usize = 20;

/// The three parts of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The subject: one line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML; empty when it is made from the text.
    pub html: String,
}

/// A message as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

/// The values of one message by name. Each is one line, whoever chose it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<&'static str, String>);

impl Values {
    /// None yet. Never fails.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a preview shows. Never fails.
    pub fn samples() -> Self {
        VALUES.iter().fold(Self::new(), |values, value| values.with(value.name, value.sample))
    }

    /// These and one more: one line of at most 1,000 characters. Never fails.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.insert(name, one_line(value, VALUE_CHARS_MAX));
        self
    }

    /// The values of a template of this kind as it sees them; one that is not given is empty.
    fn tree(&self, kind: &Kind) -> Value {
        let mut tree: BTreeMap<&str, Value> = BTreeMap::new();
        let mut groups: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
        for value in kind.all_values() {
            let text = Value::from(self.0.get(value.name).map_or("", String::as_str));
            match value.name.split_once('.') {
                Some((group, name)) => groups.entry(group).or_default().insert(name, text),
                None => tree.insert(value.name, text),
            };
        }
        tree.extend(groups.into_iter().map(|(group, values)| (group, Value::from(values))));
        Value::from(tree)
    }
}

impl Template {
    /// What the program brings for this kind. Never fails.
    pub fn own(kind: &Kind) -> Self {
        Self { subject: kind.subject().to_owned(), text: kind.text(), html: String::new() }
    }

    /// The message that this template makes of these values.
    ///
    /// # Errors
    /// `template_invalid`, which a template that `inspect` has let pass gives only where it is very large.
    pub fn fill(&self, kind: &Kind, values: &Values) -> Result<Message, AppError> {
        let tree = values.tree(kind);
        let subject = one_line(&render("subject", &self.subject, &tree)?, SUBJECT_CHARS_MAX);
        if subject.is_empty() {
            return Err(wrong("subject", "it is empty"));
        }
        let text = render("text", &self.text, &tree)?;
        let html = if self.html.is_empty() { html_of(&self.subject, &self.text) } else { self.html.clone() };
        Ok(Message { subject, text, html: render("html", &html, &tree)? })
    }

    /// Fails when this is no template that may be kept for this kind.
    ///
    /// # Errors
    /// `template_invalid`, with the part and what is wrong with it.
    pub fn inspect(&self, kind: &Kind) -> Result<(), AppError> {
        if self.subject.chars().any(char::is_control) {
            return Err(wrong("subject", "it must be one line without control characters"));
        }
        if self.text.trim().is_empty() {
            return Err(wrong("text", "it is empty"));
        }
        let parts = [
            ("subject", &self.subject, SUBJECT_BYTES_MAX),
            ("text", &self.text, TEXT_BYTES_MAX),
            ("html", &self.html, TEXT_BYTES_MAX),
        ];
        for (part, source, max) in parts {
            if source.len() > max {
                return Err(wrong(part, &format!("it is longer than {max} bytes")));
            }
            if source.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')) {
                return Err(wrong(part, "it has control characters"));
            }
            tags_inspect(part, source)?;
            names_inspect(part, source, kind)?;
        }
        // With every value and with none: each side of every condition is walked.
        self.fill(kind, &Values::samples())?;
        let bare = Values::new().with("organisation", "o").with("user.email", "u@x");
        self.fill(kind, &bare).map(drop)
    }
}

fn render(part: &'static str, source: &str, tree: &Value) -> Result<String, AppError> {
    let environment = environment();
    let template = environment.template_from_named_str(part, source).map_err(|cause| failed(part, &cause))?;
    let mut output = Bounded(Vec::new());
    template.render_captured_to(tree, &mut output).map_err(|cause| failed(part, &cause))?;
    String::from_utf8(output.0).map_err(|_| wrong(part, "it does not give text"))
}

fn environment<'source>() -> Environment<'source> {
    // Without filters, functions, tests and a loader: there is nothing to reach but the values.
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let escape = |part: &str| if part == "html" { AutoEscape::Html } else { AutoEscape::None };
    environment.set_auto_escape_callback(escape);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_keep_trailing_newline(true);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH_MAX);
    environment
}

/// Fails for every tag that is more than a value or a condition.
fn tags_inspect(part: &'static str, source: &str) -> Result<(), AppError> {
    let mut depth = 0_usize;
    for piece in pieces(source) {
        let Piece::Tag { text, closed } = piece else { continue };
        if !closed {
            return Err(wrong(part, &format!("`{}` is not closed", one_line(text, 40))));
        }
        if text.starts_with("{#") {
            continue;
        }
        let inner = text[2..text.len() - 2].trim_matches(['-', '+', ' ', '\n', '\r', '\t']);
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "_.=!<> ".contains(letter);
        if !inner.chars().all(fits) {
            let said = "only values, `if`, `elif`, `else`, `endif`, `and`, `or` and `not` can be used";
            return Err(wrong(part, &format!("`{}`: {said}", one_line(text, 60))));
        }
        let word = inner.split(' ').next().unwrap_or_default();
        match word {
            _ if text.starts_with("{{") => {}
            "if" => depth += 1,
            "endif" => depth = depth.saturating_sub(1),
            "elif" | "else" => {}
            _ => return Err(wrong(part, &format!("`{{% {} %}}` cannot be used in it", one_line(word, 40)))),
        }
        if depth > DEPTH_MAX {
            return Err(wrong(part, &format!("it has more than {DEPTH_MAX} conditions within each other")));
        }
    }
    Ok(())
}

/// Fails for every value that templates of this kind do not have.
fn names_inspect(part: &'static str, source: &str, kind: &Kind) -> Result<(), AppError> {
    let environment = environment();
    let template = environment.template_from_named_str(part, source).map_err(|cause| failed(part, &cause))?;
    let mut unknown: Vec<String> = template.undeclared_variables(true).into_iter().collect();
    unknown.retain(|name| !kind.has(name));
    unknown.sort();
    match unknown.first() {
        None => Ok(()),
        Some(name) => {
            let known: Vec<&str> = kind.all_values().map(|value| value.name).collect();
            let said = format!("there is no value `{}`; there are {}", one_line(name, 60), known.join(", "));
            Err(wrong(part, &said))
        }
    }
}

/// The HTML that says what a text says: paragraphs where it has empty lines, a link where it has one. Colours and
/// sizes are the reader's own, so that it is as good in the dark.
fn html_of(subject: &str, text: &str) -> String {
    let mut body = String::new();
    let mut paragraph: Vec<String> = Vec::new();
    let flush = |paragraph: &mut Vec<String>, body: &mut String| {
        if !paragraph.is_empty() {
            body.push_str(&format!("<p>{}</p>\n", paragraph.join("<br>\n")));
            paragraph.clear();
        }
    };
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            flush(&mut paragraph, &mut body);
        } else if line.starts_with("{%") && line.find("%}") == Some(line.len() - 2) {
            flush(&mut paragraph, &mut body);
            body.push_str(line);
            body.push('\n');
        } else {
            paragraph.push(markup_of(line));
        }
    }
    flush(&mut paragraph, &mut body);
    let title = markup_of(subject);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n:root {{ color-scheme: light dark; }}\n\
         body {{ font: 1em/1.5 sans-serif; max-width: 36em; margin: 0 auto; padding: 1em; }}\n</style>\n\
         </head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// A line of a text template as HTML: its tags as they are, the rest escaped.
fn markup_of(line: &str) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let piece = |piece| match piece {
        Piece::Plain(text) => escaped(text),
        Piece::Tag { text, .. } if text.trim_matches(['{', '}', ' ', '-']) == "link" => {
            format!("<a href=\"{text}\">{text}</a>")
        }
        Piece::Tag { text, .. } => text.to_owned(),
    };
    pieces(line).into_iter().map(piece).collect()
}

/// A stretch of a template.
enum Piece<'a> {
    Plain(&'a str),
    /// With its braces; `closed` is false when the end is missing.
    Tag {
        text: &'a str,
        closed: bool,
    },
}

/// The stretches of a template, in order. What `tags_inspect` lets pass has no quotes and no braces within a tag, so
/// that a tag ends where the engine thinks that it ends.
fn pieces(source: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = source;
    while let Some((at, end)) = next_tag(rest) {
        if at > 0 {
            pieces.push(Piece::Plain(&rest[..at]));
        }
        let len = rest[at + 2..].find(end).map(|len| len + 4);
        let text = len.map_or(&rest[at..], |len| &rest[at..at + len]);
        pieces.push(Piece::Tag { text, closed: len.is_some() });
        rest = &rest[at + text.len()..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest));
    }
    pieces
}

/// Where the next tag begins, and what ends it.
fn next_tag(text: &str) -> Option<(usize, &'static str)> {
    let begins = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];
    begins.into_iter().filter_map(|(begin, end)| Some((text.find(begin)?, end))).min()
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_BYTES_MAX {
            return Err(io::Error::other("the message would be too large"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(part: &'static str, cause: &minijinja::Error) -> AppError {
    let line = cause.line().map_or_else(String::new, |line| format!(" in line {line}"));
    let what = cause.detail().map_or_else(|| cause.kind().to_string(), |detail| format!("{}: {detail}", cause.kind()));
    wrong(part, &format!("{}{line}", one_line(&what, 200)))
}

fn wrong(part: &'static str, what: &str) -> AppError {
    AppError::invalid("template_invalid", format!("The {part} of the template cannot be used: {what}."))
}

#[cfg(test)]
mod tests;
