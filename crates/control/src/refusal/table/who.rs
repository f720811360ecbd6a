//! Who asks, and at which entrance.
//! Refuses to do anything but hand its rows on: `table` joins the parts.

macro_rules! who {
    ([$($parts:ident)*] $($rows:tt)*) => { table! { @ [$($parts)*] $($rows)*
        // Who asks.

        /// Unknown user or wrong password: the same in words and in time.
        WrongCredentials,
            "wrong_credentials", Refused, WhenChanged,
            "The e-mail address or the password is not right. Check both and try again.";
        /// Too many wrong passwords in a row. Counted for addresses without an account too.
        AccountLocked {
            /// How long the lock-out still lasts.
            left: Span
        },
            "account_locked", Refused, After(*left),
            "There were too many wrong passwords for this address. \
             Try again in {left}, or ask an admin for a new password.";
        /// The user is locked, preserved or deleted. Said only to who has proved to be the user.
        UserNotActive,
            "user_not_active", Refused, WhenChanged,
            "Your user is not active, so nothing can be backed up or restored; what was backed up is kept. \
             Ask your admin.";
        /// The new password is too short.
        PasswordTooShort {
            /// The least number of characters.
            min: Count
        },
            "password_too_short", Invalid, WhenChanged,
            "The password is too short. Choose one of at least {min} characters.";
        /// The new password is too long.
        PasswordTooLong {
            /// The greatest number of bytes.
            max: Bytes
        },
            "password_too_long", Invalid, WhenChanged,
            "The password is too long. Choose one of at most {max}.";
        /// The session token was good once.
        SessionExpired,
            "session_expired", Refused, WhenChanged,
            "The session has ended. A new one is opened by signing in again; the device does that by itself.";
        /// No session has this token.
        SessionInvalid,
            "session_invalid", Refused, WhenChanged,
            "The request does not belong to an open session. Sign in again; the device does that by itself.";
        /// A challenge is answered once.
        ChallengeUsed,
            "challenge_used", Refused, WhenChanged,
            "This answer to the server's challenge was used before. Ask for a new challenge; \
             the device does that by itself.";
        /// A challenge is answered soon.
        ChallengeExpired,
            "challenge_expired", Refused, WhenChanged,
            "The answer to the server's challenge came too late. Ask for a new challenge; \
             the device does that by itself.";
        /// The signature is not one of the key that it must be of. The same for an unknown device.
        SignatureInvalid,
            "signature_invalid", Refused, WhenChanged,
            "The key of this computer is not the device's: another computer may have been activated in its place. \
             If that was not meant, tell your admin. To go on here, activate this computer as a new device, \
             or again as this one, which takes it from the other.";
        /// The actor lacks the permit that the request needs.
        NotPermitted,
            "not_permitted", Refused, WhenChanged,
            "Your role does not allow this. Ask an admin who may do it, or who can change your role.";
        /// The admin API was asked without a credential, or with a text that is none.
        CredentialInvalid,
            "credential_invalid", Refused, WhenChanged,
            "The admin API asks for a credential, and none that it knows was presented. \
             Send one that is in force as Authorization: Bearer.";
        /// The credential was good once.
        CredentialExpired,
            "credential_expired", Refused, WhenChanged,
            "This credential has expired. Ask an admin for a new one.";
        /// The credential was good until an admin revoked it.
        CredentialRevoked,
            "credential_revoked", Refused, WhenChanged,
            "This credential was revoked. Ask an admin for a new one.";
        /// A device's token at the admin API, or the other way round.
        WrongAudience,
            "wrong_audience", Refused, WhenChanged,
            "Devices and admins have separate entrances: a device's session does not open the admin API, \
             and a credential of the admin API opens nothing else.";
        /// Nobody gives what they do not have.
        PermitBeyondOwn {
            /// The word of the first permit that is too many.
            permit: &'static str
        },
            "permit_beyond_own", Refused, WhenChanged,
            "A credential can be given only permits that its maker has, and you do not have {permit}. \
             Ask an admin who has it.";
        /// One admin in service with every permit must be left.
        LastAdmin,
            "last_admin", Refused, WhenChanged,
            "This is the last admin in service who may do everything. Give another one every permit first.";
        /// Nothing would change.
        AdminStateSame {
            /// Where the admin stands.
            state: &'static str
        },
            "admin_state_same", Conflict, Never,
            "The admin is {state} already; nothing was changed.";
        /// The header is there and is no key.
        IdempotencyKeyInvalid,
            "idempotency_key_invalid", Invalid, Never,
            "An Idempotency-Key has from 1 to 128 visible ASCII characters. Send another, or none.";
        /// The same key, another request.
        IdempotencyKeyReused,
            "idempotency_key_reused", Conflict, Never,
            "This Idempotency-Key belongs to another request of yours; nothing was done. \
             Draw a new key for every request.";
        /// The first request with the key has no answer yet.
        IdempotencyInProgress,
            "idempotency_in_progress", Conflict, After(IN_PROGRESS_POLL),
            "The request with this Idempotency-Key is still being carried out. Ask again in a moment for its answer.";
        /// The change was committed, and the server ended before it kept the answer.
        IdempotencyAnswerLost,
            "idempotency_answer_lost", Conflict, Never,
            "This request was carried out, but its answer was lost before it could be kept. \
             Nothing was done again; look at what it was to change.";
        /// The endpoint speaks a protocol that this server no longer speaks.
        ProtocolTooOld {
            /// The oldest version that the server speaks.
            oldest: Count
        },
            "protocol_too_old", Refused, WhenChanged,
            "This program is too old for the server, which speaks protocol version {oldest} and newer. \
             Install an update.";
        /// More requests than the limit of the account, token or source.
        TooManyRequests {
            /// When the next one is accepted.
            left: Span
        },
            "too_many_requests", Unavailable, After(*left),
            "There were too many requests in a short time. Nothing is lost; try again in {left}.";

        /// The user stands there already.
        UserStateSame {
            /// The word of the state.
            state: &'static str
        },
            "user_state_same", Conflict, Never,
            "The user is {state} already; nothing was changed.";
        /// No way leads there from where the user stands.
        UserWrongState {
            /// The word of the state.
            state: &'static str,
            /// The word of the event.
            event: &'static str
        },
            "user_wrong_state", Conflict, WhenChanged,
            "The user is {state}, and from there \"{event}\" is not possible; nothing was changed. \
             Activate, unlock or undelete the user first, as that state asks for.";
    } };
}
pub(super) use who;
