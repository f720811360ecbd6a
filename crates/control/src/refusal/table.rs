//! The refusals, one entry each: name, fields, code, kind, retry, sentence. docs/control.md has the same list, tested.
//! Refuses a second place for any of the five: all functions over refusals are made from this table.

use super::Retry::{self, After, Never, WhenChanged};
use base::Kind::{self, Conflict, Damaged, Invalid, NotFound, Refused, Unavailable};
use base::{Bytes, Count, Span};

macro_rules! refusals {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident $({ $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty),+ })?,
        $code:literal, $kind:ident, $retry:expr, $sentence:literal;
    )+) => {
        /// A domain "no". The code is stable; the sentence may be improved from release to release.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal {
            $($(#[doc = $doc])+ $name $({ $($(#[doc = $field_doc])+ $field: $type),+ })?,)+
        }

        impl Refusal {
            /// Every code, in the order of docs/control.md, with its sentence: a field's name in braces stands for
            /// the field's value.
            pub const ALL: &[(&'static str, &'static str)] = &[$(($code, $sentence)),+];

            /// The stable code, snake_case. Never fails.
            pub const fn code(&self) -> &'static str {
                match self {
                    $(Refusal::$name $({ $($field: _),+ })? => $code,)+
                }
            }

            /// What happened, what to do, and whether asking again helps, for the person who asked. Never fails.
            pub fn sentence(&self) -> String {
                match self {
                    $(Refusal::$name $({ $($field),+ })? => format!($sentence),)+
                }
            }

            /// What the caller can do about it. Never fails.
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Refusal::$name $({ $($field: _),+ })? => $kind,)+
                }
            }

            /// Whether and when the same request may be granted. Never fails.
            #[allow(unused_variables, reason = "a row's fields are there for its sentence; few rows' spans need them")]
            pub const fn retry(&self) -> Retry {
                match self {
                    $(Refusal::$name $({ $($field),+ })? => $retry,)+
                }
            }

            /// One of each, in the order of `ALL`, with zeros and dots for values: for the tests of whoever must
            /// treat every refusal. Never fails.
            pub fn samples() -> Vec<Refusal> {
                vec![$(Refusal::$name $({ $($field: Sample::SAMPLE),+ })?),+]
            }
        }
    };
}

