//! Activation, and the proofs for it: links, tickets, deployment tokens, the desk.
//! Refuses to do anything but hand its rows on: `table` joins the parts.

macro_rules! activation {
    ([$($parts:ident)*] $($rows:tt)*) => { table! { @ [$($parts)*] $($rows)*
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

        // Proofs: links, tickets, deployment tokens, the desk.

        /// The password was right and is older than the organisation allows.
        PasswordExpired,
            "password_expired", Refused, WhenChanged,
            "Your password has expired. Ask your admin for a link by which you can set a new one.";
        /// One of the user's last passwords.
        PasswordReused,
            "password_reused", Invalid, WhenChanged,
            "You have used this password before. Choose another one.";
        /// No such link, or one that was used, revoked or has expired: the same in words and in time.
        LinkInvalid,
            "link_invalid", Refused, Never,
            "This link does not work: it may have been used, replaced by a newer one, or have expired. \
             Ask your admin for a new one.";
        /// No such ticket, or one that was used, revoked, has expired, or is another user's: alike in words and time.
        TicketInvalid,
            "ticket_invalid", Refused, Never,
            "This ticket does not work: it may have been used or withdrawn, or have expired. \
             Check the letters and digits, or ask your admin for a new one.";
        /// No token has this text.
        TokenInvalid,
            "token_invalid", Refused, WhenChanged,
            "The deployment token of this installation is not known here. Ask your admin for a current installer.";
        /// An admin has revoked the token, or a new legacy token has replaced it. Said to who has its whole text.
        TokenRevoked,
            "token_revoked", Refused, WhenChanged,
            "The deployment token of this installation was revoked. Ask your admin for a current installer.";
        /// The token's time is over.
        TokenExpired,
            "token_expired", Refused, WhenChanged,
            "The deployment token of this installation has expired. Ask your admin for a current installer.";
        /// The token was used as often as it may be.
        TokenUsedUp,
            "token_used_up", Refused, WhenChanged,
            "The deployment token of this installation has been used as often as it may be. \
             Ask your admin for a current installer.";
        /// The request comes from a network in which the token may not be used.
        TokenNetwork,
            "token_network", Refused, After(PROOF_POLL),
            "The deployment token of this installation may not be used from this network. \
             Connect the computer to your organisation's network; its next try then succeeds.";
        /// The token is used outside its hours.
        TokenHours {
            /// When they begin, or are to be asked about again.
            left: Span
        },
            "token_hours", Refused, After(*left),
            "The deployment token of this installation may be used at certain hours only. \
             Nothing is lost; try again in {left}.";
        /// More uses in a minute than the token allows.
        TokenRate {
            /// When the next minute begins.
            left: Span
        },
            "token_rate", Unavailable, After(*left),
            "Many computers are being activated with this deployment token at the moment. \
             Nothing is lost; try again in {left}.";
        /// Neither the device map, nor the directory, nor the account of the operating system says whose it is.
        UserUnknownToToken,
            "user_unknown_to_token", Refused, After(PROOF_POLL),
            "It is not known yet whose computer this is, so it was not activated. \
             Your admin can name its user in the device map or in the installer's HOLDFAST_EMAIL, \
             and its next try then succeeds; or you can sign in with your e-mail address and password.";
        /// The account of the operating system fits more than one user.
        TokenUserAmbiguous,
            "token_user_ambiguous", Refused, After(PROOF_POLL),
            "More than one user may be meant by this computer's account, so it was not activated. \
             Your admin can name its user in the device map, and its next try then succeeds.";
        /// The token is for users of a profile, and this user has another.
        TokenProfile,
            "token_profile", Refused, After(PROOF_POLL),
            "The deployment token of this installation is for users of another profile. \
             Your admin can give you that profile, and its next try then succeeds; \
             or you can sign in with your e-mail address and password.";
        /// An admin has looked at the record that waited, and has refused it.
        ActivationRefused {
            /// The admin's words.
            reason: String
        },
            "activation_refused", Refused, Never,
            "An admin has not accepted this computer and says: \"{reason}\". Ask your admin if that is a mistake.";
    } };
}
pub(super) use activation;
