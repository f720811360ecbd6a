//! What is to be brought back to a computer after its activation. Refuses to bring anything back: the endpoint does.

use crate::Rights;

/// What is to be brought back. The words are stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restore {
    /// Nothing; the default.
    #[default]
    None,
    /// The folders of the newest snapshot.
    Data,
    /// The user's own settings: what they have set and unlinked at the record stays, whatever the profile says.
    Settings,
    /// Both.
    All,
}

impl Restore {
    /// Every choice, in the order of docs/control.md.
    pub const ALL: [Restore; 4] = [Restore::None, Restore::Data, Restore::Settings, Restore::All];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Restore::None => "none",
            Restore::Data => "data",
            Restore::Settings => "settings",
            Restore::All => "all",
        }
    }

    /// Are the user's own settings among it, for a device with these rights? They are data of the record: who may not
    /// read does not get them, and is not told what they are. Never fails.
    pub const fn takes_settings(self, rights: Rights) -> bool {
        match rights {
            Rights::Full => matches!(self, Restore::Settings | Restore::All),
            Rights::AppendOnly => false,
        }
    }

    /// The choice with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|restore| restore.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_read_takes_no_settings_over() {
        let takes = |rights| Restore::ALL.map(|restore| restore.takes_settings(rights));
        assert_eq!(takes(Rights::Full), [false, false, true, true]);
        assert_eq!(takes(Rights::AppendOnly), [false; 4]);
    }
}
