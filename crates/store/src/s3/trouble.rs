//! What an answer that is no success means: ask again, with another key, or give up.
//! Refuses to guess from the library's own errors: what the server said is kept as it was (see `connect`).

use object_store::client::HttpError;
use reqwest::StatusCode;
use std::error::Error;
use std::fmt;
use std::io;

/// A server's "no": status, and the code and message of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: StatusCode,
    /// It answers a HEAD: there can be no code and no message.
    pub is_head: bool,
    /// `NoSuchKey` and the like; empty when there was none.
    pub code: String,
    /// The server's own words, for the admin.
    pub message: String,
}

/// Why no key could be had.
#[derive(Debug, thiserror::Error)]
#[error("no access key")]
pub(super) struct KeyFailure(#[source] pub io::Error);

/// Why one attempt did not succeed.
#[derive(Debug)]
pub(super) enum Trouble {
    Refused(Refusal),
    /// A completion met another writer: its parts must be sent anew.
    Overtaken(Refusal),
    Key(io::Error),
    /// No answer, or no more of a body, in the time that a request has.
    Silent,
    /// The certificate of the server is not to be trusted.
    Certificate(String),
    /// The connection, or an answer that cannot be read.
    Broken(String),
    /// The bucket has a key that the library cannot read.
    Stranger(String),
    /// A body of another length than was announced.
    Length {
        wanted: u64,
        got: u64,
    },
    /// The bytes do not have the digest that was stored with them.
    Altered,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It may pass.
    Again,
    /// Another writer is at the same key just now. It may pass too.
    Conflict,
    /// It may have been the wire; if it happens three times, it is so.
    Doubtful,
    /// The access key is not good, or not any more.
    Key,
    /// There is none.
    NoKey,
    /// There is an object already.
    Exists,
    NoObject,
    NoBucket,
    /// The parts of an upload are gone or of no use: it was completed, given up, or overtaken.
    NoUpload,
    /// The range begins after the object's end.
    Beyond,
    Full,
    /// Asking again would be answered in the same way.
    Never,
}

impl Trouble {
    /// What the library's error was made of. Never fails.
    pub(super) fn of(error: &object_store::Error) -> Self {
        if let object_store::Error::InvalidPath { source } = error {
            return Self::Stranger(base::printable(&source.to_string()));
        }
        let mut link: Option<&(dyn Error + 'static)> = Some(error);
        let mut last = None;
        while let Some(cause) = link {
            if let Some(refusal) = cause.downcast_ref::<Refusal>() {
                return Self::Refused(refusal.clone());
            }
            if let Some(KeyFailure(cause)) = cause.downcast_ref::<KeyFailure>() {
                return Self::Key(io::Error::new(cause.kind(), cause.to_string()));
            }
            if let Some(cause) = certificate(cause) {
                return Self::Certificate(cause.to_string());
            }
            if cause.downcast_ref::<HttpError>().is_none() {
                last = Some(cause.to_string());
            }
            link = cause.source();
        }
        Self::Broken(last.unwrap_or_else(|| error.to_string()))
    }

    pub(super) fn meaning(&self) -> Meaning {
        match self {
            Self::Refused(refusal) => refusal.meaning(),
            Self::Overtaken(_) => Meaning::NoUpload,
            Self::Key(_) => Meaning::NoKey,
            Self::Certificate(_) | Self::Stranger(_) => Meaning::Never,
            Self::Silent | Self::Broken(_) | Self::Length { .. } => Meaning::Again,
            Self::Altered => Meaning::Doubtful,
        }
    }
}

/// What TLS says within the error. An I/O error is no link to what it wraps, only to what that was caused by.
fn certificate<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<rustls::Error>() {
        Some(found) => Some(found),
        None => certificate(error.downcast_ref::<io::Error>()?.get_ref()?),
    }
}

impl Refusal {
    /// From the body of an answer: `<Error><Code>…</Code><Message>…</Message></Error>`. Never fails.
    pub(super) fn read(status: StatusCode, is_head: bool, body: &[u8]) -> Self {
        const MESSAGE_LETTERS_MAX: usize = 300;
        let text = String::from_utf8_lossy(body);
        let part = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            let (part, _) = rest.split_once(&format!("</{name}>"))?;
            Some(base::printable(part).chars().take(MESSAGE_LETTERS_MAX).collect::<String>())
        };
        let (code, message) = (part("Code").unwrap_or_default(), part("Message").unwrap_or_default());
        Self { status, is_head, code, message }
    }

    /// The code decides where there is one: servers give some of them various statuses, Amazon among them.
    pub(super) fn meaning(&self) -> Meaning {
        match self.code.as_str() {
            "PreconditionFailed" => Meaning::Exists,
            "NoSuchBucket" => Meaning::NoBucket,
            "NoSuchKey" => Meaning::NoObject,
            "NoSuchUpload" => Meaning::NoUpload,
            "InvalidRange" => Meaning::Beyond,
            "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch" => Meaning::Key,
            "QuotaExceeded" | "XMinioAdminBucketQuotaExceeded" | "XMinioStorageFull" => Meaning::Full,
            "BadDigest"
            | "IncompleteBody"
            | "InternalError"
            | "RequestTimeout"
            | "SlowDown"
            | "XAmzContentSHA256Mismatch" => Meaning::Again,
            _ => self.status_meaning(),
        }
    }

    fn status_meaning(&self) -> Meaning {
        match self.status.as_u16() {
            412 | 304 => Meaning::Exists,
            // Every S3 server says what is not there. A proxy does not, and must not make anybody believe that an
            // object is lost.
            404 if self.is_head => Meaning::NoObject,
            404 if self.code.is_empty() => Meaning::Again,
            416 => Meaning::Beyond,
            401 | 403 => Meaning::Key,
            // An answer to HEAD has no code, and Amazon answers an expired session so.
            400 if self.is_head => Meaning::Key,
            408 | 425 | 429 => Meaning::Again,
            409 => Meaning::Conflict,
            507 => Meaning::Full,
            501 | 505 => Meaning::Never,
            500.. => Meaning::Again,
            _ => Meaning::Never,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.as_u16())?;
        match (self.code.as_str(), self.message.as_str()) {
            ("", _) => Ok(()),
            (code, "") => write!(f, " {code}"),
            (code, message) => write!(f, " {code}: {message}"),
        }
    }
}

