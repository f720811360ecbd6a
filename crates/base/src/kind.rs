//! The six words that say what a caller can do about an error. Retry, HTTP status and the advice to a
//! person are derived from them, each in one function elsewhere.

/// What the caller of a failed operation should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is wrong in itself: mend it, then ask again.
    Invalid,
    /// A rule says no: the refusal tells whether and when asking again helps.
    Refused,
    /// The thing named does not exist, or is none of the caller's business.
    NotFound,
    /// Something else happened first: look again, then decide.
    Conflict,
    /// Not now: try again later, nothing is wrong with the request.
    Unavailable,
    /// Stored or sent bytes are not what they must be: trying again does not help.
    Damaged,
}

impl Kind {
    /// The stable word for logs and machines. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::Refused => "refused",
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::Unavailable => "unavailable",
            Kind::Damaged => "damaged",
        }
    }
}
