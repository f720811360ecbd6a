//! What is to be brought back to a computer after its activation. Refuses to bring anything back: the endpoint does.

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

    /// Are the user's own settings among it? Never fails.
    pub const fn takes_settings(self) -> bool {
        matches!(self, Restore::Settings | Restore::All)
    }

    /// The choice with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|restore| restore.word() == word)
    }
}
