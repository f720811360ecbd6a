//! Whether it is shown what an activation would change, before anything is bound. Refuses to bind what was to be shown.

use crate::policy::PolicyChanges;

/// Whether it is shown first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preview {
    /// No; the default: nobody is there to see it.
    #[default]
    None,
    /// Where something would change that its user has chosen; otherwise it is bound at once.
    Changes,
    /// In every case.
    Always,
}

impl Preview {
    /// Are these changes shown, instead of being made? Never fails.
    pub fn shows(self, changes: &PolicyChanges) -> bool {
        match self {
            Preview::None => false,
            Preview::Changes => !changes.kept && !changes.is_empty(),
            Preview::Always => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::FolderChange;

    #[test]
    fn only_what_would_change_is_shown_to_who_asks_for_changes() {
        let folders = vec![FolderChange { folder: base::FolderId::from_bytes([1; 16]), path: "/a".to_owned() }];
        let changed = PolicyChanges { folders, ..PolicyChanges::default() };
        let kept = PolicyChanges { kept: true, ..changed.clone() };
        let nothing = PolicyChanges::default();
        let shown = |preview: Preview| [&changed, &kept, &nothing].map(|changes| preview.shows(changes));
        assert_eq!(shown(Preview::None), [false; 3]);
        assert_eq!(shown(Preview::Changes), [true, false, false]);
        assert_eq!(shown(Preview::Always), [true; 3]);
    }
}
