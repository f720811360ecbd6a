//! The ways in which a request proves who asks, and what each is worth.
//! Refuses to check any of them: `app` has done so before it names one. Rules: docs/control.md, "Proofs".

use crate::{Level, State};
use std::fmt;

/// A proof that was checked and found good. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// A signature by the key that is bound to the record.
    OldKey,
    /// The same, and a valid deployment token.
    OldKeyAndToken,
    /// The user's local password.
    Password,
    /// The user's password in the directory.
    Directory,
    /// The user's single sign-on.
    SingleSignOn,
    /// A one-time code that an admin made for this user.
    Ticket,
    /// A valid deployment token: somebody has an installer of this organisation.
    Token,
    /// The same, and a row of the device map in which an admin has named the record.
    TokenAndMap,
    /// An admin says so; no key comes with it.
    Admin,
}

/// What a proof is worth: proofs of one strength are treated alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// It is the machine that the record was bound to, or a copy of it.
    OldKey,
    /// The same, and it has an installer of this organisation.
    OldKeyAndToken,
    /// It is the user, or somebody whom an admin has given a ticket for the user.
    Person,
    /// It has an installer of this organisation; all else is its own assertion.
    Token,
    /// The same, and an admin has named the record.
    TokenAndMap,
    /// An admin stands for the device as it is.
    Admin,
}

impl Proof {
    /// Every proof, in the order of docs/control.md.
    pub const ALL: [Proof; 9] = [
        Proof::OldKey,
        Proof::OldKeyAndToken,
        Proof::Password,
        Proof::Directory,
        Proof::SingleSignOn,
        Proof::Ticket,
        Proof::Token,
        Proof::TokenAndMap,
        Proof::Admin,
    ];

    /// The stable word, snake_case, for the audit log and the evidence of a campaign. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Proof::OldKey => "old_key",
            Proof::OldKeyAndToken => "old_key_and_token",
            Proof::Password => "password",
            Proof::Directory => "directory",
            Proof::SingleSignOn => "single_sign_on",
            Proof::Ticket => "ticket",
            Proof::Token => "token",
            Proof::TokenAndMap => "token_and_map",
            Proof::Admin => "admin",
        }
    }

    /// The proof with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|proof| proof.word() == word)
    }

    /// What it is worth. Never fails.
    pub const fn strength(self) -> Strength {
        match self {
            Proof::OldKey => Strength::OldKey,
            Proof::OldKeyAndToken => Strength::OldKeyAndToken,
            Proof::Password | Proof::Directory | Proof::SingleSignOn | Proof::Ticket => Strength::Person,
            Proof::Token => Strength::Token,
            Proof::TokenAndMap => Strength::TokenAndMap,
            Proof::Admin => Strength::Admin,
        }
    }

    /// Whether it has shown that who comes back by it from `was` is that device. An installer that somebody has shows
    /// nothing, and a key that is distrusted, or that its machine has erased, no more: a copy may have it. Rules:
    /// docs/control.md, "Proofs". Never fails.
    pub const fn shows(self, was: &State) -> bool {
        match self.strength() {
            Strength::Token | Strength::TokenAndMap => false,
            Strength::OldKey | Strength::OldKeyAndToken => {
                !matches!(was, State::Deactivated { level: Level::Distrust, .. } | State::Decommissioned)
            }
            Strength::Person | Strength::Admin => true,
        }
    }
}

impl Strength {
    /// As docs/control.md writes it: `person`, `token and map`. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Strength::OldKey => "old key",
            Strength::OldKeyAndToken => "old key and token",
            Strength::Person => "person",
            Strength::Token => "token",
            Strength::TokenAndMap => "token and map",
            Strength::Admin => "admin",
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deactivated(level: Level) -> State {
        State::Deactivated { rights: crate::Rights::Full, level }
    }

    #[test]
    fn the_document_lists_every_proof_with_its_worth_and_every_word_reads_back() {
        let document = crate::document::TEXT;
        for proof in Proof::ALL {
            assert_eq!(Proof::from_word(proof.word()), Some(proof));
            let full = State::Active { rights: crate::Rights::Full };
            let trusted = [full, deactivated(Level::Rotate), deactivated(Level::Revoke)].map(|was| proof.shows(&was));
            let copied = [deactivated(Level::Distrust), State::Decommissioned].map(|was| proof.shows(&was));
            let proved = match (trusted, copied) {
                ([true, true, true], [true, true]) => "yes",
                ([true, true, true], [false, false]) => "unless distrusted or erased",
                ([false, false, false], [false, false]) => "no",
                other => panic!("{proof}: {other:?}"),
            };
            let row = format!("| `{proof}` | {} | {proved} |", proof.strength().word());
            assert!(document.contains(&row), "docs/control.md lacks {row}");
        }
    }
}
