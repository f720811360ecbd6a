//! Makes the bytes of a message: headers, and the text beside the same in HTML.
//! Refuses an address that is none; a header takes one line, which the builder encodes.

use super::settings::{SmtpSettings, address};
use crate::mail::Letter;
use control::mail::one_line;
use lettre::Address;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, MultiPartKind, SinglePart};
use std::time::{Duration, UNIX_EPOCH};

/// The longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 200;

/// A message ready to be sent.
pub(super) struct Composed {
    pub(super) recipient: Address,
    pub(super) bytes: Vec<u8>,
}

/// The message of this letter. Fails with a sentence that says what about it can never be sent.
pub(super) fn compose(settings: &SmtpSettings, letter: &Letter) -> Result<Composed, String> {
    let recipient = address(&letter.recipient).ok_or("The recipient is no address that mail can go to.")?;
    let domain = settings.from.email.domain();
    let since = Duration::from_millis(u64::try_from(letter.at.as_ms()).unwrap_or(0));
    let mut builder = Message::builder()
        .from(settings.from.clone())
        .to(Mailbox::new(None, recipient.clone()))
        // Cleaned where it was made; once more, since here a second line would be a header of a stranger.
        .subject(one_line(&letter.subject, SUBJECT_CHARS_MAX))
        .date(UNIX_EPOCH + since)
        // The same at every attempt: a reader that gets a message twice can show it once.
        .message_id(Some(format!("<{}@{domain}>", letter.id)))
        .header(AutoSubmitted);
    if let Some(reply_to) = &settings.reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    let parts = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(format!("=_{}", letter.id))
        .singlepart(SinglePart::plain(lines(&letter.text)))
        .singlepart(SinglePart::html(lines(&letter.html)));
    let message = builder.multipart(parts).map_err(|cause| format!("The message cannot be made: {cause}."))?;
    Ok(Composed { recipient, bytes: message.formatted() })
}

/// The text with one kind of line end, the one of mail: a lone CR or LF is none that two mail servers read alike.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

/// Says that nobody wrote this by hand, so that absence notes do not answer it (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