refusals! {
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
        "The device could not prove its identity with its key. \
         Activate it again with your e-mail address and password.";
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
        "The user is {state}, and from there \"{event}\" is not possible; nothing was changed.";

    // Where the device stands.

    /// The record waits for an admin.
    DevicePending,
        "device_pending", Refused, After(PENDING_POLL),
        "This device waits for an admin's approval. It begins by itself as soon as that is given; \
         you need do nothing.";
    /// Level hold: append until a date, never read.
    DeviceHeld,
        "device_held", Refused, WhenChanged,
        "This device must be activated again before it can restore, and soon before it can back up. \
         Activate it with your e-mail address and password; everything it has backed up is kept.";
    /// The credential was revoked.
    DeviceDeactivated,
        "device_deactivated", Refused, WhenChanged,
        "This device was deactivated, so it can neither back up nor restore; everything it has backed up is kept. \
         Activate it again with your e-mail address and password, and it goes on where it stopped.";
    /// An admin has stopped the device.
    DeviceSuspended,
        "device_suspended", Refused, WhenChanged,
        "An admin has suspended this device, so it can neither back up nor restore; \
         everything it has backed up is kept. \
         Ask your admin to enable it; it then goes on by itself.";
    /// Two machines present one identity.
    DeviceQuarantined,
        "device_quarantined", Refused, WhenChanged,
        "Two computers present themselves as this device. Both may go on backing up, and neither may restore, \
         until an admin has decided which one it is. Tell your admin.";
    /// The device was told to erase its data.
    DeviceDecommissioning,
        "device_decommissioning", Refused, WhenChanged,
        "This device is being retired and erases its local copy of the data; everything it has backed up is kept. \
         Ask your admin if that is a mistake.";
    /// The device has erased its data.
    DeviceDecommissioned,
        "device_decommissioned", Refused, WhenChanged,
        "This device was retired and its local data erased; everything it has backed up is kept. \
         To use it again, activate it with your e-mail address and password.";
    /// The record is deleted and can be undeleted.
    DeviceDeleted,
        "device_deleted", Refused, WhenChanged,
        "This device was deleted. An admin can still bring it back with all its backups for a few days: \
         ask your admin soon, or activate this computer as a new device.";
    /// The record is gone.
    DevicePurged,
        "device_purged", Refused, Never,
        "This device was deleted for good, and its backups with it. Activate this computer as a new device.";
    /// Read with append-only rights.
    RightsAppendOnly,
        "rights_append_only", Refused, WhenChanged,
        "This device may back up but not yet restore, because nobody has signed in on it. \
         Sign in with your e-mail address and password, or ask an admin to approve it.";

    // What was asked of the lifecycle.

    /// Reactivation of a device in service.
    AlreadyActive,
        "already_active", Conflict, Never,
        "This device is active already; nothing was changed.";
    /// The proof is good, and not enough for this record.
    SignInNeeded,
        "sign_in_needed", Refused, WhenChanged,
        "This device cannot come back by itself. Sign in with your e-mail address and password, or use a ticket.";
    /// The event would lead to where the device is.
    NothingToChange {
        /// `State::word`.
        state: &'static str
    },
        "nothing_to_change", Conflict, Never,
        "The device is {state} already; nothing was changed.";
    /// The event makes no sense from here.
    WrongState {
        /// `State::word`.
        state: &'static str,
        /// `Event::word`.
        event: &'static str
    },
        "wrong_state", Conflict, WhenChanged,
        "The device is {state}, and from there \"{event}\" is not possible; nothing was changed.";
    /// The undo period is not over.
    PurgeTooEarly {
        /// How long it still lasts.
        left: Span
    },
        "purge_too_early", Refused, After(*left),
        "The deletion can still be undone for {left}; the data is removed after that, and not before.";

    // Activation.

    /// The profile does not let its users add devices.
    ActivationOff,
        "activation_off", Refused, WhenChanged,
        "Your profile does not allow new devices. Ask your admin to activate this computer for you.";
    /// The user has as many devices as the profile allows.
    DeviceLimit {
        /// How many.
        limit: Count
    },
        "device_limit", Refused, WhenChanged,
        "You have reached the limit on your number of devices, {limit}. \
         Replace one of them by this computer, or ask your admin to raise the limit.";
    /// Only the first device of every user may be activated.
    FirstDeviceOnly,
        "first_device_only", Refused, WhenChanged,
        "Only the first device of every user may be activated, and you have one already. \
         Replace it by this computer, or ask your admin to activate this one as well.";
    /// The record that was chosen is not one of this user's.
    DeviceNotYours,
        "device_not_yours", NotFound, Never,
        "You have no such device. Choose one from the list of your devices.";
    /// The new key is bound to a record by another activation.
    KeyInUse,
        "key_in_use", Conflict, Never,
        "The key of this request belongs to another activation. \
         Start the activation anew, so that a new key is made.";

    // Runs and snapshots.

    /// Unknown, or another device's.
    RunNotYours,
        "run_not_yours", NotFound, Never,
        "This device has no such run. A new one is begun by itself.";
    /// Committed, aborted or expired.
    RunClosed,
        "run_closed", Conflict, Never,
        "This run has ended. A new one is begun by itself; what was sent is not sent again.";
    /// The device has begun another run since.
    RunSuperseded,
        "run_superseded", Conflict, Never,
        "This device has begun another run since, which ended this one; what was sent is not sent again.";
    /// A verb of a backup in a restore, or the other way round.
    RunWrongKind,
        "run_wrong_kind", Invalid, Never,
        "The request does not fit this run: a backup does not restore, and a restore does not back up.";
    /// Unknown, or another device's.
    SnapshotNotYours,
        "snapshot_not_yours", NotFound, Never,
        "This device has no such snapshot. List its snapshots and choose one of them.";
    /// The user's devices together hold more than the quota.
    QuotaExceeded {
        /// With what the run would add.
        used: Bytes,
        /// The quota.
        limit: Bytes
    },
        "quota_exceeded", Refused, WhenChanged,
        "Your backups would take {used} and your quota is {limit}. Everything stored so far is kept. \
         Take folders out of the backup, or ask your admin for a larger quota.";

    // Policies and folders.

    /// The value is not one that the policy may have.
    PolicyValueInvalid {
        /// `Key::word`.
        key: &'static str,
        /// `Key::allowed`.
        allowed: &'static str
    },
        "policy_value_invalid", Invalid, WhenChanged,
        "This is no value for {key}. Allowed is {allowed}.";
    /// The policy is not one that this level may set.
    PolicyLevelWrong {
        /// `Key::word`.
        key: &'static str,
        /// `PolicyLevel::word`.
        level: &'static str
    },
        "policy_level_wrong", Invalid, WhenChanged,
        "The policy {key} cannot be set for one {level}. Set it at a wider level.";
    /// The profile does not let users change this.
    PolicyNotAllowed {
        /// `Key::word`.
        key: &'static str
    },
        "policy_not_allowed", Refused, WhenChanged,
        "Your profile does not let you change this ({key}). Ask your admin.";
    /// A folder's path is not one that may be written.
    FolderPathInvalid {
        /// What is wrong with it.
        why: &'static str
    },
        "folder_path_invalid", Invalid, WhenChanged,
        "This path cannot be used: {why}. \
         Give an absolute one, or one in the home, documents or desktop folder.";
    /// A pattern is not one that may be written.
    PatternInvalid {
        /// What is wrong with it.
        why: &'static str
    },
        "pattern_invalid", Invalid, WhenChanged,
        "This pattern cannot be used: {why}. Write one such as *.tmp or /cache/.";
    /// The folder must be backed up.
    FolderMandatory,
        "folder_mandatory", Refused, WhenChanged,
        "This folder is always backed up and cannot be taken out. Ask your admin.";
    /// The folder is the device's own.
    FolderOwn,
        "folder_own", Conflict, Never,
        "This folder was added at this device. Remove it instead of taking it out.";
    /// Unknown, or not one of this device's.
    FolderNotYours,
        "folder_not_yours", NotFound, Never,
        "This device has no such folder. List its folders and choose one of them.";
    /// There is one with this path already.
    FolderExists,
        "folder_exists", Conflict, Never,
        "This folder is there already; nothing was changed.";
    /// There are as many as there may be.
    FolderLimit {
        /// How many.
        max: Count
    },
        "folder_limit", Refused, WhenChanged,
        "There are {max} folders already, and no more are possible. Remove one, or add a folder above several.";
    /// Users without a profile of their own have this one.
    ProfileDefault,
        "profile_default", Refused, Never,
        "The default profile cannot be removed. Change it instead.";
    /// Users have it.
    ProfileInUse {
        /// How many.
        users: Count
    },
        "profile_in_use", Conflict, WhenChanged,
        "The profile belongs to {users} users, so it was not removed. Give them another one first.";

    // What was sent.

    /// The request is not one that this server understands.
    RequestMalformed,
        "request_malformed", Invalid, Never,
        "The server did not understand the request. Install an update of this program; \
         if that does not help, report it.";
    /// More items, or more bytes, than one request may carry.
    RequestTooLarge,
        "request_too_large", Invalid, Never,
        "The request is larger than the server accepts. Install an update of this program; \
         if that does not help, report it.";
    /// The manifest's trees name chunks that the repository does not have.
    MissingChunks {
        /// How many.
        count: Count
    },
        "missing_chunks", Conflict, WhenChanged,
        "The snapshot names {count} pieces of data that the server does not have. The next backup sends them again.";
    /// Sent packs cannot be opened.
    PackDamaged,
        "pack_damaged", Damaged, WhenChanged,
        "A pack of data arrived damaged and was not stored. It is sent again; \
         if this repeats, check the computer's memory.";
    /// A pack was sealed for another run.
    PackNotOfRun,
        "pack_not_of_run", Damaged, Never,
        "A pack of data was made for another run and was not stored. The next backup sends it again.";
    /// The pack's bytes are not those that it is named after.
    PackNameMismatch,
        "pack_name_mismatch", Damaged, WhenChanged,
        "A pack of data does not match its name and was not stored. It is sent again; \
         if this repeats, check the network.";
    /// A chunk's bytes are not those that it is named after.
    ChunkNameMismatch,
        "chunk_name_mismatch", Damaged, WhenChanged,
        "A piece of data does not match its name, so its pack was not stored. \
         It is sent again; if this repeats, check the computer's memory.";
    /// A tree or list that cannot be parsed.
    TreeDamaged,
        "tree_damaged", Damaged, WhenChanged,
        "A folder's list of entries cannot be read, so its pack was not stored. The next backup makes it anew.";
    /// A tree or list names a chunk that neither the repository nor this run has.
    TreeNamesMissing {
        /// How many chunks.
        count: Count
    },
        "tree_names_missing", Damaged, WhenChanged,
        "A folder's list names {count} pieces of data that the server does not have, so its pack was not accepted. \
         The next backup sends them again.";
    /// The manifest cannot be opened or its signature is not the device's.
    ManifestDamaged,
        "manifest_damaged", Damaged, WhenChanged,
        "The record that closes the backup arrived damaged, so there is no new snapshot. \
         The next backup goes on from here.";
    /// The manifest opens, and does not tell the truth about its run, device or totals.
    ManifestMismatch,
        "manifest_mismatch", Damaged, WhenChanged,
        "The record that closes the backup does not match what was sent, so there is no new snapshot. \
         The next backup goes on from here.";

    // What is stored, and the server itself.

    /// A restore names a chunk that the repository does not have.
    ChunkNotFound {
        /// How many.
        count: Count
    },
        "chunk_not_found", NotFound, Never,
        "The server does not have {count} of the pieces of data asked for. \
         Restore from another snapshot, and tell your admin.";
    /// A stored object is not what was stored.
    StoredDataDamaged,
        "stored_data_damaged", Damaged, WhenChanged,
        "A piece of the stored data is damaged on the server. \
         Restore the rest or another snapshot, and tell your admin.";
    /// The store is full.
    StoreFull,
        "store_full", Unavailable, After(STORE_FULL_POLL),
        "The server has no space left for backups. Nothing stored is lost; \
         backups go on by themselves once there is space.";
    /// The server is busy or about to stop.
    ServerBusy {
        /// When to ask again.
        left: Span
    },
        "server_busy", Unavailable, After(*left),
        "The server is busy. Nothing is lost; the request is repeated by itself in {left}.";
}

/// How often a device that waits for approval looks whether it was given.
const PENDING_POLL: Span = Span::minutes(5);

/// How long a caller waits for the answer to a request that it has sent already.
const IN_PROGRESS_POLL: Span = Span::seconds(1);

/// How long a device waits for space on the server before it looks again.
const STORE_FULL_POLL: Span = Span::minutes(15);

/// A value for `Refusal::samples`.
trait Sample {
    const SAMPLE: Self;
}

impl Sample for Bytes {
    const SAMPLE: Self = Bytes(0);
}

impl Sample for Count {
    const SAMPLE: Self = Count(0);
}

impl Sample for Span {
    const SAMPLE: Self = Span::ZERO;
}

impl Sample for &'static str {
    const SAMPLE: Self = "…";
}