impl Error for Refusal {}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) | Self::Overtaken(refusal) => write!(f, "the server answered {refusal}"),
            Self::Key(cause) => write!(f, "{cause}"),
            Self::Silent => f.write_str("the server did not answer in time"),
            Self::Certificate(cause) => write!(f, "the server's certificate is not trusted: {cause}"),
            Self::Broken(cause) => write!(f, "the connection or the answer was broken: {cause}"),
            Self::Stranger(cause) => write!(f, "there is a key that is none of the store's ({cause}): remove it"),
            Self::Length { wanted, got } => write!(f, "{got} bytes came where {wanted} were announced"),
            Self::Altered => f.write_str("the bytes do not have the SHA-256 that was stored with them"),
        }
    }
}

impl Error for Trouble {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal::read(StatusCode::from_u16(status).expect("a status"), false, body.as_bytes())
    }

    #[test]
    fn every_answer_has_one_meaning() {
        let code = |status, code: &str| refusal(status, &format!("<Error><Code>{code}</Code></Error>")).meaning();
        let head = |status| Refusal { is_head: true, ..refusal(status, "") }.meaning();
        let rows = [
            (refusal(412, "").meaning(), Meaning::Exists),
            (code(409, "ConditionalRequestConflict"), Meaning::Conflict),
            (code(404, "NoSuchKey"), Meaning::NoObject),
            (code(404, "NoSuchBucket"), Meaning::NoBucket),
            (code(404, "NoSuchUpload"), Meaning::NoUpload),
            (head(404), Meaning::NoObject),
            (refusal(404, "<html>").meaning(), Meaning::Again),
            (code(404, "NoSuchWebsiteConfiguration"), Meaning::Never),
            (code(400, "ExpiredToken"), Meaning::Key),
            (head(400), Meaning::Key),
            (refusal(400, "").meaning(), Meaning::Never),
            (code(403, "AccessDenied"), Meaning::Key),
            (code(403, "QuotaExceeded"), Meaning::Full),
            (refusal(507, "").meaning(), Meaning::Full),
            (code(400, "AuthorizationHeaderMalformed"), Meaning::Never),
            (code(400, "BadDigest"), Meaning::Again),
            (refusal(301, "").meaning(), Meaning::Never),
            (refusal(429, "").meaning(), Meaning::Again),
            (refusal(500, "<html>").meaning(), Meaning::Again),
            (refusal(501, "").meaning(), Meaning::Never),
            (code(200, "SlowDown"), Meaning::Again),
            (refusal(416, "").meaning(), Meaning::Beyond),
        ];
        for (place, (meaning, wanted)) in rows.into_iter().enumerate() {
            assert_eq!(meaning, wanted, "row {place}");
        }
    }

    #[test]
    fn a_refusal_is_said_with_what_the_server_said_and_without_letters_that_move_the_terminal() {
        let said = refusal(503, "<?xml?><Error><Code>SlowDown</Code><Message>Please\u{1b}[2J wait</Message></Error>");
        assert!(said.to_string().starts_with("503 SlowDown: Please"), "{said}");
        assert!(!said.to_string().contains('\u{1b}'), "{said:?}");
        assert_eq!(refusal(502, "<html>Bad gateway</html>").to_string(), "502");
    }
}
